import { deepFreeze } from '../kernel/kind.ts'

/** How much a token may do at the host, ordered; a level implies no scope. */
export type Level = 'read_only' | 'standard' | 'admin'

/** The levels, lowest first. */
export const LEVELS: readonly Level[] = ['read_only', 'standard', 'admin']

/** A value that an argument of a tool may be held to. */
export type ArgValue = string | number | boolean

/** A tool that a token may use: its name, or its name with the values that its arguments may have. */
export type ToolRule =
  | string
  | { readonly name: string; readonly args: { readonly [arg: string]: readonly ArgValue[] } }

/** A rate limit: a bucket of `burst`, refilled evenly at `limit` per `per` ms. One window can see up to limit + burst. */
export interface RateLimit {
  /** Tells several limits of a token apart; appears in the RateLimit headers. `[a-z0-9_-]+` */
  readonly name: string
  /** Units per window. */
  readonly limit: number
  /** The window, ms. */
  readonly per: number
  /** How many units may come at once. */
  readonly burst: number
}

/** A quota: units per fixed window, durable. Windows count from the token's creation; without `per` it never refills. */
export interface Quota {
  readonly limit: number
  /** The window, ms. */
  readonly per?: number
}

/** What a token may do: frozen and interned, so that tokens with the same policy share one object. */
export interface Policy {
  readonly level: Level
  readonly scopes: readonly string[]
  /** Absent = any tool. */
  readonly tools?: readonly ToolRule[]
  /** Absent = from anywhere. Canonical CIDRs. */
  readonly ipAllow?: readonly string[]
  readonly rateLimits?: readonly RateLimit[]
  readonly quota?: Quota
}

const policies = new Map<string, Policy>()

/** The shared object of a policy; the input must be checked already. */
export function internPolicy(policy: Policy): Policy {
  const key = JSON.stringify([
    policy.level,
    policy.scopes,
    policy.tools,
    policy.ipAllow,
    policy.rateLimits,
    policy.quota,
  ])
  const known = policies.get(key)
  if (known !== undefined) return known
  // Sharing is for memory only: when there are more policies than this, the oldest are just no longer shared.
  if (policies.size >= 4096) policies.delete(policies.keys().next().value as string)
  const fresh = deepFreeze({ ...policy })
  policies.set(key, fresh)
  return fresh
}
