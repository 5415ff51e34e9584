import type { ApiMessage, Envelope } from './answer.ts'

/**
 * What is wrong, as far as an answer tells:
 *
 * - `invalid_token`: the credential isn't known, or not at this family's endpoint
 * - `wrong_family`: an account token at a user's path
 * - `ip_restricted`: good, but not from here
 * - `forbidden`: it may not do this, or not yet
 * - `unauthenticated`: the request carried no credential that could be read
 * - `cannot_grant`: the caller may not grant this group there
 * - `refused`: the request is wrong, or the answer says no in a form that isn't known
 * - `not_found`: no such token or account
 * - `rate_limited`: too many requests
 * - `server`: Cloudflare's own failure
 * - `unreadable`: an answer that isn't the API's, or is too long
 * - `network`, `timeout`: no answer
 * - `budget`: not asked, since the run had used up its requests
 */
export type FaultKind =
  | 'invalid_token'
  | 'wrong_family'
  | 'ip_restricted'
  | 'forbidden'
  | 'unauthenticated'
  | 'cannot_grant'
  | 'refused'
  | 'not_found'
  | 'rate_limited'
  | 'server'
  | 'unreadable'
  | 'network'
  | 'timeout'
  | 'budget'

/** What is wrong, with the pair that says so. */
export interface Fault {
  readonly kind: FaultKind
  /** The HTTP status; absent when there was no answer. */
  readonly status?: number
  /** The code of the answer's first error. */
  readonly code?: number
  /** The message of the answer's first error. */
  readonly message?: string
}

/** Whether asking again may help. */
export function isPassing({ kind, status }: Fault): boolean {
  if (kind === 'network' || kind === 'timeout' || kind === 'server' || kind === 'rate_limited') return true
  // HTML or half a body: a gateway's doing, mostly.
  return kind === 'unreadable' && status !== undefined
}

/** Whether nothing was asked, nor will be in this run: its requests are used up, or Cloudflare takes none for the time being. */
export function isClosed({ kind, status }: Fault): boolean {
  return kind === 'budget' || (kind === 'rate_limited' && status === undefined)
}

/**
 * What an answer says is wrong; `undefined` when it succeeded. By status, code and message together: one code (9109) has four
 * meanings, and 10000 also stands in answers that are good.
 *
 * @param status - the HTTP status
 * @param envelope - the answer; `undefined` when it couldn't be read
 */
export function faultOf(status: number, envelope: Envelope | undefined): Fault | undefined {
  const first = envelope?.errors[0]
  const told = { status, ...(first !== undefined && { code: first.code, message: first.message }) }
  if (status === 429) return { kind: 'rate_limited', ...told }
  if (status >= 500) return { kind: 'server', ...told }
  if (envelope === undefined) return { kind: 'unreadable', ...told }
  if (status >= 200 && status < 300) return envelope.success ? undefined : { kind: 'refused', ...told }
  return { kind: kindOf(status, envelope.errors), ...told }
}

function kindOf(status: number, errors: readonly ApiMessage[]): FaultKind {
  for (const { code, message } of errors) {
    if (code === 9109) return kindOf9109(message)
    if (code === 1000 && status === 401) return 'invalid_token'
    if (code === 10000 && (status === 401 || status === 403)) return 'forbidden'
    if (code === 10001 && status === 403) return 'wrong_family'
    if (code === 6003 || code === 6111 || code === 9106) return 'unauthenticated'
    if (code === 1001 && status === 400 && message.includes('permission check')) return 'cannot_grant'
  }
  if (status === 404) return 'not_found'
  if (status === 401) return 'unauthenticated'
  return status === 403 ? 'forbidden' : 'refused'
}

function kindOf9109(message: string): FaultKind {
  if (message.includes('from location')) return 'ip_restricted'
  if (message.includes('user-level authentication')) return 'wrong_family'
  if (message.includes('Invalid access token')) return 'invalid_token'
  return 'forbidden'
}

/** The address that Cloudflare saw, out of `Cannot use the access token from location: 203.0.113.7`. */
export function locationOf(message: string | undefined): string | undefined {
  const at = message?.indexOf('location:') ?? -1
  if (message === undefined || at < 0) return undefined
  const word =
    message
      .slice(at + 9)
      .trim()
      .split(' ')[0] ?? ''
  return /^[0-9A-Fa-f.:]{2,45}$/.test(word) ? word : undefined
}

/** How long an answer asks to wait, ms: whole seconds or a date. `undefined` when it doesn't say. */
export function waitOf(retryAfter: string | undefined, now: number): number | undefined {
  if (retryAfter === undefined) return undefined
  const text = retryAfter.trim()
  if (/^\d{1,9}$/.test(text)) return Number(text) * 1000
  // A date as HTTP has them; what else `Date.parse` takes is a guess.
  if (text.length > 40 || !/^[A-Z][a-z]{2,8}, /.test(text)) return undefined
  const at = Date.parse(text)
  return Number.isNaN(at) ? undefined : Math.max(0, at - now)
}
