import { HEALTHY, type HealthSource } from '../kernel/health.ts'
import type { VaultStatus } from './status.ts'

/** What health is made of, beside the status. */
export interface HealthFacts {
  readonly status: VaultStatus
  /** Whether a login can replace the token. */
  readonly replaceable: boolean
  /** What the last failure was. */
  readonly lastFailure?: string | undefined
  /** Sinks that haven't taken the newest token. */
  readonly failingSinks: number
}

/** Under this part of the lease a manager that fails is unhealthy. */
const CRITICAL = 0.1
/** Under this part a token that nothing will replace is told of. */
const LOW = 1 / 3

/**
 * How well a token is kept. By parts of its lease, not by hours: a token of a minute is as healthy as one of a month. It recovers
 * with the next success, and asks nobody.
 */
export function healthOf({ status, replaceable, lastFailure, failingSinks }: HealthFacts): HealthSource {
  const { state, ttlMs, fullTtlMs, consecutiveFailures } = status
  if (state === 'idle' || state === 'stopped') return bad('unhealthy', [`the manager is ${state}`])
  if (state === 'expired') return bad('unhealthy', ['the token is lost'])
  if (state === 'starting') {
    return bad('degraded', [lastFailure === undefined ? 'no answer yet' : `no answer yet (${lastFailure})`])
  }
  const reasons: string[] = []
  const part = ttlMs === null || fullTtlMs === null || fullTtlMs === 0 ? 1 : ttlMs / fullTtlMs
  const left = `${Math.max(0, Math.round((ttlMs ?? 0) / 1000))} s left`
  let worst: HealthSource['status'] = 'healthy'
  if (consecutiveFailures > 0) {
    reasons.push(`${consecutiveFailures} failures in a row (${lastFailure ?? 'unknown'}), ${left}`)
    worst = part < CRITICAL ? 'unhealthy' : 'degraded'
  }
  if (state === 'running' && !status.renewable && !replaceable && part < LOW) {
    reasons.push(`the token can't be renewed and there is no login, ${left}`)
    worst = part < CRITICAL ? 'unhealthy' : worst === 'healthy' ? 'degraded' : worst
  }
  if (failingSinks > 0) {
    reasons.push(`sinks without the newest token: ${failingSinks}`)
    if (worst === 'healthy') worst = 'degraded'
  }
  return worst === 'healthy' ? HEALTHY : bad(worst, reasons)
}

function bad(status: HealthSource['status'], reasons: readonly string[]): HealthSource {
  return Object.freeze({ status, reasons: Object.freeze(reasons) })
}
