import type { LimitState } from '../tokens/verification.ts'
import { quoted } from './quoted.ts'

/** The largest integer of a structured field (RFC 9651, section 3.3.1). */
const LARGEST = 999_999_999_999_999

/**
 * The RateLimit-Policy header: of each limit its units `q` and window `w` in seconds (draft-ietf-httpapi-ratelimit-headers-11),
 * such as `"default";q=1000;w=3600`. A quota that never refills has no window.
 *
 * @param limits - at least one
 */
export function rateLimitPolicy(limits: readonly LimitState[]): string {
  if (!isSamePolicy(limits, latest)) {
    latestText = policyText(limits)
    latest = limits
  }
  return latestText
}

/** What was told last: tokens mostly have the same limits, and each request tells them. */
let latest: readonly LimitState[] = []
let latestText = ''

function isSamePolicy(a: readonly LimitState[], b: readonly LimitState[]): boolean {
  if (a.length !== b.length) return false
  for (let i = 0; i < a.length; i++) {
    const one = a[i] as LimitState
    const other = b[i] as LimitState
    if (one.limit !== other.limit || one.per !== other.per || one.name !== other.name) return false
  }
  return true
}

function policyText(limits: readonly LimitState[]): string {
  let text = ''
  for (const limit of limits) {
    if (text !== '') text += ', '
    text += `${quoted(limit.name)};q=${whole(limit.limit)}`
    if (limit.per !== undefined) text += `;w=${whole(Math.ceil(limit.per / 1000))}`
  }
  return text
}

/**
 * The RateLimit header: of each limit the units `r` that remain and the seconds `t` until it is full again (the same draft),
 * such as `"default";r=998;t=8`.
 *
 * @param limits - at least one
 */
export function rateLimit(limits: readonly LimitState[]): string {
  let text = ''
  for (const limit of limits) {
    if (text !== '') text += ', '
    text += `${quoted(limit.name)};r=${whole(Math.floor(limit.remaining))}`
    if (limit.resetMs !== undefined) text += `;t=${whole(Math.ceil(limit.resetMs / 1000))}`
  }
  return text
}

function whole(value: number): number {
  return value > 0 ? Math.min(value, LARGEST) : 0
}
