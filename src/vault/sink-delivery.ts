import { codeOf } from '../kernel/errors.ts'
import { withTimeLimit } from '../kernel/time-limit.ts'
import type { ManagerSettings } from './manager-options.ts'
import { retryDelay } from './schedule.ts'
import type { SinkToken } from './sink.ts'
import type { Voice } from './voice.ts'

/** A sink that hasn't taken the newest token. */
interface Owing {
  failures: number
  /** The monotonic time of the next attempt. */
  at: number
}

/** Brings each token to the sinks, and tries those again that fail. Only the newest one is brought. */
export class SinkDelivery {
  readonly #settings: ManagerSettings
  readonly #voice: Voice
  #token: SinkToken | undefined
  readonly #owing = new Map<number, Owing>()

  /**
   * @param settings - the sinks, the clock
   * @param voice - told of failures
   */
  constructor(settings: ManagerSettings, voice: Voice) {
    this.#settings = settings
    this.#voice = voice
  }

  /** Sinks that don't have the newest token. */
  get failing(): number {
    return this.#owing.size
  }

  /** When the next attempt is due, monotonic; Infinity when none is. */
  get nextAt(): number {
    return Math.min(Number.POSITIVE_INFINITY, ...[...this.#owing.values()].map(({ at }) => at))
  }

  /** Brings a token to every sink. Never throws, unless the signal ends it. */
  async bring(token: SinkToken, signal: AbortSignal): Promise<void> {
    this.#token = token
    for (const index of this.#settings.sinks.keys()) this.#owing.set(index, { failures: 0, at: 0 })
    await this.run(signal)
  }

  /** Tries those that are due. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, sinks, timeoutMs, random } = this.#settings
    const token = this.#token
    if (token === undefined) return
    for (const [index, owing] of [...this.#owing]) {
      const sink = sinks[index]
      if (sink === undefined || owing.at > clock.monotonic()) continue
      try {
        await withTimeLimit(clock, timeoutMs, () => sink({ ...token }), signal)
        if (this.#token === token) this.#owing.delete(index)
      } catch (error) {
        signal.throwIfAborted()
        owing.failures += 1
        const timing = { failures: owing.failures, kind: 'unavailable' as const, leftMs: 0, chance: random.float() }
        owing.at = clock.monotonic() + retryDelay(timing)
        this.#voice.tell('sinkFailed', {
          at: clock.now(),
          ttlMs: token.ttlMs,
          sink: index,
          code: codeOf(error),
          failures: owing.failures,
        })
      }
    }
  }

  /** Forgets the token. */
  forget(): void {
    this.#token = undefined
    this.#owing.clear()
  }
}
