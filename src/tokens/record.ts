import { type Kind, NEVER, type OrderKey } from '../kernel/kind.ts'
import { digestKeys } from './digest.ts'
import { internFormat } from './format.ts'
import { mergeTokens } from './merge.ts'
import { internPolicy } from './policy.ts'
import type { TokenLifetime, TokenRecord, TokenVersion } from './stored-token.ts'
import { currentOf, endOf, faultOf, lastEnd, nextHousekeeping } from './versions.ts'

export type { About, Mark, TokenLifetime, TokenRecord, TokenVersion } from './stored-token.ts'

/** The instant from which a version's age counts, epoch ms: the slot of the rule that made it, else its making. */
export function dateOf(version: TokenVersion): number {
  return version.datedAt ?? version.createdAt
}

/** A version's digests stay known this long after its end, so that it answers `expired` or `revoked`, ms. */
export const RETIRED_RETENTION = 30 * 86_400_000

/**
 * A first version and a new record, written out by case: an object literal takes what its fields need, one with added
 * or spread fields up to twice as much.
 */
export function newRecord(
  draft: Omit<TokenRecord, 'versions'>,
  proof: Pick<TokenVersion, 'preview' | 'digests' | 'sealed' | 'datedAt'>,
): TokenRecord {
  const { id, service, format, policy, createdAt, lifetime, about, canary } = draft
  const { preview, digests, sealed, datedAt } = proof
  const state = 'current'
  const versions: TokenVersion[] =
    sealed === undefined
      ? [{ n: 1, state, createdAt, preview, digests }]
      : [{ n: 1, state, createdAt, preview, digests, sealed }]
  if (datedAt !== undefined) versions[0] = { ...(versions[0] as TokenVersion), datedAt }
  if (canary) return { ...draft, versions }
  if (lifetime === undefined) {
    if (about === undefined) return { id, service, format, policy, createdAt, versions }
    return { id, service, format, policy, createdAt, about, versions }
  }
  if (about === undefined) return { id, service, format, policy, createdAt, lifetime, versions }
  return { id, service, format, policy, createdAt, lifetime, about, versions }
}

const lifetimes = new Map<string, TokenLifetime>()

/** The shared object of a lifetime without an instant; another as it is. */
export function internLifetime(lifetime: TokenLifetime): TokenLifetime {
  const { expiresIn, expiresAt, grace } = lifetime
  if (expiresAt !== undefined) return lifetime
  const key = `${expiresIn} ${grace}`
  let known = lifetimes.get(key)
  if (known === undefined) {
    if (lifetimes.size >= 1024) lifetimes.clear()
    known = Object.freeze({ ...lifetime })
    lifetimes.set(key, known)
  }
  return known
}

/** The order indexes of tokens; each serves one sort of query as a range. */
export type TokenOrder =
  | 'created'
  | 'rotated'
  | 'ends'
  | 'warning'
  | 'grace'
  | 'pendingUntil'
  | 'housekeeping'
  | 'removable'
  | 'owner'
  | 'level'
  | 'type'
  | 'status'
  | 'tag'
  | 'keyId'
  | 'scheme'

/** The stored status; `expired` is a matter of time and is told by the index `ends`. */
export function statusOf(record: TokenRecord): 'active' | 'disabled' | 'revoked' {
  return record.revoked !== undefined ? 'revoked' : record.disabled !== undefined ? 'disabled' : 'active'
}

/** When the token ends for good, epoch ms; `Infinity` when no end is set. A revoked one ended then. */
export function endOfToken(record: TokenRecord): number {
  return record.revoked === undefined ? lastEnd(record.versions, record.lifetime) : record.revoked.at
}

/** Expiry is announced this many days ahead, where the version lives longer than that. */
const WARNING_DAYS: readonly number[] = [14, 3, 1]

