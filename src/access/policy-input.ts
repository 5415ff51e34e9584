import { type Duration, parseDuration } from '../kernel/duration.ts'
import { InvalidInputError } from '../kernel/errors.ts'
import { checkFields } from '../kernel/fields.ts'
import { internPolicy, LEVELS, type Level, type Policy, type Quota, type ToolRule } from '../tokens/policy.ts'
import { parseCidrs } from './network.ts'
import { parseRateLimits, type RateLimitOptions } from './rate-limits.ts'
import type { ScopeCatalog } from './scope-catalog.ts'
import { parseScope } from './scopes.ts'
import { parseTools } from './tools.ts'

/** A quota as a caller writes it. */
export interface QuotaInput {
  /** Units per window, a whole number from 1. */
  readonly limit: number
  /** The window, counted from the token's creation, 1 s or more. Default: it never refills. */
  readonly per?: Duration | undefined
}

/** What a token may do, as a caller writes it. In an update an absent field keeps what is there, and `null` clears it. */
export interface PolicyInput {
  /** Default `standard`. */
  readonly level?: Level | null | undefined
  /** `resource:action`, at most 256; `docs:*` only as a whole last part. None = none. */
  readonly scopes?: readonly string[] | null | undefined
  /** Names of tools, or `{ name, args }`. Absent = any; an empty list is refused. */
  readonly tools?: readonly ToolRule[] | null | undefined
  /** IPv4 and IPv6 addresses and CIDRs, at most 1000. Absent = from anywhere; an empty list is refused. */
  readonly ipAllow?: readonly string[] | null | undefined
  /** One limit or up to 8, all of which a call must pass. */
  readonly rateLimit?: RateLimitOptions | readonly RateLimitOptions[] | null | undefined
  readonly quota?: QuotaInput | null | undefined
}

/** The fields of a {@link PolicyInput}. */
export const POLICY_FIELDS: readonly (keyof PolicyInput)[] = [
  'level',
  'scopes',
  'tools',
  'ipAllow',
  'rateLimit',
  'quota',
]

/**
 * Applies what a caller writes to the policy before, and answers the shared object of the result.
 *
 * @param catalog - with one, unknown scopes are refused
 * @throws InvalidInputError naming the field
 */
export function parsePolicy(input: PolicyInput, before: Policy | undefined, catalog: ScopeCatalog | undefined): Policy {
  const level = pick(input.level, before?.level, 'standard' as Level, parseLevel)
  const scopes = pick(input.scopes, before?.scopes, [], (value) => parseScopes(value, catalog))
  const tools = pick(input.tools, before?.tools, undefined, (value) => parseTools('tools', value))
  const ipAllow = pick(input.ipAllow, before?.ipAllow, undefined, (value) => parseCidrs('ipAllow', value))
  const rateLimits = pick(input.rateLimit, before?.rateLimits, undefined, (value) =>
    parseRateLimits('rateLimit', value),
  )
  const quota = pick(input.quota, before?.quota, undefined, parseQuota)
  return internPolicy({
    level,
    scopes,
    ...(tools && { tools }),
    ...(ipAllow && { ipAllow }),
    ...(rateLimits && { rateLimits }),
    ...(quota && { quota }),
  })
}

/** Checks a level. */
export function parseLevel(value: unknown): Level {
  if (!LEVELS.includes(value as Level)) {
    throw new InvalidInputError('level', 'is not a level', `use one of ${LEVELS.join(', ')}`)
  }
  return value as Level
}

function pick<I, T>(input: I | null | undefined, before: T | undefined, cleared: T, parse: (value: I) => T): T {
  if (input === undefined) return before ?? cleared
  return input === null ? cleared : parse(input)
}

function parseScopes(value: unknown, catalog: ScopeCatalog | undefined): readonly string[] {
  const scopes = list('scopes', value, 256).map((scope, i) => {
    // A meta scope such as `readonly` has no action; only a catalogue can know it.
    if (typeof scope === 'string' && catalog?.has(scope)) return scope
    return parseScope(`scopes[${i}]`, scope as string, { pattern: true })
  })
  catalog?.validate('scopes', scopes as string[])
  return scopes.length < 2 ? (scopes as string[]) : [...new Set(scopes as string[])].sort()
}

function parseQuota(value: unknown): Quota {
  const input = checkFields('quota', value, ['limit', 'per']) as unknown as QuotaInput
  const limit = whole('quota.limit', input.limit, Number.MAX_SAFE_INTEGER)
  if (input.per === undefined) return { limit }
  return { limit, per: parseDuration('quota.per', input.per, { min: 1000 }) }
}

function list(field: string, value: unknown, max: number): readonly unknown[] {
  if (!Array.isArray(value) || value.length > max) {
    throw new InvalidInputError(field, `must be a list of at most ${max}`, 'give a list')
  }
  return value
}

function whole(field: string, value: unknown, max: number): number {
  if (!Number.isInteger(value) || (value as number) < 1 || (value as number) > max) {
    throw new InvalidInputError(field, `must be a whole number from 1 to ${max}`, 'leave it out for no limit')
  }
  return value as number
}
