import type { Unproved } from '../access/provable.ts'
import type { JsonObject } from '../kernel/bytes.ts'
import { InvalidInputError } from '../kernel/errors.ts'
import { checkFields } from '../kernel/fields.ts'
import type { MaybePromise } from '../kernel/kind.ts'
import { RisingIds } from '../kernel/rising-ids.ts'
import { type Attribution, checkAttribution } from '../stores/commit.ts'
import { StoreUnavailableError } from '../stores/errors.ts'
import { Foundation } from '../stores/foundation.ts'
import { checkName } from '../tokens/about.ts'
import { hasSignedForm, MAX_SIGNED_LENGTH } from '../tokens/format.ts'
import { COMPACT_MARK } from '../tokens/signed-form.ts'
import type { TokenView } from '../tokens/token-view.ts'
import { DENIAL_MESSAGE, DENIAL_STATUS, type DenialCode, type Denied } from '../tokens/verification.ts'
import type { SecuritySignals } from '../usage/security-signals.ts'
import { issuerOf, writeGrant, writePayload } from './claims.ts'
import { compactIn, signCompact } from './compact.ts'
import type { SignedEvents } from './events.ts'
import { INACTIVE, type Introspection, introspectionOf } from './introspection.ts'
import { signJwt } from './jwt.ts'
import { type KeyRotation, KeySet } from './key-set.ts'
import { type MintInput, type MintRules, parseMint } from './mint-input.ts'
import type { SignedProof } from './proof.ts'
import { type Revocation, Revocations } from './revocations.ts'
import { judgeSigned, type SignedHealth } from './signed-health.ts'
import { type Audience, SignedProver } from './signed-prover.ts'
import { checkSettings, type SignerOptions } from './signer-options.ts'
import { type JwtAlgorithm, maySign } from './signing-key.ts'

/** A token that was minted. */
export interface Minted {
  /** The token, the one time that it exists here. */
  readonly token: string
  /** Its `jti`. */
  readonly id: string
  /** Epoch ms. */
  readonly expiresAt: number
  /** All that it allows, meta scopes expanded. */
  readonly scopes: readonly string[]
}

/** The answer of {@link Signer.verify}: whether a token is ours, and still good. What it may do is for `tokens.verify`. */
export type SignedVerification =
  | { readonly ok: true; readonly token: TokenView }
  | Pick<Denied, 'ok' | 'code' | 'status' | 'message'>

/** Which tokens are revoked: one by its text or id, those of an agent, or all that were minted until now. */
export type SignedTarget = { readonly token: string } | { readonly id: string } | { readonly agent: string } | 'all'

/** Whose a signed text is. */
export interface IdentifiedSigned {
  /** Its facts are in `signed`; absent when it isn't proved. */
  readonly token?: TokenView
  /** Whether it would verify now. */
  readonly live: boolean
}

/** Public keys as RFC 7517 lists them. */
export interface JsonWebKeySet {
  readonly keys: readonly JsonObject[]
}

/**
 * Mints and proves self-contained tokens: JWTs (RFC 9068, signed by keys that take turns and whose public parts are a
 * JWKS), and a compact form under the key ring. They carry scopes and a time to live, have no record, and can be revoked.
 *
 * `tokens.verify` and the middlewares take them beside opaque ones, with the same checks.
 *
 * @example
 * ```ts
 * const { token, expiresAt } = await tokens.signer.mint({ agent: 'builder', scopes: ['docs:read'], ttl: '15m', format: 'jwt' })
 * const answer = await tokens.verify(token, { scopes: ['docs:read'] })
 * await tokens.signer.revoke({ agent: 'builder' })
 * ```
 */
export class Signer {
  readonly #base: Foundation<SignedEvents>
  readonly #ids: RisingIds
  readonly #rules: MintRules
  readonly #algorithm: JwtAlgorithm
  readonly #keys: KeySet
  readonly #revocations: Revocations
  readonly #prover: SignedProver
  readonly #maxStaleness: number
  readonly #signals: Pick<SecuritySignals, 'refused'> | undefined

