import type { Clock } from '../kernel/clock.ts'
import type { MaybePromise } from '../kernel/kind.ts'
import type { Random } from '../kernel/random.ts'
import type { TokenStore } from '../stores/token-store.ts'
import type { Quota, RateLimit } from '../tokens/policy.ts'
import type { TokenRecord } from '../tokens/record.ts'
import type { LimitState } from '../tokens/verification.ts'
import type { LimitSlot } from './limit-slot.ts'
import { LocalRateLimiter } from './local-rate-limiter.ts'
import { QuotaBlocks, type QuotaSlot } from './quota.ts'
import type { RateLimiter, Reservation } from './rate-limiter.ts'

/** What to do when a shared limiter doesn't answer. */
export type LimiterFailMode = 'closed' | 'local' | 'open'

/** The limits of one token in this process; whoever holds the token's cell keeps it. */
export interface TokenLimits {
  limits: LimitSlot | undefined
  quota: QuotaSlot | undefined
  /** The last answer of a shared limiter. */
  shared: Reservation | undefined
  /** Where a shared limiter may keep its state. */
  limiterSlot: object | undefined
}

/** Why a call was not let through; nothing was spent. */
export interface LimitRefusal {
  readonly code: 'rate_limited' | 'quota_exceeded' | 'unavailable'
  /** When it may pass, ms; absent = never, or unknown. */
  readonly retryAfterMs?: number | undefined
}

/** What {@link Limits} is made from. */
export interface LimitsOptions {
  readonly store: TokenStore
  readonly clock: Clock
  readonly random: Random
  /** Shared with other processes; absent = this process's own. */
  readonly limiter: RateLimiter | undefined
  readonly failMode: LimiterFailMode
  /** Told when the shared limiter failed. */
  readonly onLimiterFailure: (error: unknown) => void
  /** Told when the store of quotas failed. */
  readonly onStoreFailure: (error: unknown) => void
}

const UNAVAILABLE: LimitRefusal = Object.freeze({ code: 'unavailable' })

/** Rate limits and quota of a token, reserved all together or not at all. */
export class Limits {
  readonly #local: LocalRateLimiter
  readonly #shared: RateLimiter | undefined
  readonly #quotas: QuotaBlocks
  readonly #failMode: LimiterFailMode
  readonly #onLimiterFailure: (error: unknown) => void
  readonly #onStoreFailure: (error: unknown) => void
  readonly #clock: Clock

  /** @param options - store, time, randomness, the shared limiter and what to do when it fails */
  constructor(options: LimitsOptions) {
    const { store, clock, random } = options
    this.#local = new LocalRateLimiter({ clock })
    this.#shared = options.limiter
    this.#quotas = new QuotaBlocks({ store, clock, random, onError: options.onStoreFailure })
    this.#failMode = options.failMode
    this.#onLimiterFailure = options.onLimiterFailure
    this.#onStoreFailure = options.onStoreFailure
    this.#clock = clock
  }

