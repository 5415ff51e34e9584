import { Cron } from 'croner'
import { InvalidInputError } from '../kernel/errors.ts'

/** The longest pattern, characters. */
const MAX_PATTERN = 200
/** The fields of a pattern. */
const FIELDS = ['second', 'minute', 'hour', 'day of the month', 'month', 'day of the week']
/** Compiled patterns that are kept. */
const MAX_COMPILED = 500
/** After the year 9999 there are no slots, epoch ms. */
export const LAST_SLOT: number = Date.UTC(9999, 11, 31, 23, 59, 59)

/** The times of a cron pattern in a time zone: whole seconds, in real order. Only croner's arithmetic is used, never its timers. */
export interface CronTimes {
  /** The first time after `after`, epoch ms; `undefined` = never again. */
  next(after: number): number | undefined
  /** The last time at or before `at`, epoch ms; `undefined` = never before. */
  latest(at: number): number | undefined
}

const compiled = new Map<string, CronTimes>()

/**
 * Compiles a pattern, or finds it compiled. Where clocks are set on, a time that doesn't exist comes at the end of the gap; where
 * they are set back, a time that comes twice is taken once, the first. Patterns that name no hour (`*`, lists, steps) follow real time.
 *
 * @throws whatever croner says of a pattern or zone that it can't read: check both with {@link checkCron} first
 */
export function cronTimes(pattern: string, timezone: string): CronTimes {
  const key = `${timezone} ${pattern}`
  let times = compiled.get(key)
  if (times === undefined) {
    // All of them at once: which are in use is not worth keeping count of.
    if (compiled.size >= MAX_COMPILED) compiled.clear()
    times = compile(new Cron(pattern, { timezone, mode: '5-or-6-parts', paused: true }))
    compiled.set(key, times)
  }
  return times
}

function compile(cron: Cron): CronTimes {
  return {
    next: (after) => (after >= LAST_SLOT ? undefined : cron.nextRun(new Date(Math.max(after, 0)))?.getTime()),
    // croner counts in whole seconds and looks strictly before: the second after this one.
    latest: (at) => {
      if (at < 0) return undefined
      const second = Math.floor(Math.min(at, LAST_SLOT) / 1000) * 1000
      return cron.previousRuns(1, new Date(second + 1000))[0]?.getTime()
    },
  }
}

/**
 * Checks a cron pattern: five fields (minute, hour, day of month, month, day of week), or six with seconds first.
 *
 * @returns the pattern with single spaces
 * @throws InvalidInputError when it can't be read, has another number of fields, or names a day that never comes
 */
export function checkCron(field: string, pattern: string, timezone: string, now: number): string {
  const fields = pattern.trim().split(/\s+/)
  if (pattern.length > MAX_PATTERN || fields.length < 5 || fields.length > 6) {
    const what = pattern.length > MAX_PATTERN ? `is longer than ${MAX_PATTERN} characters` : 'has not five fields'
    throw new InvalidInputError(
      field,
      what,
      'write minute, hour, day of month, month and day of week, such as "0 3 * * 1"; seconds may stand before them',
    )
  }
  // What croner says of a pattern echoes it; what was put in the wrong place may be a secret.
  const wrong = fields.findIndex((_, i) => !isReadable(fields.map((part, n) => (n === i ? part : '*')).join(' ')))
  if (wrong >= 0) {
    const which = FIELDS[wrong + FIELDS.length - fields.length]
    throw new InvalidInputError(field, `can't be read as a cron pattern: its ${which}`, 'write for example "0 3 * * 1"')
  }
  const clean = fields.join(' ')
  const first = cronTimes(clean, timezone).next(now)
  if (first === undefined) {
    throw new InvalidInputError(field, 'names a time that never comes', 'look at its day and month')
  }
  return clean
}

/** Whether croner takes a pattern. */
function isReadable(pattern: string): boolean {
  try {
    new Cron(pattern, { mode: '5-or-6-parts', paused: true })
    return true
  } catch {
    return false
  }
}

/**
 * Checks the name of a time zone.
 *
 * @throws InvalidInputError when this system doesn't know it
 */
export function checkTimezone(field: string, timezone: string): string {
  try {
    // An empty name would mean the zone of whichever machine this is.
    if (timezone !== '' && timezone.length <= 64) {
      new Intl.DateTimeFormat('en', { timeZone: timezone })
      return timezone
    }
  } catch {
    // It says which one it doesn't know; so does the error below.
  }
  throw new InvalidInputError(
    field,
    'is not a time zone that this system knows',
    'write "UTC", or a name such as "Europe/Berlin"',
  )
}
