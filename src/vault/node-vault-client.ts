import { type Clock, systemClock } from '../kernel/clock.ts'
import { type Duration, parseDuration } from '../kernel/duration.ts'
import { InvalidInputError, MissingPackageError } from '../kernel/errors.ts'
import { checkFields } from '../kernel/fields.ts'
import { Secret } from '../kernel/secret.ts'
import { VaultRequestError } from './errors.ts'
import { kindOf, messagesOf, redacted, retryAfterOf } from './failure.ts'
import { isToken } from './token-facts.ts'
import type { NodeVaultRequest, NodeVaultResponse, VaultTls } from './transport.ts'
import { checkClient, OWN_TOKEN, type VaultClient } from './vault-client.ts'

/** How {@link createVaultClient} makes a client. */
export interface CreateVaultClientOptions {
  /** The server, such as `https://vault.example:8200`. `http` is taken for this machine only. */
  readonly endpoint: string | URL
  /** The token that it begins with. Leave it out where a login gets the first one. */
  readonly token?: string | Secret | undefined
  /** The namespace of every request. */
  readonly namespace?: string | undefined
  /** Certificates. */
  readonly tls?: VaultTls | undefined
  /** How long one request may take. Default 10 s. */
  readonly timeout?: Duration | undefined
  /** The longest answer that is read, bytes. Default 4 MiB. */
  readonly maxResponseBytes?: number | undefined
  /** Further headers of every request. */
  readonly headers?: { readonly [name: string]: string } | undefined
  /** Allows `http` to other machines: the token then travels in the clear. Default false. */
  readonly allowInsecure?: boolean | undefined
  /** Sends the requests, in place of Node's own client; `tls` isn't for it. */
  readonly fetch?: typeof globalThis.fetch | undefined
  /** Measures the timeout. Default: the system's. */
  readonly clock?: Clock | undefined
}

/** What a client of node-vault has that is used here, and what hosts use most. Its other methods are there too. */
export interface NodeVaultClient extends VaultClient {
  /** The server's address. */
  endpoint: string
  /** Any request: `{ method, path, json?, headers? }`. */
  request(options: NodeVaultCall): Promise<unknown>
  /** DELETE of a path under `/v1/`. */
  delete(path: string): Promise<unknown>
  /** The keys below a path under `/v1/`. */
  list(path: string): Promise<unknown>
  /** Its other methods, such as `health` and `unwrap`. */
  readonly [method: string]: unknown
}

/** A call of node-vault's `request`. */
export interface NodeVaultCall {
  readonly path: string
  readonly method: string
  readonly json?: unknown
  readonly headers?: { readonly [name: string]: string }
  readonly signal?: AbortSignal
  /** @internal */
  readonly [OWN_TOKEN]?: true
}

const OPTIONS = [
  'endpoint',
  'token',
  'namespace',
  'tls',
  'timeout',
  'maxResponseBytes',
  'headers',
  'allowInsecure',
  'fetch',
  'clock',
]
const MEGABYTE = 1024 * 1024

/** What is used of node-vault's module. */
type NodeVault = (options: { readonly [name: string]: unknown }) => NodeVaultClient & {
  namespace?: string
  pathPrefix?: string
  handleVaultResponse(response: NodeVaultResponse | undefined): Promise<unknown>
}

/**
 * A node-vault client whose requests go through a transport of ours: with a time limit and AbortSignals, Retry-After, the header
 * `X-Vault-Request`, no redirection to another host, a bound on the answer's length, and errors ({@link VaultRequestError}) without tokens or credentials.
 * It reads nothing from the environment. Needs the package `node-vault`.
 *
 * @typeParam Client - the type of the client, such as node-vault's own `client`
 * @param options - where the server is, and the token
 * @throws InvalidInputError for an endpoint or a token that can't be used; MissingPackageError without node-vault
 * @example
 * ```ts
 * const vault = await createVaultClient({ endpoint: 'https://vault.example:8200', token: process.env.VAULT_TOKEN })
 * const manager = new VaultTokenManager({ client: vault })
 * ```
 */
export async function createVaultClient<Client extends VaultClient = NodeVaultClient>(
  options: CreateVaultClientOptions,
): Promise<Client> {
  checkFields('options', options, OPTIONS)
  const endpoint = checkEndpoint(options.endpoint, options.allowInsecure === true)
  const token = options.token === undefined ? undefined : checkToken(options.token)
  const { clock = systemClock(), maxResponseBytes = 4 * MEGABYTE, headers = {}, namespace } = options
  if (!Number.isInteger(maxResponseBytes) || maxResponseBytes < 1024 || maxResponseBytes > 256 * MEGABYTE) {
    throw new InvalidInputError('maxResponseBytes', 'is not a number from 1024 to 268435456', 'leave it out for 4 MiB')
  }
  if (namespace !== undefined && (typeof namespace !== 'string' || !/^[\x21-\x7e]{0,256}$/.test(namespace))) {
    throw new InvalidInputError('namespace', 'is not the path of a namespace', "write 'team/billing'")
  }
  const timeoutMs = parseDuration('timeout', options.timeout ?? '10s', { min: 1, max: 600_000 })
  // Node's HTTP client, and node-vault, load with the first client.
  const { sendByFetch, sendByHttp, Transport } = await import('./transport.ts')
  const send = options.fetch === undefined ? sendByHttp(options.tls ?? {}) : sendByFetch(options.fetch)
  const transport = new Transport({ send, clock, timeoutMs, maxBytes: maxResponseBytes })
  const make = await loadNodeVault(() => import('node-vault'))
  const request = (call: NodeVaultRequest): Promise<NodeVaultResponse> =>
    transport.request({ ...call, headers: { ...headers, ...call.headers } })
  const client = make({
    endpoint,
    // Its own would print bodies, with what is secret in them, under DEBUG.
    debug: () => {},
    // LIST as `GET ?list=1`: some proxies, and Node's own servers, refuse a method that HTTP doesn't know.
    noCustomHTTPVerbs: true,
    'request-promise': { defaults: () => request },
  })
  // What isn't given would be taken from the environment.
  client.token = token ?? ''
  client.namespace = namespace ?? ''
  client.pathPrefix = ''
  client.handleVaultResponse = async (response) => answerOf(response)
  return fromNodeVault(client as unknown as Client)
}

