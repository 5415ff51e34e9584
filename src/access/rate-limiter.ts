import type { MaybePromise } from '../kernel/kind.ts'
import type { RateLimit } from '../tokens/policy.ts'
import type { LimitState } from '../tokens/verification.ts'

/**
 * A place that belongs to a limiter, on whatever is there once for a key (such as a store's cell): the limiter hangs
 * its state on it and saves itself a look-up by the key.
 */
export interface LimitMemo {
  /** The limiter's own; nobody else looks at it. */
  limiterSlot: object | undefined
}

/** What a limiter answers: all of the limits have the units, or none was touched. */
export interface Reservation {
  /** Whether the units were reserved. */
  readonly granted: boolean
  /** When to try again, ms; absent when granted, and when the cost is more than a bucket holds. */
  readonly retryAfterMs?: number | undefined
  /** What is left of each limit; made when asked for. */
  states(): LimitState[]
}

/**
 * Counts units against rate limits. One is in every process (`LocalRateLimiter`); a shared one may stand in for it.
 */
export interface RateLimiter {
  /**
   * Reserves `cost` units of every limit, or of none.
   *
   * @param key - whose limits these are
   * @param limits - frozen and interned: the same limits are the same array
   * @param cost - whole units; 0 is always granted and changes nothing
   * @param memo - where the limiter may keep its state for this key
   */
  reserve(key: string, limits: readonly RateLimit[], cost: number, memo?: LimitMemo): MaybePromise<Reservation>
  /**
   * Answers as {@link RateLimiter.reserve} would, and takes nothing: for a call that is refused anyway, if only for a
   * reason that comes after the rate limits.
   */
  check(key: string, limits: readonly RateLimit[], cost: number, memo?: LimitMemo): MaybePromise<Reservation>
  /** Gives a granted reservation back, as if it had not been made; once. */
  giveBack(reservation: Reservation): MaybePromise<void>
  /** Lets go of what it holds; called by `close()` of the front door. */
  close?(): MaybePromise<void>
}
