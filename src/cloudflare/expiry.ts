const DAY = 86_400_000

/** How near a token's end is: within 30, 7 or 1 days; `none` = it has no end. */
export type ExpirySeverity = 'none' | 'far' | 'notice' | 'warning' | 'critical' | 'expired' | 'unreadable'

/** The days at which an end that comes near is told, fewest first. */
export const EXPIRY_DAYS: readonly number[] = [1, 7, 30]

/** When a token ends, and how near that is. */
export interface Expiry {
  readonly severity: ExpirySeverity
  /** Epoch ms. */
  readonly at?: number
}

/**
 * How near an end is. The instant itself counts as past; a date that is none is told as such, and is not 1970.
 *
 * @param expiresOn - as Cloudflare gives it; absent = never
 */
export function expiryOf(expiresOn: string | undefined, now: number): Expiry {
  if (expiresOn === undefined) return { severity: 'none' }
  const at = instantOf(expiresOn)
  if (at === undefined) return { severity: 'unreadable' }
  const left = at - now
  if (left <= 0) return { severity: 'expired', at }
  const [critical = 0, warning = 0, notice = 0] = EXPIRY_DAYS
  if (left <= critical * DAY) return { severity: 'critical', at }
  if (left <= warning * DAY) return { severity: 'warning', at }
  return { severity: left <= notice * DAY ? 'notice' : 'far', at }
}

/** A date of RFC 3339 as epoch ms; `undefined` for anything else. */
export function instantOf(text: string): number | undefined {
  if (text.length > 40 || !/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)$/.test(text)) return undefined
  const at = Date.parse(text)
  return Number.isNaN(at) ? undefined : at
}
