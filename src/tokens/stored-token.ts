import type { JsonObject } from '../kernel/bytes.ts'
import type { TokenFormat } from './format.ts'
import type { Policy } from './policy.ts'
import type { Lifetime, Version } from './versions.ts'

/** A version of a token as it is stored: what proves it, never its text. */
export interface TokenVersion extends Version {
  /** The first characters of the text; empty where it was never known. */
  readonly preview: string
  /** Digests of the text by key id, or by `:scheme` for imported ones. */
  readonly digests: { readonly [keyId: string]: string }
  /** The encrypted text, only of retrievable tokens. */
  readonly sealed?: string
  /** The slot of the rule that it was made for, epoch ms; its age counts from there. */
  readonly datedAt?: number
}

/** When and why something was done to a token. */
export interface Mark {
  readonly at: number
  readonly reason?: string
}

/** What the host says about a token. */
export interface About {
  readonly owner?: string
  readonly description?: string
  readonly tags?: readonly string[]
  readonly metadata?: JsonObject
}

/** The lifetime of a token's versions, with the grace that a rotation gives by default. */
export interface TokenLifetime extends Lifetime {
  /** Default grace of a rotation, ms. */
  readonly grace?: number
}

/**
 * A token as it is stored. What most tokens lack is in objects of its own (`lifetime`, `about`), and what many share
 * is shared (`format`, `policy`): a million of them must fit into memory.
 */
export interface TokenRecord {
  readonly id: string
  readonly service: string
  readonly format: TokenFormat
  readonly policy: Policy
  readonly createdAt: number
  /** Newest last. */
  readonly versions: readonly TokenVersion[]
  /** When the record last changed; absent = never since it was made. */
  readonly updatedAt?: number
  readonly lifetime?: TokenLifetime
  readonly about?: About
  readonly disabled?: Mark
  readonly revoked?: Mark
  /** Set for one that never verifies, and raises an alarm when it is presented. */
  readonly canary?: true
  /** Set when an expired record gave its name to a new token. */
  readonly nameReleased?: true
  /** The last expiry warning that was sent for the current version, days before its end. */
  readonly warnedDays?: number
}
