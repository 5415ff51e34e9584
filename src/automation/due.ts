import { createHash } from 'node:crypto'
import { lengthPrefixed } from '../kernel/bytes.ts'
import { LAST_SLOT } from './cron.ts'
import type { RuleRecord } from './rule.ts'
import { countSlots, latestSlot, nextSlot, type Schedule, slotsBetween } from './schedule.ts'

/** Slots of patterns are counted up to this many. */
export const MAX_COUNTED = 100

/** A slot may begin so late where a rule doesn't catch up, ms: hosts tick every few seconds, or once a minute. */
const ON_TIME = 60_000

/** What is to become of a rule that is due. */
export interface Decision {
  /** The slot that it is about, epoch ms. */
  readonly slot: number
  /** Slots before it that nothing was done for. */
  readonly missed: number
  /** Whether it is too late to run it. */
  readonly late: boolean
}

/** Where a rule stands next. */
export interface Standing {
  readonly nextSlot?: number
  readonly nextDueAt?: number
}

/** What decides when a rule is due. */
export type Timed = Pick<RuleRecord, 'id' | 'schedule' | 'anchor' | 'jitter'>

/** How long after a slot its rule is due, ms: the same for everyone who asks, spread over the rules and slots. */
export function jitterOf({ id, jitter }: Pick<Timed, 'id' | 'jitter'>, slot: number): number {
  if (jitter === undefined || jitter === 0) return 0
  const hash = createHash('sha256')
    .update(lengthPrefixed([id, String(slot)]))
    .digest()
  // 48 bits of 2^48: to the millisecond for every jitter that a rule may have.
  return Math.floor((hash.readUIntBE(0, 6) / 2 ** 48) * (jitter + 1))
}

/** A rule's next slot after an instant, and when it is due. */
export function standingAfter(rule: Timed, after: number): Standing {
  const slot = nextSlot(rule, after)
  return slot === undefined ? {} : { nextSlot: slot, nextDueAt: slot + jitterOf(rule, slot) }
}

/**
 * What to do about a rule at `now`: of all its slots that are due the last one counts, the others are missed.
 *
 * @returns `undefined` when it isn't due
 */
export function decide(rule: RuleRecord, now: number): Decision | undefined {
  if (rule.nextSlot === undefined || rule.nextDueAt === undefined || now < rule.nextDueAt) return undefined
  const slot = lastDue(rule, rule.nextSlot, now)
  const missed = slot === rule.nextSlot ? 0 : countSlots(rule, rule.nextSlot, slot, MAX_COUNTED)
  const window = rule.catchUpWindow ?? (rule.catchUp === 'none' ? ON_TIME : Number.POSITIVE_INFINITY)
  return { slot, missed, late: now - (slot + jitterOf(rule, slot)) > window }
}

/** The last slot from `first` on that is due at `now`, its jitter counted. */
function lastDue(rule: Timed, first: number, now: number): number {
  let slot = latestSlot(rule, now)
  // Jitter is shorter than the time between two slots, as a rule: this ends at the first or second turn.
  for (let turns = 0; slot !== undefined && slot > first && turns < MAX_COUNTED; turns++) {
    if (slot + jitterOf(rule, slot) <= now) return slot
    slot = latestSlot(rule, slot - 1)
  }
  return first
}

/**
 * Where a new or changed schedule begins. An interval begins one period after `now`, or at `startAt`; if that is past, in
 * its phase.
 */
export function begin(
  id: string,
  { schedule, jitter }: Pick<RuleRecord, 'schedule' | 'jitter'>,
  now: number,
  startAt: number | undefined,
): Pick<RuleRecord, 'anchor' | 'begunAt' | 'nextSlot' | 'nextDueAt'> {
  const anchor = startAt ?? ('every' in schedule ? now + schedule.every : now)
  return {
    anchor,
    begunAt: now,
    ...standingAfter({ id, schedule, anchor, ...(jitter !== undefined && { jitter }) }, now),
  }
}

/**
 * A rule that was made, changed or run while some clock was ahead, set right: it stands where it would without that. Its
 * phase stays, and so does a start that was asked for.
 *
 * @param at - the present, epoch ms
 */
export function turnedBack(rule: RuleRecord, at: number): RuleRecord {
  const { lastSlot, lastRunAt, nextSlot: _, nextDueAt: __, ...rest } = rule
  const { schedule, startAt = 0 } = rule
  const ahead = startAt > at ? 0 : Math.max(0, rule.anchor - at)
  const periods = 'every' in schedule ? Math.max(0, Math.ceil(ahead / schedule.every) - 1) * schedule.every : ahead
  const anchored = { ...rest, anchor: rule.anchor - periods }
  return {
    ...anchored,
    begunAt: Math.min(rule.begunAt, at),
    ...standingAfter(anchored, at),
    ...(lastSlot !== undefined && lastSlot <= at && { lastSlot }),
    ...(lastRunAt !== undefined && lastRunAt <= at && { lastRunAt }),
  }
}

/** Slots that are looked at for the shortest time between two: more than those of a day, for all but the densest patterns. */
const COMPARED = 50

/**
 * The shortest time between two slots of a schedule, ms; `undefined` when there are no two. The same whenever it is asked,
 * so that a rule that was taken once is taken again: summer time, which shortens a day, isn't looked at.
 */
export function shortestGap(schedule: Schedule): number | undefined {
  if ('every' in schedule) return schedule.every
  const slots = slotsBetween({ schedule: { ...schedule, timezone: 'UTC' }, anchor: 0 }, 0, LAST_SLOT, COMPARED)
  const gaps = slots.slice(1).map((slot, i) => slot - (slots[i] as number))
  return gaps.length === 0 ? undefined : Math.min(...gaps)
}

/** The longest wait for another attempt, ms. */
export const LONGEST_RETRY = 15 * 60_000

/** How long after a failed attempt the next is due, ms. */
export function retryAfter(attempt: number): number {
  return Math.min(30_000 * 2 ** (attempt - 1), LONGEST_RETRY)
}
