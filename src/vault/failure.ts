import { TokenwrightError } from '../kernel/errors.ts'
import { TimeLimitError } from '../kernel/time-limit.ts'
import { type VaultErrorResponse, type VaultFailureKind, type VaultOperation, VaultRequestError } from './errors.ts'

/** What an error of some client tells, before it is judged. */
export interface FailureFacts {
  readonly status?: number | undefined
  readonly messages: readonly string[]
  /** The network's code, or the runtime's; absent when an answer came. */
  readonly networkCode?: string | undefined
  readonly retryAfterMs?: number | undefined
  /** Whether an answer came that isn't of the shape it should be. */
  readonly malformed?: boolean | undefined
}

/** What follows from a failed renewal. */
export type Verdict =
  /** Try again, with backoff, to the end. */
  | 'retry'
  /** Try again within a second. */
  | 'retry_soon'
  /** Try again, but rarely: it takes somebody to mend it. */
  | 'retry_slowly'
  /** Look the token up once: it is dead, or lacks a policy. */
  | 'confirm'
  /** No more renewals; a new token before the end. */
  | 'stop_renewing'
  /** A new token now, while the old one lasts. */
  | 'replace'
  /** It is gone. */
  | 'dead'

/** The decision table of a failed renewal. */
export const VERDICTS: { readonly [kind in VaultFailureKind]: Verdict } = {
  network: 'retry',
  timeout: 'retry',
  sealed: 'retry',
  unavailable: 'retry',
  rate_limited: 'retry',
  behind: 'retry_soon',
  auth: 'confirm',
  not_renewable: 'stop_renewing',
  dead: 'dead',
  refused: 'replace',
  credentials: 'retry',
  protocol: 'retry_slowly',
  config: 'retry_slowly',
}

const NOT_RENEWABLE = ['lease is not renewable', 'batch tokens cannot be renewed', 'invalid lease ID']
const GONE = ['lease expired', 'lease not found', 'token not found', 'invalid lease']
/** Answered with status 500, and final all the same. */
const REFUSED = ['past the max TTL', 'failed to renew entry', 'cannot renew a token across namespaces']
const TIMEOUTS = new Set(['timeout', 'ETIMEDOUT', 'ECONNABORTED', 'UND_ERR_HEADERS_TIMEOUT', 'UND_ERR_BODY_TIMEOUT'])

/** Which kind of failure it is: by the status first, and by the words of Vault and OpenBao where a status has several meanings. */
export function kindOf(facts: FailureFacts, operation: VaultOperation): VaultFailureKind {
  const { status, networkCode } = facts
  const says = (texts: readonly string[]): boolean =>
    facts.messages.some((message) => texts.some((text) => message.includes(text)))
  if (facts.malformed === true) return 'protocol'
  if (status === undefined) return networkCode !== undefined && TIMEOUTS.has(networkCode) ? 'timeout' : 'network'
  const renewing = operation === 'renew' || operation === 'renew_lease'
  const entering = operation === 'login' || operation === 'unwrap'
  if (status === 400 || status === 401 || status === 403) {
    if (entering) return 'credentials'
    if (status !== 400) return 'auth'
    if (renewing && says(NOT_RENEWABLE)) return 'not_renewable'
    return renewing && says(GONE) ? 'dead' : 'config'
  }
  if (status === 412) return 'behind'
  if (status === 429) return 'rate_limited'
  if (status === 503 && says(['sealed'])) return 'sealed'
  if (status === 500 && renewing && says(REFUSED)) return 'refused'
  if (status >= 500) return 'unavailable'
  return status < 300 ? 'protocol' : 'config'
}

const MAX_MESSAGES = 3
const MAX_MESSAGE = 300
const MAX_RETRY_AFTER = 3_600_000

type Loose = { readonly [name: string]: unknown }

function objectOf(value: unknown): Loose | undefined {
  return typeof value === 'object' && value !== null ? (value as Loose) : undefined
}

/** The texts of `{ errors: [...] }`. */
export function messagesOf(body: unknown): string[] {
  const errors = objectOf(body)?.['errors']
  return Array.isArray(errors) ? errors.filter((each): each is string => typeof each === 'string') : []
}

/** Milliseconds of a Retry-After header in seconds, at most an hour; undefined for any other. */
export function retryAfterOf(headers: unknown): number | undefined {
  const found = objectOf(headers)?.['retry-after']
  const seconds = typeof found === 'string' && /^\d{1,9}$/.test(found) ? Number(found) : Number.NaN
  return Number.isNaN(seconds) ? undefined : Math.min(seconds * 1000, MAX_RETRY_AFTER)
}

