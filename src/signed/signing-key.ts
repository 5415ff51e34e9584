import type { JsonObject } from '../kernel/bytes.ts'
import type { Kind } from '../kernel/kind.ts'
import {
  begin,
  currentOf,
  endOf,
  faultOf,
  liveVersions,
  promote,
  prune,
  settle,
  supersede,
  type Version,
} from '../tokens/versions.ts'

/** The algorithms of JWTs (RFC 7518, RFC 8037). */
export type JwtAlgorithm = 'EdDSA' | 'ES256' | 'HS256'

/** The algorithms, the default first. */
export const JWT_ALGORITHMS: readonly JwtAlgorithm[] = ['EdDSA', 'ES256', 'HS256']

/** A freshly made key. */
export interface FreshKey {
  /** Names it in tokens and in the JWKS. */
  readonly kid: string
  /** The public part as a JWK; none for HS256, which has no public part. */
  readonly jwk?: JsonObject
  /** The private part as a JWK, sealed by the key ring. Gone once the key has ended. */
  readonly sealed?: string
}

/** One key: `pending` is the next one, announced and not yet signing. */
export type SigningKey = Version & FreshKey

/** The keys of one algorithm. Its id is the algorithm's name. */
export interface SigningKeyRecord {
  readonly algorithm: JwtAlgorithm
  readonly createdAt: number
  /** Newest last. */
  readonly versions: readonly SigningKey[]
}

/** Signing keys: journaled, as tokens are. */
export const signingKeyKind: Kind<SigningKeyRecord, 'created', 'kid'> = {
  name: 'signing_key',
  schema: 1,
  journaled: true,
  unique: { kid: (record) => record.versions.map((key) => key.kid) },
  order: { created: (record) => ({ at: record.createdAt }) },
  refuses: (record) => faultOf(record.versions),
  // What the store has is newer, or was made anew because the old keys were lost: never two sets in one.
  merge: (here, archived) => (here === undefined ? archived : undefined),
}

/** When keys take turns. All in ms. */
export interface KeySchedule {
  /** How long a key signs. */
  readonly rotateEvery: number
  /** How long a key is announced before it signs. */
  readonly announceFor: number
  /** How long a key verifies after its last signature: the longest life of a token, and a reserve. */
  readonly keepFor: number
}

/** What is due for a set of keys. */
export type KeyStep = 'announce' | 'promote' | 'settle'

/** What is due now; `undefined` = nothing. */
export function dueStep(keys: readonly SigningKey[], schedule: KeySchedule, now: number): KeyStep | undefined {
  if (settle(keys, undefined, now) !== keys) return 'settle'
  const next = keys.find((key) => key.state === 'pending')
  if (next !== undefined) return now >= next.createdAt + schedule.announceFor ? 'promote' : undefined
  return now >= currentOf(keys).createdAt + schedule.rotateEvery ? 'announce' : undefined
}

/** The first key signs at once: nobody can have an older list of keys without it. */
export function firstKey(fresh: FreshKey, now: number): SigningKey[] {
  return [{ n: 1, state: 'current', createdAt: now, ...fresh }]
}

/** Adds the next key. */
export function announce(keys: readonly SigningKey[], fresh: FreshKey, schedule: KeySchedule, now: number) {
  return begin(keys, fresh, now, now + schedule.announceFor + schedule.rotateEvery)
}

/** The next key begins to sign; the one before verifies until the last token that it can have signed has expired. */
export function takeOver(keys: readonly SigningKey[], schedule: KeySchedule, now: number): SigningKey[] {
  return promote(keys, undefined, now, schedule.keepFor)
}

/** A key may be in wrong hands: a fresh one signs at once, and no other proves anything any more. */
export function replaceAll(keys: readonly SigningKey[], fresh: FreshKey, now: number): SigningKey[] {
  return tidied(supersede(keys, fresh, undefined, now, 0), now)
}

/** Writes down which keys have ended, and lets go of what they don't need any more. */
export function tidied(keys: readonly SigningKey[], now: number): SigningKey[] {
  return prune(settle(keys, undefined, now), now, 0).map((key) => {
    if (key.state !== 'retired') return key
    const { sealed: _, ...rest } = key
    return rest
  })
}

/** The keys that prove tokens now: the next one too, because another instance may have begun to sign with it. */
export function provingKeys(keys: readonly SigningKey[], now: number): readonly SigningKey[] {
  return liveVersions(keys, undefined, now)
}

/** Whether a key may sign a token: it is current, and no token outlives its key. */
export function maySign(key: SigningKey, expiresAt: number): boolean {
  return key.state === 'current' && expiresAt <= endOf(key, undefined)
}
