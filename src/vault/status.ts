/**
 * How a manager stands. `idle`: not started. `starting`: no answer about the token yet. `running`. `static`: the token has no end. `expired`: its time is over,
 * or the server refuses it. `stopped`.
 */
export type VaultState = 'idle' | 'starting' | 'running' | 'static' | 'expired' | 'stopped'

/** How a manager stands, computed from what it knows: asking costs no request. */
export interface VaultStatus {
  /** Whether it was started and not stopped. */
  readonly running: boolean
  readonly state: VaultState
  /** What is left of the token, ms; null for one without an end, and where there is none. */
  readonly ttlMs: number | null
  /** When it ends, epoch ms; null as `ttlMs`. */
  readonly expiresAt: number | null
  /** Whether a renewal is due, or overdue because attempts fail. */
  readonly needsRenewal: boolean
  /** Renewals that succeeded, since the manager was made. */
  readonly renewalCount: number
  /** Renewals that failed, since the manager was made. */
  readonly failureCount: number
  /** Failures of renewals and logins in a row. */
  readonly consecutiveFailures: number
  /** When the server last answered about the token, epoch ms. */
  readonly lastCheckAt: number | null
  /** When a renewal or a login last succeeded, epoch ms. */
  readonly lastRenewalAt: number | null
  /** When the next renewal is due, epoch ms; null where none will come. */
  readonly nextRenewalAt: number | null
  /** When a login is to replace the token, epoch ms; null where none will. */
  readonly nextLoginAt: number | null
  /** The whole lease, ms; null as `ttlMs`. */
  readonly fullTtlMs: number | null
  readonly type: 'service' | 'batch' | null
  /** Whether renewing does any good. */
  readonly renewable: boolean
  /** The last renewal granted less than was asked for. */
  readonly capped: boolean
  /** What the token was good for when last looked up, less our own requests; null where that isn't limited. */
  readonly usesLeft: number | null
  /** The accessor's first characters. It is no secret, and enough to find the token by. */
  readonly accessor: string | null
  readonly policies: readonly string[]
  /** Logins that succeeded, since the manager was made. */
  readonly reauthCount: number
  /** Leases of secrets that are looked after. */
  readonly leases: number
}

/** The start of an accessor, for people. */
export function shortAccessor(accessor: string): string | null {
  return accessor === '' ? null : `${accessor.slice(0, 6)}…`
}