/** The body of a good answer, as node-vault gives it; an error without anything secret for any other. */
function answerOf(response: NodeVaultResponse | undefined): unknown {
  if (response === undefined) throw new VaultRequestError({ operation: 'request', kind: 'network' })
  const { statusCode: status, body, headers, request, secrets } = response
  if ((status >= 200 && status < 300) || request.path.endsWith('/v1/sys/health')) return body
  const facts = { status, messages: messagesOf(body), retryAfterMs: retryAfterOf(headers) }
  const messages = facts.messages.slice(0, 3).map((message) => redacted(message, secrets))
  const shown = facts.messages.length > 0 ? { ...(body as object), errors: messages } : body
  throw new VaultRequestError(
    { operation: 'request', kind: kindOf(facts, 'request'), status, retryAfterMs: facts.retryAfterMs, messages },
    { statusCode: status, body: shown, headers },
  )
}

/**
 * Loads node-vault.
 *
 * @internal for tests, which let it fail
 */
export async function loadNodeVault(load: () => Promise<unknown>): Promise<NodeVault> {
  try {
    const module = (await load()) as { readonly default?: unknown }
    return (module.default ?? module) as NodeVault
  } catch (error) {
    throw new MissingPackageError('node-vault', 'createVaultClient', error)
  }
}

/** Clients that have been seen to. */
const mended = new WeakSet<object>()

/**
 * Makes an instance of node-vault fit to have its token changed while it is in use, and answers it. node-vault writes the token of its first request
 * into the `requestOptions.headers` that it was made with, and sends that one for ever after; here, each request gets headers of its own, and a token that
 * was replaced isn't sent again. A {@link VaultTokenManager} does this by itself.
 *
 * @param client - an instance of node-vault
 * @throws InvalidInputError for what is none
 * @example
 * ```ts
 * const vault = fromNodeVault(NodeVault({ endpoint, token, requestOptions: { headers: { 'X-Request-Source': 'billing' } } }))
 * ```
 */
export function fromNodeVault<Client extends VaultClient>(client: Client): Client {
  checkClient(client)
  const given = client as VaultClient & { request?: unknown }
  if (typeof given.request !== 'function' || mended.has(client)) return client
  mended.add(client)
  const request = given.request.bind(client) as (options: NodeVaultCall) => Promise<unknown>
  const replaced = new Set<string>()
  let token = client.token
  Object.defineProperty(client, 'token', {
    enumerable: true,
    configurable: true,
    get: () => token,
    set: (next: string) => {
      if (typeof token === 'string' && token !== '' && token !== next) replaced.add(token)
      replaced.delete(next)
      if (replaced.size > MAX_REPLACED) replaced.delete(replaced.values().next().value as string)
      token = next
    },
  })
  given.request = (options: NodeVaultCall) => {
    const { 'X-Vault-Token': sent, ...headers } = options.headers ?? {}
    const own =
      sent === undefined || (replaced.has(sent) && options[OWN_TOKEN] !== true) ? {} : { 'X-Vault-Token': sent }
    return request({ ...options, headers: { ...headers, ...own } })
  }
  return client
}

const MAX_REPLACED = 32

/** Whether a URL leads to this machine. */
function isLocal({ hostname }: URL): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127(?:\.\d{1,3}){3}$/.test(hostname)
}

function checkEndpoint(input: unknown, allowInsecure: boolean): string {
  let url: URL
  try {
    url = new URL(input as string)
  } catch {
    throw new InvalidInputError('endpoint', 'is not a URL', "write 'https://vault.example:8200'")
  }
  if (url.username !== '' || url.password !== '' || url.search !== '' || url.hash !== '') {
    throw new InvalidInputError('endpoint', 'holds more than a host and a path', "write 'https://vault.example:8200'")
  }
  if (url.protocol !== 'https:' && !(url.protocol === 'http:' && (isLocal(url) || allowInsecure))) {
    throw new InvalidInputError('endpoint', 'would carry the token in the clear', 'use https, or set allowInsecure')
  }
  return url.href.replace(/\/$/, '')
}

/**
 * The text of a token that may be sent.
 *
 * @throws InvalidInputError for an empty one, or one with characters that no header can carry
 */
export function checkToken(token: unknown): string {
  const given = token instanceof Secret ? token.reveal() : token
  if (typeof given === 'string' && isToken(given)) return given
  const what = given === '' ? 'is empty' : 'is not a token of printable characters'
  throw new InvalidInputError('token', what, 'give the token, or leave it out and give the manager a login')
}
