import { Buffer } from 'node:buffer'
import { createHmac, createSecretKey, KeyObject } from 'node:crypto'
import { equalBytes } from './bytes.ts'
import { type Duration, parseDuration } from './duration.ts'
import { InvalidInputError } from './errors.ts'
import { Secret } from './secret.ts'

/**
 * What webhooks are signed with: a text `whsec_` and 24 to 64 bytes in base64, as receivers are handed it, or a symmetric
 * `KeyObject` of that many bytes.
 */
export type WebhookKey = string | Secret | KeyObject

/** The headers that a signed webhook carries. */
export interface WebhookHeaders {
  /** The message's id; the same when it is sent again. */
  readonly 'webhook-id': string
  /** When it was sent, epoch seconds. */
  readonly 'webhook-timestamp': string
  /** One `v1,<base64>` for each key, separated by spaces. */
  readonly 'webhook-signature': string
}

/** A message to be signed. */
export interface WebhookMessage {
  /** Unique to the message: 1 to 256 of `A-Z a-z 0-9 _ -`. */
  readonly id: string
  /** When it is sent, epoch ms; signed in whole seconds. */
  readonly timestamp: number
  /** The body, exactly as it is sent. */
  readonly body: string | Uint8Array
}

/** A message to be signed, with its keys. */
export interface SignWebhookOptions extends WebhookMessage {
  /** The key; several while keys are changed, so that receivers with either accept. At most 10. */
  readonly secret: WebhookKey | readonly WebhookKey[]
}

/** Request headers as frameworks give them; names in any case. */
export type ReceivedHeaders = { readonly [name: string]: string | readonly string[] | undefined } | FetchHeaders

/** What of the Fetch standard's `Headers` is used. */
export interface FetchHeaders {
  /** The value of a header, those of several joined. */
  get(name: string): string | null
}

/** A message that came in, with what it is checked against. */
export interface VerifyWebhookOptions {
  /** The key; several while keys are changed. At most 10. */
  readonly secret: WebhookKey | readonly WebhookKey[]
  /** The request's headers. */
  readonly headers: ReceivedHeaders
  /** The raw body, before any parsing. */
  readonly body: string | Uint8Array
  /** The time now, epoch ms. */
  readonly now: number
  /** How far the timestamp may be from `now`, either way. Default 5 minutes. */
  readonly tolerance?: Duration
}

/** What {@link verifyWebhook} found. */
export type WebhookVerification =
  | {
      readonly ok: true
      /** The message's id; a receiver keeps those of the last minutes and drops repetitions. */
      readonly id: string
      /** When it was sent, epoch ms. */
      readonly timestamp: number
    }
  | {
      readonly ok: false
      /** `too_old` and `too_new` are told only of messages whose signature is good. */
      readonly reason: 'missing_header' | 'malformed' | 'bad_signature' | 'too_old' | 'too_new'
    }

const ID = /^[A-Za-z0-9_-]{1,256}$/
const TIMESTAMP = /^[1-9]\d{0,11}$/
const SIGNATURE = /^v1,([A-Za-z0-9+/]{43}=)$/
const MAX_KEYS = 10
const MAX_SIGNATURES = 20

/**
 * Signs a webhook: HMAC-SHA256 of `id.timestamp.body`, as the Standard Webhooks specification
 * (https://www.standardwebhooks.com) asks.
 *
 * @param options - the message and the key
 * @returns the three headers to send with the body
 * @throws InvalidInputError for an id, a timestamp or a key that can't be used
 * @example
 * ```ts
 * const headers = signWebhook({ secret: 'whsec_…', id: 'msg_2f', timestamp: clock.now(), body })
 * await fetch(url, { method: 'POST', headers: { ...headers, 'content-type': 'application/json' }, body })
 * ```
 */
export function signWebhook(options: SignWebhookOptions): WebhookHeaders {
  const { id, timestamp, body } = options
  if (typeof id !== 'string' || !ID.test(id)) {
    throw new InvalidInputError('id', 'is not 1 to 256 letters, digits, "_" and "-"', 'give such an id')
  }
  const seconds = Number.isFinite(timestamp) ? String(Math.floor(timestamp / 1000)) : ''
  if (!TIMESTAMP.test(seconds))
    throw new InvalidInputError('timestamp', 'is not epoch milliseconds', 'give clock.now()')
  const signatures = keysOf(options.secret).map((key) => `v1,${mac(key, id, seconds, body).toString('base64')}`)
  return { 'webhook-id': id, 'webhook-timestamp': seconds, 'webhook-signature': signatures.join(' ') }
}

