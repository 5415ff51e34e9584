import { inspect } from 'node:util'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Duration, formatDuration, type Instant, parseDuration, parseInstant } from '../../src/kernel/duration.ts'
import { InvalidInputError } from '../../src/kernel/errors.ts'

describe('parseDuration', () => {
  it.each([
    ['250ms', 250],
    ['45s', 45_000],
    ['15m', 900_000],
    ['12h', 43_200_000],
    ['30d', 2_592_000_000],
    ['2w', 1_209_600_000],
    ['1.5h', 5_400_000],
    ['1.1h', 3_960_000],
    ['0.001s', 1],
    [1500, 1500],
  ] as [Duration, number][])('reads %s', (text, ms) => {
    expect(parseDuration('grace', text)).toBe(ms)
  })

  it.each(
    [
      '',
      ' 1s',
      '1s ',
      '1 s',
      '1S',
      '-1s',
      '+1s',
      '1e3s',
      '.5s',
      '1.s',
      '0x10s',
      '1',
      's',
      '1y',
      '1h30m',
      '１s',
      `${'9'.repeat(400)}s`,
      -1,
      Number.NaN,
      Number.POSITIVE_INFINITY,
      1.5,
      '0.5ms',
      null,
      undefined,
      {},
      [5],
      true,
      5n,
      new Date(5),
    ].map((value) => [inspect(value), value] as const),
  )('refuses %s', (_text, value) => {
    const call = () => parseDuration('grace', value as Duration)
    expect(call).toThrow(InvalidInputError)
    expect(call).toThrow(/^ERR_INVALID_INPUT: grace is not (a duration|whole milliseconds); write/)
  })

  it('names the field', () => {
    try {
      parseDuration('rateLimit.per', 'x' as Duration)
      expect.unreachable()
    } catch (error) {
      expect((error as InvalidInputError).field).toBe('rateLimit.per')
    }
  })

  it('keeps to its bounds', () => {
    expect(() => parseDuration('ttl', 0)).toThrow('ttl is shorter than 1ms')
    expect(parseDuration('ttl', 0, { allowZero: true })).toBe(0)
    expect(parseDuration('ttl', '0s', { allowZero: true, min: 1000 })).toBe(0)
    expect(parseDuration('ttl', '1s', { min: 1000 })).toBe(1000)
    expect(() => parseDuration('ttl', '999ms', { min: 1000 })).toThrow('ttl is shorter than 1s; write "1s" or more')
    expect(() => parseDuration('ttl', '2h', { max: 3_600_000 })).toThrow('ttl is longer than 1h; write "1h" or less')
    expect(() => parseDuration('ttl', '36526d')).toThrow('ttl is longer than 36525d')
  })

  it('tells who gives seconds that numbers are milliseconds', () => {
    expect(() => parseDuration('checkInterval', 300, { min: 1000 })).toThrow('numbers are milliseconds; write "300s"')
    expect(() => parseDuration('checkInterval', 0, { min: 1000 })).toThrow('numbers are milliseconds; write "300s"')
    expect(() => parseDuration('checkInterval', 30, { min: 60_000 })).toThrow('numbers are milliseconds; write "300s"')
    expect(() => parseDuration('checkInterval', 60, { min: 60_000 })).toThrow('numbers are milliseconds; write "60s"')
  })
})

describe('formatDuration', () => {
  it('takes the largest unit that holds it whole', () => {
    expect([0, 1, 1500, 45_000, 5_400_000, 86_400_000, 604_800_000].map(formatDuration)).toEqual([
      '0ms',
      '1ms',
      '1500ms',
      '45s',
      '90m',
      '1d',
      '7d',
    ])
    expect([-5, Number.NaN, 1.4].map(formatDuration)).toEqual(['0ms', '0ms', '1ms'])
  })

  it('comes back as it went', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 36_525 * 86_400_000 }), (ms) => {
        expect(parseDuration('x', formatDuration(ms))).toBe(ms)
      }),
    )
  })
})

describe('parseInstant', () => {
  const at = Date.UTC(2030, 0, 31, 12)

  it.each([
    ['a Date', new Date(at)],
    ['epoch ms', at],
    ['UTC', '2030-01-31T12:00:00Z'],
    ['no seconds', '2030-01-31T12:00Z'],
    ['a fraction', '2030-01-31T12:00:00.000Z'],
    ['nanoseconds', '2030-01-31T12:00:00.000000000Z'],
    ['a zone', '2030-01-31T14:30:00+02:30'],
    ['a zone that turns the day', '2030-02-01T01:00:00+13:00'],
  ] as [string, Instant][])('reads %s', (_name, value) => {
    expect(parseInstant('expiresAt', value)).toBe(at)
  })

  it('reads its bounds', () => {
    expect(parseInstant('at', 0)).toBe(0)
    expect(parseInstant('at', 8.64e15)).toBe(8.64e15)
    expect(parseInstant('at', '2028-02-29T00:00:00Z')).toBe(Date.UTC(2028, 1, 29))
  })

  it.each(
    [
      Number.NaN,
      -1,
      1.5,
      8.64e15 + 2,
      Number.POSITIVE_INFINITY,
      new Date(Number.NaN),
      new Date(-5),
      '',
      '2030-01-31',
      '2030-01-31T12:00:00',
      '2030-01-31 12:00:00Z',
      '31.01.2030',
      'tomorrow',
      '1893412800000',
      '2030-02-30T00:00:00Z',
      '2029-02-29T00:00:00Z',
      '2030-13-01T00:00:00Z',
      '2030-00-10T00:00:00Z',
      '2030-01-31T24:00:00Z',
      '2030-01-31T12:60:00Z',
      '2030-01-31T12:00:60Z',
      '2030-01-31T12:00:00+25:00',
      '+012030-01-31T12:00:00Z',
      '1969-01-01T00:00:00Z',
      `2030-01-31T12:00:00.${'0'.repeat(500)}Z`,
      null,
      undefined,
      {},
      [],
      true,
      5n,
    ].map((value) => [inspect(value), value] as const),
  )('refuses %s', (_text, value) => {
    const call = () => parseInstant('expiresAt', value as Instant)
    expect(call).toThrow(InvalidInputError)
    expect(call).toThrow('expiresAt is not an instant; give')
  })

  it('insists on a later instant when told so', () => {
    expect(parseInstant('expiresAt', at, { after: at - 1 })).toBe(at)
    expect(() => parseInstant('expiresAt', at, { after: at })).toThrow(
      'expiresAt is 2030-01-31T12:00:00.000Z, not after 2030-01-31T12:00:00.000Z',
    )
    expect(() => parseInstant('expiresAt', Math.round(at / 1000), { after: at - 1 })).toThrow(
      'epoch milliseconds, not seconds',
    )
  })
})
