import { Buffer } from 'node:buffer'
import { type IncomingHttpHeaders, Agent as PlainAgent, request as plainRequest } from 'node:http'
import { Agent, request } from 'node:https'
import type { Clock } from '../kernel/clock.ts'
import { withTimeLimit } from '../kernel/time-limit.ts'
import { VaultRequestError } from './errors.ts'
import { requestError, textsIn } from './failure.ts'

/** One request, ready to be sent. */
export interface HttpRequest {
  readonly method: string
  readonly url: URL
  readonly headers: { readonly [name: string]: string }
  readonly body?: string | undefined
  readonly signal: AbortSignal
}

/** What came back. */
export interface HttpAnswer {
  readonly status: number
  /** By lower-case name. */
  readonly headers: { readonly [name: string]: string }
  readonly text: string
}

/** Sends one request, and reads at most so many bytes of the answer. */
export type Send = (request: HttpRequest, maxBytes: number) => Promise<HttpAnswer>

/** Certificates, as `tls.connect` of Node takes them. */
export interface VaultTls {
  /** Authorities to trust in place of the system's, PEM. */
  readonly ca?: string | Uint8Array | readonly (string | Uint8Array)[] | undefined
  /** The client's certificate, PEM. */
  readonly cert?: string | Uint8Array | undefined
  /** The client's key, PEM. */
  readonly key?: string | Uint8Array | undefined
  /** What the key is encrypted with. */
  readonly passphrase?: string | undefined
  /** The name that the server's certificate must have, where it isn't the endpoint's host. */
  readonly servername?: string | undefined
}

/** The answer is longer than it may be. */
class TooLong extends Error {
  readonly code = 'response_too_large'
}

/** Sends by the runtime's own HTTP client, which takes certificates. */
export function sendByHttp(tls: VaultTls): Send {
  const agent = new Agent({ keepAlive: true, ...(tls as object) })
  const plainAgent = new PlainAgent({ keepAlive: true })
  return ({ method, url, headers, body, signal }, maxBytes) =>
    new Promise<HttpAnswer>((resolve, reject) => {
      const secure = url.protocol === 'https:'
      const options = { method, headers, signal, agent: secure ? agent : plainAgent }
      const sent = (secure ? request : plainRequest)(url, options, (response) => {
        const chunks: Buffer[] = []
        let length = 0
        response.on('data', (chunk: Buffer) => {
          length += chunk.length
          if (length > maxBytes) response.destroy(new TooLong(`over ${maxBytes} bytes`))
          else chunks.push(chunk)
        })
        response.on('error', reject)
        response.on('end', () => {
          const text = Buffer.concat(chunks).toString('utf8')
          resolve({ status: response.statusCode ?? 0, headers: plainHeaders(response.headers), text })
        })
      })
      sent.on('error', reject)
      sent.end(body)
    })
}

function plainHeaders(headers: IncomingHttpHeaders): { [name: string]: string } {
  const plain: { [name: string]: string } = {}
  for (const [name, value] of Object.entries(headers)) {
    if (value !== undefined) plain[name] = typeof value === 'string' ? value : value.join(', ')
  }
  return plain
}

/** Sends by a `fetch`. */
export function sendByFetch(fetch: typeof globalThis.fetch): Send {
  return async ({ method, url, headers, body, signal }, maxBytes) => {
    const init = { method, headers, signal, redirect: 'manual' as const, ...(body !== undefined && { body }) }
    const response = await fetch(url, init)
    const chunks: Uint8Array[] = []
    let length = 0
    for await (const chunk of response.body ?? []) {
      length += chunk.length
      if (length > maxBytes) throw new TooLong(`over ${maxBytes} bytes`)
      chunks.push(chunk)
    }
    const text = Buffer.concat(chunks).toString('utf8')
    return { status: response.status, headers: Object.fromEntries(response.headers), text }
  }
}

/** What a {@link Transport} is made with. */
export interface TransportSettings {
  readonly send: Send
  readonly clock: Clock
  readonly timeoutMs: number
  readonly maxBytes: number
}

/** A request as node-vault hands it to its transport. */
export interface NodeVaultRequest {
  readonly uri: string
  readonly method: string
  readonly headers?: { readonly [name: string]: string }
  readonly json?: unknown
  readonly signal?: AbortSignal
  readonly timeout?: number
}

/** An answer as node-vault takes it from its transport, with headers beside. */
export interface NodeVaultResponse {
  readonly statusCode: number
  readonly body: unknown
  readonly headers: { readonly [name: string]: string }
  readonly request: { readonly path: string }
  /** Texts of the request that no error may show. */
  readonly secrets: readonly string[]
}

const MAX_REDIRECTS = 3

/** Sends node-vault's requests: with a time limit and a signal, following redirections within the same host only. */
export class Transport {
  readonly #settings: TransportSettings

  /** @param settings - how it sends, and its limits */
  constructor(settings: TransportSettings) {
    this.#settings = settings
  }

  /**
   * Sends a request of node-vault's.
   *
   * @throws VaultRequestError when no answer came, or one that is too long or leads to another host; the signal's reason
   */
  async request(options: NodeVaultRequest): Promise<NodeVaultResponse> {
    const { signal } = options
    try {
      const limit = options.timeout ?? this.#settings.timeoutMs
      return await withTimeLimit(this.#settings.clock, limit, (inner) => this.#follow(options, inner), signal)
    } catch (error) {
      signal?.throwIfAborted()
      if (error instanceof VaultRequestError) throw error
      if (!(error instanceof TooLong)) throw requestError(error, 'request')
      throw new VaultRequestError({ operation: 'request', kind: 'protocol', messages: ['the answer is too long'] })
    }
  }

  async #follow(options: NodeVaultRequest, signal: AbortSignal): Promise<NodeVaultResponse> {
    const { send, maxBytes } = this.#settings
    const body = typeof options.json === 'object' && options.json !== null ? JSON.stringify(options.json) : undefined
    let url = new URL(options.uri)
    const path = url.pathname
    const headers: { [name: string]: string } = { 'X-Vault-Request': 'true', ...options.headers }
    if (body !== undefined && headers['Content-Type'] === undefined) headers['Content-Type'] = 'application/json'
    // Answered for the whole server, and refused where a namespace is named.
    if (path.endsWith('/v1/sys/health')) delete headers['X-Vault-Namespace']
    for (let followed = 0; ; followed++) {
      const answer = await send({ method: options.method, url, headers, body, signal }, maxBytes)
      const { location } = answer.headers
      if (answer.status < 300 || answer.status > 399 || location === undefined) {
        const { status: statusCode, headers: got } = answer
        // A part of a path that looks like a token may be one, put in the wrong place.
        const odd = path.split('/').filter((part) => /^[A-Za-z0-9]{20,}$/.test(part))
        const secrets = [...textsIn(options.json), headers['X-Vault-Token'] ?? '', ...odd]
        return { statusCode, body: parsed(answer), headers: got, request: { path }, secrets }
      }
      const target = new URL(location, url)
      if (target.origin !== url.origin || followed === MAX_REDIRECTS) {
        const messages = [`redirected to another host (${target.hostname}), which wasn't followed`]
        throw new VaultRequestError({ operation: 'request', kind: 'config', status: answer.status, messages })
      }
      url = target
    }
  }
}

function parsed({ text }: HttpAnswer): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}
