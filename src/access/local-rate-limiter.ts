import type { Clock } from '../kernel/clock.ts'
import { InvalidInputError } from '../kernel/errors.ts'
import type { RateLimit } from '../tokens/policy.ts'
import type { LimitState } from '../tokens/verification.ts'
import { admits, type Gauge, levelAfter, remainingUnits, untilFull, waitFor } from './gcra.ts'
import { changeLimits, elapsedOf, empty, LimitSlot, usedShare } from './limit-slot.ts'
import type { LimitMemo, RateLimiter, Reservation } from './rate-limiter.ts'

/** What a {@link LocalRateLimiter} is made from. */
export interface LocalRateLimiterOptions {
  /** Tells the time. */
  readonly clock: Clock
  /** How many keys are remembered at most. Default 1,000,000. */
  readonly maxKeys?: number
}

/** A reservation in a {@link LocalRateLimiter}. */
class LocalReservation implements Reservation {
  readonly granted: boolean
  readonly limiter: LocalRateLimiter
  readonly slot: LimitSlot
  readonly limits: readonly RateLimit[]
  readonly now: number
  /** What can still be given back. */
  cost: number
  readonly #asked: number

  constructor(
    limiter: LocalRateLimiter,
    granted: boolean,
    slot: LimitSlot,
    limits: readonly RateLimit[],
    cost: number,
    now: number,
  ) {
    this.limiter = limiter
    this.granted = granted
    this.slot = slot
    this.limits = limits
    this.now = now
    this.cost = granted ? cost : 0
    this.#asked = cost
  }

  get retryAfterMs(): number | undefined {
    return this.granted ? undefined : this.limiter.retryAfter(this.slot, this.limits, this.#asked, this.now)
  }

  states(): LimitState[] {
    return this.limiter.states(this.slot, this.limits, this.now)
  }
}

/** How many slots are looked at when one is added: more than one, so that those that are full go faster than others come. */
const SWEEP = 2
/** Of how many the fullest is forgotten when there is no room. */
const SAMPLE = 16

/**
 * Rate limits of this process: a bucket for each key and limit, full after a restart.
 *
 * Buckets that are full again are forgotten bit by bit as others come, for a full one and none are the same. Only
 * when `maxKeys` keys are remembered, the one with the fullest bucket of a sample is forgotten early, which fills it.
 *
 * When the limits of a key change, each bucket keeps the share that is used up, told apart by the limits' names; one that isn't
 * named any more stays until it is full again, for another token of the same agent may still be held to it.
 *
 * @example
 * ```ts
 * const limiter = new LocalRateLimiter({ clock: systemClock() })
 * const limits = parseRateLimits('rateLimit', { limit: 1000, per: '1h', burst: 50 })
 * const { granted, retryAfterMs } = limiter.reserve('client-7', limits, 1)
 * ```
 */
export class LocalRateLimiter implements RateLimiter {
  readonly #clock: Clock
  readonly #maxKeys: number
  readonly #slots = new Map<string, LimitSlot>()
  /** Where the search for full buckets goes on. */
  #sweep: Iterator<LimitSlot>

  /**
   * @param options - clock and bound
   * @throws InvalidInputError when `maxKeys` is not a whole number from 1
   */
  constructor(options: LocalRateLimiterOptions) {
    const maxKeys = options.maxKeys ?? 1_000_000
    if (!Number.isSafeInteger(maxKeys) || maxKeys < 1) {
      throw new InvalidInputError('maxKeys', 'is not a whole number from 1', 'give a number of keys')
    }
    this.#clock = options.clock
    this.#maxKeys = maxKeys
    this.#sweep = this.#slots.values()
  }

  /** How many keys are remembered. */
  get size(): number {
    return this.#slots.size
  }

  /**
   * Reserves `cost` units of every limit, or of none.
   *
   * @param key - whose limits these are
   * @param limits - frozen and interned: the same limits are the same array
   * @param cost - whole units; 0 is always granted and changes nothing
   * @param memo - where the limiter may keep its state for this key
   * @throws InvalidInputError when `cost` is not a whole number from 0
   */
  reserve(key: string, limits: readonly RateLimit[], cost: number, memo?: LimitMemo): Reservation {
    checkCost(cost)
    const now = this.#clock.now()
    const slot = this.#slotOf(key, limits, now, memo)
    return new LocalReservation(this, this.reserveSlot(slot, limits, cost, now), slot, limits, cost, now)
  }

  /**
   * Answers as {@link LocalRateLimiter.reserve} would, and takes nothing.
   *
   * @param key - whose limits these are
   * @param limits - frozen and interned: the same limits are the same array
   * @param cost - whole units
   * @param memo - where the limiter may keep its state for this key
   * @throws InvalidInputError when `cost` is not a whole number from 0
   */
  check(key: string, limits: readonly RateLimit[], cost: number, memo?: LimitMemo): Reservation {
    checkCost(cost)
    const now = this.#clock.now()
    const slot = this.#slotOf(key, limits, now, memo)
    const granted = this.retryAfter(slot, limits, cost, now) === 0
    const reservation = new LocalReservation(this, granted, slot, limits, cost, now)
    reservation.cost = 0
    return reservation
  }

  /** Gives a granted reservation back, as if it had not been made. Again, or for a refused one: nothing happens. */
  giveBack(reservation: Reservation): void {
    if (!(reservation instanceof LocalReservation) || reservation.limiter !== this) return
    const { cost } = reservation
    reservation.cost = 0
    this.giveBackSlot(reservation.slot, reservation.limits, cost)
  }

