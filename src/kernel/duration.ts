import { InvalidInputError } from './errors.ts'

/** A length of time: `'30d'`, `'12h'`, `'15m'`, `'45s'`, `'250ms'`, `'2w'`, or a number of milliseconds. */
export type Duration = number | `${number}${'ms' | 's' | 'm' | 'h' | 'd' | 'w'}`

/** A point in time: a `Date`, epoch milliseconds, or an ISO 8601 text with its zone, such as `'2030-01-31T12:00:00Z'`. */
export type Instant = Date | number | string

/** What a duration may be, beyond being one. All in ms. */
export interface DurationBounds {
  /** The shortest that will do. Default: 1, or 0 with `allowZero`. */
  readonly min?: number
  /** The longest that will do. Default: 100 years. */
  readonly max?: number
  /** Whether 0 will do whatever `min` says. Default `false`. */
  readonly allowZero?: boolean
}

const SECOND = 1000
const DAY = 86_400 * SECOND

const UNITS: { readonly [unit: string]: number } = {
  ms: 1,
  s: SECOND,
  m: 60 * SECOND,
  h: 3600 * SECOND,
  d: DAY,
  w: 7 * DAY,
}

const FORM = /^(\d{1,15}(?:\.\d{1,6})?)(ms|s|m|h|d|w)$/

/** 100 years of 365.25 days. */
const LONGEST = 36_525 * DAY

/** The last instant that a `Date` can hold. */
const LAST_INSTANT = 8.64e15

/**
 * The milliseconds of a {@link Duration}.
 *
 * @param field - the option, as the caller writes it
 * @param value - the duration: a text of number and unit, or whole milliseconds
 * @param bounds - what it may be
 * @returns whole milliseconds
 * @throws InvalidInputError when it isn't a duration, isn't whole milliseconds, or is out of bounds
 * @example
 * ```ts
 * parseDuration('expiresIn', '30d') // 2592000000
 * parseDuration('checkInterval', 300, { min: 1000 }) // throws: numbers are milliseconds; write "300s"
 * ```
 */
export function parseDuration(field: string, value: Duration, bounds: DurationBounds = {}): number {
  const ms = typeof value === 'string' ? fromText(value) : typeof value === 'number' ? value : Number.NaN
  if (!Number.isInteger(ms) || ms < 0) {
    const what = Number.isFinite(ms) && ms >= 0 ? 'is not whole milliseconds' : 'is not a duration'
    throw new InvalidInputError(
      field,
      what,
      'write a number of milliseconds, or a text such as "45s", "15m", "12h", "30d"',
    )
  }
  if (ms === 0 && bounds.allowZero === true) return 0
  const min = bounds.min ?? 1
  if (ms < min) {
    throw new InvalidInputError(field, `is shorter than ${formatDuration(min)}`, helpFor(value, min))
  }
  const max = bounds.max ?? LONGEST
  if (ms > max) {
    throw new InvalidInputError(
      field,
      `is longer than ${formatDuration(max)}`,
      `write "${formatDuration(max)}" or less`,
    )
  }
  return ms
}

function fromText(text: string): number {
  const match = FORM.exec(text)
  if (match === null) return Number.NaN
  const ms = Number(match[1]) * (UNITS[match[2] as string] as number)
  // '1.1h' is 3960000 ms, which binary fractions miss by a hair.
  const whole = Math.round(ms)
  return Math.abs(ms - whole) < 1e-6 ? whole : ms
}

/** A number under a second is mostly one that was meant in seconds. */
function helpFor(value: Duration, min: number): string {
  if (min < SECOND || typeof value !== 'number') return `write "${formatDuration(min)}" or more`
  const seconds = value * SECOND >= min ? value : 300
  return `numbers are milliseconds; write "${seconds}s"`
}

/**
 * A number of milliseconds in the largest unit that holds it whole, in the form that {@link parseDuration} reads.
 *
 * @param ms - milliseconds; rounded, negative counts as 0
 * @example
 * ```ts
 * formatDuration(5_400_000) // '90m'
 * ```
 */
export function formatDuration(ms: number): Exclude<Duration, number> {
  const whole = ms > 0 ? Math.round(ms) : 0
  if (whole === 0) return '0ms'
  if (whole % DAY === 0) return `${whole / DAY}d`
  if (whole % (3600 * SECOND) === 0) return `${whole / (3600 * SECOND)}h`
  if (whole % (60 * SECOND) === 0) return `${whole / (60 * SECOND)}m`
  if (whole % SECOND === 0) return `${whole / SECOND}s`
  return `${whole}ms`
}

/** What an instant may be, beyond being one. */
export interface InstantBounds {
  /** Epoch ms; the instant must be later than this. Mostly `clock.now()`. */
  readonly after?: number
}

const ISO = /^\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:Z|[+-]\d\d:\d\d)$/

/**
 * The epoch milliseconds of an {@link Instant}. Texts must be ISO 8601 with time and zone: what a date alone means
 * depends on where one stands.
 *
 * @param field - the option, as the caller writes it
 * @param value - the instant
 * @param bounds - what it may be
 * @returns whole epoch milliseconds, 0 to 8.64e15
 * @throws InvalidInputError when it isn't an instant (NaN, invalid `Date`, negative, a date that doesn't exist), or not after `after`
 * @example
 * ```ts
 * parseInstant('expiresAt', '2030-01-31T12:00:00Z', { after: clock.now() })
 * ```
 */
export function parseInstant(field: string, value: Instant, bounds: InstantBounds = {}): number {
  const at = typeof value === 'string' ? fromIso(value) : value instanceof Date ? value.getTime() : value
  if (typeof at !== 'number' || !Number.isInteger(at) || at < 0 || at > LAST_INSTANT) {
    throw new InvalidInputError(
      field,
      'is not an instant',
      'give a valid Date, whole epoch milliseconds, or a text such as "2030-01-31T12:00:00Z"',
    )
  }
  if (bounds.after !== undefined && at <= bounds.after) {
    const what = `is ${new Date(at).toISOString()}, not after ${new Date(bounds.after).toISOString()}`
    throw new InvalidInputError(field, what, 'give a later instant; numbers are epoch milliseconds, not seconds')
  }
  return at
}

function fromIso(text: string): number {
  const match = text.length > 40 ? null : ISO.exec(text)
  if (match === null) return Number.NaN
  // Date.parse lets the 30th of February pass as the 2nd of March: the fields must come back as they were written.
  const utc = new Date(`${text.slice(0, 16)}Z`)
  if (Number.isNaN(utc.getTime()) || utc.toISOString().slice(0, 16) !== text.slice(0, 16)) return Number.NaN
  return Date.parse(text)
}
