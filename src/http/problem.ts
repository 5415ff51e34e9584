import type { Refused } from './challenge.ts'

/** The media type of {@link ProblemDetails} (RFC 9457). */
export const PROBLEM_CONTENT_TYPE = 'application/problem+json'

/**
 * The body of a refusal (RFC 9457). `type` is `about:blank`, so `title` is the status's own phrase and `code` tells the cases
 * apart: a URL of ours would promise pages that a host's clients can't count on, and a URN would need a registered namespace.
 */
export interface ProblemDetails {
  /** Always `about:blank`. */
  readonly type: 'about:blank'
  /** The status's phrase, such as `Forbidden`. */
  readonly title: string
  /** The HTTP status. */
  readonly status: number
  /** One sentence about what was wrong. */
  readonly detail: string
  /** What was wrong, such as `expired` or `insufficient_scope`. */
  readonly code: string
  /** When to try again, whole seconds; the same as in the Retry-After header. */
  readonly retryAfter?: number
  /** The scopes that were asked for and not granted. */
  readonly missingScopes?: readonly string[]
  /** What an approver must decide on. */
  readonly approvalRequest?: { readonly [name: string]: unknown }
}

const TITLES: { readonly [status in Refused['status']]: string } = {
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  429: 'Too Many Requests',
  503: 'Service Unavailable',
}

/** The body that goes with a refusal. `retryAfter`: see {@link retryAfterSeconds}. */
export function problemDetails(refused: Refused, retryAfter: number | undefined): ProblemDetails {
  const { code, status, message } = refused
  return {
    type: 'about:blank',
    title: TITLES[status],
    status,
    detail: message,
    code,
    ...(retryAfter === undefined ? {} : { retryAfter }),
    ...(code === 'invalid_request' || refused.missingScopes === undefined
      ? {}
      : { missingScopes: refused.missingScopes }),
    ...(code === 'invalid_request' || refused.approvalRequest === undefined
      ? {}
      : { approvalRequest: refused.approvalRequest }),
  }
}

/**
 * The Retry-After of a refusal in whole seconds, rounded up and at least 1 (RFC 9110, section 10.2.3). A 503 has always one; a
 * 429 has none when waiting won't help, as with a quota that never refills.
 */
export function retryAfterSeconds(refused: Refused): number | undefined {
  if (refused.status !== 429 && refused.status !== 503) return undefined
  const ms = refused.retryAfterMs
  if (ms === undefined || !Number.isFinite(ms)) return refused.status === 503 ? 1 : undefined
  return Math.max(1, Math.ceil(ms / 1000))
}
