import type { Clock } from '../kernel/clock.ts'

/** What {@link Rounds} are made of. */
export interface RoundsParts {
  readonly clock: Clock
  /** Does what is due. Answers for how long nothing is, ms. */
  readonly round: () => Promise<number>
  /** Ends them. */
  readonly signal: AbortSignal
  /** Called when a round threw. */
  readonly onTrouble: (error: unknown) => void
  /** Called when none is under way any more. */
  readonly onEnd: () => void
}

/** After a round that threw, the next comes so much later, ms. */
const TROUBLED_MS = 1000

/** One part of what a run does: its rounds come one after the other, and hold up no other part's. */
export class Rounds {
  readonly #parts: RoundsParts
  #underWay: Promise<void> | undefined
  #again = false
  #nextAt = Number.POSITIVE_INFINITY

  /** @param parts - what they are made of */
  constructor(parts: RoundsParts) {
    this.#parts = parts
  }

  /** The monotonic time of the next; Infinity while one is under way, whose end will tell. */
  get nextAt(): number {
    return this.#underWay === undefined ? this.#nextAt : Number.POSITIVE_INFINITY
  }

  /** A round from now: one that is under way is followed by another. Resolves when none is under way; never rejects. */
  run(): Promise<void> {
    if (this.#underWay !== undefined) this.#again = true
    else if (!this.#parts.signal.aborted) this.#underWay = this.#run()
    return this.#underWay ?? Promise.resolve()
  }

  async #run(): Promise<void> {
    const { clock, signal, onEnd } = this.#parts
    do {
      this.#again = false
      const forMs = await this.#round()
      this.#nextAt = clock.monotonic() + forMs
    } while (this.#again && !signal.aborted)
    // In the same step as the last look at `#again`: who asks after it begins a round.
    this.#underWay = undefined
    onEnd()
  }

  async #round(): Promise<number> {
    const { round, signal, onTrouble } = this.#parts
    try {
      return await round()
    } catch (error) {
      if (!signal.aborted) onTrouble(error)
      return TROUBLED_MS
    }
  }
}
