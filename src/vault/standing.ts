import { isDoubtful, type Lease, leftOf, type Moment } from './lease-time.ts'

/** How a token, or the lease of a secret, stands. */
export interface Standing {
  /** What is left of it; absent for one without an end. */
  readonly lease?: Lease | undefined
  /** The whole lease as it is granted when new, ms. */
  readonly fullMs: number
  /** Whether another renewal can do any good. */
  readonly renewable: boolean
  /** It is renewed when so much is left, ms. */
  readonly renewWhenLeftMs: number
  /** It is replaced by a login when so much is left, ms; Infinity = now, 0 = never. */
  readonly replaceWhenLeftMs: number
  /** The host is warned when so much is left, ms; 0 = never, or already. */
  readonly warnWhenLeftMs: number
  /** The deadline was told. */
  readonly ended: boolean
  /** Earliest monotonic times of the next attempts. */
  readonly renewAt: number
  readonly replaceAt: number
  readonly verifyAt: number
  /** Whether doubts about its time can be cleared by a look-up. */
  readonly verifiable: boolean
}

/** What is to be done, or how long nothing is, ms. */
export type Step =
  | { readonly do: 'expire' | 'warn' | 'replace' | 'renew' | 'verify' | 'probe' }
  | { readonly do: 'wait'; readonly forMs: number }

/**
 * What is due. The deadline comes first: what is over is over. Then a doubt about the time, for it changes all the rest; a login
 * where renewing does no good; a renewal; a warning.
 */
export function stepOf(standing: Standing, now: Moment): Step {
  const { lease, ended } = standing
  if (lease === undefined) return { do: 'wait', forMs: Number.POSITIVE_INFINITY }
  const left = leftOf(lease, now)
  const replaceable = standing.replaceWhenLeftMs > 0
  if (ended) {
    if (replaceable) return gate('replace', standing.replaceAt, now)
    return gate('probe', standing.verifyAt, now)
  }
  const doubtful = standing.verifiable && isDoubtful(lease, now)
  if (doubtful && now.mono >= standing.verifyAt) return { do: 'verify' }
  if (left <= 0) return { do: 'expire' }
  const waits = [left]
  if (doubtful) waits.push(standing.verifyAt - now.mono)
  const due = (whenLeftMs: number, at: number): boolean => {
    const waitMs = Math.max(left - whenLeftMs, at - now.mono)
    if (waitMs > 0) waits.push(waitMs)
    return waitMs <= 0
  }
  if (left <= standing.warnWhenLeftMs) return { do: 'warn' }
  if (standing.warnWhenLeftMs > 0) waits.push(left - standing.warnWhenLeftMs)
  if (replaceable && due(standing.replaceWhenLeftMs, standing.replaceAt)) return { do: 'replace' }
  if (standing.renewable && due(standing.renewWhenLeftMs, standing.renewAt)) return { do: 'renew' }
  return { do: 'wait', forMs: Math.min(...waits) }
}

function gate(step: 'replace' | 'probe', at: number, now: Moment): Step {
  return now.mono >= at ? { do: step } : { do: 'wait', forMs: at - now.mono }
}