  /**
   * The state of a key, for {@link LocalRateLimiter.reserveSlot}: whoever keeps it saves the look-up.
   *
   * @param key - whose limits these are
   * @param limits - its limits
   * @param now - the time, epoch ms
   */
  state(key: string, limits: readonly RateLimit[], now: number): LimitSlot {
    let slot = this.#slots.get(key)
    if (slot === undefined) {
      this.#sweepSome(now)
      slot = new LimitSlot(this, key, limits, now)
      this.#remember(slot)
    }
    return slot
  }

  /**
   * As {@link LocalRateLimiter.reserve}, without look-up or allocation.
   *
   * @param slot - as {@link LocalRateLimiter.state} gave it
   * @param limits - frozen and interned
   * @param cost - whole units, not negative
   * @param now - the time, whole epoch ms
   * @returns whether the units were reserved
   */
  reserveSlot(slot: LimitSlot, limits: readonly RateLimit[], cost: number, now: number): boolean {
    if (cost === 0) return true
    const own = slot.live && slot.limits === limits ? slot : this.#current(slot, limits, now)
    const elapsed = elapsedOf(own, now)
    const { gauges, levels } = own
    for (let i = 0; i < gauges.length; i++) {
      const gauge = gauges[i] as Gauge
      if (!admits(gauge, levelAfter(gauge, levels[i] as number, elapsed), cost)) return false
    }
    for (let i = 0; i < gauges.length; i++) {
      const gauge = gauges[i] as Gauge
      levels[i] = levelAfter(gauge, levels[i] as number, elapsed) + cost * gauge.unit
    }
    own.at += elapsed
    return true
  }

  /**
   * Gives units back that {@link LocalRateLimiter.reserveSlot} reserved.
   *
   * @param slot - the state
   * @param limits - as they were reserved
   * @param cost - the units
   */
  giveBackSlot(slot: LimitSlot, limits: readonly RateLimit[], cost: number): void {
    // What was forgotten was full, or counts as full.
    const own = slot.live ? slot : this.#slots.get(slot.key)
    if (own === undefined || own.limits !== limits) return
    own.levels.forEach((level, i) => {
      own.levels[i] = Math.max(0, level - cost * (own.gauges[i] as Gauge).unit)
    })
  }

  /**
   * When so many units may be had of every limit. Takes nothing.
   *
   * @returns ms from `now`, 0 = at once; undefined when a bucket doesn't hold so many
   */
  retryAfter(slot: LimitSlot, limits: readonly RateLimit[], cost: number, now: number): number | undefined {
    const own = this.#current(slot, limits, now)
    const elapsed = elapsedOf(own, now)
    let longest = 0
    for (let i = 0; i < own.gauges.length; i++) {
      const gauge = own.gauges[i] as Gauge
      const wait = waitFor(gauge, levelAfter(gauge, own.levels[i] as number, elapsed), cost)
      if (wait === undefined) return undefined
      if (wait > longest) longest = wait
    }
    return longest
  }

  /** What is left of each limit, in their order. */
  states(slot: LimitSlot, limits: readonly RateLimit[], now: number): LimitState[] {
    const own = this.#current(slot, limits, now)
    const elapsed = elapsedOf(own, now)
    return own.gauges.map((gauge, i): LimitState => {
      const level = levelAfter(gauge, own.levels[i] as number, elapsed)
      const { name, limit, per } = gauge.limit
      return {
        name,
        kind: 'rate',
        limit,
        per,
        remaining: remainingUnits(gauge, level),
        resetMs: untilFull(gauge, level),
      }
    })
  }

  #slotOf(key: string, limits: readonly RateLimit[], now: number, memo: LimitMemo | undefined): LimitSlot {
    const kept = memo?.limiterSlot
    if (kept instanceof LimitSlot && kept.owner === this && kept.live) return kept
    const slot = this.state(key, limits, now)
    if (memo !== undefined) memo.limiterSlot = slot
    return slot
  }

  /** The one state of the slot's key, with these limits. */
  #current(slot: LimitSlot, limits: readonly RateLimit[], now: number): LimitSlot {
    let own = slot
    if (!slot.live) {
      const other = this.#slots.get(slot.key)
      if (other === undefined) {
        // It was full when it was forgotten, or counts as full.
        this.#sweepSome(now)
        empty(slot, now)
        this.#remember(slot)
      } else {
        own = other
      }
    }
    if (own.limits !== limits) changeLimits(own, limits, now)
    return own
  }

  /** Called before one is added: forgets some that are full, and makes room. */
  #sweepSome(now: number): void {
    if (this.#slots.size >= this.#maxKeys) this.#makeRoom(now)
    for (let i = 0; i < SWEEP; i++) {
      const next = this.#sweep.next()
      if (next.done === true) this.#sweep = this.#slots.values()
      else if (usedShare(next.value, now) === 0) this.#forget(next.value)
    }
  }

  /** Forgets the fullest of the oldest few. The others go to the end of the line, so that it doesn't silt up with empty ones. */
  #makeRoom(now: number): void {
    const oldest: LimitSlot[] = []
    for (const slot of this.#slots.values()) {
      oldest.push(slot)
      if (oldest.length === SAMPLE) break
    }
    const shares = oldest.map((slot) => usedShare(slot, now))
    const fullest = shares.indexOf(Math.min(...shares))
    oldest.forEach((slot, i) => {
      this.#forget(slot)
      if (i !== fullest) this.#remember(slot)
    })
  }

  #remember(slot: LimitSlot): void {
    slot.live = true
    this.#slots.set(slot.key, slot)
  }

  #forget(slot: LimitSlot): void {
    slot.live = false
    this.#slots.delete(slot.key)
  }
}

function checkCost(cost: number): void {
  if (Number.isSafeInteger(cost) && cost >= 0) return
  throw new InvalidInputError('cost', 'is not a whole number from 0', 'give a number of units')
}