/**
 * Checks a signed webhook: any of the signatures under any of the keys will do, compared in constant time. What a
 * sender may get wrong is an answer, not an exception.
 *
 * @param options - the request and the key
 * @returns the message's id and time, or why it is refused
 * @throws InvalidInputError for a key or a tolerance that can't be used
 */
export function verifyWebhook(options: VerifyWebhookOptions): WebhookVerification {
  const keys = keysOf(options.secret)
  const tolerance = parseDuration('tolerance', options.tolerance ?? '5m')
  const id = header(options.headers, 'webhook-id')
  const seconds = header(options.headers, 'webhook-timestamp')
  const signatures = header(options.headers, 'webhook-signature')
  if (id === undefined || seconds === undefined || signatures === undefined) return refuse('missing_header')
  // An id with a dot could be cut elsewhere: `a.1` and `2` sign the same text as `a` and `1`, with another body.
  if (!ID.test(id) || !TIMESTAMP.test(seconds) || signatures.length > 4096) return refuse('malformed')
  if (!anyMatches(keys, signatures, id, seconds, options.body)) return refuse('bad_signature')
  const timestamp = Number(seconds) * 1000
  if (timestamp < options.now - tolerance) return refuse('too_old')
  if (timestamp > options.now + tolerance) return refuse('too_new')
  return { ok: true, id, timestamp }
}

function refuse(reason: Exclude<WebhookVerification, { ok: true }>['reason']): WebhookVerification {
  return { ok: false, reason }
}

function anyMatches(
  keys: readonly KeyObject[],
  signatures: string,
  id: string,
  seconds: string,
  body: string | Uint8Array,
): boolean {
  const given: Uint8Array[] = []
  for (const part of signatures.split(' ', MAX_SIGNATURES)) {
    // Signatures of other schemes, such as v1a, may stand beside ours.
    const match = SIGNATURE.exec(part)
    if (match !== null) given.push(Buffer.from(match[1] as string, 'base64'))
  }
  let good = false
  for (const key of keys) {
    const expected = mac(key, id, seconds, body)
    // Every pair is compared, so that time doesn't tell which was right.
    for (const signature of given) good = equalBytes(signature, expected) || good
  }
  return good
}

function mac(key: KeyObject, id: string, seconds: string, body: string | Uint8Array): Buffer {
  return createHmac('sha256', key).update(`${id}.${seconds}.`).update(body).digest()
}

/** The one value of a header; undefined when it is absent or given twice. */
function header(headers: ReceivedHeaders, name: string): string | undefined {
  if (typeof headers.get === 'function') return headers.get(name) ?? undefined
  let found: string | undefined
  for (const key of Object.keys(headers)) {
    if (key.length !== name.length || key.toLowerCase() !== name) continue
    const value: unknown = (headers as { readonly [name: string]: unknown })[key]
    if (value === undefined) continue
    if (typeof value !== 'string' || found !== undefined) return undefined
    found = value
  }
  return found
}

function keysOf(secret: WebhookKey | readonly WebhookKey[]): readonly KeyObject[] {
  const keys = (Array.isArray(secret) ? secret : [secret]) as readonly WebhookKey[]
  if (keys.length === 0 || keys.length > MAX_KEYS) {
    throw new InvalidInputError('secret', `holds ${keys.length} keys`, `give 1 to ${MAX_KEYS}`)
  }
  return keys.map(keyOf)
}

function keyOf(key: WebhookKey): KeyObject {
  const text = key instanceof Secret ? key.reveal() : key
  if (typeof text === 'string') {
    const match = text.length <= 100 ? /^whsec_([A-Za-z0-9+/]+={0,2})$/.exec(text) : null
    const bytes = Buffer.from(match?.[1] ?? '', 'base64')
    if (bytes.length >= 24 && bytes.length <= 64) return createSecretKey(bytes)
  } else if (text instanceof KeyObject && text.type === 'secret') {
    const { symmetricKeySize: size = 0 } = text
    if (size >= 24 && size <= 64) return text
  }
  throw new InvalidInputError(
    'secret',
    'is not a key of 24 to 64 bytes',
    'give "whsec_" and the key in base64, or a secret KeyObject',
  )
}
