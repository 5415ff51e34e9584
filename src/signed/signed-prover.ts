import { hash } from 'node:crypto'
import type { Limits } from '../access/limits.ts'
import type { Unproved } from '../access/provable.ts'
import { codeOf } from '../kernel/errors.ts'
import type { MaybePromise } from '../kernel/kind.ts'
import type { Foundation } from '../stores/foundation.ts'
import { RecentMap } from '../stores/recent-map.ts'
import { ProofCache } from '../tokens/proof-cache.ts'
import { type ReadGrant, readGrant, type SignedTimes, splitPayload } from './claims.ts'
import { CompactKeys, openCompact } from './compact.ts'
import type { SignedEvents } from './events.ts'
import { isCanonical, openJwt } from './jwt.ts'
import type { KeySet, ProvingKey } from './key-set.ts'
import { Mirror } from './mirror.ts'
import { SignedProof } from './proof.ts'
import { revocationKind } from './revocation.ts'
import type { Revocations } from './revocations.ts'
import { signingKeyKind } from './signing-key.ts'

/** What a {@link SignedProver} is made from. */
export interface SignedProverOptions {
  readonly base: Foundation<SignedEvents>
  readonly keys: KeySet
  readonly revocations: Revocations
  readonly limits: Limits | undefined
  readonly issuer: string
  readonly audience: string
  /** ms */
  readonly maxTtl: number
  /** ms */
  readonly leeway: number
  readonly cacheSize: number
  /** ms */
  readonly maxStaleness: number
  /** ms */
  readonly staleIfError: number
}

/** Whose tokens are proved: those for this host, or whoever they are for. */
export type Audience = 'ours' | 'any'

/** How many grants are remembered: what tokens of one agent have in common is read once. */
const GRANTS = 4096
/** How often a key that isn't known makes us look for new ones, ms. */
const MISS_EVERY = 1000
/** No header of ours is longer. */
const MAX_HEADER = 200

/** Proves signed tokens, remembers those that it has proved by their SHA-256, and knows what is revoked. */
export class SignedProver {
  readonly #options: SignedProverOptions
  readonly #mirror: Mirror
  readonly #proofs: ProofCache<SignedProof>
  /** By their claims: as JSON of a JWT's, in base64url of a compact token's. */
  readonly #grants = new RecentMap<ReadGrant>(GRANTS)
  readonly #compactKeys: CompactKeys
  #missedAt = Number.NEGATIVE_INFINITY

