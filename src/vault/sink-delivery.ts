import { codeOf } from '../kernel/errors.ts'
import { withTimeLimit } from '../kernel/time-limit.ts'
import type { KeptToken } from './kept-token.ts'
import type { ManagerSettings } from './manager-options.ts'
import { retryDelay } from './schedule.ts'
import type { CheckedSink } from './sink.ts'
import type { VaultCalls } from './vault-calls.ts'
import type { Voice } from './voice.ts'

/** What a {@link SinkDelivery} works with. */
export interface SinkDeliveryParts {
  readonly sink: CheckedSink
  /** Its place in the option. */
  readonly index: number
  readonly settings: ManagerSettings
  readonly calls: VaultCalls
  readonly voice: Voice
  /** Ends what is under way. */
  readonly signal: AbortSignal
  /** Called when there is something to bring. */
  readonly onOwed: () => void
}

/** Brings tokens to one sink, one after the other, and tries again where it fails. Only the newest is brought. */
export class SinkDelivery {
  readonly #parts: SinkDeliveryParts
  #newest: KeptToken | undefined
  /** What is still to be brought; another object each time, so that nothing that comes meanwhile is taken for done. */
  #owed: { readonly kept: KeptToken } | undefined
  #failures = 0
  /** The monotonic time of the next attempt. */
  #at = Number.NEGATIVE_INFINITY

  /** @param parts - what it works with */
  constructor(parts: SinkDeliveryParts) {
    this.#parts = parts
  }

  /** Whether the sink hasn't taken the newest token. */
  get owed(): boolean {
    return this.#owed !== undefined
  }

  /** Takes a token for the sink. */
  bring(kept: KeptToken): void {
    this.#newest = kept
    this.#owed = { kept }
    this.#at = Number.NEGATIVE_INFINITY
    this.#parts.onOwed()
  }

  /** Does what is due. Answers for how long nothing is, ms. */
  async run(): Promise<number> {
    const { settings, signal } = this.#parts
    const { clock, timeoutMs } = settings
    const owed = this.#owed
    if (owed === undefined) return Number.POSITIVE_INFINITY
    const waitMs = this.#at - clock.monotonic()
    if (waitMs > 0) return waitMs
    try {
      await withTimeLimit(clock, timeoutMs, (inner) => this.#call(owed.kept, inner), signal)
      this.#failures = 0
      if (this.#owed === owed) this.#owed = undefined
    } catch (error) {
      signal.throwIfAborted()
      this.#failed(owed, error)
    }
    return this.owed ? Math.max(0, this.#at - clock.monotonic()) : Number.POSITIVE_INFINITY
  }

  /** Forgets the token. */
  forget(): void {
    this.#newest = undefined
    this.#owed = undefined
  }

  async #call(kept: KeptToken, signal: AbortSignal): Promise<void> {
    const { sink, calls } = this.#parts
    try {
      await sink({ token: kept.text, ttlMs: kept.left(calls.moment()), accessor: kept.facts.accessor }, signal)
    } finally {
      // One that was given up may have done its work after a newer token's was done.
      if (signal.aborted && this.#newest !== undefined && this.#newest !== kept) this.bring(this.#newest)
    }
  }

  #failed(owed: { readonly kept: KeptToken }, error: unknown): void {
    const { settings, calls, voice, index: sink } = this.#parts
    this.#failures += 1
    const failures = this.#failures
    const timing = { failures, kind: 'unavailable' as const, leftMs: 0, chance: settings.random.float() }
    const now = calls.moment()
    if (this.#owed === owed) this.#at = now.mono + retryDelay(timing)
    voice.tell('sinkFailed', { at: now.wall, ttlMs: owed.kept.left(now), sink, code: codeOf(error), failures })
  }
}
