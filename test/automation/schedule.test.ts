import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  countSlots,
  latestSlot,
  nextSlot,
  parseSchedule,
  type Schedule,
  type ScheduleInput,
  slotsBetween,
  type Timeline,
} from '../../src/automation/schedule.ts'
import { InvalidInputError } from '../../src/index.ts'

const DAY = 86_400_000
const NOW = Date.UTC(2027, 0, 1)
const ms = (iso: string): number => Date.parse(iso)
const iso = (at: number | undefined): string => (at === undefined ? 'never' : new Date(at).toISOString())

function timeline(input: ScheduleInput, anchor = NOW): Timeline {
  return { schedule: parseSchedule('schedule', input, NOW), anchor }
}

/** The slots of a range, as texts. */
function slots(input: ScheduleInput, from: string, to: string): string[] {
  return slotsBetween(timeline(input, 0), ms(from), ms(to), 1000).map(iso)
}

function refusal(input: unknown): InvalidInputError {
  try {
    parseSchedule('schedule', input as ScheduleInput, NOW)
  } catch (error) {
    if (error instanceof InvalidInputError) return error
    throw error
  }
  throw new Error(`${JSON.stringify(input)} was taken`)
}

describe('intervals', () => {
  it('are 24 hours, 7 days and 30 days, whatever the calendar says', () => {
    expect(parseSchedule('schedule', 'daily', NOW)).toEqual({ every: DAY })
    expect(parseSchedule('schedule', 'weekly', NOW)).toEqual({ every: 7 * DAY })
    // Fact 25: 31 January 10:00 and 30 days are 2 March 10:00, in a year without a 29 February.
    expect(iso(nextSlot(timeline('monthly', ms('2027-01-31T10:00:00Z')), ms('2027-01-31T10:00:00Z')))).toBe(
      '2027-03-02T10:00:00.000Z',
    )
  })

  it('refuse what is under a second, and say that numbers are milliseconds', () => {
    const error = refusal({ every: 300 })
    expect(error.field).toBe('schedule.every')
    expect(error.message).toContain('numbers are milliseconds; write "300s"')
    expect(parseSchedule('schedule', { every: '1s' }, NOW)).toEqual({ every: 1000 })
    for (const every of ['', '1', 'daily', -1, 1.5, Number.NaN, '1000y', null]) {
      expect(refusal({ every }).field).toBe('schedule.every')
    }
  })

  it('keep their phase to the millisecond', () => {
    const line = timeline({ every: '90s' }, NOW + 17)
    expect(nextSlot(line, NOW)).toBe(NOW + 17)
    expect(nextSlot(line, NOW + 17)).toBe(NOW + 17 + 90_000)
    expect(latestSlot(line, NOW + 16)).toBe(undefined)
    expect(latestSlot(line, NOW + 17 + 89_999)).toBe(NOW + 17)
    expect(countSlots(line, NOW, NOW + 17 + 900_000, 1)).toBe(10)
    expect(countSlots(line, NOW, NOW + 17 + 900_001, 1)).toBe(11)
  })
})