  /** @param options - what it works with */
  constructor(options: SignedProverOptions) {
    this.#options = options
    const { base, keys, revocations, maxStaleness, staleIfError } = options
    this.#proofs = new ProofCache(options.cacheSize)
    this.#compactKeys = new CompactKeys(base.keys)
    this.#mirror = new Mirror({
      base,
      kinds: [revocationKind.name, signingKeyKind.name],
      maxStaleness,
      staleIfError,
      load: async (changed, all) => {
        await keys.load()
        const ids = changed.filter(({ kind }) => kind === revocationKind.name).map(({ id }) => id)
        await revocations.load(ids, all)
      },
      onFailure: (code, stale) => base.events.emit('store.failed', { code, stale, at: base.clock.now() }),
    })
  }

  /** Reads keys and revocations now; `false` when the store doesn't answer and nothing usable is held. */
  refresh(): Promise<boolean> {
    return this.#mirror.refresh()
  }

  /** Makes sure that keys and revocations are known, and tells when they were read, epoch ms; -Infinity = never. */
  async held(now: number): Promise<{ readonly usable: boolean; readonly readAt: number }> {
    const usable = await this.#mirror.ensure(now)
    return { usable, readAt: this.#mirror.readAt }
  }

  /** Stops listening for changes. */
  close(): void {
    this.#mirror.close()
  }

  /**
   * The proof of a text of signed form; a value where nothing has to be waited for. A promise never rejects.
   *
   * @param audience - `any` proves those for others as well, which no verification may be told of
   */
  prove(text: string, audience: Audience = 'ours'): MaybePromise<SignedProof | Unproved> {
    const now = this.#options.base.clock.now()
    const ready = this.#mirror.ensure(now)
    if (ready === true) return this.#prove(text, now, audience)
    if (ready === false) return 'unavailable'
    return ready.then(
      (usable) => (usable ? this.#prove(text, now, audience) : 'unavailable'),
      // The key ring isn't the store's: whoever asks has been told, or will be.
      () => 'unavailable',
    )
  }

  #prove(text: string, now: number, audience: Audience): MaybePromise<SignedProof | Unproved> {
    const key = hash('sha256', text, 'binary')
    const proof = this.#proofs.get(key)
    if (proof !== undefined) return this.#current(proof)
    if (text.charCodeAt(0) !== V) return this.#proveJwt(text, key, now, audience)
    const opened = openCompact(this.#compactKeys, text, now)
    if (typeof opened === 'string') return opened
    const grant = this.#grants.get(opened.grant) ?? this.#readCompactGrant(opened.grant)
    if (grant === undefined) return 'malformed'
    return this.#keep(key, 'hmac', opened.key, opened, grant, opened.retireAt, undefined, audience)
  }

  #readCompactGrant(encoded: string): ReadGrant | undefined {
    const json = Buffer.from(encoded, 'base64url').toString('utf8')
    const grant = readGrant(json)
    // Spelt anew, which is a copy: what was cut out would keep the whole token in memory.
    const copy = grant && Buffer.from(json, 'utf8').toString('base64url')
    if (grant === undefined || copy !== encoded) return undefined
    this.#grants.set(copy, grant)
    return grant
  }

  #proveJwt(text: string, key: string, now: number, audience: Audience): MaybePromise<SignedProof | Unproved> {
    const dot = text.indexOf('.')
    if (dot > MAX_HEADER) return 'unknown'
    if (!isCanonical(text)) return 'malformed'
    const header = text.slice(0, dot)
    const known = this.#options.keys.byHeader(header)
    if (known !== undefined) return this.#openJwt(text, key, known, audience)
    // It may be of a key that another instance has just made.
    if (now - this.#missedAt < MISS_EVERY && now >= this.#missedAt) return 'unknown'
    this.#missedAt = now
    return this.#mirror.refresh().then(
      (usable): MaybePromise<SignedProof | Unproved> => {
        const found = usable ? this.#options.keys.byHeader(header) : undefined
        return found === undefined ? (usable ? 'unknown' : 'unavailable') : this.#openJwt(text, key, found, audience)
      },
      () => 'unavailable' as const,
    )
  }

  async #openJwt(text: string, key: string, proving: ProvingKey, audience: Audience): Promise<SignedProof | Unproved> {
    let payload: string | undefined
    try {
      payload = await openJwt(text, await proving.key, proving.algorithm)
    } catch (error) {
      // The key itself can't be used, or the library isn't there.
      const { events, clock } = this.#options.base
      events.emit('store.failed', { code: codeOf(error), stale: false, at: clock.now() })
      return 'unavailable'
    }
    if (payload === undefined) return 'unknown'
    // Meanwhile another call may have proved the same.
    const twin = this.#proofs.get(key)
    if (twin !== undefined) return this.#current(twin)
    return this.#keepJwt(key, payload, proving, audience)
  }

  #keepJwt(key: string, payload: string, proving: ProvingKey, audience: Audience): SignedProof | Unproved {
    const split = splitPayload(payload)
    if (split === undefined) return 'malformed'
    let grant = this.#grants.get(split.grant)
    if (grant === undefined) {
      grant = readGrant(split.grant)
      if (grant === undefined) return 'malformed'
      this.#grants.set(split.grant, grant)
    }
    return this.#keep(key, 'jwt', proving.kid, split, grant, Number.POSITIVE_INFINITY, proving, audience)
  }

  /** Remembers what was proved, if it is for us. */
  #keep(
    key: string,
    format: 'jwt' | 'hmac',
    kid: string,
    { id, issuedAt, expiresAt: exp }: SignedTimes,
    grant: ReadGrant,
    until: number,
    proving: ProvingKey | undefined,
    wanted: Audience,
  ): SignedProof | Unproved {
    const { issuer, audience, maxTtl, leeway, limits } = this.#options
    const forUs = grant.audience === audience
    if (grant.issuer !== issuer || (!forUs && wanted === 'ours')) return 'unknown'
    // A cap that was lowered holds for older tokens too: revocations and keys are kept no longer than that.
    const expiresAt = Math.min(exp, issuedAt + Math.floor(maxTtl / 1000))
    const endsAt = Math.min(expiresAt * 1000 + leeway, until)
    const proof = new SignedProof(key, { id, issuedAt, expiresAt, format, key: kid, grant, endsAt, proving }, limits)
    // One for others is never remembered: the next who asks may be a verification.
    if (forUs) this.#proofs.add(proof)
    return this.#current(proof)
  }

  /** A proof, compared with what was revoked since, and with keys that ended. */
  #current(proof: SignedProof): SignedProof | Unproved {
    const { keys, revocations } = this.#options
    const changes = keys.changes + revocations.set.changes
    if (proof.seenChanges === changes) return proof
    const { content } = proof
    if (content.proving?.ended === true) {
      this.#proofs.delete(proof.key)
      return 'unknown'
    }
    if (!proof.revoked && revocations.set.has(content.id, content.grant.agent)) proof.revoke()
    proof.seenChanges = changes
    return proof
  }
}

const V = 0x76
