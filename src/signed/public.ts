// The room's public names: those of the core entry.
export {
  type SignedErrorCode,
  type TtlCap,
  TtlOverCapError,
  WiderThanMinterError,
} from './errors.ts'
export type {
  SignedEvents,
  SignedMintedEvent,
  SignedRevokedEvent,
  SigningKeyAnnouncedEvent,
  SigningKeyEvent,
  SigningKeyRotatedEvent,
} from './events.ts'
export type { Introspection } from './introspection.ts'
export type { KeyRotation } from './key-set.ts'
export type { MintInput } from './mint-input.ts'
export type { Revocation } from './revocations.ts'
export type { SignedHealth, SigningKeyHealth } from './signed-health.ts'
export {
  type IdentifiedSigned,
  type JsonWebKeySet,
  type Minted,
  type SignedTarget,
  type SignedVerification,
  Signer,
} from './signer.ts'
export type { SignerOptions, SignerSettings } from './signer-options.ts'
export type { JwtAlgorithm } from './signing-key.ts'
