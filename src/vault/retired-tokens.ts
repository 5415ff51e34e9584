import { Secret } from '../kernel/secret.ts'
import { isPolicyDenial, isTokenRefused, requestError } from './failure.ts'
import type { ManagerSettings } from './manager-options.ts'
import { RETRY_BASE_MS } from './schedule.ts'
import type { VaultCalls } from './vault-calls.ts'
import type { Voice } from './voice.ts'

interface Retired {
  readonly token: Secret
  at: number
  attempts: number
}

const MOST_ATTEMPTS = 3
const MOST_WAITING = 20

/** Tokens of ours that were replaced: revoked once the requests that were under way with them are over. */
export class RetiredTokens {
  readonly #settings: ManagerSettings
  readonly #calls: VaultCalls
  readonly #voice: Voice
  #waiting: Retired[] = []

  /**
   * @param settings - how long they are left
   * @param calls - revokes them
   * @param voice - told of failures
   */
  constructor(settings: ManagerSettings, calls: VaultCalls, voice: Voice) {
    this.#settings = settings
    this.#calls = calls
    this.#voice = voice
  }

  /** Takes a token that was replaced. */
  add(token: string): void {
    const { clock, drainMs } = this.#settings
    if (drainMs === undefined) return
    this.#waiting.push({ token: new Secret(token), at: clock.monotonic() + drainMs, attempts: 0 })
    // More than these means logins every few seconds: the oldest end by themselves.
    if (this.#waiting.length > MOST_WAITING) this.#waiting.shift()
  }

  /** Revokes those that are due, or all of them. Answers for how long none is, ms. */
  async run(signal: AbortSignal, all = false): Promise<number> {
    const { clock } = this.#settings
    const due = this.#waiting.filter(({ at }) => all || at <= clock.monotonic())
    await Promise.all(due.map((retired) => this.#revoke(retired, signal)))
    return Math.min(Number.POSITIVE_INFINITY, ...this.#waiting.map(({ at }) => at - clock.monotonic()))
  }

  async #revoke(retired: Retired, signal: AbortSignal): Promise<void> {
    const { clock } = this.#settings
    try {
      await this.#calls.revoke(retired.token.reveal(), signal)
      this.#drop(retired)
    } catch (error) {
      signal.throwIfAborted()
      const failure = requestError(error, 'revoke')
      // It is gone already.
      if (isTokenRefused(failure)) return this.#drop(retired)
      retired.attempts += 1
      retired.at = clock.monotonic() + RETRY_BASE_MS * 10 * 2 ** retired.attempts
      // What its policies forbid doesn't pass by waiting.
      if (isPolicyDenial(failure) || retired.attempts >= MOST_ATTEMPTS) this.#drop(retired)
      const { kind } = failure
      this.#voice.tell('revocationFailed', { at: clock.now(), ttlMs: 0, kind, attempts: retired.attempts })
    }
  }

  #drop(retired: Retired): void {
    this.#waiting = this.#waiting.filter((each) => each !== retired)
  }
}
