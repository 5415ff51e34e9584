/** The local times of one moment, read together. */
export interface Moment {
  /** Wall time, epoch ms. */
  readonly wall: number
  /** Monotonic time, ms. */
  readonly mono: number
}

/** Time that a server granted. */
export interface Lease {
  /** How long, ms. */
  readonly ttlMs: number
  /** The local times just before the request went out: the server can't have granted it earlier. */
  readonly from: Moment
}

/**
 * What is left of a lease, ms; 0 or less when it is over. Wall and monotonic time are both counted and the one that has
 * gone further decides: monotonic time stands still while a machine is suspended, wall time can be set back. The
 * server's clock isn't looked at.
 */
export function leftOf(lease: Lease, now: Moment): number {
  return lease.ttlMs - Math.max(now.mono - lease.from.mono, now.wall - lease.from.wall)
}

/** The wall time at which a lease ends as far as is known, epoch ms. */
export function endOf(lease: Lease, now: Moment): number {
  return Math.round(now.wall + leftOf(lease, now))
}

const LEAST_DOUBT = 1000
const MOST_DOUBT = 5 * 60_000

/**
 * Whether wall time has run ahead of monotonic time by so much that only the server can tell what is left: the machine slept,
 * or somebody set its clock.
 */
export function isDoubtful(lease: Lease, now: Moment): boolean {
  const ahead = now.wall - lease.from.wall - (now.mono - lease.from.mono)
  return ahead > Math.min(MOST_DOUBT, Math.max(LEAST_DOUBT, lease.ttlMs / 20))
}

/** What a renewal asked for, and what came of it. */
export interface Grant {
  /** What was left before, ms. */
  readonly leftMs: number
  /** What was asked for, ms; of a periodic token its period, whatever was asked. */
  readonly requestedMs: number
  /** What was granted, counted from now, ms. */
  readonly grantedMs: number
}

/** What a renewal really did. */
export interface GrantOutcome {
  /** The end has moved on. */
  readonly extended: boolean
  /** Less was granted than asked for: some maximum bites. */
  readonly capped: boolean
  /** The end has moved nearer. */
  readonly shortened: boolean
}

/** Servers count in whole seconds, and cut off fractions. */
const SECOND = 1000

/** Tells a renewal that extended a token from one that merely succeeded. */
export function outcomeOf({ leftMs, requestedMs, grantedMs }: Grant): GrantOutcome {
  const slack = Math.min(SECOND, requestedMs / 10)
  return {
    extended: grantedMs > leftMs + slack,
    capped: grantedMs < requestedMs,
    shortened: grantedMs < leftMs - SECOND - slack,
  }
}
