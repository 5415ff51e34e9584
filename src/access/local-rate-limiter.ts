import { type Clock, MAX_HELD_STEP_MS } from '../kernel/clock.ts'
import { InvalidInputError } from '../kernel/errors.ts'
import type { RateLimit } from '../tokens/policy.ts'
import type { LimitState } from '../tokens/verification.ts'
import { admits, convertLevel, type Gauge, gaugeOf, levelAfter, remainingUnits, untilFull, waitFor } from './gcra.ts'
import type { LimitMemo, RateLimiter, Reservation } from './rate-limiter.ts'

/** What a {@link LocalRateLimiter} is made from. */
export interface LocalRateLimiterOptions {
  /** Tells the time. */
  readonly clock: Clock
  /** How many keys may have less than a full bucket at once; beyond it the fullest are forgotten. Default 1,000,000. */
  readonly maxKeys?: number
}

/** Gauges by list of limits: limits are interned, so that tokens with the same policy share them. */
const gaugesOf = new WeakMap<readonly RateLimit[], readonly Gauge[]>()

function gaugesFor(limits: readonly RateLimit[]): readonly Gauge[] {
  let gauges = gaugesOf.get(limits)
  if (gauges === undefined) {
    gauges = limits.map(gaugeOf)
    gaugesOf.set(limits, gauges)
  }
  return gauges
}

/** The state of one key. Only the limiter that made it looks inside; a host may hold on to it. */
export class LimitSlot {
  /** @internal */
  readonly owner: LocalRateLimiter
  /** @internal */
  readonly key: string
  /** Whether the limiter's map holds it; one that was forgotten asks there before it is used again. @internal */
  live: boolean
  /** The limits that it was last used with. @internal */
  limits: readonly RateLimit[]
  /** @internal */
  gauges: readonly Gauge[]
  /** By limit, as of `at`. @internal */
  levels: number[]
  /** Epoch ms. @internal */
  at: number

  /** @internal */
  constructor(owner: LocalRateLimiter, key: string, limits: readonly RateLimit[], at: number) {
    this.owner = owner
    this.key = key
    this.live = true
    this.limits = limits
    this.gauges = gaugesFor(limits)
    this.levels = this.gauges.map(() => 0)
    this.at = at
  }
}

/** A reservation in a {@link LocalRateLimiter}. */
class LocalReservation implements Reservation {
  readonly granted: boolean
  readonly slot: LimitSlot
  readonly limits: readonly RateLimit[]
  readonly now: number
  /** What can still be given back. */
  cost: number
  readonly #asked: number

  constructor(granted: boolean, slot: LimitSlot, limits: readonly RateLimit[], cost: number, now: number) {
    this.granted = granted
    this.slot = slot
    this.limits = limits
    this.now = now
    this.cost = granted ? cost : 0
    this.#asked = cost
  }

  get retryAfterMs(): number | undefined {
    return this.granted ? undefined : this.slot.owner.retryAfter(this.slot, this.limits, this.#asked, this.now)
  }

  states(): LimitState[] {
    return this.slot.owner.states(this.slot, this.limits, this.now)
  }
}

/** How many slots are looked at when one is added: more than one, so that those that are full go faster than others come. */
const SWEEP = 2
/** How many when there is no room: the fullest of so many is forgotten. */
const SWEEP_FOR_ROOM = 16

/**
 * Rate limits of this process: a bucket for each key and limit, full after a restart.
 *
 * Buckets that are full again are forgotten bit by bit as others come, for a full one and none are the same. Only
 * when `maxKeys` keys have less than a full bucket is one of the fullest forgotten early, which fills it.
 *
 * When the limits of a key change, each bucket keeps the share that is used up, told apart by the limits' names.
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
    if (!Number.isSafeInteger(cost) || cost < 0) {
      throw new InvalidInputError('cost', 'is not a whole number from 0', 'give a number of units')
    }
    const now = this.#clock.now()
    let slot: LimitSlot
    const kept = memo?.limiterSlot
    if (kept instanceof LimitSlot && kept.owner === this && kept.live) {
      slot = kept
    } else {
      slot = this.state(key, limits, now)
      if (memo !== undefined) memo.limiterSlot = slot
    }
    return new LocalReservation(this.reserveSlot(slot, limits, cost, now), slot, limits, cost, now)
  }

  /** Gives a granted reservation back, as if it had not been made. Again, or for a refused one: nothing happens. */
  giveBack(reservation: Reservation): void {
    if (!(reservation instanceof LocalReservation) || reservation.slot.owner !== this) return
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
      this.#slots.set(key, slot)
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
   * When so many units may be had of every limit.
   *
   * @returns ms from `now`; undefined when a bucket doesn't hold so many
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

  /** The one state of the slot's key, with these limits. */
  #current(slot: LimitSlot, limits: readonly RateLimit[], now: number): LimitSlot {
    let own = slot
    if (!slot.live) {
      const other = this.#slots.get(slot.key)
      if (other === undefined) {
        // It was full when it was forgotten, or counts as full.
        this.#sweepSome(now)
        slot.levels.fill(0)
        slot.at = now
        slot.live = true
        this.#slots.set(slot.key, slot)
      } else {
        own = other
      }
    }
    if (own.limits !== limits) changeLimits(own, limits, now)
    return own
  }

  #sweepSome(now: number): void {
    const crowded = this.#slots.size >= this.#maxKeys
    let fullest: LimitSlot | undefined
    let least = Number.POSITIVE_INFINITY
    for (let i = 0; i < (crowded ? SWEEP_FOR_ROOM : SWEEP); i++) {
      const next = this.#sweep.next()
      if (next.done === true) {
        this.#sweep = this.#slots.values()
        continue
      }
      const used = usedShare(next.value, now)
      if (used === 0) {
        this.#forget(next.value)
      } else if (used < least) {
        least = used
        fullest = next.value
      }
    }
    if (fullest !== undefined && this.#slots.size >= this.#maxKeys) this.#forget(fullest)
  }

  #forget(slot: LimitSlot): void {
    slot.live = false
    this.#slots.delete(slot.key)
  }
}

/** How long since the slot's levels were right; sets its clock back when the system's was set back. */
function elapsedOf(slot: LimitSlot, now: number): number {
  const elapsed = now - slot.at
  if (elapsed >= 0) return elapsed
  // A caller may have asked for the time a little earlier than another. A large step would stop the refill for as long.
  if (elapsed < -MAX_HELD_STEP_MS) slot.at = now
  return 0
}

/** The largest share that is used up of any of its limits; 0 = all full. */
function usedShare(slot: LimitSlot, now: number): number {
  const elapsed = elapsedOf(slot, now)
  let share = 0
  for (let i = 0; i < slot.gauges.length; i++) {
    const gauge = slot.gauges[i] as Gauge
    share = Math.max(share, levelAfter(gauge, slot.levels[i] as number, elapsed) / gauge.capacity)
  }
  return share
}

/** Gives a slot other limits; those of the same name keep the share that is used up. */
function changeLimits(slot: LimitSlot, limits: readonly RateLimit[], now: number): void {
  const elapsed = elapsedOf(slot, now)
  const old = new Map(slot.gauges.map((gauge, i) => [gauge.limit.name, { gauge, level: slot.levels[i] as number }]))
  const gauges = gaugesFor(limits)
  slot.levels = gauges.map((gauge) => {
    const before = old.get(gauge.limit.name)
    return before === undefined ? 0 : convertLevel(before.gauge, gauge, levelAfter(before.gauge, before.level, elapsed))
  })
  slot.gauges = gauges
  slot.limits = limits
  slot.at += elapsed
}
