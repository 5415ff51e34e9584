import { InvalidInputError } from '../kernel/errors.ts'
import { MAX_BODY } from './bounded-body.ts'
import { answerOf, type CloudflareAnswer, type CloudflareClient, checkBaseUrl } from './client.ts'

/** What of a request's options the official client is given. */
export interface OfficialRequestOptions {
  readonly query?: object
  readonly body?: unknown
  readonly headers: { readonly [name: string]: string | null }
  readonly maxRetries: number
  readonly signal?: AbortSignal
}

/** What the official client's requests answer: a promise with the bare response. */
export interface OfficialRequest {
  /** The response as it came; an answer that isn't 2xx rejects. */
  asResponse(): Promise<Response>
}

/** What of an official client's requests is used. */
export interface OfficialRequests {
  /** GET. */
  get(path: string, options: OfficialRequestOptions): OfficialRequest
  /** PUT. */
  put(path: string, options: OfficialRequestOptions): OfficialRequest
}

/** What of a client of the package `cloudflare` (7) is used; its tree-shakable client fits too, whatever its resources. */
export interface OfficialClient {
  /** The credential; `null` when it has none. */
  readonly apiToken: string | null
  /** Where its requests go. */
  readonly baseURL: string
  /** A client like this one, with other options. */
  withOptions(options: {
    readonly maxRetries: number
    readonly apiKey: null
    readonly apiEmail: null
    readonly userServiceKey: null
    readonly fetch: typeof globalThis.fetch
  }): OfficialRequests
}

/** Nothing but the bearer token may say who asks: these come from the environment where the host didn't set them. */
const NO_OTHER_CREDENTIAL = { 'X-Auth-Key': null, 'X-Auth-Email': null, 'X-Auth-User-Service-Key': null } as const

/**
 * A {@link CloudflareClient} of the official client. The client's token is the only credential that is sent, whatever else it
 * took from the environment; its retries are off, for the healer has its own; its answers are read here and never by it, so
 * that its debug log holds no body of an answer.
 *
 * @param client - `new Cloudflare({ apiToken, baseURL })` of the package `cloudflare`
 * @throws InvalidInputError for what is no such client, one without `apiToken`, or with a `baseURL` that isn't https
 * @example
 * ```ts sketch
 * import Cloudflare from 'cloudflare'
 * import { CloudflareTokenHealer, fromCloudflare } from 'tokenwright/cloudflare'
 *
 * const client = fromCloudflare(new Cloudflare({ apiToken: process.env.HEALER_TOKEN }))
 * ```
 */
export function fromCloudflare(client: OfficialClient): CloudflareClient {
  if (typeof client?.withOptions !== 'function') {
    throw new InvalidInputError(
      'client',
      'is not a client of the package cloudflare',
      'give new Cloudflare({ apiToken })',
    )
  }
  if (typeof client.apiToken !== 'string') {
    throw new InvalidInputError(
      'client',
      'has no apiToken',
      'give it an API token; a global key is too much for a healer',
    )
  }
  checkBaseUrl('client.baseURL', client.baseURL)
  // Its `fetch` is private to the types, and what the host gave it must stay in use.
  const given = (client as { readonly fetch?: unknown }).fetch
  const fetch = typeof given === 'function' ? (given as typeof globalThis.fetch) : globalThis.fetch
  const official = client.withOptions({
    maxRetries: 0,
    apiKey: null,
    apiEmail: null,
    userServiceKey: null,
    fetch: (url, init) => bounded(fetch, url, init),
  })
  return {
    async send({ method, path, query, body, token, signal }) {
      const options: OfficialRequestOptions = {
        maxRetries: 0,
        headers: {
          ...NO_OTHER_CREDENTIAL,
          ...(token !== undefined && { Authorization: `Bearer ${token.reveal()}` }),
        },
        ...(query !== undefined && { query }),
        ...(body !== undefined && { body }),
        ...(signal !== undefined && { signal }),
      }
      let response: Response
      try {
        response = await (method === 'GET' ? official.get(path, options) : official.put(path, options)).asResponse()
      } catch (error) {
        signal?.throwIfAborted()
        return refusalOf(error)
      }
      return answerOf(response, signal)
    },
  }
}

/** The official client reads a refusal's body to its end: here that end is near. Redirections aren't followed. */
async function bounded(
  fetch: typeof globalThis.fetch,
  url: Parameters<typeof globalThis.fetch>[0],
  init: RequestInit | undefined,
): Promise<Response> {
  const response = await fetch(url, { ...init, redirect: 'manual' })
  if (response.ok || response.body === null) return response
  let bytes = 0
  const cut = new TransformStream<Uint8Array, Uint8Array>({
    transform(chunk, controller) {
      bytes += chunk.byteLength
      if (bytes > MAX_BODY) controller.error(new Error('an answer is too long'))
      else controller.enqueue(chunk)
    },
  })
  const { status, headers } = response
  // A Response can't be made with a status under 200, and an opaque redirection has none.
  return new Response(response.body.pipeThrough(cut), { status: status < 200 ? 502 : status, headers })
}

/** An error of the official client that was an answer. Told by its fields: the names of its classes may be minified. */
function refusalOf(error: unknown): CloudflareAnswer {
  const { status, headers, error: body } = error as { status?: unknown; headers?: unknown; error?: unknown }
  if (typeof status !== 'number') throw error
  const retryAfter = (headers as Headers | undefined)?.get?.('retry-after') ?? undefined
  return {
    status,
    text: typeof body === 'object' && body !== null ? JSON.stringify(body) : '',
    ...(retryAfter !== undefined && { retryAfter }),
  }
}
