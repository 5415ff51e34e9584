import type { Limits } from '../access/limits.ts'
import type { ScopeCatalog } from '../access/scope-catalog.ts'
import { type Duration, parseDuration } from '../kernel/duration.ts'
import { InvalidInputError } from '../kernel/errors.ts'
import { checkFields } from '../kernel/fields.ts'
import type { FoundationSource } from '../stores/foundation.ts'
import { checkName } from '../tokens/about.ts'
import type { SecuritySignals } from '../usage/security-signals.ts'
import type { TtlCap } from './errors.ts'
import type { SignedEvents } from './events.ts'
import { JWT_ALGORITHMS, type JwtAlgorithm, type KeySchedule } from './signing-key.ts'

/** How signed tokens are made and proved. Give every instance the same. */
export interface SignerSettings {
  /** Who issues them, the `iss` of every token. Default `tokenwright`. */
  readonly issuer?: string | undefined
  /** Who they are for, the `aud` that is verified here and minted by default. Default: the issuer. */
  readonly audience?: string | undefined
  /** What new JWTs are signed with. Those of other algorithms verify as long as they live. Default `EdDSA`. */
  readonly algorithm?: JwtAlgorithm | undefined
  /** The longest life of any signed token, also of those minted before it was set lower. Default 30 d, at most 366 d. */
  readonly maxTtl?: Duration | undefined
  /** How long after its `exp` a token is still accepted, for clocks that differ. Default 0, at most 5 min. */
  readonly leeway?: Duration | undefined
  /** How long a key signs. Default 90 d. */
  readonly rotateEvery?: Duration | undefined
  /** How long a key stands in the JWKS before it signs: longer than others keep theirs. Default 24 h. */
  readonly announceFor?: Duration | undefined
  /** How many proved tokens are remembered, by their SHA-256. Default 65,536. */
  readonly cacheSize?: number | undefined
  /** How old may be what is known of revocations and keys where neither the store nor a channel tells of changes. Default 5 s. */
  readonly maxStaleness?: Duration | undefined
  /** When the store fails: how long revocations and keys read before still do. Default 0: refused as `unavailable`. */
  readonly staleIfError?: Duration | undefined
}

/** What a {@link Signer} is made from. */
export type SignerOptions = FoundationSource<SignedEvents> & {
  /** How tokens are made and proved. */
  readonly signed?: SignerSettings | undefined
  /** The known scopes: others are refused, meta scopes and patterns are named one by one. */
  readonly scopes?: ScopeCatalog | undefined
  /** The longest life of a token with these scopes, such as {@link ScopeAuthorizer.maxTtl}. Default: `maxTtl` alone. */
  readonly cap?: ((scopes: readonly string[]) => TtlCap | undefined) | undefined
  /** @internal */
  readonly limits?: Limits | undefined
  /** Told of revoked and expired tokens that are asked about; `usage.signals`. @internal */
  readonly signals?: Pick<SecuritySignals, 'refused'> | undefined
}

/** The settings of a signer, complete and checked. */
export interface CheckedSettings {
  readonly issuer: string
  readonly audience: string
  readonly algorithm: JwtAlgorithm
  /** ms */
  readonly maxTtl: number
  /** ms */
  readonly leeway: number
  readonly cacheSize: number
  /** ms */
  readonly maxStaleness: number
  /** ms */
  readonly staleIfError: number
  readonly schedule: KeySchedule
}

const SETTINGS: readonly string[] = [
  ...['issuer', 'audience', 'algorithm', 'maxTtl', 'leeway', 'rotateEvery', 'announceFor', 'cacheSize'],
  ...['maxStaleness', 'staleIfError'],
]
/** How much longer than the longest life a key verifies: for instances that learn late of another that took over. */
const KEY_RESERVE = 3_600_000

/**
 * Checks the settings of a signer.
 *
 * @throws InvalidInputError for settings that can't be used
 */
export function checkSettings(settings: SignerSettings): CheckedSettings {
  checkFields('signed', settings, SETTINGS)
  const issuer = checkName('signed.issuer', settings.issuer ?? 'tokenwright', 256)
  const audience = checkName('signed.audience', settings.audience ?? issuer, 256)
  const { algorithm = 'EdDSA', cacheSize = 65_536 } = settings
  if (!JWT_ALGORITHMS.includes(algorithm)) {
    throw new InvalidInputError('signed.algorithm', 'is unknown', `use one of ${JWT_ALGORITHMS.join(', ')}`)
  }
  if (!Number.isInteger(cacheSize) || cacheSize < 2) {
    throw new InvalidInputError('signed.cacheSize', 'must be a whole number from 2', 'leave it out for 65536')
  }
  const maxTtl = parseDuration('signed.maxTtl', settings.maxTtl ?? '30d', { min: 1000, max: 366 * 86_400_000 })
  const leeway = parseDuration('signed.leeway', settings.leeway ?? 0, { allowZero: true, max: 300_000 })
  return {
    ...{ issuer, audience, algorithm, cacheSize, maxTtl, leeway },
    maxStaleness: parseDuration('signed.maxStaleness', settings.maxStaleness ?? '5s', { min: 10 }),
    staleIfError: parseDuration('signed.staleIfError', settings.staleIfError ?? 0, { allowZero: true }),
    schedule: {
      rotateEvery: parseDuration('signed.rotateEvery', settings.rotateEvery ?? '90d', { min: 60_000 }),
      announceFor: parseDuration('signed.announceFor', settings.announceFor ?? '24h', { min: 1000 }),
      keepFor: maxTtl + leeway + KEY_RESERVE,
    },
  }
}
