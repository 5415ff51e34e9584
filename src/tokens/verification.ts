import type { TokenView } from './token-view.ts'

/** Why a token was refused. */
export type DenialCode =
  | 'missing'
  | 'malformed'
  | 'unknown'
  | 'revoked'
  | 'disabled'
  | 'expired'
  | 'ip_denied'
  | 'level_denied'
  | 'insufficient_scope'
  | 'tool_denied'
  | 'approval_required'
  | 'insecure_transport'
  | 'rate_limited'
  | 'quota_exceeded'
  | 'unavailable'

/** The HTTP status that goes with each {@link DenialCode}. */
export const DENIAL_STATUS: { readonly [code in DenialCode]: 401 | 403 | 429 | 503 } = {
  missing: 401,
  malformed: 401,
  unknown: 401,
  revoked: 401,
  disabled: 401,
  expired: 401,
  ip_denied: 403,
  level_denied: 403,
  insufficient_scope: 403,
  tool_denied: 403,
  approval_required: 403,
  insecure_transport: 403,
  rate_limited: 429,
  quota_exceeded: 429,
  unavailable: 503,
}

/** One sentence for each {@link DenialCode}: what was wrong, fit for a client to read. */
export const DENIAL_MESSAGE: { readonly [code in DenialCode]: string } = {
  missing: 'No token was given.',
  malformed: 'The token is malformed: it was mistyped, cut off, or is not a token.',
  unknown: 'The token is not known.',
  revoked: 'The token has been revoked.',
  disabled: 'The token is disabled.',
  expired: 'The token has expired.',
  ip_denied: 'The token may not be used from this address.',
  level_denied: 'The level of the token is too low for this call.',
  insufficient_scope: 'The token lacks a scope that this call needs.',
  tool_denied: 'The token may not use this tool with these arguments.',
  approval_required: 'This call needs an approval.',
  insecure_transport: 'Tokens are accepted over HTTPS only.',
  rate_limited: 'The rate limit of the token is used up for now.',
  quota_exceeded: 'The quota of the token is used up.',
  unavailable: 'The token cannot be checked right now.',
}

/** What is left of one limit after a call. */
export interface LimitState {
  /** The limit's name; `quota` for the quota. */
  readonly name: string
  readonly kind: 'rate' | 'quota'
  /** Units per window. */
  readonly limit: number
  /** The window, ms; absent for a quota that never refills. */
  readonly per?: number
  /** Units that may be used right now. */
  readonly remaining: number
  /** Until it is full again, ms; absent for a quota that never refills. */
  readonly resetMs?: number
}

/** One check as `explain: true` lists it. */
export interface CheckStep {
  readonly check:
    | 'form'
    | 'proof'
    | 'revoked'
    | 'disabled'
    | 'expired'
    | 'network'
    | 'level'
    | 'scope'
    | 'tool'
    | 'approval'
    | 'rate'
    | 'quota'
  readonly result: 'pass' | 'fail' | 'skipped'
}

/** What is asked of a token besides that it is good. */
export interface VerifyContext {
  /** The client's address, as the framework knows it. With an IP rule, an unknown one is refused. */
  readonly ip?: string | undefined
  /** The tool that the call uses. */
  readonly tool?: string | undefined
  /** The tool's arguments. */
  readonly args?: { readonly [name: string]: unknown } | undefined
  /** Scopes that the call needs, all of them. */
  readonly scopes?: readonly string[] | undefined
  /** The lowest level that will do. Default: any. */
  readonly level?: 'read_only' | 'standard' | 'admin' | undefined
  /** Units that the call takes from each limit and the quota. Default 1. */
  readonly cost?: number | undefined
  /** The id of an approval for this very call. */
  readonly approval?: string | undefined
  /** Which tokens will do: with `['opaque']` a signed one counts as unknown, and the other way round. Default: both. */
  readonly accept?: readonly ('opaque' | 'signed')[] | undefined
  /** Lists the checks in the answer. Default false. */
  readonly explain?: boolean | undefined
  /** Who calls, as the host knows it, for the request log. */
  readonly caller?: string | undefined
  /** The caller promises `usage.finish()`, which then writes the request log's row with status and duration. Default false. */
  readonly finishLater?: boolean | undefined
}

/** The token is good for this call. */
export interface Verified {
  readonly ok: true
  /** The token; copied when first read. */
  readonly token: TokenView
  /** Which of its versions was presented. */
  readonly version: 'current' | 'previous' | 'pending'
  /** The number of that version, as in {@link TokenView.versions}. */
  readonly versionNumber: number
  /** What is left of its limits; copied when first read. */
  readonly limits: readonly LimitState[]
  /** With `explain`: every check, in order. */
  readonly explain?: readonly CheckStep[]
}

/** The token is refused for this call. */
export interface Denied {
  readonly ok: false
  readonly code: DenialCode
  /** The HTTP status that goes with the code. */
  readonly status: 401 | 403 | 429 | 503
  /** One sentence for the client. */
  readonly message: string
  /** When to try again, ms; with `rate_limited`, `quota_exceeded` (if it refills) and `unavailable`. */
  readonly retryAfterMs?: number
  /** The scopes that were asked for and not granted. */
  readonly missingScopes?: readonly string[]
  /** What an approver must decide on. */
  readonly approvalRequest?: { readonly [name: string]: unknown }
  /** What is left of the limits, with `rate_limited` and `quota_exceeded`. */
  readonly limits?: readonly LimitState[]
  /** With `explain`: every check, in order. */
  readonly explain?: readonly CheckStep[]
}

/** The answer to "may this string do this, from here, now?" A value, never an exception. */
export type Verification = Verified | Denied