describe('cron', () => {
  const NEW_YORK = 'America/New_York'

  it('refuses what it can not read, and names the field', () => {
    for (const cron of ['', ' ', '* * * *', '60 * * * *', '* 24 * * *', '0 0 * * 8', '*/0 * * * *', 'H H * * *']) {
      expect([cron, refusal({ cron }).field]).toEqual([cron, 'schedule.cron'])
    }
    // A date, a year, a nickname of one program or another, and something endless.
    for (const cron of [
      '2027-01-01T00:00:00',
      '0 0 0 1 1 * 2030',
      '@reboot',
      '@daily',
      `${'1,'.repeat(200)}1 * * * *`,
    ]) {
      expect([cron, refusal({ cron }).field]).toEqual([cron, 'schedule.cron'])
    }
    expect(refusal({ cron: '* * * *' }).message).toContain('minute, hour, day of month')
    // It names the field, and echoes nothing: what was put there may be a token.
    expect(refusal({ cron: '0 sk_0123456789abcdef * * *' }).message).toContain('its hour;')
    expect(refusal({ cron: '0 sk_0123456789abcdef * * *' }).message).not.toContain('sk_')
    expect(refusal({ cron: '0 0 0 * 13 *' }).message).toContain('its month;')
  })

  it('refuses a day that never comes', () => {
    for (const cron of ['0 0 30 2 *', '0 0 31 4,6,9,11 *']) {
      expect(refusal({ cron }).message).toContain('never comes')
    }
    expect(slots({ cron: '0 0 29 2 *' }, '2027-01-01T00:00:00Z', '2037-01-01T00:00:00Z')).toEqual([
      '2028-02-29T00:00:00.000Z',
      '2032-02-29T00:00:00.000Z',
      '2036-02-29T00:00:00.000Z',
    ])
  })

  it('refuses a zone that is none, and takes UTC where none is named', () => {
    for (const timezone of ['', 'Mars/Olympus', 'Europe', 'x'.repeat(100)]) {
      expect(refusal({ cron: '* * * * *', timezone }).field).toBe('schedule.timezone')
    }
    expect(parseSchedule('schedule', { cron: ' 0  3 * *  1 ' }, NOW)).toEqual({ cron: '0 3 * * 1', timezone: 'UTC' })
  })

  it('takes six fields, seconds first', () => {
    expect(slots({ cron: '15,45 0 3 * * *' }, '2027-01-01T00:00:00Z', '2027-01-02T00:00:00Z')).toEqual([
      '2027-01-01T03:00:15.000Z',
      '2027-01-01T03:00:45.000Z',
    ])
  })

  it('runs once a day where clocks are set on or back (fact 26)', () => {
    expect(slots({ cron: '30 2 * * *', timezone: NEW_YORK }, '2027-03-13T00:00:00Z', '2027-03-16T00:00:00Z')).toEqual([
      '2027-03-13T07:30:00.000Z',
      '2027-03-14T07:00:00.000Z',
      '2027-03-15T06:30:00.000Z',
    ])
    expect(slots({ cron: '30 1 * * *', timezone: NEW_YORK }, '2027-11-06T00:00:00Z', '2027-11-09T00:00:00Z')).toEqual([
      '2027-11-06T05:30:00.000Z',
      '2027-11-07T05:30:00.000Z',
      '2027-11-08T06:30:00.000Z',
    ])
    const lordHowe = { cron: '45 1 * * *', timezone: 'Australia/Lord_Howe' }
    expect(slots(lordHowe, '2027-04-02T12:00:00Z', '2027-04-05T12:00:00Z')).toEqual([
      '2027-04-02T14:45:00.000Z',
      '2027-04-03T14:45:00.000Z',
      '2027-04-04T15:15:00.000Z',
    ])
    expect(slots({ ...lordHowe, cron: '15 2 * * *' }, '2027-10-01T12:00:00Z', '2027-10-04T12:00:00Z')).toEqual([
      '2027-10-01T15:45:00.000Z',
      '2027-10-02T15:30:00.000Z',
      '2027-10-03T15:15:00.000Z',
    ])
  })

  it('runs every half hour of real time on those days', () => {
    const half = { cron: '*/30 * * * *', timezone: NEW_YORK }
    expect(slots(half, '2027-03-14T05:00:00Z', '2027-03-15T04:00:00Z')).toHaveLength(46)
    expect(slots(half, '2027-11-07T04:00:00Z', '2027-11-08T05:00:00Z')).toHaveLength(50)
    const gaps = slotsBetween(timeline(half, 0), ms('2027-11-07T04:00:00Z'), ms('2027-11-08T05:00:00Z'), 100)
    expect(new Set(gaps.slice(1).map((slot, i) => slot - (gaps[i] as number)))).toEqual(new Set([1_800_000]))
  })

  it('matches a day of month or of week, where both are named', () => {
    expect(slots({ cron: '0 0 1 * 1' }, '2027-01-01T00:00:00Z', '2027-01-12T00:00:00Z')).toEqual([
      '2027-01-01T00:00:00.000Z',
      '2027-01-04T00:00:00.000Z',
      '2027-01-11T00:00:00.000Z',
    ])
    expect(slots({ cron: '0 0 L * *' }, '2027-01-01T00:00:00Z', '2027-04-01T00:00:00Z')).toEqual([
      '2027-01-31T00:00:00.000Z',
      '2027-02-28T00:00:00.000Z',
      '2027-03-31T00:00:00.000Z',
    ])
  })

  it('counts no further than it is told', () => {
    const minutely = timeline({ cron: '* * * * *' })
    expect(countSlots(minutely, NOW, NOW + 3_600_000, 100)).toBe(60)
    expect(countSlots(minutely, NOW, NOW + 10_000 * DAY, 100)).toBe(100)
  })
})

