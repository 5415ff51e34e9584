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

/** Where the rate limits of a call were taken from, and so where they go back to. */
type Taken = 'nowhere' | 'local' | Reservation

/** What one call took, for {@link Limits.giveBack}. */
export interface Taking {
  rate: Taken
  /** The window that the units of the quota are of; absent = none were taken. */
  window: number | undefined
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
   * @param taking - filled with what was taken, where that may have to be given back
   * @returns `undefined` when the call may pass
   */
  reserve(
    memo: TokenLimits,
    token: TokenRecord,
    cost: number,
    now: number,
    taking?: Taking,
  ): MaybePromise<LimitRefusal | undefined> {
    const { rateLimits, quota } = token.policy
    if (rateLimits !== undefined) {
      if (this.#shared !== undefined)
        return this.#reserveShared(this.#shared, memo, token, rateLimits, cost, now, taking)
      const refusal = this.#askLocal(memo, token.id, rateLimits, cost, now, true)
      if (refusal !== undefined) return refusal
      if (taking !== undefined) taking.rate = 'local'
    }
    return quota === undefined
      ? undefined
      : this.#reserveQuota(memo, token, cost, now, rateLimits === undefined ? 'nowhere' : 'local', taking)
  }

  /** Gives back what a call took that was refused after all. */
  giveBack(memo: TokenLimits, token: TokenRecord, cost: number, { rate, window }: Taking): void {
    this.#giveBack(memo, token, cost, rate)
    if (window !== undefined) this.#quotas.giveBack(this.#quotaSlot(memo, token), cost, window)
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
   * The quota first, from the block that is held, then the shared limiter: what the block has to take back costs nothing, a
   * unit to give back over there would be a round trip, in which others are refused for its sake. Without the quota the
   * limiter is only asked, because a limit that would refuse is named before the quota.
   *
   * When a block has to be fetched, the limiter comes first: calls that it refuses would pile up blocks here that other
   * processes could use.
   */
  async #reserveShared(
    limiter: RateLimiter,
    memo: TokenLimits,
    token: TokenRecord,
    limits: readonly RateLimit[],
    cost: number,
    now: number,
    taking: Taking | undefined,
  ): Promise<LimitRefusal | undefined> {
    const { quota } = token.policy
    const ask = (take: boolean) => this.#askShared(limiter, memo, token.id, limits, cost, take)
    if (quota === undefined) {
      const answer = await ask(true)
      if (isRefusal(answer)) return answer
      if (taking !== undefined) taking.rate = answer
      return undefined
    }
    const slot = this.#quotaSlot(memo, token)
    const held = this.#quotas.reserveHeld(slot, quota, cost, now)
    if (held === undefined) {
      const answer = await ask(false)
      return isRefusal(answer) ? answer : this.#quotaRefusal(memo, token, cost)
    }
    const taken = await ask(true)
    if (isRefusal(taken)) {
      if (held !== 'fetch') this.#quotas.giveBack(slot, cost, held)
      return taken
    }
    if (taking !== undefined) taking.rate = taken
    if (held === 'fetch') return this.#reserveQuota(memo, token, cost, this.#clock.now(), taken, taking)
    if (taking !== undefined) taking.window = held
    return undefined
  }

  /** The shared limiter's word, or what the fail mode says instead. */
  async #askShared(
    limiter: RateLimiter,
    memo: TokenLimits,
    id: string,
    limits: readonly RateLimit[],
    cost: number,
    take: boolean,
  ): Promise<LimitRefusal | Taken> {
    try {
      const answer = await (take ? limiter.reserve(id, limits, cost, memo) : limiter.check(id, limits, cost, memo))
      memo.shared = answer
      return answer.granted ? answer : { code: 'rate_limited', retryAfterMs: answer.retryAfterMs }
    } catch (error) {
      this.#onLimiterFailure(error)
      memo.shared = undefined
      if (this.#failMode === 'closed') return UNAVAILABLE
      if (this.#failMode === 'open') return 'nowhere'
      return this.#askLocal(memo, id, limits, cost, this.#clock.now(), take) ?? 'local'
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

  /** The quota, after the rate limits passed; gives those back when it refuses. */
  #reserveQuota(
    memo: TokenLimits,
    token: TokenRecord,
    cost: number,
    now: number,
    taken: Taken,
    taking: Taking | undefined,
  ): MaybePromise<LimitRefusal | undefined> {
    const reserved = this.#quotas.reserve(this.#quotaSlot(memo, token), token.policy.quota as Quota, cost, now)
    const conclude = (window: number | undefined): LimitRefusal | undefined => {
      if (window === undefined) return this.#refuseQuota(memo, token, cost, taken)
      if (taking !== undefined) taking.window = window
      return undefined
    }
    if (!(reserved instanceof Promise)) return conclude(reserved)
    return reserved.then(conclude, (error: unknown) => {
      this.#giveBack(memo, token, cost, taken)
      this.#onStoreFailure(error)
      return UNAVAILABLE
    })
  }

  #refuseQuota(memo: TokenLimits, token: TokenRecord, cost: number, taken: Taken): LimitRefusal {
    this.#giveBack(memo, token, cost, taken)
    return this.#quotaRefusal(memo, token, cost)
  }

  #quotaRefusal(memo: TokenLimits, token: TokenRecord, cost: number): LimitRefusal {
    const quota = token.policy.quota as Quota
    // No window holds so many.
    if (cost > quota.limit) return { code: 'quota_exceeded' }
    const { resetMs } = this.#quotas.state(this.#quotaSlot(memo, token), quota, this.#clock.now())
    return { code: 'quota_exceeded', retryAfterMs: resetMs }
  }

  #giveBack(memo: TokenLimits, token: TokenRecord, cost: number, taken: Taken): void {
    if (taken === 'nowhere') return
    if (taken === 'local') {
      const { rateLimits } = token.policy
      if (memo.limits !== undefined && rateLimits !== undefined) this.#local.giveBackSlot(memo.limits, rateLimits, cost)
      return
    }
    const given = this.#shared?.giveBack(taken)
    if (given instanceof Promise) given.catch(this.#onLimiterFailure)
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

function isRefusal(answer: LimitRefusal | Taken): answer is LimitRefusal {
  return typeof answer === 'object' && !('granted' in answer)
}
