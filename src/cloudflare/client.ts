import { InvalidInputError } from '../kernel/errors.ts'
import { checkFields } from '../kernel/fields.ts'
import { Secret } from '../kernel/secret.ts'
import { readBounded } from './bounded-body.ts'

/** One request to Cloudflare's API, without a credential unless one is named. */
export interface CloudflareRequest {
  readonly method: 'GET' | 'PUT'
  /** Below the base URL, beginning with a slash: `/accounts/…/tokens/verify`. Ids in it are checked, so it needs no escaping. */
  readonly path: string
  readonly query?: { readonly [name: string]: string }
  /** A JSON value. */
  readonly body?: unknown
  /** The credential instead of the client's own: a token that is verified by itself. */
  readonly token?: Secret
  readonly signal?: AbortSignal
}

/** What came back: whatever the status, not yet understood. */
export interface CloudflareAnswer {
  readonly status: number
  /** The header `retry-after`. */
  readonly retryAfter?: string
  /** The body, at most 8 MB of it. */
  readonly text: string
}

/**
 * What the healer sends its requests with: one method, one attempt, no interpretation. {@link createCloudflareClient} makes one
 * over `fetch`, `fromCloudflare` one of the official client; any other can be fitted by hand.
 */
export interface CloudflareClient {
  /** Sends it once. Rejects when no answer came, with the signal's reason once that is aborted. */
  send(request: CloudflareRequest): Promise<CloudflareAnswer>
}

/** How {@link createCloudflareClient} sends. */
export interface CloudflareClientOptions {
  /** The credential: an API token, not a global key. */
  readonly token: string | Secret
  /** Default `https://api.cloudflare.com/client/v4`. `http` only to this machine. */
  readonly baseURL?: string | undefined
  /** Sends the requests. Default: the runtime's `fetch`. */
  readonly fetch?: typeof globalThis.fetch | undefined
}

/** Where Cloudflare's API is. */
const API = 'https://api.cloudflare.com/client/v4'

/** The longest token that is sent: Cloudflare's have 40 to 80 characters. */
const MAX_TOKEN = 512

/**
 * A credential as it may stand in a header.
 *
 * @throws InvalidInputError when it can't
 */
export function checkToken(field: string, token: unknown): Secret {
  const text = token instanceof Secret ? token.reveal() : token
  if (typeof text !== 'string' || text.length < 20 || text.length > MAX_TOKEN || !/^[\x21-\x7e]+$/.test(text)) {
    throw new InvalidInputError(field, 'is not an API token', 'give its text as it was shown once, without "Bearer"')
  }
  return token instanceof Secret ? token : new Secret(text)
}

/** @throws InvalidInputError for an optional callback that is no function */
export function checkFunction(field: string, value: unknown): void {
  if (value === undefined || typeof value === 'function') return
  throw new InvalidInputError(field, 'is not a function', 'give a function, or leave it out')
}

/**
 * A URL that may carry what is confidential.
 *
 * @throws InvalidInputError when it isn't https, save to this machine, or names a user
 */
export function checkUrl(field: string, input: unknown, help: string): URL {
  let url: URL | undefined
  try {
    url = new URL(String(input))
  } catch {
    url = undefined
  }
  const local = url !== undefined && ['localhost', '127.0.0.1', '[::1]'].includes(url.hostname)
  const safe = url?.protocol === 'https:' || (url?.protocol === 'http:' && local)
  if (url === undefined || !safe || url.username !== '' || url.password !== '') {
    throw new InvalidInputError(field, 'is not an https URL', help)
  }
  return url
}

/**
 * A base URL that may carry a credential.
 *
 * @throws InvalidInputError when it isn't https, save to this machine, or is no base
 */
export function checkBaseUrl(field: string, input: unknown): string {
  const help = `leave it out for ${API}`
  const { href, search, hash } = checkUrl(field, input, help)
  if (search !== '' || hash !== '') throw new InvalidInputError(field, 'has a query or a fragment', help)
  return href.endsWith('/') ? href.slice(0, -1) : href
}

/**
 * A client of this library's own, for Node and Workers: one credential, sent as `Authorization: Bearer` and nothing else, to one
 * host. It reads no environment, follows no redirection, retries nothing by itself (the healer does) and logs nothing.
 *
 * @param options - the credential, and where to
 * @throws InvalidInputError for a token or a URL that can't be used
 * @example
 * ```ts
 * const client = createCloudflareClient({ token: env.HEALER_TOKEN })
 * ```
 */
export function createCloudflareClient(options: CloudflareClientOptions): CloudflareClient {
  checkFields('options', options, ['token', 'baseURL', 'fetch'])
  const own = checkToken('token', options.token)
  const base = checkBaseUrl('baseURL', options.baseURL ?? API)
  checkFunction('fetch', options.fetch)
  const { fetch = (url, init) => globalThis.fetch(url, init) } = options
  return {
    async send({ method, path, query, body, token = own, signal }) {
      const search = query === undefined ? '' : `?${new URLSearchParams(query)}`
      const response = await fetch(`${base}${path}${search}`, {
        method,
        headers: {
          authorization: `Bearer ${token.reveal()}`,
          accept: 'application/json',
          ...(body !== undefined && { 'content-type': 'application/json' }),
        },
        ...(body !== undefined && { body: JSON.stringify(body) }),
        redirect: 'manual',
        ...(signal !== undefined && { signal }),
      })
      return answerOf(response, signal)
    },
  }
}

/** An answer of a response, its body read within bounds. */
export async function answerOf(response: Response, signal: AbortSignal | undefined): Promise<CloudflareAnswer> {
  const retryAfter = response.headers.get('retry-after')
  const text = await readBounded(response, signal)
  return { status: response.status, text, ...(retryAfter !== null && { retryAfter }) }
}