  /**
   * @param options - store, keys and, if wanted, scopes, caps and settings
   * @throws InvalidInputError for settings that can't be used
   */
  constructor(options: SignerOptions) {
    const base: Foundation<SignedEvents> = Foundation.of(options)
    const { signed: settings = {}, scopes: catalog, cap, limits, signals } = options
    const checked = checkSettings(settings)
    const { issuer, audience, maxTtl, leeway, cacheSize, maxStaleness, staleIfError, schedule } = checked
    this.#base = base
    this.#signals = signals
    this.#ids = new RisingIds(base.random)
    this.#rules = { issuer, audience, catalog, maxTtl, cap }
    this.#algorithm = checked.algorithm
    this.#keys = new KeySet(base, schedule)
    this.#revocations = new Revocations(base, schedule.keepFor)
    this.#maxStaleness = maxStaleness
    this.#prover = new SignedProver({
      ...{ base, keys: this.#keys, revocations: this.#revocations, limits },
      ...{ issuer, audience, maxTtl, leeway, cacheSize, maxStaleness, staleIfError },
    })
  }

  /**
   * Mints a token. Nothing is written for it but, for the first JWT, its key.
   *
   * @throws InvalidInputError naming the field; TtlOverCapError when it would live longer than its riskiest scope may;
   * WiderThanMinterError; UnsealError when the signing key can't be opened; StoreError
   * @event signed.minted
   */
  async mint(input: MintInput): Promise<Minted> {
    const { clock, store, keys: ring, events } = this.#base
    await this.#base.ready()
    // Its id tells when it was minted, to be compared with revocations: by the one clock that all instances share.
    const at = await store.time()
    // By the later of the two clocks, so that its end, counted from that one, isn't behind the minter's, judged by ours.
    const { grant, ttl } = parseMint(input, this.#rules, Math.max(at, clock.now()))
    const id = this.#ids.next(at)
    const issuedAt = Math.floor(at / 1000)
    const times = { id, issuedAt, expiresAt: issuedAt + ttl / 1000 }
    const claims = writeGrant(grant)
    const expiresAt = times.expiresAt * 1000
    const token =
      input.format === 'hmac'
        ? signCompact(ring, times, claims)
        : await this.#signJwt(writePayload(times, claims), expiresAt)
    if (token.length > MAX_SIGNED_LENGTH) {
      const what = `make a token of ${token.length} characters, over ${MAX_SIGNED_LENGTH}`
      throw new InvalidInputError('claims', what, 'put less into claims, scopes and tools')
    }
    const { agent, policy } = grant
    const { scopes } = policy
    events.emit('signed.minted', { id, agent, format: input.format, scopes, expiresAt, at: clock.now() })
    return { token, id, expiresAt, scopes }
  }

  /**
   * Whether a text is a signed token of ours, for this audience, neither expired nor revoked. Anything that a client can
   * send gives an answer, never an exception.
   *
   * @throws KeyRingMismatchError, KeyInUseError
   * @event store.failed
   */
  async verify(presented: unknown): Promise<SignedVerification> {
    const waiting = this.#base.ready()
    if (waiting !== undefined) await waiting
    const outcome = this.prove(presented)
    return this.#answer(outcome instanceof Promise ? await outcome : outcome)
  }

  /**
   * The proof of a text. Never throws, and a promise of it never rejects.
   *
   * @internal for the front door
   */
  prove(presented: unknown): MaybePromise<SignedProof | Unproved> {
    return this.#prove(presented, 'ours')
  }

  /**
   * What a resource server may ask of a token, in the form of RFC 7662: `{ active: false }` for any that isn't good. A token for any
   * audience is told of: the asker compares `aud` with its own. Answer only callers that have proved who they are.
   *
   * @throws StoreUnavailableError when it can't be told whether it is good; KeyRingMismatchError, KeyInUseError
   */
  async introspect(presented: unknown): Promise<Introspection> {
    const waiting = this.#base.ready()
    if (waiting !== undefined) await waiting
    const outcome = known(await this.#prove(presented, 'any'))
    if (typeof outcome === 'string' || this.#refusalOf(outcome, this.#base.clock.now()) !== undefined) return INACTIVE
    return introspectionOf(outcome.content)
  }

  /**
   * Whose a text is that is, or begins with, a signed token of this issuer's: one that was found somewhere. It counts as no use. Keys
   * and revocations are read when what is held of them isn't fresh.
   *
   * @returns `undefined` for a text that doesn't say it is of this issuer; without `token` when it says so and isn't proved
   * @throws StoreUnavailableError when it can't be told whether it is live
   */
  async identify(text: string): Promise<IdentifiedSigned | undefined> {
    await this.#base.ready()
    if (typeof text !== 'string' || text.length > MAX_SIGNED_LENGTH || !hasSignedForm(text)) return undefined
    const compact = text.startsWith(COMPACT_MARK)
    const exact = compact ? (compactIn(this.#base.keys, text) ?? text) : text
    const proved = known(await this.#prover.prove(exact, 'any'))
    if (typeof proved === 'string') return issuerOf(text) === this.#rules.issuer ? { live: false } : undefined
    const now = this.#base.clock.now()
    return { token: proved.view(now), live: !proved.revoked && !proved.ended && now < proved.endsAt }
  }

  /**
   * Revokes tokens for good. Here it holds at the next call, in other processes as soon as the store tells of it, and within
   * `maxStaleness`. It is kept until the last such token would have expired.
   *
   * @throws InvalidInputError for a token that isn't ours, or a target that is none; StoreError
   * @event signed.revoked
   */
  async revoke(target: SignedTarget, by: Attribution = {}): Promise<Revocation> {
    checkFields('options', by, ['actor', 'reason'])
    checkAttribution(by)
    await this.#base.ready()
    const { name, endsAt } = await this.#targetOf(target)
    return this.#revocations.add(name, endsAt, (at) => this.#ids.mark(at), by)
  }

  /**
   * The public keys, for other services: of the next key, the one that signs, and those whose tokens may still live.
   *
   * @throws StoreError; a list without keys would end every token elsewhere
   */
  async jwks(): Promise<JsonWebKeySet> {
    await this.#keys.prepare(this.#algorithm)
    known((await this.#prover.refresh()) || 'unavailable')
    return { keys: this.#keys.published }
  }

  /**
   * Brings the turn of keys forward: announces the next key, or, once it has stood in the JWKS long enough, lets it sign. With
   * `compromised`, a fresh key signs at once and every other proves nothing any more: all JWTs of this algorithm end.
   *
   * @throws InvalidInputError; StoreError
   * @event signingKey.announced, signingKey.rotated
   */
  async rotateKey(options: Attribution & { readonly compromised?: boolean } = {}): Promise<KeyRotation> {
    checkFields('options', options, ['actor', 'reason', 'compromised'])
    const { compromised = false, ...by } = options
    return this.#keys.rotate(this.#algorithm, compromised, checkAttribution(by))
  }

  /**
   * How signed tokens stand: the health source `signed` of the front door. `unhealthy` when they are refused because keys and revocations
   * can't be read, or when no JWT can be minted; `degraded` when what is known of revocations is older than `maxStaleness`, when a turn of
   * the keys is late, or revocations that are over aren't removed. Reads what isn't fresh.
   *
   * @throws StoreError; then nothing is known
   */
  async health(): Promise<SignedHealth> {
    const { clock, keys } = this.#base
    const now = clock.now()
    const { usable, readAt } = await this.#prover.held(now)
    const fresh = usable && now - readAt < this.#maxStaleness
    return judgeSigned({
      ...{ now, usable, readAt, maxStaleness: this.#maxStaleness },
      ...{ sets: this.#keys.sets, schedule: this.#keys.schedule, ring: keys.ids },
      revocations: this.#revocations.set.size,
      overdue: fresh ? await this.#revocations.overdue(now) : 0,
    })
  }

  /** Lets keys take turns, and lets go of revocations that are over. */
  async tick(now: number = this.#base.clock.now()): Promise<void> {
    await this.#keys.tick(now)
    await this.#revocations.tick(now)
  }

  /** Stops listening for changes of the store. */
  close(): void {
    this.#prover.close()
  }

  async #signJwt(payload: string, expiresAt: number): Promise<string> {
    const { version, key } = await this.#keys.signing(this.#algorithm)
    if (!maySign(version, expiresAt)) throw new TypeError(`the key ${version.kid} would sign a token that outlives it`)
    return signJwt(payload, key, this.#algorithm, version.kid)
  }

  async #targetOf(target: SignedTarget): Promise<{ readonly name: string; readonly endsAt: number | undefined }> {
    if (target === 'all') return { name: 'all', endsAt: undefined }
    const { token, id, agent } = checkFields('target', target, ['token', 'id', 'agent'])
    if (Object.keys(target).length !== 1) {
      throw new InvalidInputError(
        'target',
        'names nothing, or several things',
        "give { token }, { id }, { agent } or 'all'",
      )
    }
    if (agent !== undefined) return { name: `agent:${checkName('agent', agent, 128)}`, endsAt: undefined }
    if (id !== undefined) {
      if (typeof id === 'string' && /^[0-9A-Za-z]{20}$/.test(id)) return { name: `id:${id}`, endsAt: undefined }
      throw new InvalidInputError('id', "isn't the id of a signed token", 'give the id that mint() gave')
    }
    const proved = known(await this.#prove(token, 'any'))
    if (typeof proved === 'object') return { name: `id:${proved.content.id}`, endsAt: proved.endsAt }
    throw new InvalidInputError('token', `isn't a signed token of ours (${proved})`, 'give one that mint() gave')
  }

  #prove(presented: unknown, audience: Audience): MaybePromise<SignedProof | Unproved> {
    if (typeof presented !== 'string' || presented.length > MAX_SIGNED_LENGTH || !hasSignedForm(presented)) {
      return 'malformed'
    }
    return this.#prover.prove(presented, audience)
  }

  #answer(outcome: SignedProof | Unproved): SignedVerification {
    if (typeof outcome === 'string') return refusal(outcome)
    const now = this.#base.clock.now()
    const refused = this.#refusalOf(outcome, now)
    return refused === undefined ? new GoodSigned(outcome, now) : refusal(refused)
  }

  /** Why a proved token isn't good any more, which is told to whoever watches. */
  #refusalOf(proof: SignedProof, now: number): 'revoked' | 'expired' | undefined {
    if (!proof.revoked && !proof.ended && now < proof.endsAt) return undefined
    const code = proof.revoked ? 'revoked' : 'expired'
    if (code === 'expired') proof.end()
    this.#signals?.refused(code, proof, {}, now)
    return code
  }
}

/** A good answer; the token is put together when it is first read. */
class GoodSigned {
  readonly ok = true as const
  readonly #proof: SignedProof
  readonly #at: number
  #token: TokenView | undefined = undefined

  constructor(proof: SignedProof, at: number) {
    this.#proof = proof
    this.#at = at
  }

  get token(): TokenView {
    this.#token ??= this.#proof.view(this.#at)
    return this.#token
  }

  /** The answer as a plain object. */
  toJSON(): { readonly ok: true; readonly token: TokenView } {
    return { ok: true, token: this.token }
  }
}

/** What can't be read isn't known: that is no "inactive", and no "none of ours". */
function known<T>(outcome: T): Exclude<T, 'unavailable'> {
  if (outcome === 'unavailable') throw new StoreUnavailableError("keys and revocations of signed tokens can't be read")
  return outcome as Exclude<T, 'unavailable'>
}

function refusal(code: DenialCode): SignedVerification {
  return { ok: false, code, status: DENIAL_STATUS[code], message: DENIAL_MESSAGE[code] }
}
