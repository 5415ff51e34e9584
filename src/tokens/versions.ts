/** Where a version stands in its life. */
export type VersionState = 'pending' | 'current' | 'previous' | 'retired'

/**
 * One version of a credential: of a token, or of a signing key. Never changed in place; every function here takes a
 * list of versions, newest last, and answers a new one. All are pure.
 */
export interface Version {
  /** 1 for the first, then counting up. */
  readonly n: number
  readonly state: VersionState
  /** When it was made, epoch ms. */
  readonly createdAt: number
  /** When it was superseded, epoch ms. */
  readonly supersededAt?: number
  /** `previous`: refused from this instant on, epoch ms. */
  readonly graceUntil?: number
  /** `pending`: refused from this instant on, epoch ms. */
  readonly pendingUntil?: number
  /** `retired`: when it ended, epoch ms. */
  readonly endedAt?: number
  /** `retired`: whether it ran out or was ended. */
  readonly ended?: 'expired' | 'revoked'
}

/** What bounds the life of every version. */
export interface Lifetime {
  /** How long a version lives from its making, ms. */
  readonly expiresIn?: number
  /** When all of them end, epoch ms. */
  readonly expiresAt?: number
}

/** At most this many versions may verify at once. */
export const MAX_LIVE_VERSIONS = 3

/** When a version stops verifying, epoch ms; `Infinity` when no end is set. */
export function endOf(version: Version, lifetime: Lifetime | undefined): number {
  if (version.state === 'retired') return version.endedAt ?? 0
  let end = version.graceUntil ?? version.pendingUntil ?? Number.POSITIVE_INFINITY
  if (lifetime !== undefined) {
    if (lifetime.expiresAt !== undefined && lifetime.expiresAt < end) end = lifetime.expiresAt
    if (lifetime.expiresIn !== undefined && version.createdAt + lifetime.expiresIn < end) {
      end = version.createdAt + lifetime.expiresIn
    }
  }
  return end
}

/** The current version. Every list has exactly one. */
export function currentOf<V extends Version>(versions: readonly V[]): V {
  for (let i = versions.length - 1; i >= 0; i--) {
    const version = versions[i] as V
    if (version.state === 'current') return version
  }
  throw new TypeError('a list of versions has no current one')
}

/** When the last of the versions stops verifying, epoch ms; `Infinity` when no end is set. */
export function lastEnd(versions: readonly Version[], lifetime: Lifetime | undefined): number {
  let last = 0
  for (const version of versions) if (version.state !== 'retired') last = Math.max(last, endOf(version, lifetime))
  return last
}

/** The versions that verify at `now`. */
export function liveVersions<V extends Version>(
  versions: readonly V[],
  lifetime: Lifetime | undefined,
  now: number,
): V[] {
  return versions.filter((version) => version.state !== 'retired' && now < endOf(version, lifetime))
}

/** Adds a version that verifies from now on, while the current one stays current. The list must have no pending one. */
export function begin<V extends Version>(
  versions: readonly V[],
  fresh: Omit<V, keyof Version>,
  now: number,
  pendingUntil: number,
): V[] {
  return checked([
    ...versions,
    { n: nextNumber(versions), state: 'pending', createdAt: now, pendingUntil, ...fresh } as unknown as V,
  ])
}

/**
 * Makes the pending version current. The current one becomes previous until `min(its own end, now + grace)`, or is
 * retired at once as revoked, together with all previous ones, when `grace` is 0.
 */
export function promote<V extends Version>(
  versions: readonly V[],
  lifetime: Lifetime | undefined,
  now: number,
  grace: number,
): V[] {
  return checked(
    versions.map((version) => {
      if (version.state === 'pending') {
        const { pendingUntil: _, ...rest } = version
        return { ...rest, state: 'current' } as unknown as V
      }
      if (grace === 0) return version.state === 'retired' ? version : retired(version, lifetime, now)
      if (version.state !== 'current') return version
      return {
        ...version,
        state: 'previous',
        supersededAt: now,
        graceUntil: Math.min(endOf(version, lifetime), now + grace),
      }
    }),
  )
}

/** A fresh version takes over at once: {@link begin} and {@link promote} in one step; `grace` 0 also ends a pending one. */
export function supersede<V extends Version>(
  versions: readonly V[],
  fresh: Omit<V, keyof Version>,
  lifetime: Lifetime | undefined,
  now: number,
  grace: number,
): V[] {
  const standing = grace === 0 ? versions.map((v) => (v.state === 'pending' ? retired(v, lifetime, now) : v)) : versions
  return promote(begin(standing, fresh, now, now), lifetime, now, grace)
}

/**
 * Gives a pending version up. Whoever may have been handed it can go on with it until `keptUntil`, as with one that was
 * superseded; without that it ends now.
 */
