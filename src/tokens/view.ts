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
  return Object.freeze({
    id: token.id,
    service: token.service,
    type: format.type,
    preview: `${currentOf(token.versions).preview}…`,
    status: status !== 'revoked' && now >= lastEnd(token.versions, lifetime) ? 'expired' : status,
    level: policy.level,
    scopes: policy.scopes,
    ...(policy.tools && { tools: policy.tools }),
    ...(policy.ipAllow && { ipAllow: policy.ipAllow }),
    ...(policy.rateLimits && { rateLimits: policy.rateLimits }),
    ...(policy.quota && { quota: policy.quota }),
    ...about,
    retrievable: format.retrievable,
    createdAt: token.createdAt,
    updatedAt: token.updatedAt ?? token.createdAt,
    ...(lifetime?.expiresAt !== undefined && { expiresAt: lifetime.expiresAt }),
    ...(lifetime?.expiresIn !== undefined && { expiresIn: lifetime.expiresIn }),
    grace: lifetime?.grace ?? DEFAULT_GRACE,
    ...(token.disabled && { disabledAt: token.disabled.at }),
    ...(token.revoked && { revokedAt: token.revoked.at }),
    ...(mark?.reason !== undefined && { reason: mark.reason }),
    versions: Object.freeze(token.versions.map((version) => versionView(version, lifetime)).reverse()),
    revision,
  })
}

function versionView(version: TokenVersion, lifetime: Lifetime | undefined): VersionView {
  const end = endOf(version, lifetime)
  return Object.freeze({
    number: version.n,
    state: version.state,
    preview: `${version.preview}…`,
    createdAt: version.createdAt,
    ...(version.supersededAt !== undefined && { supersededAt: version.supersededAt }),
    ...(Number.isFinite(end) && { endsAt: end }),
  })
}
