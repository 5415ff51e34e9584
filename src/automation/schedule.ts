import { type Duration, parseDuration } from '../kernel/duration.ts'
import { InvalidInputError } from '../kernel/errors.ts'
import { checkCron, checkTimezone, cronTimes, LAST_SLOT } from './cron.ts'

/** When a rule is due, as a host writes it. */
export type ScheduleInput =
  | 'daily'
  | 'weekly'
  | 'monthly'
  | { readonly every: Duration }
  | { readonly cron: string; readonly timezone?: string | undefined }
  | {
      readonly calendar: 'month'
      readonly day: number
      readonly at?: string | undefined
      readonly timezone?: string | undefined
    }

/** Slots a fixed time apart, whatever clocks on walls do. */
export interface IntervalSchedule {
  /** From slot to slot, ms. */
  readonly every: number
}

/** The times of a cron pattern. */
export interface CronSchedule {
  readonly cron: string
  readonly timezone: string
}

/** One day of each month. */
export interface CalendarSchedule {
  readonly calendar: 'month'
  /** 1 to 31; in a shorter month its last day. */
  readonly day: number
  /** The time of day, `HH:MM`. */
  readonly at: string
  readonly timezone: string
}

/** When a rule is due, as it is kept. */
export type Schedule = IntervalSchedule | CronSchedule | CalendarSchedule

/** A schedule with its beginning. */
export interface Timeline {
  readonly schedule: Schedule
  /** The first slot of an interval; of the others, the instant before which there are none. Epoch ms. */
  readonly anchor: number
}

const DAY = 86_400_000

/** What the short names stand for: fixed spans, so that no zone and no calendar matter. */
const SPANS = { daily: DAY, weekly: 7 * DAY, monthly: 30 * DAY } as const

const CLOCK_TIME = /^([01]\d|2[0-3]):([0-5]\d)$/

/**
 * Checks a schedule. Its shape has been checked before; this is about what it says.
 *
 * @param field - the option, as the caller writes it
 * @param now - the instant after which there must be a slot, epoch ms
 * @throws InvalidInputError naming the field: an interval under 1 s, a pattern or zone that can't be read, a day that never comes
 */
export function parseSchedule(field: string, input: ScheduleInput, now: number): Schedule {
  if (typeof input === 'string') return { every: SPANS[input] }
  if ('every' in input) return { every: parseDuration(`${field}.every`, input.every, { min: 1000 }) }
  const timezone = checkTimezone(`${field}.timezone`, input.timezone ?? 'UTC')
  if ('cron' in input) return { cron: checkCron(`${field}.cron`, input.cron, timezone, now), timezone }
  const { day, at = '00:00' } = input
  if (!Number.isInteger(day) || day < 1 || day > 31) {
    throw new InvalidInputError(`${field}.day`, 'is not a day of a month', 'write 1 to 31; 31 is always the last day')
  }
  if (!CLOCK_TIME.test(at)) {
    throw new InvalidInputError(`${field}.at`, 'is not a time of day', 'write for example "03:30"')
  }
  return { calendar: 'month', day, at, timezone }
}

/** The first slot after `after`, epoch ms; `undefined` when there is none left. */
export function nextSlot({ schedule, anchor }: Timeline, after: number): number | undefined {
  const from = Math.max(after, anchor - 1)
  if ('every' in schedule) {
    const slot = anchor + (Math.floor((from - anchor) / schedule.every) + 1) * schedule.every
    return slot > LAST_SLOT ? undefined : slot
  }
  return 'cron' in schedule ? cronTimes(schedule.cron, schedule.timezone).next(from) : nextDay(schedule, from)
}

/** The last slot at or before `at`, epoch ms; `undefined` when there is none yet. */
export function latestSlot({ schedule, anchor }: Timeline, at: number): number | undefined {
  if (at < anchor) return undefined
  const until = Math.min(at, LAST_SLOT)
  if ('every' in schedule) return anchor + Math.floor((until - anchor) / schedule.every) * schedule.every
  const slot =
    'cron' in schedule ? cronTimes(schedule.cron, schedule.timezone).latest(until) : latestDay(schedule, until)
  return slot === undefined || slot < anchor ? undefined : slot
}

/** The slots from `from` on and before `to`, at most `limit`. */
export function slotsBetween(timeline: Timeline, from: number, to: number, limit: number): number[] {
  const slots: number[] = []
  let slot = nextSlot(timeline, from - 1)
  while (slot !== undefined && slot < to && slots.length < limit) {
    slots.push(slot)
    slot = nextSlot(timeline, slot)
  }
  return slots
}

/** How many slots there are from `from` on and before `to`; of schedules that have to be walked through, at most `limit` are counted. */
export function countSlots(timeline: Timeline, from: number, to: number, limit: number): number {
  const { schedule } = timeline
  const first = nextSlot(timeline, from - 1)
  if (first === undefined || first >= to) return 0
  if ('every' in schedule) return Math.floor((to - 1 - first) / schedule.every) + 1
  return slotsBetween(timeline, first, to, limit).length
}

/** Whether a slot depends on the one before, so that a run out of turn moves the next. */
export function isInterval(schedule: Schedule): schedule is IntervalSchedule {
  return 'every' in schedule
}

function nextDay(schedule: CalendarSchedule, after: number): number | undefined {
  // Zones are less than a day away from UTC: the month before is early enough to begin with.
  for (let month = monthOf(after) - 1; ; month++) {
    const slot = dayOf(schedule, month)
    if (slot > LAST_SLOT) return undefined
    if (slot > after) return slot
  }
}

function latestDay(schedule: CalendarSchedule, at: number): number | undefined {
  for (let month = monthOf(at) + 1; month >= 0; month--) {
    const slot = dayOf(schedule, month)
    if (slot <= at) return slot
  }
  return undefined
}

/** Months since January 1970, in UTC. */
function monthOf(at: number): number {
  const date = new Date(at)
  return (date.getUTCFullYear() - 1970) * 12 + date.getUTCMonth()
}

/** The slot of a month: its day, or its last one if it is shorter. */
function dayOf({ day, at, timezone }: CalendarSchedule, month: number): number {
  const year = 1970 + Math.floor(month / 12)
  const index = month - (year - 1970) * 12
  const date = Math.min(day, new Date(Date.UTC(year, index + 1, 0)).getUTCDate())
  const [hour, minute] = at.split(':').map(Number) as [number, number]
  const inUtc = Date.UTC(year, index, date, hour, minute)
  if (timezone === 'UTC') return inUtc
  // As a cron pattern of that one day, so that gaps and repeated hours are treated alike in both.
  const slot = cronTimes(`${minute} ${hour} ${date} ${index + 1} *`, timezone).next(inUtc - 2 * DAY)
  return slot ?? Number.POSITIVE_INFINITY
}
