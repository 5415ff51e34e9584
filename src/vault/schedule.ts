import { MAX_TIMER_MS } from '../kernel/clock.ts'
import { type Duration, parseDuration } from '../kernel/duration.ts'
import type { VaultFailureKind } from './errors.ts'
import { VERDICTS } from './failure.ts'

/** The part of a lease after which it is renewed at the earliest. */
const EARLIEST = 0.7
/** How much later than that chance may put it, so that a fleet that started together doesn't renew together. */
const SPREAD = 0.03

/** What decides when a lease is renewed. */
export interface RenewalTiming {
  /** What is left now, ms. */
  readonly leftMs: number
  /** The whole lease as it is granted when new, ms. */
  readonly fullMs: number
  /** The host's `renewThreshold`, ms. */
  readonly thresholdMs?: number | undefined
  /** Chance, from 0 to 1. */
  readonly chance: number
}

/**
 * How much is left when a lease is to be renewed, ms; always more than 0 and less than what is left, unless nothing is. By default 70 to
 * 73 % have passed then. With a threshold, `min(threshold, full / 3)` is left, or up to a tenth less: a threshold over a third would
 * renew at every look. A token that was handed over late, with a third or less, is renewed within a tenth of what it has.
 */
export function renewWhenLeft({ leftMs, fullMs, thresholdMs, chance }: RenewalTiming): number {
  if (leftMs <= fullMs / 3) return leftMs * (1 - 0.1 * chance) * 0.999
  if (thresholdMs !== undefined) return Math.min(thresholdMs, fullMs / 3) * (1 - 0.1 * chance) * 0.999
  return fullMs * (1 - EARLIEST - SPREAD * chance)
}

/** How much is left when a token that can't be renewed any more is replaced by a login, ms. */
export function replaceWhenLeft(fullMs: number, chance: number): number {
  return fullMs * (1 - EARLIEST - SPREAD * chance)
}

/** How much is left when the host is warned, ms: `warnBelow`, but at most a tenth of the whole lease. */
export function warnWhenLeft(fullMs: number, warnBelowMs: number): number {
  return Math.min(warnBelowMs, fullMs / 10)
}

/** Two renewals that don't extend a lease are at least this far apart, ms: a second, or 5 % of the whole lease. */
export function leastSpacing(fullMs: number): number {
  return Math.max(1000, fullMs / 20)
}

/**
 * The threshold that fits a lease: a quarter of it, so that one failed renewal leaves time for many more.
 *
 * @param ttl - the whole lease
 * @returns ms
 * @throws InvalidInputError for what is no duration of at least 4 s
 * @example
 * ```ts
 * recommendThreshold('1h') // 900000
 * ```
 */
export function recommendThreshold(ttl: Duration): number {
  return Math.floor(parseDuration('ttl', ttl, { min: 4000 }) / 4)
}

/** The first upper end of the delays after a failure, ms. No delay is under half of it. */
export const RETRY_BASE_MS = 1000
/** The last upper end, ms. */
export const RETRY_CAP_MS = 5 * 60_000

/** What decides how long to wait after a failure. */
export interface RetryTiming {
  /** Failures in a row, this one counted. */
  readonly failures: number
  readonly kind: VaultFailureKind
  /** What is left of the lease, ms; Infinity where nothing runs out. */
  readonly leftMs: number
  /** What the server asked for, ms. */
  readonly retryAfterMs?: number | undefined
  /** Chance, from 0 to 1. */
  readonly chance: number
}

/**
 * How long to wait before the next attempt, ms: full jitter up to `min(cap, base * 2^(failures-1))`, where the cap is 5 minutes or a quarter
 * of what is left, so that there are always attempts to come; at least half a second, and what the server asked for.
 */
export function retryDelay({ failures, kind, leftMs, retryAfterMs = 0, chance }: RetryTiming): number {
  const verdict = VERDICTS[kind]
  if (verdict === 'retry_soon') return Math.max(100 + 900 * chance, retryAfterMs)
  const steps = Math.min(30, verdict === 'retry_slowly' ? failures + 2 : failures - 1)
  const cap = leftMs > 0 ? Math.min(RETRY_CAP_MS, Math.max(RETRY_BASE_MS, leftMs / 4)) : RETRY_CAP_MS
  const jittered = chance * Math.min(cap, RETRY_BASE_MS * 2 ** steps)
  // A server that asks for more than is left gets one attempt before the end: the token would be lost otherwise.
  const asked = leftMs > 0 && retryAfterMs >= leftMs ? leftMs * 0.9 : retryAfterMs
  return Math.max(RETRY_BASE_MS / 2, jittered, asked)
}

/** How long to sleep, ms: until something is due, but no longer than the watchdog's interval or a timer can. */
export function sleepFor(dueInMs: number, checkIntervalMs: number): number {
  return Math.max(0, Math.min(Math.ceil(dueInMs), checkIntervalMs, MAX_TIMER_MS))
}
