import type { JsonObject } from '../kernel/bytes.ts'
import { nextRevision, type Stored } from '../kernel/kind.ts'
import { type Attribution, retryStale } from '../stores/commit.ts'
import { StaleRevisionError } from '../stores/errors.ts'
import type { Foundation, ToldEvent } from '../stores/foundation.ts'
import { KeyRing } from '../tokens/key-ring.ts'
import { currentOf } from '../tokens/versions.ts'
import type { SignedEvents } from './events.ts'
import { generateKey, headerOf, importKey, type JoseKey, parseJwk, publicEntry } from './jwt.ts'
import {
  announce,
  dueStep,
  type FreshKey,
  firstKey,
  JWT_ALGORITHMS,
  type JwtAlgorithm,
  type KeySchedule,
  provingKeys,
  replaceAll,
  type SigningKey,
  type SigningKeyRecord,
  signingKeyKind,
  takeOver,
  tidied,
} from './signing-key.ts'

/** A key that proves tokens. */
export interface ProvingKey {
  readonly kid: string
  readonly algorithm: JwtAlgorithm
  /** As the store has it. */
  version: SigningKey
  readonly key: Promise<JoseKey>
  /** Whether it proves nothing any more. */
  ended: boolean
}

/** What became of a rotation of signing keys. */
export interface KeyRotation {
  /** The key that signs now. */
  readonly signing: string
  /** The key that is announced and signs next. */
  readonly next?: string
  /** When that one may sign, epoch ms. */
  readonly signsFrom?: number
}

/** The signing keys of a store: kept there with their private parts sealed, announced before they sign. */
export class KeySet {
  readonly #base: Foundation<SignedEvents>
  readonly #schedule: KeySchedule
  /** By the first part of the JWTs that each signs. */
  #proving = new Map<string, ProvingKey>()
  #published: readonly JsonObject[] = []
  #sets: readonly SigningKeyRecord[] = []
  #signing: { readonly kid: string; readonly key: JoseKey } | undefined
  #changes = 0

  /**
   * @param base - store, keys and time
   * @param schedule - when keys take turns
   */
  constructor(base: Foundation<SignedEvents>, schedule: KeySchedule) {
    this.#base = base
    this.#schedule = schedule
  }

  /** Grows with every change of the keys that prove tokens. */
  get changes(): number {
    return this.#changes
  }

  /** The key that the first part of a JWT names. */
  byHeader(header: string): ProvingKey | undefined {
    return this.#proving.get(header)
  }

  /** When keys take turns. */
  get schedule(): KeySchedule {
    return this.#schedule
  }

  /** The keys as they were read last. */
  get sets(): readonly SigningKeyRecord[] {
    return this.#sets
  }

  /** The public keys: the next, the signing one, and those whose tokens may still live. */
  get published(): readonly JsonObject[] {
    return this.#published
  }

  /** Reads the keys from the store. */
  async load(): Promise<void> {
    const { store, clock } = this.#base
    const now = clock.now()
    const proving = new Map<string, ProvingKey>()
    const published: JsonObject[] = []
    const sets = await store.list(signingKeyKind, { index: 'created', limit: JWT_ALGORITHMS.length })
    for (const { value } of sets.items) {
      const { algorithm } = value
      for (const key of provingKeys(value.versions, now)) {
        const header = headerOf(algorithm, key.kid)
        const proves = this.#proving.get(header) ?? this.#provingKey(algorithm, key)
        proves.version = key
        proving.set(header, proves)
        if (key.jwk !== undefined) published.push(publicEntry(key.jwk, algorithm, key.kid))
      }
    }
    const before = this.#proving
    this.#sets = sets.items.map(({ value }) => value)
    this.#published = Object.freeze(published)
    this.#proving = proving
    if (before.size === proving.size && [...before.keys()].every((header) => proving.has(header))) return
    for (const [header, key] of before) key.ended = !proving.has(header)
    this.#changes += 1
  }

