import type { ChannelFailedEvent } from '../stores/change-news.ts'
import type { Attribution } from '../stores/commit.ts'
import type { StoreFailedEvent } from '../stores/store-failed.ts'
import type { TokenRecord } from '../tokens/record.ts'

/** What every event about a token tells. */
export interface TokenEvent {
  /** The token's id. */
  readonly id: string
  /** Its name. */
  readonly service: string
  /** When, epoch ms. */
  readonly at: number
  /** Who did it. */
  readonly actor?: string
  /** Why. */
  readonly reason?: string
}

/** What every event about a token tells, of this one. */
export function eventOf(token: Pick<TokenRecord, 'id' | 'service'>, by: Attribution, at: number): TokenEvent {
  const { id, service } = token
  const { actor, reason } = by
  return { id, service, at, ...(actor !== undefined && { actor }), ...(reason !== undefined && { reason }) }
}

/** A token was made; `imported` when its text came from elsewhere. */
export interface TokenGeneratedEvent extends TokenEvent {
  readonly type: string
  readonly imported: boolean
}

/** What a token may do, or what is said of it, was changed. */
export interface TokenUpdatedEvent extends TokenEvent {
  /** The fields that were given. */
  readonly fields: readonly string[]
}

/** A token was disabled: refused until it is enabled. */
export interface TokenDisabledEvent extends TokenEvent {}

/** A disabled token was enabled. */
export interface TokenEnabledEvent extends TokenEvent {}

/** A token, or one version of it, was revoked. */
export interface TokenRevokedEvent extends TokenEvent {
  /** The version that was ended; absent = the whole token. */
  readonly version?: number
}

/** An ended token was removed for good; a tombstone stays. */
export interface TokenRemovedEvent extends TokenEvent {}

/** A token's current version ends soon. Told once per threshold: 14, 3 and 1 days. */
export interface TokenExpiringEvent extends TokenEvent {
  /** The threshold that was crossed. */
  readonly days: number
  /** When it ends, epoch ms. */
  readonly endsAt: number
}

/** A call was refused. Only sent while somebody listens. */
export interface TokenDeniedEvent {
  /** Why. */
  readonly code: string
  /** When, epoch ms. */
  readonly at: number
  /** The token's id, when the secret was proved. */
  readonly id?: string
  /** Its name. */
  readonly service?: string
  /** The client's address as it was given. */
  readonly ip?: string
  /** The tool that was asked for. */
  readonly tool?: string
}

/** The shared limiter didn't answer; the fail mode decided. */
export interface LimiterFailedEvent {
  /** The error's code or name. */
  readonly code: string
  /** What was done instead. */
  readonly mode: 'closed' | 'local' | 'open'
  /** When, epoch ms. */
  readonly at: number
}

/** A version proved by an old key or by an imported digest got a digest under the active key. */
export interface TokenRedigestedEvent extends TokenEvent {
  readonly version: number
}

/** The events of this room. */
export interface IssuingEvents {
  'token.generated': TokenGeneratedEvent
  'token.updated': TokenUpdatedEvent
  'token.disabled': TokenDisabledEvent
  'token.enabled': TokenEnabledEvent
  'token.revoked': TokenRevokedEvent
  'token.removed': TokenRemovedEvent
  'token.expiring': TokenExpiringEvent
  'token.denied': TokenDeniedEvent
  'token.redigested': TokenRedigestedEvent
  'store.failed': StoreFailedEvent
  'limiter.failed': LimiterFailedEvent
  'channel.failed': ChannelFailedEvent
}
