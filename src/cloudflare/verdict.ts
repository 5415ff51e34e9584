import type { Expiry } from './expiry.ts'
import { instantOf } from './expiry.ts'
import { type Fault, locationOf } from './fault.ts'
import { describe } from './grant.ts'
import { TOKEN_WRITE } from './known-groups.ts'
import type { OverallHealth, TargetReason, TargetReport } from './report.ts'

/** Why a token can't be used, by what Cloudflare says of it; `undefined` when it can. */
export function unusable(
  status: string,
  notBefore: string | undefined,
  expiry: Expiry,
  now: number,
): TargetReason | undefined {
  if (status === 'disabled') return 'disabled'
  // `revoked (exposed)`: found in public by Cloudflare's partners.
  if (status.startsWith('revoked')) return 'revoked'
  if (status === 'expired' || expiry.severity === 'expired') return 'expired'
  if (status !== 'active') return 'unknown_status'
  const from = notBefore === undefined ? undefined : instantOf(notBefore)
  return from !== undefined && from > now ? 'not_yet_valid' : undefined
}

/** What it means that a token's own verification failed: whether it is valid, and why not. */
export function verificationFailed(fault: Fault): { readonly valid: boolean | null; readonly reason: TargetReason } {
  switch (fault.kind) {
    case 'invalid_token':
      return { valid: false, reason: 'invalid_token' }
    case 'unauthenticated':
      return { valid: false, reason: 'invalid_token' }
    case 'ip_restricted':
      return { valid: null, reason: 'ip_restricted' }
    case 'wrong_family':
      return { valid: null, reason: 'wrong_family' }
    default:
      return { valid: null, reason: unreachable(fault) }
  }
}

/** What it means that a token couldn't be read. */
export function readingFailed(fault: Fault): TargetReason {
  if (fault.kind === 'not_found') return 'not_found'
  const reason = unreachable(fault)
  return reason === 'unreachable' && !isDown(fault) ? 'permissions_unreadable' : reason
}

function isDown({ kind }: Fault): boolean {
  return kind === 'network' || kind === 'timeout' || kind === 'server' || kind === 'unreadable'
}

function unreachable({ kind }: Fault): TargetReason {
  return kind === 'rate_limited' || kind === 'budget' ? kind : 'unreachable'
}

/** How a target is. */
export function healthOf(
  { valid, permissions, missing, excessCount, expiry, reason }: Omit<TargetReport, 'health' | 'recommendations'>,
  strict: boolean,
): OverallHealth {
  if (valid === false) return 'unhealthy'
  const ending = expiry !== null && ['warning', 'critical', 'unreadable'].includes(expiry.severity)
  const short = valid === null || permissions === 'unknown' || missing === null || missing.length > 0
  const wide = strict && (excessCount ?? 0) > 0
  return short || ending || wide || reason !== undefined ? 'degraded' : 'healthy'
}

const UNUSED_DAYS = 90
const DAY = 86_400_000

/** What to do about a target, in plain words. */
export function recommend(report: Omit<TargetReport, 'health' | 'recommendations'>, now: number): string[] {
  const { name, missing, blocked, excessCount, deprecated, expiry, changed, lastUsedOn } = report
  const told = [...reasonWords(report)]
  const addable = missing?.filter((grant) => blocked?.includes(grant) !== true) ?? []
  if (addable.length > 0) {
    told.push(
      `${name}: lacks ${addable.length} of its permissions: ${list(addable.map((grant) => grant.name))}; plan() shows what heals it`,
    )
  }
  for (const grant of blocked ?? []) {
    told.push(`${name}: a policy that denies takes away ${describe(grant)}; change that policy by hand`)
  }
  if ((excessCount ?? 0) > 0) {
    told.push(
      `${name}: holds ${excessCount === 1 ? '1 permission' : `${excessCount} permissions`} that nothing asks for; narrow() plans to take it away`,
    )
  }
  for (const group of deprecated ?? []) {
    const end = group.endsOn === undefined ? '' : ` (ends ${group.endsOn})`
    told.push(`${name}: the permission group ${group.name ?? group.id} is being given up by Cloudflare${end}`)
  }
  if (changed.length > 0)
    told.push(`${name}: ${changed.join(', ')} changed since the last check; make sure that you know by whom`)
  if (expiry !== null) told.push(...expiryWords(name, expiry, now))
  const used = lastUsedOn === undefined ? undefined : instantOf(lastUsedOn)
  if (used !== undefined && now - used > UNUSED_DAYS * DAY) {
    told.push(`${name}: hasn't been used for ${Math.floor((now - used) / DAY)} days; delete it if nobody misses it`)
  }
  return told
}

function reasonWords({
  name,
  reason,
  kind,
  fault,
  status,
}: Omit<TargetReport, 'health' | 'recommendations'>): string[] {
  const group = TOKEN_WRITE[kind ?? 'account']
  const from = locationOf(fault?.message)
  switch (reason) {
    case 'invalid_token':
      return [`${name}: Cloudflare doesn't know this token; create or roll it, and hand out the new value`]
    case 'disabled':
      return [`${name}: is disabled; enable it in the dashboard if it should work`]
    case 'expired':
      return [`${name}: has expired; create a new one (a healer extends no expiry)`]
    case 'not_yet_valid':
      return [`${name}: isn't valid yet; look at its not_before`]
    case 'revoked':
      return [`${name}: was revoked by Cloudflare (${status}); find out where it leaked, then create a new one`]
    case 'unknown_status':
      return [`${name}: has the status '${status}', which isn't known here; look at it in the dashboard`]
    case 'not_found':
      return [`${name}: isn't there; look at its ids of account and token`]
    case 'token_mismatch':
      return [`${name}: the token's text and its tokenId are of two different tokens; mend the configuration`]
    case 'ip_restricted':
      return [`${name}: its condition doesn't allow ${from ?? 'this address'}; verify it from where it is used`]
    case 'wrong_family':
      return [`${name}: was asked for at the wrong place; look at kind and accountId`]
    case 'permissions_unreadable':
      return [`${name}: its policies can't be read; the healer's credential needs '${group}' (or Read)`]
    case 'unreachable':
      return [`${name}: Cloudflare couldn't be asked (${fault?.kind ?? 'no answer'}); what it lacks isn't known`]
    case 'rate_limited':
      return [`${name}: Cloudflare takes no more calls for the time being; check less often`]
    case 'budget':
      return [`${name}: wasn't asked for, since the check had used up its requests; raise maxRequests`]
    case 'removed_repeatedly':
      return [`${name}: somebody keeps removing what is granted; find out why, then resetCircuit`]
    default:
      return []
  }
}

function expiryWords(name: string, { severity, at }: Expiry, now: number): string[] {
  if (severity === 'none') return [`${name}: has no expiry; give it one, so that a lost one ends by itself`]
  if (severity === 'unreadable') return [`${name}: its expiry can't be read; look at it in the dashboard`]
  if (at === undefined || severity === 'far' || severity === 'expired') return []
  const left = Math.ceil((at - now) / DAY)
  return [`${name}: ends in ${left} ${left === 1 ? 'day' : 'days'}; create its successor in time`]
}

function list(names: readonly string[]): string {
  const some = names.slice(0, 5).join(', ')
  return names.length > 5 ? `${some} …` : some
}