/** The next expiry warning of a token's current version; `undefined` when there is none to come. */
export function nextWarning(
  token: TokenRecord,
): { readonly at: number; readonly days: number; readonly endsAt: number } | undefined {
  if (token.revoked !== undefined) return undefined
  const current = currentOf(token.versions)
  const endsAt = endOf(current, token.lifetime)
  if (!Number.isFinite(endsAt)) return undefined
  for (const days of WARNING_DAYS) {
    const at = endsAt - days * 86_400_000
    if (at > current.createdAt && (token.warnedDays === undefined || days < token.warnedDays))
      return { at, days, endsAt }
  }
  return undefined
}

/** Tokens: found by the digests of their versions and by name. */
export const tokenKind: Kind<TokenRecord, TokenOrder, 'digest' | 'service'> = {
  name: 'token',
  schema: 1,
  journaled: true,
  unique: {
    digest: (token) => {
      const only = token.versions.length === 1 ? token.versions[0] : undefined
      return only === undefined ? token.versions.flatMap((v) => digestKeys(v.digests)) : digestKeys(only.digests)
    },
    service: (token) => (token.revoked !== undefined || token.nameReleased ? [] : [token.service]),
  },
  order: {
    created: (token) => ({ at: token.createdAt }),
    rotated: (token) => (token.revoked === undefined ? { at: dateOf(currentOf(token.versions)) } : undefined),
    ends: (token) =>
      token.revoked === undefined ? finite(endOf(currentOf(token.versions), token.lifetime)) : undefined,
    warning: (token) => {
      const next = nextWarning(token)
      return next === undefined ? undefined : { at: next.at }
    },
    grace: (token) => earliest(token.versions, 'graceUntil'),
    pendingUntil: (token) => earliest(token.versions, 'pendingUntil'),
    housekeeping: (token) => {
      const at = nextHousekeeping(token.versions, RETIRED_RETENTION)
      return at === undefined ? undefined : { at }
    },
    removable: (token) => finite(endOfToken(token)),
    owner: (token) => (token.about?.owner === undefined ? undefined : { in: token.about.owner, at: token.createdAt }),
    level: (token) => ({ in: token.policy.level, at: token.createdAt }),
    type: (token) => ({ in: token.format.type, at: token.createdAt }),
    status: (token) => ({ in: statusOf(token), at: token.createdAt }),
    tag: (token) => token.about?.tags?.map((tag) => ({ in: tag, at: token.createdAt })),
    keyId: (token) => proofs(token, false),
    scheme: (token) => proofs(token, true),
  },
  keeps: 'digest',
  refuses: (token) => faultOf(token.versions),
  merge: (here, archived, prefer) => (here === undefined ? archived : mergeTokens(here, archived, prefer)),
  revive: (token) => {
    const shared = { ...token, format: internFormat(token.format), policy: internPolicy(token.policy) }
    return token.lifetime === undefined ? shared : { ...shared, lifetime: internLifetime(token.lifetime) }
  },
}

/** The ids of imported digests begin with it. */
const COLON = 58

function finite(at: number): OrderKey | undefined {
  return Number.isFinite(at) ? { at } : undefined
}

function earliest(versions: readonly TokenVersion[], field: 'graceUntil' | 'pendingUntil'): OrderKey | undefined {
  let at: number | undefined
  for (const v of versions) {
    const end = v.state === 'retired' ? undefined : v[field]
    if (end !== undefined && (at === undefined || end < at)) at = end
  }
  return at === undefined ? undefined : { at }
}

/** Who can prove a live version: by key or scheme, at the end of the last version that hangs on it. */
function proofs(token: TokenRecord, imported: boolean): OrderKey | OrderKey[] | undefined {
  if (token.revoked !== undefined) return undefined
  let keys: { in: string; at: number }[] | undefined
  for (const version of token.versions) {
    if (version.state === 'retired') continue
    const at = Math.min(endOf(version, token.lifetime), NEVER)
    for (const id in version.digests) {
      if ((id.charCodeAt(0) === COLON) !== imported) continue
      const known = keys?.find((key) => key.in === id)
      if (known !== undefined) known.at = Math.max(known.at, at)
      else if (keys === undefined) keys = [{ in: id, at }]
      else keys.push({ in: id, at })
    }
  }
  return keys
}