  /**
   * The key that signs, as the store has it now; made where there is none.
   *
   * @throws UnsealError when its private part can't be opened
   */
  async signing(algorithm: JwtAlgorithm): Promise<{ readonly version: SigningKey; readonly key: JoseKey }> {
    const version = currentOf((await this.#ensure(algorithm)).value.versions)
    if (this.#signing?.kid !== version.kid) {
      const key = await importKey(parseJwk(this.#unseal(algorithm, version)), algorithm)
      this.#signing = { kid: version.kid, key }
    }
    return { version, key: this.#signing.key }
  }

  /** Makes the first key of an algorithm where there is none. */
  async prepare(algorithm: JwtAlgorithm): Promise<void> {
    await this.#ensure(algorithm)
  }

  /** What {@link KeySet.rotate} of the room's front does. */
  async rotate(algorithm: JwtAlgorithm, compromised: boolean, by: Attribution): Promise<KeyRotation> {
    await this.#ensure(algorithm)
    const keys = await retryStale(async () => {
      const stored = await this.#ensure(algorithm)
      const now = this.#base.clock.now()
      // A next key that nobody let sign in time has left the JWKS: it doesn't count.
      const versions = tidied(stored.value.versions, now)
      const next = versions.find((key) => key.state === 'pending')
      if (compromised) return this.#write(stored, replaceAll(versions, this.#fresh(algorithm), now), by, true)
      if (next === undefined) {
        return this.#write(stored, announce(versions, this.#fresh(algorithm), this.#schedule, now), by)
      }
      if (now < next.createdAt + this.#schedule.announceFor) return versions
      return this.#write(stored, takeOver(versions, this.#schedule, now), by)
    })
    const next = keys.find((key) => key.state === 'pending')
    return {
      signing: currentOf(keys).kid,
      ...(next && { next: next.kid, signsFrom: next.createdAt + this.#schedule.announceFor }),
    }
  }

  /** Does what is due for every set of keys that there is; seals anew what another key of the ring sealed. */
  async tick(now: number): Promise<void> {
    const { store, keys: ring } = this.#base
    for (const algorithm of JWT_ALGORITHMS) {
      // One step a commit; a turn has a few at most.
      for (let steps = 0; steps < 4; steps++) {
        const stored = await store.get(signingKeyKind, algorithm)
        if (stored === undefined) break
        const { versions } = stored.value
        const step = dueStep(versions, this.#schedule, now)
        const foreign = versions.some(
          (key) => key.sealed !== undefined && KeyRing.sealedBy(key.sealed) !== ring.activeId,
        )
        if (step === undefined && !foreign) break
        const next =
          step === 'announce'
            ? announce(versions, this.#fresh(algorithm), this.#schedule, now)
            : step === 'promote'
              ? takeOver(versions, this.#schedule, now)
              : step === 'settle'
                ? tidied(versions, now)
                : versions.map((key) => this.#resealed(algorithm, key))
        try {
          await this.#write(stored, next, {})
        } catch (error) {
          // Another instance does it.
          if (!(error instanceof StaleRevisionError)) throw error
        }
      }
    }
  }

  async #ensure(algorithm: JwtAlgorithm): Promise<Stored<SigningKeyRecord>> {
    const { store, clock } = this.#base
    await this.#base.ready()
    const stored = await store.get(signingKeyKind, algorithm)
    if (stored !== undefined) return stored
    const now = clock.now()
    const value: SigningKeyRecord = { algorithm, createdAt: now, versions: firstKey(this.#fresh(algorithm), now) }
    const change = { kind: signingKeyKind, id: algorithm, revision: 0, to: { value }, action: 'signingKey.rotated' }
    const payload = { key: currentOf(value.versions).kid, algorithm, at: now, compromised: false }
    try {
      await this.#base.write({}, [change], [{ name: 'signingKey.rotated', about: algorithm, payload }])
      return { id: algorithm, revision: nextRevision(0), value }
    } catch (error) {
      const other = error instanceof StaleRevisionError ? await store.get(signingKeyKind, algorithm) : undefined
      if (other === undefined) throw error
      return other
    }
  }

  async #write(
    stored: Stored<SigningKeyRecord>,
    versions: readonly SigningKey[],
    by: Attribution,
    compromised = false,
  ): Promise<readonly SigningKey[]> {
    const { id, revision, value: record } = stored
    const { algorithm } = record
    const at = this.#base.clock.now()
    const announced = versions.find((key) => key.state === 'pending' && !record.versions.some((k) => k.n === key.n))
    const signs = currentOf(versions)
    const told: ToldEvent<SignedEvents, 'signingKey.announced' | 'signingKey.rotated'>[] = []
    if (announced !== undefined) {
      const signsFrom = announced.createdAt + this.#schedule.announceFor
      const payload = { key: announced.kid, algorithm, at, signsFrom }
      told.push({ name: 'signingKey.announced', about: algorithm, payload })
    } else if (signs.kid !== currentOf(record.versions).kid) {
      const payload = { key: signs.kid, algorithm, at, compromised }
      told.push({ name: 'signingKey.rotated', about: algorithm, payload })
    }
    const value = { ...record, versions }
    const action = told[0]?.name ?? 'signingKey.tidied'
    const detail = { key: announced?.kid ?? signs.kid }
    await this.#base.write(by, [{ kind: signingKeyKind, id, revision, to: { value }, action, detail }], told)
    return versions
  }

  #fresh(algorithm: JwtAlgorithm): FreshKey {
    const { keys, random } = this.#base
    const { kid, publicJwk, privateJwk } = generateKey(algorithm, random)
    const sealed = keys.seal(JSON.stringify(privateJwk), contextOf(algorithm, kid), random)
    return { kid, sealed, ...(publicJwk && { jwk: publicJwk }) }
  }

  #unseal(algorithm: JwtAlgorithm, { kid, sealed = '' }: SigningKey): string {
    return this.#base.keys.unseal(sealed, contextOf(algorithm, kid))
  }

  #resealed(algorithm: JwtAlgorithm, key: SigningKey): SigningKey {
    const { keys, random } = this.#base
    if (key.sealed === undefined) return key
    const sealed = keys.seal(this.#unseal(algorithm, key), contextOf(algorithm, key.kid), random)
    return { ...key, sealed }
  }

  #provingKey(algorithm: JwtAlgorithm, version: SigningKey): ProvingKey {
    let imported: Promise<JoseKey> | undefined
    const open = async () => {
      const { jwk } = proving.version
      return importKey(jwk ?? parseJwk(this.#unseal(algorithm, proving.version)), algorithm)
    }
    // Another instance may seal it anew.
    const forget = (error: unknown) => {
      imported = undefined
      throw error
    }
    const proving: ProvingKey = {
      kid: version.kid,
      algorithm,
      version,
      // At first use: nothing is loaded for keys that no token comes with, and one that can't be opened is missed by its own tokens alone.
      get key() {
        imported ??= open().catch(forget)
        return imported
      },
      ended: false,
    }
    return proving
  }
}

/** What a sealed key is bound to: it opens nowhere else. */
function contextOf(algorithm: JwtAlgorithm, kid: string): readonly string[] {
  return ['signing_key', algorithm, kid]
}
