import type { CompiledPolicy } from '../access/checks.ts'
import type { Limits, TokenLimits } from '../access/limits.ts'
import type { Provable } from '../access/provable.ts'
import type { Stored } from '../kernel/kind.ts'
import { accountOf } from '../tokens/agent-account.ts'
import { internFormat } from '../tokens/format.ts'
import type { Remembered } from '../tokens/proof-cache.ts'
import type { TokenRecord, TokenVersion } from '../tokens/record.ts'
import type { SignedFacts, TokenView } from '../tokens/token-view.ts'
import type { LimitState } from '../tokens/verification.ts'
import { viewOf } from '../tokens/view.ts'
import type { UsageCounter } from '../usage/usage-counter.ts'
import type { ReadGrant, SignedTimes } from './claims.ts'
import type { ProvingKey } from './key-set.ts'

/** The rate limits of one signed token in this process. They are the agent's: its tokens take from the same buckets. */
class SignedMemo implements TokenLimits {
  limits: TokenLimits['limits'] = undefined
  quota: TokenLimits['quota'] = undefined
  shared: TokenLimits['shared'] = undefined
  limiterSlot: object | undefined = undefined
}

const FORMATS = {
  jwt: signedFormat('eyJ'),
  hmac: signedFormat('v1.'),
} as const

function signedFormat(prefix: string) {
  return internFormat({
    type: 'signed',
    prefix,
    charset: 'base64url',
    length: 0,
    checksum: false,
    retrievable: false,
  })
}

/** What a signed token was proved by, and what it says. */
export interface SignedContent extends SignedTimes {
  readonly format: 'jwt' | 'hmac'
  /** The id of the key. */
  readonly key: string
  readonly grant: ReadGrant
  /** When it stops verifying, epoch ms, leeway included. */
  readonly endsAt: number
  /** The JWT key that proved it. */
  readonly proving?: ProvingKey | undefined
}

/** A signed token that was proved. What checks and answers need of a record is made from its claims, when they ask. */
export class SignedProof implements Provable, Remembered {
  readonly key: string
  recent = false
  readonly content: SignedContent
  readonly policy: CompiledPolicy
  readonly endsAt: number
  ended = false
  counter: UsageCounter | undefined = undefined
  /** The state of revocations and keys that it was last compared with. */
  seenChanges = -1
  /** Whether it is revoked. */
  revoked = false
  readonly #limits: Limits | undefined
  #memo: SignedMemo | undefined = undefined
  #stored: Stored<TokenRecord> | undefined = undefined

  /**
   * @param key - SHA-256 of the text
   * @param content - what it says
   * @param limits - the limits of the process
   */
  constructor(key: string, content: SignedContent, limits: Limits | undefined) {
    this.key = key
    this.content = content
    this.policy = content.grant.compiled
    this.endsAt = content.endsAt
    this.#limits = limits
  }

  get agent(): string {
    return this.content.grant.agent
  }

  /** Its id. */
  get jti(): string {
    return this.content.id
  }

  get memo(): TokenLimits {
    this.#memo ??= new SignedMemo()
    return this.#memo
  }

  get stored(): Stored<TokenRecord> {
    this.#stored ??= this.#record()
    return this.#stored
  }

  get version(): TokenVersion {
    return this.stored.value.versions[0] as TokenVersion
  }

  end(): void {
    this.ended = true
  }

  /** Marks it as revoked. */
  revoke(): void {
    this.revoked = true
    this.#stored = undefined
  }

  limitStates(now: number): LimitState[] {
    return this.#limits?.states(this.memo, this.stored.value, now) ?? []
  }

  view(now: number): TokenView {
    const { id, format, key, grant } = this.content
    const { agent, issuer, audience, claims } = grant
    const signed: SignedFacts = Object.freeze({ id, agent, format, key, issuer, audience, claims })
    return Object.freeze({ ...viewOf(this.stored, now), grace: 0, revision: 0, signed })
  }

  #record(): Stored<TokenRecord> {
    const { format, grant, issuedAt, expiresAt } = this.content
    const account = accountOf(grant.agent)
    const createdAt = issuedAt * 1000
    const value: TokenRecord = {
      id: account,
      service: account,
      format: FORMATS[format],
      policy: grant.policy,
      createdAt,
      versions: [{ n: 1, state: 'current', createdAt, preview: FORMATS[format].prefix, digests: {} }],
      lifetime: { expiresAt: expiresAt * 1000 },
      ...(grant.owner !== undefined && { about: { owner: grant.owner } }),
      ...(this.revoked && { revoked: { at: createdAt } }),
    }
    return { id: account, revision: 0, value }
  }
}