describe('calendar months', () => {
  it('keep their day, or take the last one of a shorter month (fact 25)', () => {
    const last = { calendar: 'month', day: 31, at: '10:00' } as const
    expect(slots(last, '2027-01-01T00:00:00Z', '2027-06-01T00:00:00Z')).toEqual([
      '2027-01-31T10:00:00.000Z',
      '2027-02-28T10:00:00.000Z',
      '2027-03-31T10:00:00.000Z',
      '2027-04-30T10:00:00.000Z',
      '2027-05-31T10:00:00.000Z',
    ])
    expect(slots({ calendar: 'month', day: 29 }, '2028-02-01T00:00:00Z', '2028-04-01T00:00:00Z')).toEqual([
      '2028-02-29T00:00:00.000Z',
      '2028-03-29T00:00:00.000Z',
    ])
  })

  it('are those of their zone', () => {
    const first = { calendar: 'month', day: 1, at: '00:30', timezone: 'Pacific/Auckland' } as const
    expect(slots(first, '2027-01-01T00:00:00Z', '2027-05-01T00:00:00Z')).toEqual([
      '2027-01-31T11:30:00.000Z',
      '2027-02-28T11:30:00.000Z',
      '2027-03-31T11:30:00.000Z',
      '2027-04-30T12:30:00.000Z',
    ])
    const gap = { calendar: 'month', day: 14, at: '02:30', timezone: 'America/New_York' } as const
    expect(slots(gap, '2027-03-01T00:00:00Z', '2027-04-01T00:00:00Z')).toEqual(['2027-03-14T07:00:00.000Z'])
  })

  it('refuse what is no day, time or zone', () => {
    for (const day of [0, 32, 1.5, Number.NaN]) expect(refusal({ calendar: 'month', day }).field).toBe('schedule.day')
    for (const at of ['24:00', '1:00', '10:60', '', '10:00:00']) {
      expect(refusal({ calendar: 'month', day: 1, at }).field).toBe('schedule.at')
    }
    expect(refusal({ calendar: 'month', day: 1, timezone: 'Nowhere' }).field).toBe('schedule.timezone')
  })
})

const zone = fc.constantFrom(
  'UTC',
  'America/New_York',
  'Europe/Berlin',
  'Australia/Lord_Howe',
  'Asia/Kolkata',
  'Asia/Kathmandu',
  'Pacific/Apia',
  'America/St_Johns',
  'Africa/Casablanca',
)
const part = (min: number, max: number): fc.Arbitrary<string> =>
  fc.oneof(
    { weight: 3, arbitrary: fc.constant('*') },
    { weight: 3, arbitrary: fc.integer({ min, max }).map(String) },
    fc.integer({ min: 1, max: Math.max(2, max >> 1) }).map((step) => `*/${step}`),
    fc.tuple(fc.integer({ min, max }), fc.integer({ min, max })).map(([a, b]) => `${Math.min(a, b)}-${Math.max(a, b)}`),
    fc.uniqueArray(fc.integer({ min, max }), { minLength: 2, maxLength: 4 }).map((list) => list.join(',')),
  )
