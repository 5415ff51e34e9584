import type { RateLimit } from '../tokens/policy.ts'

/**
 * A rate limit as whole numbers. What is used up is kept as a *level*: a unit adds `unit` to it, a millisecond drains
 * `drain` from it, and it must not exceed `capacity`. All three are whole, so that steady traffic at the limit is never
 * refused for a rounding error, whatever the limit. (Where `capacity` exceeds 2^53, as with a prime number of units a
 * month, the error is a part in 10^15.)
 *
 * This is the Generic Cell Rate Algorithm (ITU-T I.371, annex A) in its form as a continuous-state leaky bucket; the
 * theoretical arrival time of the other form is the time of the last change + level / drain.
 */
export interface Gauge {
  /** The limit that it measures. */
  readonly limit: RateLimit
  /** What one unit adds. */
  readonly unit: number
  /** What drains in a millisecond. */
  readonly drain: number
  /** The highest level: `burst` units. */
  readonly capacity: number
  /**
   * By how much the level may exceed the capacity: less than a millisecond's drain and less than a unit. Times are
   * whole milliseconds, so that of even traffic some calls seem to come up to a millisecond early.
   */
  readonly slack: number
}

function greatestCommonDivisor(a: number, b: number): number {
  let [larger, smaller] = [a, b]
  while (smaller > 0) [larger, smaller] = [smaller, larger % smaller]
  return larger
}

/**
 * Makes a limit ready for measuring: a bucket of `burst` that refills evenly at `limit` per `per` ms.
 *
 * @param limit - whole numbers above 0
 */
export function gaugeOf(limit: RateLimit): Gauge {
  const common = greatestCommonDivisor(limit.per, limit.limit)
  const unit = limit.per / common
  const drain = limit.limit / common
  return Object.freeze({ limit, unit, drain, capacity: limit.burst * unit, slack: Math.min(unit, drain) - 1 })
}

/** Gauges by list of limits: limits are interned, so that tokens with the same policy share them. */
const gaugesOf = new WeakMap<readonly RateLimit[], readonly Gauge[]>()

/** The gauges of a list of limits, made once for each list. */
export function gaugesFor(limits: readonly RateLimit[]): readonly Gauge[] {
  let gauges = gaugesOf.get(limits)
  if (gauges === undefined) {
    gauges = limits.map(gaugeOf)
    gaugesOf.set(limits, gauges)
  }
  return gauges
}

/**
 * A level some time later.
 *
 * @param gauge - the limit
 * @param level - the level then
 * @param elapsedMs - how long ago that was; whole, not negative
 */
export function levelAfter(gauge: Gauge, level: number, elapsedMs: number): number {
  const left = level - elapsedMs * gauge.drain
  return Math.max(left, 0)
}

/**
 * Whether so many units may be used now. A cost of 0 always may.
 *
 * @param gauge - the limit
 * @param level - the level now
 * @param cost - whole units, not negative
 */
export function admits(gauge: Gauge, level: number, cost: number): boolean {
  return cost === 0 || level + cost * gauge.unit <= gauge.capacity + gauge.slack
}

/**
 * How long until so many units may be used, ms; undefined = never, as they are more than the bucket holds.
 *
 * @param gauge - the limit
 * @param level - the level now
 * @param cost - whole units, not negative
 */
export function waitFor(gauge: Gauge, level: number, cost: number): number | undefined {
  if (admits(gauge, level, cost)) return 0
  if (cost > gauge.limit.burst) return undefined
  return Math.ceil((level + cost * gauge.unit - gauge.capacity - gauge.slack) / gauge.drain)
}

/** Whole units that may be used now. */
export function remainingUnits(gauge: Gauge, level: number): number {
  if (level === 0) return gauge.limit.burst
  const free = gauge.capacity - level
  return free > 0 ? Math.floor(free / gauge.unit) : 0
}

/** How long until the bucket is full again, ms, if nothing is used. */
export function untilFull(gauge: Gauge, level: number): number {
  return Math.ceil(level / gauge.drain)
}

/** The level of one limit as a level of another, so that the same share of the bucket is used up. */
export function convertLevel(from: Gauge, to: Gauge, level: number): number {
  return Math.min(to.capacity, Math.ceil((level / from.capacity) * to.capacity))
}
