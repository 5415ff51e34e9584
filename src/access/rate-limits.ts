import { type Duration, parseDuration } from '../kernel/duration.ts'
import { InvalidInputError } from '../kernel/errors.ts'
import { checkFields } from '../kernel/fields.ts'
import type { RateLimit } from '../tokens/policy.ts'

/** A rate limit as the host writes it. */
export interface RateLimitOptions {
  /** Units per window: 1 to 10^9. */
  readonly limit: number
  /** The window: 1 second to 366 days. */
  readonly per: Duration
  /** The bucket, how many units may come at once: 1 to 10^9. Default: `limit`. */
  readonly burst?: number
  /** Tells several limits of a token apart: 1 to 32 of `a-z 0-9 _ -`. Default: `default`, then `limit-2`, `limit-3` … */
  readonly name?: string
}

/** How many rate limits one token may have. */
const MAX_LIMITS = 8
const MAX_UNITS = 1_000_000_000
const MAX_WINDOW = 366 * 86_400_000
const NAME = /^[a-z0-9_-]{1,32}$/

/**
 * Checks the rate limits of a token.
 *
 * @param field - the option, as the caller writes it
 * @param value - one limit, or 1 to 8 with different names
 * @returns complete limits, frozen
 * @throws InvalidInputError naming what can't be used
 * @example
 * ```ts
 * parseRateLimits('rateLimit', { limit: 1000, per: '1h', burst: 50 })
 * // [{ name: 'default', limit: 1000, per: 3600000, burst: 50 }]
 * ```
 */
export function parseRateLimits(
  field: string,
  value: RateLimitOptions | readonly RateLimitOptions[],
): readonly RateLimit[] {
  if (!Array.isArray(value)) return Object.freeze([readLimit(field, value as RateLimitOptions, 'default')])
  if (value.length === 0) throw new InvalidInputError(field, 'is empty', 'give a limit, or leave it out for none')
  if (value.length > MAX_LIMITS) throw new InvalidInputError(field, `has over ${MAX_LIMITS} entries`, 'give fewer')
  const limits = (value as readonly RateLimitOptions[]).map((options, i) =>
    readLimit(`${field}[${i}]`, options, i === 0 ? 'default' : `limit-${i + 1}`),
  )
  const names = new Set<string>()
  limits.forEach((limit, i) => {
    if (names.has(limit.name))
      throw new InvalidInputError(`${field}[${i}].name`, `repeats ${limit.name}`, 'give each its own name')
    names.add(limit.name)
  })
  return Object.freeze(limits)
}

function readLimit(field: string, options: RateLimitOptions, defaultName: string): RateLimit {
  checkFields(field, options, ['limit', 'per', 'burst', 'name'])
  const limit = units(`${field}.limit`, options.limit)
  const per = parseDuration(`${field}.per`, options.per, { min: 1000, max: MAX_WINDOW })
  const burst = options.burst === undefined ? limit : units(`${field}.burst`, options.burst)
  const name = options.name ?? defaultName
  // The quota goes by that name in answers and headers.
  if (typeof name !== 'string' || !NAME.test(name) || name === 'quota') {
    throw new InvalidInputError(
      `${field}.name`,
      'is not a name of a limit',
      'use 1 to 32 of a-z 0-9 _ -, and not "quota"',
    )
  }
  return Object.freeze({ name, limit, per, burst })
}

function units(field: string, value: number): number {
  if (Number.isInteger(value) && value >= 1 && value <= MAX_UNITS) return value
  throw new InvalidInputError(
    field,
    'is not a whole number from 1 to 10^9',
    'give such a number, or leave the limit out for none',
  )
}
