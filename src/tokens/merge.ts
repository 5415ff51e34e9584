import type { Mark, TokenLifetime, TokenRecord, TokenVersion } from './stored-token.ts'
import { currentOf } from './versions.ts'

/**
 * What a restore makes of a token that is in the store and in the archive. Never more than either allows to live on:
 *
 * - revoked in one is revoked; disabled in the store stays disabled; a name that was given up stays given up;
 * - the list of versions is taken whole from one of the two, so that there is one current version, and then bounded by
 *   the other: what is retired in one is retired, and a deadline is the earlier of two. An archived list whose current
 *   version the store has superseded since isn't taken;
 * - what the token may do comes from the newer record, or from the archived one where that is preferred; an older
 *   record doesn't lengthen its life.
 *
 * @param here - the token in the store
 * @param archived - the token in the archive
 * @param prefer - whose word counts where both will do
 */
export function mergeTokens(here: TokenRecord, archived: TokenRecord, prefer: 'newer' | 'archived'): TokenRecord {
  const newer = isNewer(archived, here)
  const taken = newer || prefer === 'archived' ? archived : here
  const lifetime = newer ? archived.lifetime : shorter(taken.lifetime, here.lifetime)
  const disabled = here.disabled ?? taken.disabled
  const revoked = earlier(here.revoked, archived.revoked)
  const updatedAt = Math.max(changedAt(here), changedAt(archived))
  const { lifetime: _l, disabled: _d, revoked: _r, nameReleased: _n, updatedAt: _u, ...rest } = taken
  return {
    ...rest,
    versions: mergeVersions(here, archived, taken, newer),
    ...(updatedAt > rest.createdAt && { updatedAt }),
    ...(lifetime !== undefined && { lifetime }),
    ...(disabled !== undefined && { disabled }),
    ...(revoked !== undefined && { revoked }),
    // Once a trap, never a key.
    ...((here.canary || archived.canary) && { canary: true as const }),
    ...((here.nameReleased || archived.nameReleased) && { nameReleased: true as const }),
  }
}

function changedAt(token: TokenRecord): number {
  return token.updatedAt ?? token.createdAt
}

/** Whether a record was changed later than another; what was rotated further counts as later at the same time. */
function isNewer(a: TokenRecord, b: TokenRecord): boolean {
  const apart = changedAt(a) - changedAt(b)
  return apart > 0 || (apart === 0 && (a.versions.at(-1)?.n ?? 0) > (b.versions.at(-1)?.n ?? 0))
}

function mergeVersions(
  here: TokenRecord,
  archived: TokenRecord,
  taken: TokenRecord,
  newer: boolean,
): readonly TokenVersion[] {
  const base = taken === archived && standsIn(archived, here, newer) ? archived : here
  const other = base === here ? archived : here
  const current = currentOf(base.versions)
  const known = here.versions.at(-1)?.n ?? 0
  const merged = base.versions.map((version) => {
    const twin = twinOf(version, other.versions)
    if (twin !== undefined) return bounded(version, twin, version === current)
    // A number that the store has given and knows no more: that version has ended and was forgotten.
    return base === archived && version !== current && version.n <= known ? ended(version) : version
  })
  // A number is never given twice: what the other record has beyond is remembered, and ends.
  const last = base.versions.at(-1)?.n ?? 0
  for (const version of other.versions) if (version.n > last) merged.push(ended(version))
  return merged
}

/**
 * Whether an archived list of versions may take the place of the store's: not when its current version has ended here,
 * nor, unless it is newer and so knows better, when that version is superseded or unknown here.
 */
function standsIn(archived: TokenRecord, here: TokenRecord, newer: boolean): boolean {
  const twin = twinOf(currentOf(archived.versions), here.versions)
  return newer ? twin?.state !== 'retired' : twin?.state === 'current'
}

/** The same version in another list: of the same number, and of the same text as far as its digests tell. */
function twinOf(version: TokenVersion, others: readonly TokenVersion[]): TokenVersion | undefined {
  return others.find(
    (other) =>
      other.n === version.n && Object.keys(other.digests).some((id) => other.digests[id] === version.digests[id]),
  )
}

/** A version, living no longer than its twin and proved by all that proves either. */
function bounded(version: TokenVersion, twin: TokenVersion, isCurrent: boolean): TokenVersion {
  const digests = { ...twin.digests, ...version.digests }
  if (isCurrent) return { ...version, digests }
  if (version.state === 'retired' || twin.state === 'retired') {
    const endedAt = Math.min(endedOf(version), endedOf(twin))
    const revoked = version.ended === 'revoked' || twin.ended === 'revoked'
    const retired = version.state === 'retired' ? version : twin
    return { ...retired, endedAt, ended: revoked ? 'revoked' : 'expired', digests }
  }
  const graceUntil = least(version.graceUntil, twin.graceUntil)
  const pendingUntil = version.state === 'pending' ? least(version.pendingUntil, twin.pendingUntil) : undefined
  const { graceUntil: _g, pendingUntil: _p, ...rest } = version
  return {
    ...rest,
    digests,
    ...(version.state === 'previous' && graceUntil !== undefined && { graceUntil }),
    ...(pendingUntil !== undefined && { pendingUntil }),
  }
}

function endedOf(version: TokenVersion): number {
  return version.state === 'retired' ? (version.endedAt ?? version.createdAt) : Number.POSITIVE_INFINITY
}

/** A version that ends with the restore: since when is not known, so since it was made. */
function ended(version: TokenVersion): TokenVersion {
  if (version.state === 'retired') return version
  const { pendingUntil: _p, graceUntil: _g, ...rest } = version
  const { createdAt } = version
  return {
    ...rest,
    state: 'retired',
    supersededAt: version.supersededAt ?? createdAt,
    endedAt: createdAt,
    ended: 'revoked',
  }
}

function earlier(a: Mark | undefined, b: Mark | undefined): Mark | undefined {
  if (a === undefined || b === undefined) return a ?? b
  return b.at < a.at ? b : a
}

function least(a: number | undefined, b: number | undefined): number | undefined {
  return a === undefined || b === undefined ? (a ?? b) : Math.min(a, b)
}

/** A lifetime that ends no later than another. */
function shorter(lifetime: TokenLifetime | undefined, other: TokenLifetime | undefined): TokenLifetime | undefined {
  if (other === undefined || lifetime === other) return lifetime
  const expiresAt = least(lifetime?.expiresAt, other.expiresAt)
  const expiresIn = least(lifetime?.expiresIn, other.expiresIn)
  if (expiresAt === undefined && expiresIn === undefined) return lifetime
  return {
    ...lifetime,
    ...(expiresIn !== undefined && { expiresIn }),
    ...(expiresAt !== undefined && { expiresAt }),
  }
}