  /**
   * Takes `cost` units from every rate limit and from the quota, or from none. A value, unless a shared limiter or a
   * new quota block has to be asked.
   *
   * @returns `undefined` when the call may pass
   */
  reserve(memo: TokenLimits, token: TokenRecord, cost: number, now: number): MaybePromise<LimitRefusal | undefined> {
    const { rateLimits, quota } = token.policy
    if (rateLimits !== undefined) {
      if (this.#shared !== undefined) return this.#reserveShared(this.#shared, memo, token, rateLimits, cost, now)
      const refusal = this.#askLocal(memo, token.id, rateLimits, cost, now, true)
      if (refusal !== undefined) return refusal
    }
    return quota === undefined ? undefined : this.#reserveQuota(memo, token, cost, now)
  }

  /** What is left of everything, as far as is known here. */
  states(memo: TokenLimits, token: TokenRecord, now: number): LimitState[] {
    const { rateLimits, quota } = token.policy
    const states: LimitState[] = []
    if (rateLimits !== undefined) {
      if (memo.shared !== undefined) states.push(...memo.shared.states())
      else states.push(...this.#local.states(this.#slot(memo, token.id, rateLimits, now), rateLimits, now))
    }
    if (quota !== undefined) states.push(this.#quotas.state(this.#quotaSlot(memo, token), quota, now))
    return states
  }

  /**
   * The quota first, then the shared limiter: what the quota's block has to take back costs nothing, a unit to give back
   * over there would be a round trip, in which others are refused for its sake. A limit that would refuse is named
   * before the quota all the same: without the quota the limiter is asked, and nothing is taken.
   */
  async #reserveShared(
    limiter: RateLimiter,
    memo: TokenLimits,
    token: TokenRecord,
    limits: readonly RateLimit[],
    cost: number,
    now: number,
  ): Promise<LimitRefusal | undefined> {
    const { quota } = token.policy
    const slot = quota === undefined ? undefined : this.#quotaSlot(memo, token)
    let window: number | undefined
    let lacking: 'quota_exceeded' | 'unavailable' | undefined
    if (quota !== undefined && slot !== undefined) {
      try {
        const reserved = this.#quotas.reserve(slot, quota, cost, now)
        window = reserved instanceof Promise ? await reserved : reserved
        if (window === undefined) lacking = 'quota_exceeded'
      } catch (error) {
        this.#onStoreFailure(error)
        lacking = 'unavailable'
      }
    }
    const refusal = await this.#askShared(limiter, memo, token.id, limits, cost, lacking === undefined)
    if (refusal !== undefined) {
      if (slot !== undefined && window !== undefined) this.#quotas.giveBack(slot, cost, window)
      return refusal
    }
    if (lacking === 'unavailable') return UNAVAILABLE
    return lacking === undefined ? undefined : this.#quotaRefusal(memo, token)
  }

  /** The shared limiter's word, or what the fail mode says instead. */
  async #askShared(
    limiter: RateLimiter,
    memo: TokenLimits,
    id: string,
    limits: readonly RateLimit[],
    cost: number,
    take: boolean,
  ): Promise<LimitRefusal | undefined> {
    try {
      const answer = await (take ? limiter.reserve(id, limits, cost, memo) : limiter.check(id, limits, cost, memo))
      memo.shared = answer
      return answer.granted ? undefined : { code: 'rate_limited', retryAfterMs: answer.retryAfterMs }
    } catch (error) {
      this.#onLimiterFailure(error)
      memo.shared = undefined
      if (this.#failMode === 'closed') return UNAVAILABLE
      return this.#failMode === 'open' ? undefined : this.#askLocal(memo, id, limits, cost, this.#clock.now(), take)
    }
  }

  /** This process's own limits. */
  #askLocal(
    memo: TokenLimits,
    id: string,
    limits: readonly RateLimit[],
    cost: number,
    now: number,
    take: boolean,
  ): LimitRefusal | undefined {
    const slot = this.#slot(memo, id, limits, now)
    if (take && this.#local.reserveSlot(slot, limits, cost, now)) return undefined
    const retryAfterMs = this.#local.retryAfter(slot, limits, cost, now)
    return retryAfterMs === 0 ? undefined : { code: 'rate_limited', retryAfterMs }
  }

  /** The quota, after this process's own limits passed; gives their units back when it refuses. */
  #reserveQuota(
    memo: TokenLimits,
    token: TokenRecord,
    cost: number,
    now: number,
  ): MaybePromise<LimitRefusal | undefined> {
    const reserved = this.#quotas.reserve(this.#quotaSlot(memo, token), token.policy.quota as Quota, cost, now)
    if (typeof reserved === 'number') return undefined
    if (reserved === undefined) return this.#refuseQuota(memo, token, cost)
    return reserved.then(
      (window) => (window === undefined ? this.#refuseQuota(memo, token, cost) : undefined),
      (error: unknown) => {
        this.#giveBackLocal(memo, token, cost)
        this.#onStoreFailure(error)
        return UNAVAILABLE
      },
    )
  }

  #refuseQuota(memo: TokenLimits, token: TokenRecord, cost: number): LimitRefusal {
    this.#giveBackLocal(memo, token, cost)
    return this.#quotaRefusal(memo, token)
  }

  #quotaRefusal(memo: TokenLimits, token: TokenRecord): LimitRefusal {
    const { resetMs } = this.#quotas.state(this.#quotaSlot(memo, token), token.policy.quota as Quota, this.#clock.now())
    return { code: 'quota_exceeded', retryAfterMs: resetMs }
  }

  #giveBackLocal(memo: TokenLimits, token: TokenRecord, cost: number): void {
    const { rateLimits } = token.policy
    if (memo.limits !== undefined && rateLimits !== undefined) this.#local.giveBackSlot(memo.limits, rateLimits, cost)
  }

  #slot(memo: TokenLimits, id: string, limits: readonly RateLimit[], now: number): LimitSlot {
    memo.limits ??= this.#local.state(id, limits, now)
    return memo.limits
  }

  #quotaSlot(memo: TokenLimits, token: TokenRecord): QuotaSlot {
    memo.quota ??= this.#quotas.slot(token.id, token.createdAt)
    return memo.quota
  }
}
