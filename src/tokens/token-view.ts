import type { JsonObject } from '../kernel/bytes.ts'
import type { Level, Quota, RateLimit, ToolRule } from './policy.ts'
import type { VersionState } from './versions.ts'

/** What may be told of a version. */
export interface VersionView {
  /** 1 for the first, then counting up. */
  readonly number: number
  readonly state: VersionState
  /** The first characters of the token and an ellipsis, to recognise it by; `…` where the text was never known. */
  readonly preview: string
  /** When it was made, epoch ms. */
  readonly createdAt: number
  /** When it was superseded, epoch ms. */
  readonly supersededAt?: number
  /** When it stops (or stopped) verifying, epoch ms; absent = no end is set. */
  readonly endsAt?: number
}

/** What a signed token says of itself beside its policy. */
export interface SignedFacts {
  /** The token's own id, its `jti`. */
  readonly id: string
  /** Who it is for, its `sub`. */
  readonly agent: string
  readonly format: 'jwt' | 'hmac'
  /** The id of the key that signed it. */
  readonly key: string
  readonly issuer: string
  readonly audience: string
  /** What the host put in beside. */
  readonly claims: JsonObject
}

/** What may be told of a token: never a secret, never a digest. A plain frozen object. */
export interface TokenView {
  readonly id: string
  /** Its name. */
  readonly service: string
  readonly type: string
  /** The current version's {@link VersionView.preview}. */
  readonly preview: string
  /** `expired` once no version verifies any more. */
  readonly status: 'active' | 'disabled' | 'revoked' | 'expired'
  readonly level: Level
  readonly scopes: readonly string[]
  readonly tools?: readonly ToolRule[]
  readonly ipAllow?: readonly string[]
  readonly rateLimits?: readonly RateLimit[]
  readonly quota?: Quota
  readonly owner?: string
  readonly description?: string
  readonly tags?: readonly string[]
  readonly metadata?: JsonObject
  /** Whether `rotator.reveal` can give the text back. */
  readonly retrievable: boolean
  /** There for a canary: it never verifies, and raises an alarm when it is presented. */
  readonly canary?: true
  /** When the token was made, epoch ms. */
  readonly createdAt: number
  /** When the record last changed, epoch ms. */
  readonly updatedAt: number
  /** The instant after which no version verifies, epoch ms; rotation doesn't move it. */
  readonly expiresAt?: number
  /** The lifetime of each version, ms. */
  readonly expiresIn?: number
  /** How long a superseded version lives on by default, ms. */
  readonly grace: number
  readonly disabledAt?: number
  readonly revokedAt?: number
  /** Why it was disabled or revoked. */
  readonly reason?: string
  /** Newest first. */
  readonly versions: readonly VersionView[]
  /** The record's revision, for compare-and-set; 0 for a signed token, which has no record. */
  readonly revision: number
  /** Of a signed token, whose {@link TokenView.id} and {@link TokenView.service} are `agent:<name>`. */
  readonly signed?: SignedFacts
}
