import { retry } from '../kernel/retry.ts'
import { Alarm } from './alarm.ts'
import type { Counters } from './counters.ts'
import { VaultRequestError, VaultStateError } from './errors.ts'
import { requestError } from './failure.ts'
import type { KeptToken } from './kept-token.ts'
import { LeaseKeeper } from './lease-keeper.ts'
import type { ManagerSettings } from './manager-options.ts'
import { RetiredTokens } from './retired-tokens.ts'
import { retryDelay } from './schedule.ts'
import { SinkDelivery } from './sink-delivery.ts'
import { TokenKeeper } from './token-keeper.ts'
import type { VaultCalls } from './vault-calls.ts'
import type { Voice } from './voice.ts'

/** What a manager does between `start()` and `stop()`. */
export class VaultRun {
  readonly keeper: TokenKeeper
  readonly leases: LeaseKeeper
  readonly sinks: SinkDelivery
  readonly #settings: ManagerSettings
  readonly #calls: VaultCalls
  readonly #voice: Voice
  readonly #retired: RetiredTokens
  readonly #alarm: Alarm
  readonly #end = new AbortController()
  #turning: Promise<void> | undefined
  #again = false

  /**
   * @param settings - the manager's
   * @param calls - sends requests
   * @param counters - what is counted
   * @param voice - what is told to
   */
  constructor(settings: ManagerSettings, calls: VaultCalls, counters: Counters, voice: Voice) {
    this.#settings = settings
    this.#calls = calls
    this.#voice = voice
    const { signal } = this.#end
    this.sinks = new SinkDelivery(settings, voice)
    this.#retired = new RetiredTokens(settings, calls, voice)
    this.keeper = new TokenKeeper({
      settings,
      calls,
      counters,
      voice,
      signal,
      onToken: (kept, before) => this.#take(kept, before),
      onLost: () => this.leases.endAll('token_replaced'),
    })
    this.leases = new LeaseKeeper({
      settings,
      calls,
      counters,
      voice,
      signal,
      token: () => (this.keeper.kept?.standing.ended === false ? this.keeper.kept.text : undefined),
      confirm: () => this.keeper.confirm(),
    })
    const { clock, checkIntervalMs, keepAlive } = settings
    this.#alarm = new Alarm(clock, checkIntervalMs, keepAlive, () => void this.tick())
  }

  /** Aborted when it ends. */
  get signal(): AbortSignal {
    return this.#end.signal
  }

  /** Gets the first token, trying as long as `startTimeout` says where the server can't be reached. */
  async enter(): Promise<void> {
    const { clock, startTimeoutMs, random } = this.#settings
    await retry(
      async () => {
        try {
          await this.keeper.enter()
        } catch (error) {
          this.signal.throwIfAborted()
          throw requestError(error, 'lookup')
        }
      },
      {
        clock,
        retries: startTimeoutMs === 0 ? 0 : Number.POSITIVE_INFINITY,
        deadline: clock.monotonic() + startTimeoutMs,
        signal: this.signal,
        shouldRetry: (error) => error instanceof VaultRequestError && error.retryable,
        delay: (failures, error) => {
          const { kind, retryAfterMs } = error as VaultRequestError
          return retryDelay({ failures, kind, retryAfterMs, leftMs: 0, chance: random.float() })
        },
        onRetry: ({ error, delayMs }) => this.keeper.entryFailed(error as VaultRequestError, delayMs),
      },
    )
  }

  /** Does all that is due, and sets the timer for what comes next. Called while it is under way, it is one more turn. */
  tick(): Promise<void> {
    if (this.#turning !== undefined) this.#again = true
    this.#turning ??= this.#turn().finally(() => {
      this.#turning = undefined
    })
    return this.#turning
  }

  /** Ends everything that is under way. Resolves when it has ended. */
  async close(): Promise<void> {
    this.#end.abort(new VaultStateError('the manager was stopped'))
    this.#alarm.clear()
    await this.#turning
    this.leases.endAll('released')
    this.sinks.forget()
  }

  /** Revokes the token, and those that it replaced. Answers whether the server did. */
  async revoke(signal: AbortSignal): Promise<boolean> {
    const text = this.keeper.kept?.text
    await this.#retired.run(signal, true)
    if (text === undefined) return false
    return await this.#calls.revoke(text, signal).then(
      () => true,
      // Batch tokens can't be revoked, and one that is gone is gone.
      () => false,
    )
  }

  async #turn(): Promise<void> {
    try {
      let forMs: number
      do {
        this.#again = false
        forMs = Math.min(await this.keeper.run(), await this.leases.run())
        await this.sinks.run(this.signal)
        await this.#retired.run(this.signal)
      } while (this.#again && !this.signal.aborted)
      const { mono } = this.#calls.moment()
      this.#arm(Math.min(forMs, this.sinks.nextAt - mono, this.#retired.nextAt - mono))
    } catch (error) {
      if (this.signal.aborted) return
      this.#voice.troubled('tick', error)
      this.#arm(1000)
    }
  }

  #arm(dueInMs: number): void {
    if (this.#settings.timers && !this.signal.aborted) this.#alarm.set(dueInMs)
  }

  async #take(kept: KeptToken, before: KeptToken | undefined): Promise<void> {
    const { client } = this.#settings
    const { text, facts } = kept
    if (client.token !== text) client.token = text
    if (before !== undefined) {
      this.leases.endAll('token_replaced')
      if (before.ours && !before.standing.ended) this.#retired.add(before.text)
    }
    const ttlMs = kept.left(this.#calls.moment())
    await this.sinks.bring({ token: text, ttlMs, accessor: facts.accessor }, this.signal)
  }
}
