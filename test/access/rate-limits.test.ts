import { describe, expect, it } from 'vitest'
import { parseRateLimits, type RateLimitOptions } from '../../src/access/rate-limits.ts'
import { InvalidInputError } from '../../src/kernel/errors.ts'

describe('parseRateLimits', () => {
  it('completes one limit or several, frozen', () => {
    const one = parseRateLimits('rateLimit', { limit: 1000, per: '1h', burst: 50 })
    expect(one).toEqual([{ name: 'default', limit: 1000, per: 3_600_000, burst: 50 }])
    expect(Object.isFrozen(one) && Object.isFrozen(one[0])).toBe(true)
    expect(
      parseRateLimits('rateLimit', [
        { limit: 5, per: 1000 },
        { limit: 9, per: '1m', name: 'minute' },
        { limit: 7, per: '1d' },
      ]),
    ).toEqual([
      { name: 'default', limit: 5, per: 1000, burst: 5 },
      { name: 'minute', limit: 9, per: 60_000, burst: 9 },
      { name: 'limit-3', limit: 7, per: 86_400_000, burst: 7 },
    ])
  })

  it.each([
    [null, 'rateLimit must be an object'],
    [5, 'rateLimit must be an object'],
    [[], 'rateLimit is empty'],
    [new Array(9).fill({ limit: 1, per: '1s' }), 'rateLimit has over 8 entries'],
    [{ limit: 0, per: '1s' }, 'rateLimit.limit is not a whole number'],
    [{ limit: -1, per: '1s' }, 'rateLimit.limit is not a whole number'],
    [{ limit: 1.5, per: '1s' }, 'rateLimit.limit is not a whole number'],
    [{ limit: Number.NaN, per: '1s' }, 'rateLimit.limit is not a whole number'],
    [{ limit: 2e9, per: '1s' }, 'rateLimit.limit is not a whole number'],
    [{ limit: '5', per: '1s' }, 'rateLimit.limit is not a whole number'],
    [{ limit: 5, per: '1s', burst: 0 }, 'rateLimit.burst is not a whole number'],
    [{ limit: 5 }, 'rateLimit.per is not a duration'],
    [{ limit: 5, per: 60 }, 'rateLimit.per is shorter than 1s; numbers are milliseconds; write "60s"'],
    [{ limit: 5, per: '367d' }, 'rateLimit.per is longer than 366d'],
    [{ limit: 5, per: '1s', name: 'A' }, 'rateLimit.name is not a name'],
    [{ limit: 5, per: '1s', name: '' }, 'rateLimit.name is not a name'],
    [{ limit: 5, per: '1s', name: 'quota' }, 'rateLimit.name is not a name'],
    [{ limit: 5, per: '1s', name: 'x'.repeat(33) }, 'rateLimit.name is not a name'],
    [
      [
        { limit: 5, per: '1s' },
        { limit: 6, per: '1m', name: 'default' },
      ],
      'rateLimit[1].name repeats default',
    ],
    [
      [
        { limit: 5, per: '1s' },
        { limit: 0, per: '1m' },
      ],
      'rateLimit[1].limit is not a whole number',
    ],
  ])('refuses %j', (value, message) => {
    expect(() => parseRateLimits('rateLimit', value as RateLimitOptions)).toThrow(InvalidInputError)
    expect(() => parseRateLimits('rateLimit', value as RateLimitOptions)).toThrow(message)
  })
})