export function abandon<V extends Version>(
  versions: readonly V[],
  lifetime: Lifetime | undefined,
  now: number,
  keptUntil?: number,
): V[] {
  return checked(
    versions.map((version) => {
      if (version.state !== 'pending') return version
      const end = keptUntil === undefined ? now : Math.min(endOf(version, lifetime), keptUntil)
      if (end <= now) return retired(version, lifetime, now)
      const { pendingUntil: _, ...rest } = version
      return { ...rest, state: 'previous', supersededAt: now, graceUntil: end } as unknown as V
    }),
  )
}

/**
 * Makes a previous version current again; the current one becomes previous until `min(its own end, now + grace)`, or
 * ends now when `grace` is 0. The previous one must verify still.
 */
export function revert<V extends Version>(
  versions: readonly V[],
  lifetime: Lifetime | undefined,
  n: number,
  now: number,
  grace: number,
): V[] {
  return checked(
    versions.map((version) => {
      if (version.n === n) {
        if (version.state !== 'previous' || now >= endOf(version, lifetime)) {
          throw new TypeError(`version ${n} can't become current again`)
        }
        const { graceUntil: _, supersededAt: __, ...rest } = version
        return { ...rest, state: 'current' } as unknown as V
      }
      if (version.state !== 'current') return version
      if (grace === 0) return retired(version, lifetime, now)
      const graceUntil = Math.min(endOf(version, lifetime), now + grace)
      return { ...version, state: 'previous', supersededAt: now, graceUntil }
    }),
  )
}

/** Ends one version now, as revoked. The current one can't be ended by itself. */
export function retire<V extends Version>(
  versions: readonly V[],
  lifetime: Lifetime | undefined,
  n: number,
  now: number,
): V[] {
  return checked(versions.map((v) => (v.n === n && v.state !== 'retired' ? retired(v, lifetime, now) : v)))
}

/** Writes down what time has done: versions past their grace, or never taken up, are retired as expired. */
export function settle<V extends Version>(
  versions: readonly V[],
  lifetime: Lifetime | undefined,
  now: number,
): readonly V[] {
  const due = (v: V) => (v.state === 'previous' || v.state === 'pending') && now >= endOf(v, lifetime)
  return versions.some(due) ? checked(versions.map((v) => (due(v) ? retired(v, lifetime, now) : v))) : versions
}

/**
 * Forgets versions that were retired more than `retention` ms ago. The newest stays whatever its state, so that its
 * number is never given to another.
 */
export function prune<V extends Version>(versions: readonly V[], now: number, retention: number): readonly V[] {
  const newest = versions[versions.length - 1]
  const gone = (v: V) => v.state === 'retired' && v !== newest && now - (v.endedAt ?? 0) >= retention
  return versions.some(gone) ? versions.filter((v) => !gone(v)) : versions
}

/** When the next {@link settle} or {@link prune} will have something to do, epoch ms; `undefined` = never. */
export function nextHousekeeping(versions: readonly Version[], retention: number): number | undefined {
  let next: number | undefined
  const newest = versions[versions.length - 1]
  for (const v of versions) {
    if (v.state === 'retired' && v === newest) continue
    const at = v.state === 'retired' ? (v.endedAt ?? 0) + retention : (v.graceUntil ?? v.pendingUntil)
    if (at !== undefined && (next === undefined || at < next)) next = at
  }
  return next
}

/** Ended now, as revoked; what had run out before that ended then, as expired. */
function retired<V extends Version>(version: V, lifetime: Lifetime | undefined, now: number): V {
  const end = endOf(version, lifetime)
  const { pendingUntil: _, ...rest } = version
  const ended = now >= end ? 'expired' : 'revoked'
  return {
    ...rest,
    state: 'retired',
    supersededAt: rest.supersededAt ?? now,
    endedAt: Math.min(now, end),
    ended,
  } as unknown as V
}

function nextNumber(versions: readonly Version[]): number {
  return (versions[versions.length - 1]?.n ?? 0) + 1
}

/** Every list made here obeys the rule; that it didn't would be an error of ours. */
function checked<V extends Version>(versions: V[]): V[] {
  const fault = faultOf(versions)
  if (fault !== undefined) throw new TypeError(fault)
  return versions
}

/**
 * What breaks the rule of every list: one current version, at most one pending, a deadline for each superseded or pending
 * one, numbers that rise. `undefined` = nothing. Stores ask it too, of every record that they are given.
 */
export function faultOf(versions: readonly Version[]): string | undefined {
  let current = 0
  let pending = 0
  let before = 0
  for (const { n, state, pendingUntil, graceUntil } of versions) {
    if (n <= before) return `version ${n} comes after version ${before}`
    before = n
    if (state === 'current') current += 1
    else if (state === 'pending') {
      pending += 1
      if (pendingUntil === undefined) return `pending version ${n} has no deadline`
    } else if (state === 'previous' && graceUntil === undefined) return `previous version ${n} has no deadline`
  }
  if (current !== 1) return `${current} versions would be current`
  return pending > 1 ? `${pending} versions would be pending` : undefined
}