/** What an error tells: one of ours, of node-vault's, of axios', of fetch's, or of any client with a status. */
export function factsOf(error: unknown): FailureFacts {
  if (error instanceof VaultRequestError) {
    const { status, networkCode, retryAfterMs, messages, kind } = error
    return { status, networkCode, retryAfterMs, messages, malformed: kind === 'protocol' }
  }
  if (error instanceof TokenwrightError) return { messages: [], malformed: true }
  if (error instanceof TimeLimitError) return { messages: [], networkCode: 'timeout' }
  const given = objectOf(error)
  const response = objectOf(given?.['response'])
  const status = [response?.['statusCode'], response?.['status'], given?.['statusCode'], given?.['status']].find(
    (each) => typeof each === 'number',
  )
  if (status !== undefined) {
    const messages = messagesOf(response?.['body'] ?? response?.['data'])
    return { status, messages, retryAfterMs: retryAfterOf(response?.['headers']) }
  }
  const code = [given?.['code'], objectOf(given?.['cause'])?.['code']].find((each) => typeof each === 'string')
  if (code !== undefined) return { messages: [], networkCode: code.slice(0, 40) }
  // What is no failure of the network is one of the client itself, and won't pass by waiting.
  const fetching = error instanceof TypeError && error.message === 'fetch failed'
  return fetching ? { messages: [], networkCode: 'fetch' } : { messages: [], malformed: true }
}

/**
 * An error that may be shown: judged, and without anything secret.
 *
 * @param error - what a client threw
 * @param operation - what was asked for
 * @param secrets - the texts that went into the request; none stays in the messages
 */
export function requestError(
  error: unknown,
  operation: VaultOperation,
  secrets: readonly string[] = [],
): VaultRequestError {
  // One of ours was judged already, for what it was; a client's was not.
  if (error instanceof VaultRequestError && error.operation !== 'request') return error
  const facts = factsOf(error)
  const { status, networkCode, retryAfterMs } = facts
  const messages = facts.messages.slice(0, MAX_MESSAGES).map((message) => redacted(message, secrets))
  const response = responseOf(error)
  return new VaultRequestError(
    { operation, kind: kindOf(facts, operation), status, networkCode, retryAfterMs, messages },
    response,
  )
}

function responseOf(error: unknown): VaultErrorResponse | undefined {
  return error instanceof VaultRequestError ? error.response : undefined
}

/** An error for an answer of another shape. */
export function shapeError(operation: VaultOperation, what: string): VaultRequestError {
  return new VaultRequestError({ operation, kind: 'protocol', messages: [what] })
}

const MOST_TEXTS = 100

/** The texts in what is sent, three levels deep: none of them may be shown. */
export function textsIn(value: unknown, depth = 0): string[] {
  if (typeof value === 'string') return [value]
  if (typeof value !== 'object' || value === null || depth > 2) return []
  return Object.values(value)
    .slice(0, MOST_TEXTS)
    .flatMap((each) => textsIn(each, depth + 1))
    .slice(0, MOST_TEXTS)
}

const SHORTEST_SECRET = 4

/** A message of the server's, shortened, without these texts and without what looks like a token. */
export function redacted(message: string, secrets: readonly string[]): string {
  let text = message.slice(0, MAX_MESSAGE * 4)
  // The longest first: of one that holds a shorter one, the rest would stay.
  const longestFirst = secrets.filter(({ length }) => length >= SHORTEST_SECRET).sort((a, b) => b.length - a.length)
  for (const secret of longestFirst) text = text.replaceAll(secret, '[secret]')
  text = text.replaceAll(/\b(?:hv[sbr]|[sbr])\.[A-Za-z0-9_.-]{20,}/g, '[secret]').replaceAll(/\s+/g, ' ')
  return text.trim().slice(0, MAX_MESSAGE)
}

/** Whether a 403 is a policy's: then the server knows the token. Unknown ones are refused in other words. */
export function isPolicyDenial(error: VaultRequestError): boolean {
  return error.kind === 'auth' && saysPolicyDenial(error)
}

/** Whether a policy's words came with a 403, whatever that was judged to be. */
export function saysPolicyDenial({ status, messages }: VaultRequestError): boolean {
  return status === 403 && messages.some((message) => message.startsWith('1 error occurred'))
}

/** Whether a request that failed cost the token a use: the server took it, and answered. */
export function costUse({ status }: VaultRequestError): boolean {
  return status !== undefined && status < 500 && status !== 429
}

/** Whether a token's own request failed because the server doesn't know it, or refuses it. */
export function isTokenRefused(error: VaultRequestError): boolean {
  return error.kind === 'auth' && !isPolicyDenial(error)
}

/** A first look-up's refusal, with what may be behind it. */
export function explained(error: VaultRequestError): VaultRequestError {
  if (!isPolicyDenial(error)) return error
  const { operation, kind, status, messages } = error
  const why = 'its policies forbid to look it up, or it was a wrapping token, which is used up now'
  return new VaultRequestError({ operation, kind, status, messages: [...messages, why] })
}