const cron = fc
  .tuple(part(0, 59), part(0, 23), fc.oneof(part(1, 28), fc.constant('L')), part(1, 12), part(0, 6), zone)
  .map(
    ([minute, hour, day, month, weekday, timezone]): Schedule => ({
      cron: `${minute} ${hour} ${day} ${month} ${weekday}`,
      timezone,
    }),
  )
const interval = fc.integer({ min: 1000, max: 400 * DAY }).map((every): Schedule => ({ every }))
const calendar = fc
  .tuple(fc.integer({ min: 1, max: 31 }), fc.integer({ min: 0, max: 1439 }), zone)
  .map(([day, minutes, timezone]): Schedule => {
    const two = (n: number) => String(n).padStart(2, '0')
    return { calendar: 'month', day, at: `${two(Math.floor(minutes / 60))}:${two(minutes % 60)}`, timezone }
  })
const instant = fc.integer({ min: Date.UTC(2020, 0, 1), max: Date.UTC(2040, 0, 1) })

/** Instants in the hours in which zones set their clocks on or back. */
const change = fc
  .tuple(
    fc.constantFrom(
      '2027-03-14T07:00Z',
      '2027-11-07T06:00Z',
      '2027-03-28T01:00Z',
      '2027-10-31T01:00Z',
      '2027-10-02T15:30Z',
    ),
    fc.integer({ min: -3 * 3_600_000, max: 3 * 3_600_000 }),
  )
  .map(([at, off]) => ms(at) + off)

describe('10,000 schedules', () => {
  it('never come twice, never go back, and next and latest agree', { timeout: 120_000 }, () => {
    fc.assert(
      fc.property(fc.oneof(cron, interval, calendar), instant, fc.oneof(instant, change), (schedule, anchor, at) => {
        const line = { schedule, anchor }
        const next = nextSlot(line, at)
        const latest = latestSlot(line, at)
        if (next !== undefined) {
          expect(next).toBeGreaterThan(at)
          expect(next).toBeGreaterThanOrEqual(anchor)
          // There is nothing between: a millisecond before it, it is the next one still; from it on, it is the latest.
          expect(nextSlot(line, next - 1)).toBe(next)
          expect(latestSlot(line, next)).toBe(next)
          expect(latestSlot(line, next - 1)).toBe(latest)
          const after = nextSlot(line, next)
          if (after !== undefined) {
            expect(after).toBeGreaterThan(next)
            expect(latestSlot(line, after - 1)).toBe(next)
          }
        }
        if (latest !== undefined) {
          expect(latest).toBeLessThanOrEqual(at)
          expect(latest).toBeGreaterThanOrEqual(anchor)
          expect(nextSlot(line, latest)).toBe(next)
          expect(nextSlot(line, latest - 1)).toBe(latest)
        }
      }),
      { numRuns: 10_000 },
    )
  })

  it('a range is what going from slot to slot gives, and its count is its length', { timeout: 60_000 }, () => {
    fc.assert(
      fc.property(
        fc.oneof(cron, interval, calendar),
        instant,
        fc.integer({ min: 0, max: 90 * DAY }),
        (schedule, from, length) => {
          const line = { schedule, anchor: from - 40 * DAY }
          const found = slotsBetween(line, from, from + length, 50)
          for (const [i, slot] of found.entries()) {
            expect(slot).toBeGreaterThanOrEqual(from)
            expect(slot).toBeLessThan(from + length)
            expect(nextSlot(line, slot - 1)).toBe(slot)
            if (i > 0) expect(nextSlot(line, found[i - 1] as number)).toBe(slot)
          }
          const count = countSlots(line, from, from + length, 50)
          if (found.length < 50) expect(count).toBe(found.length)
          else expect(count).toBeGreaterThanOrEqual(50)
        },
      ),
      { numRuns: 1000 },
    )
  })
})
