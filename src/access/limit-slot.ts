import { MAX_HELD_STEP_MS } from '../kernel/clock.ts'
import type { RateLimit } from '../tokens/policy.ts'
import { convertLevel, type Gauge, gaugesFor, levelAfter } from './gcra.ts'

/** A limit that isn't in use at the moment. */
interface Parked {
  readonly gauge: Gauge
  /** As of the slot's `at` when it was parked. */
  readonly level: number
  readonly at: number
}

const NONE: ReadonlyMap<string, Parked> = new Map()

/** The state of one key of a `LocalRateLimiter`. Only that looks inside; anyone may hold on to it. */
export class LimitSlot {
  /** The limiter that made it. @internal */
  readonly owner: object
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
  /** Limits that were in use before and aren't full again, by name: other tokens of the same agent may still be held to them. @internal */
  parked: ReadonlyMap<string, Parked> = NONE
  /** Epoch ms. @internal */
  at: number

  /** @internal */
  constructor(owner: object, key: string, limits: readonly RateLimit[], at: number) {
    this.owner = owner
    this.key = key
    this.live = false
    this.limits = limits
    this.gauges = gaugesFor(limits)
    this.levels = this.gauges.map(() => 0)
    this.at = at
  }
}

/** How long since the slot's levels were right; sets its clock back when the system's was set back. */
export function elapsedOf(slot: LimitSlot, now: number): number {
  const elapsed = now - slot.at
  if (elapsed >= 0) return elapsed
  // A caller may have asked for the time a little earlier than another. A large step would stop the refill for as long.
  if (elapsed < -MAX_HELD_STEP_MS) slot.at = now
  return 0
}

/** As a slot that was never used. */
export function empty(slot: LimitSlot, now: number): void {
  slot.levels.fill(0)
  slot.parked = NONE
  slot.at = now
}

/** The largest share that is used up of any of its limits; 0 = all full. */
export function usedShare(slot: LimitSlot, now: number): number {
  const elapsed = elapsedOf(slot, now)
  let share = 0
  for (let i = 0; i < slot.gauges.length; i++) {
    const gauge = slot.gauges[i] as Gauge
    share = Math.max(share, levelAfter(gauge, slot.levels[i] as number, elapsed) / gauge.capacity)
  }
  for (const { gauge, level, at } of slot.parked.values()) {
    share = Math.max(share, levelAfter(gauge, level, Math.max(0, now - at)) / gauge.capacity)
  }
  return share
}

/** Gives a slot other limits; those of the same name keep the share that is used up, and what isn't named stays until it is full again. */
export function changeLimits(slot: LimitSlot, limits: readonly RateLimit[], now: number): void {
  // May set the slot's clock back.
  const elapsed = elapsedOf(slot, now)
  const at = slot.at + elapsed
  const used = new Map<string, Parked>()
  const keep = (gauge: Gauge, level: number, since: number) => {
    const left = levelAfter(gauge, level, Math.max(0, at - since))
    if (left > 0) used.set(gauge.limit.name, { gauge, level: left, at })
  }
  for (const parked of slot.parked.values()) keep(parked.gauge, parked.level, parked.at)
  slot.gauges.forEach((gauge, i) => {
    keep(gauge, slot.levels[i] as number, slot.at)
  })
  const gauges = gaugesFor(limits)
  slot.levels = gauges.map((gauge) => {
    const before = used.get(gauge.limit.name)
    used.delete(gauge.limit.name)
    return before === undefined ? 0 : convertLevel(before.gauge, gauge, before.level)
  })
  slot.gauges = gauges
  slot.limits = limits
  slot.parked = used
  slot.at = at
}
