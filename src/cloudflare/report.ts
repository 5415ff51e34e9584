import type { HeldGrant } from './compare.ts'
import type { Expiry } from './expiry.ts'
import type { Fault } from './fault.ts'
import type { Grant } from './grant.ts'
import type { HeldGroup } from './token-record.ts'

/** How tokens are: `degraded` = usable, but something is missing, unknown or about to end. */
export type OverallHealth = 'healthy' | 'degraded' | 'unhealthy'

/**
 * Why a target isn't as it should be. Up to `token_mismatch`: it can't be used (`not_found`: nor found; `token_mismatch`: its text is
 * another token's). Up to `budget`: it isn't known whether it can, or what it holds. The last: it is used by its owner, but something
 * about it can't be read, or is held back.
 */
export type TargetReason =
  | 'invalid_token'
  | 'disabled'
  | 'expired'
  | 'not_yet_valid'
  | 'revoked'
  | 'unknown_status'
  | 'not_found'
  | 'token_mismatch'
  | 'ip_restricted'
  | 'wrong_family'
  | 'permissions_unreadable'
  | 'unreachable'
  | 'rate_limited'
  | 'budget'
  | 'expiry_unreadable'
  | 'removed_repeatedly'

/** What was found of one token. */
export interface TargetReport {
  /** The target's name. */
  readonly name: string
  /** Whose token it is; absent where that couldn't be found out. */
  readonly kind?: 'account' | 'user'
  readonly accountId?: string
  readonly tokenId?: string
  readonly health: OverallHealth
  /** Whether it can be used; `null` = not known. */
  readonly valid: boolean | null
  /** Whether it was verified by itself; `null` = its text isn't known here, and `valid` rests on what Cloudflare says of it. */
  readonly verified: boolean | null
  /** The status that Cloudflare gives, whatever it is. */
  readonly status?: string
  /** Why it isn't as it should be. */
  readonly reason?: TargetReason
  /** What Cloudflare said to that. */
  readonly fault?: Fault
  /** Whether its policies could be read. With `unknown` all that follows from them is `null`. */
  readonly permissions: 'read' | 'unknown'
  /** What it needs and lacks. */
  readonly missing: readonly Grant[] | null
  /** Of these, what a policy that denies takes away: it can't be healed. */
  readonly blocked: readonly Grant[] | null
  /** What it has and doesn't need: at most 200 of it. */
  readonly excess: readonly HeldGrant[] | null
  /** How much that is. */
  readonly excessCount: number | null
  /** Groups that it holds and that Cloudflare is giving up. */
  readonly deprecated: readonly HeldGroup[] | null
  /** Fields beside the policies that are otherwise than at the last check: `condition`, `expires_on`, `status` … */
  readonly changed: readonly string[]
  /** When it ends. */
  readonly expiry: Expiry | null
  /** When it was last used, as Cloudflare gives it. */
  readonly lastUsedOn?: string
  /** What is to be said of the configuration. */
  readonly warnings: readonly string[]
  /** What to do, in plain words. */
  readonly recommendations: readonly string[]
}

/** What a check found. */
export interface CheckReport {
  /** When it began, epoch ms. */
  readonly at: number
  readonly overall_health: OverallHealth
  readonly targets: readonly TargetReport[]
  /** Those of all targets, each once. */
  readonly recommendations: readonly string[]
  /** How many requests it took. */
  readonly requests: number
  /** How long it took, ms. */
  readonly durationMs: number
}

const RANKS: readonly OverallHealth[] = ['healthy', 'degraded', 'unhealthy']

/** The worst of several; of none: healthy. */
export function worst(all: readonly OverallHealth[]): OverallHealth {
  return RANKS[Math.max(0, ...all.map((health) => RANKS.indexOf(health)))] as OverallHealth
}

/** How many permissions targets lack together; `null` = that isn't known of all. */
export function missingTogether(targets: readonly Pick<TargetReport, 'missing'>[]): number | null {
  let sum = 0
  for (const { missing } of targets) {
    if (missing === null) return null
    sum += missing.length
  }
  return sum
}

/** The report of a check of all these. */
export function summedUp(
  targets: readonly TargetReport[],
  facts: Pick<CheckReport, 'at' | 'requests' | 'durationMs'>,
): CheckReport {
  const overall_health = worst(targets.map(({ health }) => health))
  const recommendations = [...new Set(targets.flatMap((target) => target.recommendations))]
  return { ...facts, overall_health, targets, recommendations }
}
