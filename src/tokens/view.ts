import type { Stored } from '../kernel/kind.ts'
import { statusOf, type TokenRecord, type TokenVersion } from './record.ts'
import type { TokenView, VersionView } from './token-view.ts'
import { currentOf, endOf, type Lifetime, lastEnd } from './versions.ts'

/** Grace of a rotation where neither the call, the token nor the host's defaults name one, ms. */
export const DEFAULT_GRACE = 24 * 3_600_000

/**
 * What may be told of a stored token, as of `now`: a plain frozen object without digests.
 *
 * @param stored - the record
 * @param now - the instant that decides whether it has expired, epoch ms
 */
export function viewOf(stored: Stored<TokenRecord>, now: number): TokenView {
  const { value: token, revision } = stored
  const { policy, format, lifetime, about } = token
  const status = statusOf(token)
  const mark = token.revoked ?? token.disabled
  const view: Mutable<TokenView> = {
    id: token.id,
    service: token.service,
    type: format.type,
    preview: `${currentOf(token.versions).preview}…`,
    status: status !== 'revoked' && now >= lastEnd(token.versions, lifetime) ? 'expired' : status,
    level: policy.level,
    scopes: policy.scopes,
    retrievable: format.retrievable,
    createdAt: token.createdAt,
    updatedAt: token.updatedAt ?? token.createdAt,
    grace: lifetime?.grace ?? DEFAULT_GRACE,
    versions: versionViews(token.versions, lifetime),
    revision,
  }
  // One by one: spreading what mostly isn't there costs more than the rest of this function.
  if (policy.tools !== undefined) view.tools = policy.tools
  if (policy.ipAllow !== undefined) view.ipAllow = policy.ipAllow
  if (policy.rateLimits !== undefined) view.rateLimits = policy.rateLimits
  if (policy.quota !== undefined) view.quota = policy.quota
  if (about !== undefined) Object.assign(view, about)
  if (lifetime?.expiresAt !== undefined) view.expiresAt = lifetime.expiresAt
  if (lifetime?.expiresIn !== undefined) view.expiresIn = lifetime.expiresIn
  if (token.canary) view.canary = true
  if (token.disabled !== undefined) view.disabledAt = token.disabled.at
  if (token.revoked !== undefined) view.revokedAt = token.revoked.at
  if (mark?.reason !== undefined) view.reason = mark.reason
  return Object.freeze(view)
}

type Mutable<T> = { -readonly [key in keyof T]: T[key] }

function versionViews(versions: readonly TokenVersion[], lifetime: Lifetime | undefined): readonly VersionView[] {
  const views: VersionView[] = []
  for (let i = versions.length - 1; i >= 0; i--) views.push(versionView(versions[i] as TokenVersion, lifetime))
  return Object.freeze(views)
}

function versionView(version: TokenVersion, lifetime: Lifetime | undefined): VersionView {
  const view: Mutable<VersionView> = {
    number: version.n,
    state: version.state,
    preview: `${version.preview}…`,
    createdAt: version.createdAt,
  }
  const end = endOf(version, lifetime)
  if (version.supersededAt !== undefined) view.supersededAt = version.supersededAt
  if (Number.isFinite(end)) view.endsAt = end
  return Object.freeze(view)
}
