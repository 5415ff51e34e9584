/** What a renewal came to. */
export interface RenewalResult {
  /** What the token has now, ms; Infinity for one without an end. */
  readonly ttlMs: number
  /** When it ends, epoch ms; null for one without an end. */
  readonly expiresAt: number | null
  /** What was asked for, ms; 0 when nothing was. */
  readonly requestedMs: number
  /** The end has moved on. A renewal can succeed without that. */
  readonly extended: boolean
  /** Less was granted than asked for. */
  readonly capped: boolean
  /** The end has moved nearer. */
  readonly shortened: boolean
  /** Why nothing was sent, where nothing was. */
  readonly skipped?: 'non_expiring' | 'non_renewable'
}

/** A renewal that is to be made. */
export interface RenewalRequest {
  readonly incrementMs?: number | undefined
  readonly allowShorten?: boolean | undefined
  /** Somebody asked for it now. */
  readonly forced?: boolean | undefined
}
