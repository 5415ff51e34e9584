import type { Counters } from './counters.ts'
import type { VaultRequestError } from './errors.ts'
import type { NonRenewableReason, VaultFailureEvent } from './events.ts'
import type { KeptToken } from './kept-token.ts'
import { endOf } from './lease-time.ts'
import type { ManagerSettings } from './manager-options.ts'
import type { VaultCalls } from './vault-calls.ts'
import type { Voice } from './voice.ts'

/** Says what becomes of a token: events, each once where once is enough, and counts. */
export class TokenNews {
  readonly #settings: ManagerSettings
  readonly #calls: VaultCalls
  readonly #counters: Counters
  readonly #voice: Voice
  #toldThreshold = false

  /**
   * @param settings - the manager's
   * @param calls - tells the time
   * @param counters - what is counted
   * @param voice - what is told to
   */
  constructor(settings: ManagerSettings, calls: VaultCalls, counters: Counters, voice: Voice) {
    this.#settings = settings
    this.#calls = calls
    this.#counters = counters
    this.#voice = voice
  }

  /** A token that works: the first one, or one that was taken for lost. */
  started(kept: KeptToken, recovered: boolean): void {
    const now = this.#calls.moment()
    const { type } = kept.facts
    const { renewable } = kept.standing
    this.#voice.tell('started', { at: now.wall, ttlMs: kept.left(now), type, renewable, recovered })
    this.#threshold(kept)
  }

  /** A login replaced the token. */
  replaced(kept: KeptToken, method: string, late: boolean): void {
    const now = this.#calls.moment()
    this.#voice.tell('reauthenticated', { at: now.wall, ttlMs: kept.left(now), method, late })
    this.#threshold(kept)
  }

  /** Little is left. */
  expiringSoon(kept: KeptToken): void {
    const { at, ttlMs, expiresAt } = this.#ending(kept)
    this.#voice.tell('expiringSoon', { at, ttlMs, expiresAt })
  }

  /** Renewing moves the end no more. */
  maximum(kept: KeptToken): void {
    if (kept.toldMax) return
    kept.toldMax = true
    this.#voice.tell('maxTtlApproaching', this.#ending(kept))
  }

  /** It won't be renewed. */
  fixed(kept: KeptToken, reason: NonRenewableReason | undefined = kept.fixed): void {
    if (kept.toldFixed || reason === undefined) return
    kept.toldFixed = true
    this.#voice.tell('nonRenewable', { ...this.#ending(kept), reason })
  }

  /** A renewal, or a first look-up, failed. */
  renewalFailed(error: VaultRequestError, kept: KeptToken | undefined, failures: number, retryInMs: number): void {
    this.#counters.failures += 1
    this.#counters.failed(error.kind)
    this.#voice.tell('renewalFailed', this.#failure(error, kept, failures, retryInMs))
    this.#voice.failed(error)
  }

  /** A login failed. */
  loginFailed(error: VaultRequestError, kept: KeptToken | undefined, failures: number, retryInMs: number): void {
    this.#counters.reauthFailures += 1
    this.#counters.failed(error.kind)
    const method = this.#settings.login?.method ?? ''
    this.#voice.tell('reauthFailed', { ...this.#failure(error, kept, failures, retryInMs), method })
    this.#voice.failed(error)
  }

  #threshold(kept: KeptToken): void {
    const { thresholdMs } = this.#settings
    const { fullMs, lease } = kept.standing
    if (thresholdMs === undefined || lease === undefined || thresholdMs < fullMs || this.#toldThreshold) return
    this.#toldThreshold = true
    const message = `${thresholdMs / 1000} s isn't less than the lease of ${fullMs / 1000} s; a third of that is used`
    const now = this.#calls.moment()
    this.#voice.tell('configWarning', { at: now.wall, ttlMs: kept.left(now), option: 'renewThreshold', message })
  }

  #ending(kept: KeptToken): { at: number; ttlMs: number; expiresAt: number; replaceable: boolean } {
    const now = this.#calls.moment()
    const { lease } = kept.standing
    const expiresAt = lease === undefined ? Number.POSITIVE_INFINITY : endOf(lease, now)
    return { at: now.wall, ttlMs: kept.left(now), expiresAt, replaceable: this.#settings.login !== undefined }
  }

  #failure(
    error: VaultRequestError,
    kept: KeptToken | undefined,
    failures: number,
    retryInMs: number,
  ): VaultFailureEvent {
    const now = this.#calls.moment()
    const { kind, status, networkCode } = error
    return {
      at: now.wall,
      ttlMs: kept?.left(now) ?? 0,
      kind,
      ...(status !== undefined && { status }),
      ...(networkCode !== undefined && { code: networkCode }),
      failures,
      retryInMs: Math.round(retryInMs),
    }
  }
}
