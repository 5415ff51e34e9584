import type { ChannelFailedEvent } from '../stores/change-news.ts'
import type { StoreFailedEvent } from '../stores/store-failed.ts'

/** A signed token was minted. In-process only: nothing is stored of it. */
export interface SignedMintedEvent {
  /** The token's id (`jti`). */
  readonly id: string
  /** Who it is for. */
  readonly agent: string
  readonly format: 'jwt' | 'hmac'
  readonly scopes: readonly string[]
  /** Epoch ms. */
  readonly expiresAt: number
  readonly at: number
}

/** Signed tokens were revoked: one, those of an agent, or all that were minted until then. */
export interface SignedRevokedEvent {
  /** What was revoked: `id:<jti>`, `agent:<name>` or `all`. */
  readonly target: string
  readonly at: number
  /** Who did it. */
  readonly actor?: string
  /** Why. */
  readonly reason?: string
}

/** What every event about a signing key tells. */
export interface SigningKeyEvent {
  /** The key's id, as tokens and the JWKS name it. */
  readonly key: string
  readonly algorithm: 'EdDSA' | 'ES256' | 'HS256'
  readonly at: number
}

/** A key was announced: it is in the JWKS, and signs nothing yet. */
export interface SigningKeyAnnouncedEvent extends SigningKeyEvent {
  /** When it may begin to sign, epoch ms. */
  readonly signsFrom: number
}

/** A key has begun to sign; the one before verifies until its last token has expired, or not at all when it was compromised. */
export interface SigningKeyRotatedEvent extends SigningKeyEvent {
  readonly compromised: boolean
}

/** The events of this room. */
export interface SignedEvents {
  'signed.minted': SignedMintedEvent
  'signed.revoked': SignedRevokedEvent
  'store.failed': StoreFailedEvent
  'channel.failed': ChannelFailedEvent
  'signingKey.announced': SigningKeyAnnouncedEvent
  'signingKey.rotated': SigningKeyRotatedEvent
}
