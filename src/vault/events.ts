import type { VaultFailureKind } from './errors.ts'

/** What every event of a manager tells. */
export interface VaultEvent {
  /** When, epoch ms. */
  readonly at: number
  /** What is left of the token, ms; Infinity for one without an end, 0 when there is none. */
  readonly ttlMs: number
}

/** The manager has a token that works. */
export interface VaultStartedEvent extends VaultEvent {
  readonly type: 'service' | 'batch'
  readonly renewable: boolean
  /** Whether it was looked up after it was taken for lost: the server was away past its end, or refused it for a time. */
  readonly recovered: boolean
}

/** A renewal succeeded. What it really did, the fields tell. */
export interface VaultRenewedEvent extends VaultEvent {
  /** What was asked for, ms. */
  readonly requestedMs: number
  /** The end has moved on. */
  readonly extended: boolean
  /** Less was granted than asked for. */
  readonly capped: boolean
  /** The end has moved nearer. */
  readonly shortened: boolean
}

/** What is told of a failure. */
export interface VaultFailureEvent extends VaultEvent {
  readonly kind: VaultFailureKind
  /** The answer's status; absent when none came. */
  readonly status?: number
  /** The network's code, such as `ECONNREFUSED`. */
  readonly code?: string
  /** Failures in a row. */
  readonly failures: number
  /** When it is tried again, ms from now. */
  readonly retryInMs: number
}

/** A renewal failed, or the first look-up in the background. */
export interface VaultRenewalFailedEvent extends VaultFailureEvent {}

/** Less than `warnBelow` is left; once until the token is extended. */
export interface VaultExpiringSoonEvent extends VaultEvent {
  /** When it ends, epoch ms. */
  readonly expiresAt: number
}

/** Renewing doesn't move the end any more: a maximum is reached. Once for a token. */
export interface VaultMaxTtlApproachingEvent extends VaultEvent {
  /** When it ends, epoch ms. */
  readonly expiresAt: number
  /** Whether a login will replace it. */
  readonly replaceable: boolean
}

/**
 * Why a token isn't renewed: it was made so (`token`, `batch`), its policies don't allow it (`policy`), its last use would go (`uses`),
 * or the server said so (`server`).
 */
export type NonRenewableReason = 'token' | 'batch' | 'policy' | 'uses' | 'server'

/** The token won't be renewed; it ends at `expiresAt` unless a login replaces it. Once for a token. */
export interface VaultNonRenewableEvent extends VaultEvent {
  readonly reason: NonRenewableReason
  /** When it ends, epoch ms. */
  readonly expiresAt: number
  /** Whether a login will replace it. */
  readonly replaceable: boolean
}

/** A login got a new token, which is in the client and on its way to the sinks. */
export interface VaultReauthenticatedEvent extends VaultEvent {
  /** The login's method, such as `approle`. */
  readonly method: string
  /** Whether the old token was lost already. */
  readonly late: boolean
}

/** A login failed. */
export interface VaultReauthFailedEvent extends VaultFailureEvent {
  /** The login's method. */
  readonly method: string
}

/** The token is lost: its time is over (`ttl`), or the server doesn't know it any more or refuses it (`revoked_or_invalid`). Once for a token. */
export interface VaultExpiredEvent extends VaultEvent {
  readonly reason: 'ttl' | 'revoked_or_invalid'
}

/** The manager was stopped; no event follows it. */
export interface VaultStoppedEvent extends VaultEvent {
  /** Whether it revoked the token. */
  readonly revoked: boolean
}

/** An option makes no sense with this token; it is tamed. Once for an option. */
export interface VaultConfigWarningEvent extends VaultEvent {
  readonly option: string
  readonly message: string
}

/** A sink didn't take the new token; it is tried again. */
export interface VaultSinkFailedEvent extends VaultEvent {
  /** Its place in `sinks`, from 0. */
  readonly sink: number
  /** The error's code or name. */
  readonly code: string
  /** Failures in a row. */
  readonly failures: number
}

/** A token that was replaced couldn't be revoked; after three attempts, or one that its policies forbid, it is left to its end. */
export interface VaultRevocationFailedEvent extends VaultEvent {
  readonly kind: VaultFailureKind
  /** Attempts so far. */
  readonly attempts: number
}

/** What every event of a secret's lease tells; `ttlMs` is what is left of the lease. */
export interface VaultLeaseEvent extends VaultEvent {
  readonly leaseId: string
}

/** A secret's lease was renewed. */
export interface VaultLeaseRenewedEvent extends VaultLeaseEvent {
  readonly extended: boolean
  readonly capped: boolean
}

/** A secret's lease couldn't be renewed. */
export interface VaultLeaseFailedEvent extends VaultLeaseEvent {
  readonly kind: VaultFailureKind
  /** Failures in a row. */
  readonly failures: number
}

/**
 * Why a lease isn't looked after any more: it can't be renewed further (`not_renewable`), its time is over (`expired`), the server doesn't know it (`gone`),
 * the token that it belongs to was lost or replaced (`token_replaced`), or it was let go (`released`).
 */
export type LeaseEnd = 'not_renewable' | 'expired' | 'gone' | 'token_replaced' | 'released'

/** A secret's lease is no longer looked after. Read the secret anew. */
export interface VaultLeaseEndedEvent extends VaultLeaseEvent {
  readonly reason: LeaseEnd
}

/** The events of a manager's own emitter. */
export interface VaultManagerEvents {
  started: VaultStartedEvent
  renewed: VaultRenewedEvent
  renewalFailed: VaultRenewalFailedEvent
  expiringSoon: VaultExpiringSoonEvent
  maxTtlApproaching: VaultMaxTtlApproachingEvent
  nonRenewable: VaultNonRenewableEvent
  reauthenticated: VaultReauthenticatedEvent
  reauthFailed: VaultReauthFailedEvent
  expired: VaultExpiredEvent
  stopped: VaultStoppedEvent
  configWarning: VaultConfigWarningEvent
  sinkFailed: VaultSinkFailedEvent
  revocationFailed: VaultRevocationFailedEvent
  leaseRenewed: VaultLeaseRenewedEvent
  leaseFailed: VaultLeaseFailedEvent
  leaseEnded: VaultLeaseEndedEvent
}

/** The same events as a shared emitter, such as `tokens.events`, names them. */
export interface VaultEvents {
  'vault.started': VaultStartedEvent
  'vault.renewed': VaultRenewedEvent
  'vault.renewalFailed': VaultRenewalFailedEvent
  'vault.expiringSoon': VaultExpiringSoonEvent
  'vault.maxTtlApproaching': VaultMaxTtlApproachingEvent
  'vault.nonRenewable': VaultNonRenewableEvent
  'vault.reauthenticated': VaultReauthenticatedEvent
  'vault.reauthFailed': VaultReauthFailedEvent
  'vault.expired': VaultExpiredEvent
  'vault.stopped': VaultStoppedEvent
  'vault.configWarning': VaultConfigWarningEvent
  'vault.sinkFailed': VaultSinkFailedEvent
  'vault.revocationFailed': VaultRevocationFailedEvent
  'vault.leaseRenewed': VaultLeaseRenewedEvent
  'vault.leaseFailed': VaultLeaseFailedEvent
  'vault.leaseEnded': VaultLeaseEndedEvent
}
