import { type Duration, formatDuration, parseDuration } from '../kernel/duration.ts'
import { InvalidInputError } from '../kernel/errors.ts'
import { checkFields } from '../kernel/fields.ts'
import { internPolicy, LEVELS, type Level, type Policy, type Quota, type RateLimit, type ToolRule } from '../tokens/policy.ts'
import { parseCidr } from './network.ts'
import type { ScopeCatalog } from './scope-catalog.ts'
import { parseScope } from './scopes.ts'
import { parseTools } from './tools.ts'

/** A rate limit as a caller writes it. */
export interface RateLimitInput {
  /** Units per window, a whole number from 1 to 10^9. */
  readonly limit: number
  /** The window, 1 s to 366 d. */
  readonly per: Duration
  /** How many units may come at once. Default `limit`. One window can see up to limit + burst. */
  readonly burst?: number | undefined
  /** Tells several limits apart: `[a-z0-9_-]`, at most 32 characters. Default: `default`, or the window for several. */
  readonly name?: string | undefined
}

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
  /** IPv4 and IPv6 addresses and CIDRs, at most 256. Absent = from anywhere; an empty list is refused. */
  readonly ipAllow?: readonly string[] | null | undefined
  /** One limit or up to 8, all of which a call must pass. */
  readonly rateLimit?: RateLimitInput | readonly RateLimitInput[] | null | undefined
  readonly quota?: QuotaInput | null | undefined
}

/** The fields of a {@link PolicyInput}. */
export const POLICY_FIELDS: readonly (keyof PolicyInput)[] = ['level', 'scopes', 'tools', 'ipAllow', 'rateLimit', 'quota']

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
  const ipAllow = pick(input.ipAllow, before?.ipAllow, undefined, parseIpAllow)
  const rateLimits = pick(input.rateLimit, before?.rateLimits, undefined, parseRateLimits)
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

/** Checks the units that a call costs: a whole number from 0. */
export function parseCost(value: unknown): number {
  if (!Number.isSafeInteger(value) || (value as number) < 0) {
    throw new InvalidInputError('cost', 'must be a whole number from 0', 'leave it out for 1')
  }
  return value as number
}

function pick<I, T>(input: I | null | undefined, before: T | undefined, cleared: T, parse: (value: I) => T): T {
  if (input === undefined) return before ?? cleared
  return input === null ? cleared : parse(input)
}

function parseScopes(value: unknown, catalog: ScopeCatalog | undefined): readonly string[] {
  const scopes = list('scopes', value, 256).map((scope, i) => {
    // A meta scope such as `readonly` has no action; only a catalogue can know it.
    if (typeof scope === 'string' && catalog?.has(scope)) return scope
    return parseScope(`scopes[${i}]`, scope, { pattern: true })
  })
  catalog?.validate('scopes', scopes)
  return [...new Set(scopes)].sort()
}

function parseIpAllow(value: unknown): readonly string[] {
  const rules = list('ipAllow', value, 256)
  if (rules.length === 0) {
    throw new InvalidInputError('ipAllow', 'is empty, which would refuse everyone', 'leave it out (or give null) to allow every address')
  }
  return [...new Set(rules.map((rule, i) => parseCidr(`ipAllow[${i}]`, rule as string)))]
}

function parseRateLimits(value: unknown): readonly RateLimit[] {
  const several = Array.isArray(value)
  const inputs = several ? list('rateLimit', value, 8) : [value]
  if (inputs.length === 0) throw new InvalidInputError('rateLimit', 'is an empty list', 'leave it out (or give null) for no limit')
  const limits = inputs.map((input, i) => parseRateLimit(several ? `rateLimit[${i}]` : 'rateLimit', input, several && inputs.length > 1))
  if (new Set(limits.map((limit) => limit.name)).size !== limits.length) {
    throw new InvalidInputError('rateLimit', 'has two limits of the same name', 'give each a name of its own')
  }
  return limits
}

function parseRateLimit(field: string, value: unknown, named: boolean): RateLimit {
  const input = checkFields(field, value, ['limit', 'per', 'burst', 'name']) as unknown as RateLimitInput
  const limit = whole(`${field}.limit`, input.limit, 1e9)
  const per = parseDuration(`${field}.per`, input.per, { min: 1000, max: 366 * 86_400_000 })
  const burst = input.burst === undefined ? limit : whole(`${field}.burst`, input.burst, 1e9)
  const name = input.name ?? (named ? formatDuration(per) : 'default')
  if (typeof name !== 'string' || name.length > 32 || !/^[a-z0-9_-]+$/.test(name)) {
    throw new InvalidInputError(`${field}.name`, 'must be up to 32 of a-z, 0-9, _ and -', "write for example 'hourly'")
  }
  if (name === 'quota') throw new InvalidInputError(`${field}.name`, "is 'quota', which names the quota", 'choose another name')
  return { name, limit, per, burst }
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
