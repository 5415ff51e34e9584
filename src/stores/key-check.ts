import type { Clock } from '../kernel/clock.ts'
import { TokenwrightError } from '../kernel/errors.ts'
import type { Kind } from '../kernel/kind.ts'
import type { Random } from '../kernel/random.ts'
import type { KeyRing } from '../tokens/key-ring.ts'
import { type TokenRecord, tokenKind } from '../tokens/record.ts'
import { liveVersions } from '../tokens/versions.ts'
import { StaleRevisionError } from './errors.ts'
import type { TokenStore } from './token-store.ts'

/** A key that a store has seen: a value that tells its secret from another of the same name. */
export interface KeyRecord {
  readonly id: string
  /** {@link KeyRing.checkValue} */
  readonly check: string
  /** When it was first seen, epoch ms. */
  readonly since: number
}

/** The keys that a store has seen. */
export const keyKind: Kind<KeyRecord, 'since', never> = {
  name: 'key',
  schema: 1,
  journaled: false,
  unique: {},
  order: { since: (key) => ({ at: key.since }) },
  merge: (here, archived) => (here === undefined ? archived : undefined),
}

/** The key ring isn't the one that this store was written with. Nothing was written. */
export class KeyRingMismatchError extends TokenwrightError<'ERR_KEY_RING_MISMATCH'> {
  /** @param what - what doesn't fit */
  constructor(what: string) {
    super('ERR_KEY_RING_MISMATCH', what, { help: 'open the store with the key ring that it was written with' })
  }
}

/** The store has live versions that only a key outside of the ring can prove. */
export class KeyInUseError extends TokenwrightError<'ERR_KEY_IN_USE'> {
  /** The missing key. */
  readonly key: string

  /**
   * @param key - the missing key's id
   * @param service - a token that needs it
   */
  constructor(key: string, service: string) {
    super(
      'ERR_KEY_IN_USE',
      `the key '${key}' is missing from the ring, and live tokens need it (such as '${service}')`,
      {
        help: `put '${key}' back as a later key, and see keys.status() before it is retired`,
      },
    )
    this.key = key
  }
}

/**
 * Compares a key ring with what a store has seen, and notes the keys that are new to it.
 *
 * @throws KeyRingMismatchError when a key has another secret than before, or all keys are strange to the store
 * @throws KeyInUseError when a key that live versions need isn't in the ring
 */
export async function checkKeys(store: TokenStore, keys: KeyRing, clock: Clock, random: Random): Promise<void> {
  const seen: KeyRecord[] = []
  for (let cursor: string | undefined; ; ) {
    const page = await store.list(keyKind, { index: 'since', limit: 1000, cursor })
    for (const { value } of page.items) seen.push(value)
    cursor = page.cursor
    if (cursor === undefined) break
  }
  const familiar = seen.filter((key) => keys.ids.includes(key.id))
  for (const key of familiar) {
    if (keys.checkValue(key.id) !== key.check) {
      throw new KeyRingMismatchError(
        `the key '${key.id}' has another secret than the one that this store was written with`,
      )
    }
  }
  for (const key of seen) {
    if (keys.ids.includes(key.id)) continue
    const needing = await findStranded(store, keys, key.id, clock.now())
    if (needing === undefined) continue
    if (familiar.length === 0)
      throw new KeyRingMismatchError(`none of the ring's keys (${keys.ids.join(', ')}) is known to this store`)
    throw new KeyInUseError(key.id, needing.service)
  }
  for (const id of keys.ids) {
    if (familiar.some((key) => key.id === id)) continue
    try {
      const value: KeyRecord = { id, check: keys.checkValue(id), since: clock.now() }
      const commit = `key.${Buffer.from(random.bytes(9)).toString('base64url')}`
      await store.commit({
        id: commit,
        expect: [{ kind: keyKind, id, revision: 0 }],
        write: [{ kind: keyKind, id, value }],
        journal: [],
      })
    } catch (error) {
      // Another instance noted it in the meantime: compare with what it wrote.
      if (!(error instanceof StaleRevisionError)) throw error
      return checkKeys(store, keys, clock, random)
    }
  }
}

/** A live token with a version that no key of the ring proves, among those with a digest under `id`. */
async function findStranded(
  store: TokenStore,
  keys: KeyRing,
  id: string,
  now: number,
): Promise<TokenRecord | undefined> {
  for (let cursor: string | undefined; ; ) {
    const page = await store.list(tokenKind, { index: 'keyId', in: id, from: now, limit: 1000, cursor })
    for (const { value: token } of page.items) {
      for (const version of liveVersions(token.versions, token.lifetime, now)) {
        const proved = Object.keys(version.digests).some((k) => k.startsWith(':') || keys.ids.includes(k))
        if (!proved) return token
      }
    }
    cursor = page.cursor
    if (cursor === undefined) return undefined
  }
}
