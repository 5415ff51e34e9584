import { retry } from '../kernel/retry.ts'
import { Alarm } from './alarm.ts'
import type { Counters } from './counters.ts'
import { VaultRequestError, VaultStateError } from './errors.ts'
import { requestError } from './failure.ts'
import type { KeptToken } from './kept-token.ts'
import { LeaseKeeper } from './lease-keeper.ts'
import type { ManagerSettings } from './manager-options.ts'
import { RetiredTokens } from './retired-tokens.ts'
import { Rounds } from './rounds.ts'
import { retryDelay } from './schedule.ts'
import { SinkDelivery } from './sink-delivery.ts'
import { TokenKeeper } from './token-keeper.ts'
import type { VaultCalls } from './vault-calls.ts'
import type { Voice } from './voice.ts'

/** What a manager does between `start()` and `stop()`: four parts, none of which holds up another. */
export class VaultRun {
  readonly keeper: TokenKeeper
  readonly leases: LeaseKeeper
  readonly #settings: ManagerSettings
  readonly #calls: VaultCalls
  readonly #retired: RetiredTokens
  readonly #sinks: readonly SinkDelivery[]
  readonly #keeping: Rounds
  readonly #leasing: Rounds
  readonly #retiring: Rounds
  readonly #delivering: readonly Rounds[]
  readonly #alarm: Alarm
  readonly #end = new AbortController()
  #open = false

  /**
   * @param settings - the manager's
   * @param calls - sends requests
   * @param counters - what is counted
   * @param voice - what is told to
   */
  constructor(settings: ManagerSettings, calls: VaultCalls, counters: Counters, voice: Voice) {
    this.#settings = settings
    this.#calls = calls
    const { clock, checkIntervalMs, keepAlive } = settings
    const { signal } = this.#end
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
      token: () => (this.keeper.kept?.standing.ended === false ? this.keeper.kept : undefined),
      // What follows from these two may be due sooner than the timer.
      onSpent: (kept) => {
        this.keeper.spent(kept)
        this.#keep()
      },
      confirm: () => this.keeper.confirm().finally(() => this.#keep()),
    })
    this.#retired = new RetiredTokens(settings, calls, voice)
    this.#sinks = settings.sinks.map((sink, index) => {
      const onOwed = (): void => void this.#delivering[index]?.run()
      return new SinkDelivery({ sink, index, settings, calls, voice, signal, onOwed })
    })
    const onTrouble = (error: unknown): void => voice.troubled('tick', error)
    const onEnd = (): void => this.#arm()
    const part = (round: () => Promise<number>): Rounds => new Rounds({ clock, round, signal, onTrouble, onEnd })
    this.#keeping = part(() => this.keeper.run())
    this.#leasing = part(() => this.leases.run())
    this.#retiring = part(() => this.#retired.run(signal))
    this.#delivering = this.#sinks.map((delivery) => part(() => delivery.run()))
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

  /** Ticks do what is due from now on: once the first token is there, or in order to get it. Until then `enter()` is alone with it. */
  open(): void {
    this.#open = true
  }

  /** Sinks that don't have the newest token. */
  get failingSinks(): number {
    return this.#sinks.filter(({ owed }) => owed).length
  }

  /** Does all that is due, and sets the timer for what comes next. Resolves when it is done; never rejects. */
  async tick(): Promise<void> {
    if (this.#open) await this.#runAll()
  }

  /** Ends everything that is under way. Resolves when it has ended. */
  async close(): Promise<void> {
    this.#end.abort(new VaultStateError('the manager was stopped'))
    this.#alarm.clear()
    await this.#runAll()
    this.leases.endAll('released')
    for (const delivery of this.#sinks) delivery.forget()
  }

  /** Revokes the token, and those that it replaced. Answers whether the server did. */
  async revoke(signal: AbortSignal): Promise<boolean> {
    const text = this.keeper.kept?.text
    const [revoked] = await Promise.all([
      text !== undefined &&
        this.#calls.revoke(text, signal).then(
          () => true,
          // Batch tokens can't be revoked, and one that is gone is gone.
          () => false,
        ),
      this.#retired.run(signal, true),
    ])
    return revoked
  }

  async #runAll(): Promise<void> {
    await Promise.all(this.#parts().map((part) => part.run()))
  }

  #parts(): readonly Rounds[] {
    return [this.#keeping, this.#leasing, this.#retiring, ...this.#delivering]
  }

  #arm(): void {
    if (!this.#settings.timers || this.signal.aborted) return
    const nextAt = Math.min(...this.#parts().map((part) => part.nextAt))
    this.#alarm.set(nextAt - this.#calls.moment().mono)
  }

  #keep(): void {
    if (this.#settings.timers) void this.#keeping.run()
  }

  #take(kept: KeptToken, before: KeptToken | undefined): void {
    const { client } = this.#settings
    const { text } = kept
    if (client.token !== text) client.token = text
    if (before !== undefined) {
      this.leases.endAll('token_replaced')
      // Batch tokens can't be revoked.
      const revocable = before.ours && !before.standing.ended && before.facts.type !== 'batch'
      if (revocable) this.#retired.add(before.text)
      void this.#retiring.run()
    }
    for (const delivery of this.#sinks) delivery.bring(kept)
  }
}
