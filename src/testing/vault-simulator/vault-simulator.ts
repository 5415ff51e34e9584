import { type Clock, systemClock } from '../../kernel/clock.ts'
import { checkFields } from '../../kernel/fields.ts'
import type { SimulatedAnswer, SimulatedRequest } from './answer.ts'
import { BrokenConnection, Faults, type VaultFault } from './faults.ts'
import { HttpFront } from './http-front.ts'
import { SimulatedServer } from './simulated-server.ts'

/** What a {@link VaultSimulator} is made with. */
export interface VaultSimulatorOptions {
  /** The server's time; give the manager the same. Default: the system's. */
  readonly clock?: Clock | undefined
  /** Default `root`. */
  readonly rootToken?: string | undefined
  /** Whether the root token is the one of the server's initialisation, which has no lease, or one that was made as development servers make theirs. Default false. */
  readonly initialRoot?: boolean | undefined
}

/** A request that the simulator got. */
export interface SimulatedCall {
  readonly method: string
  /** Below `/v1/`. */
  readonly path: string
  /** What was answered; 0 for a broken connection. */
  readonly status: number
  /** Epoch ms. */
  readonly at: number
}

const MAX_CALLS = 100_000

/**
 * A Vault for tests: answers as OpenBao 2.7 does, for tokens, token roles, AppRole, userpass, JWT and Kubernetes logins, policies, leases, KV version 2, response
 * wrapping, quotas, namespaces, health and seal, on a clock of the test's. In the process by its `fetch`, or over HTTP by `listen()`. Faults can be ordered. The
 * project runs the same file of behaviours against it and against OpenBao.
 *
 * @example
 * ```ts
 * const clock = fakeClock()
 * const simulator = new VaultSimulator({ clock })
 * const vault = await createVaultClient({ endpoint: simulator.endpoint, token, fetch: simulator.fetch, clock })
 * simulator.fault({ kind: 'answer', status: 503, path: 'auth/token/renew-self', times: 3 })
 * ```
 */
export class VaultSimulator {
  readonly #clock: Clock
  readonly #server: SimulatedServer
  readonly #faults = new Faults()
  readonly #calls: SimulatedCall[] = []
  #front: HttpFront | undefined
  #port = 0
  #down = false

  /** @param options - its clock and its root token */
  constructor(options: VaultSimulatorOptions = {}) {
    checkFields('options', options, ['clock', 'rootToken', 'initialRoot'])
    const { clock = systemClock(), rootToken = 'root', initialRoot = false } = options
    this.#clock = clock
    this.#server = new SimulatedServer(() => clock.now(), rootToken, initialRoot)
  }

  /** Where it is: its address once it listens, else one that only its `fetch` answers. */
  get endpoint(): string {
    return this.#port === 0 ? 'http://127.0.0.1:8200' : `http://127.0.0.1:${this.#port}`
  }

  /** The token of its root. */
  get rootToken(): string {
    return this.#server.rootToken
  }

  /** What unseals it. */
  get unsealKey(): string {
    return this.#server.unsealKey
  }

  /** Every request so far, the last 100,000 at most. */
  get calls(): readonly SimulatedCall[] {
    return this.#calls
  }

  /** How many tokens live. */
  get tokenCount(): number {
    return this.#server.tokens.size
  }

  /** How many leases of secrets live. */
  get leaseCount(): number {
    this.#server.tokens.sweep()
    return this.#server.leases.count(this.#clock.now())
  }

  /** Counts the requests for a path so far; without a path, all. */
  count(path = ''): number {
    return this.#calls.filter((call) => call.path.startsWith(path)).length
  }

  /** Orders a fault for the next requests that it fits. */
  fault(fault: VaultFault): void {
    this.#faults.add(fault)
  }

  /** Takes back all faults that are ordered. */
  clearFaults(): void {
    this.#faults.clear()
  }

  /** Seals it, as `sys/seal` does. */
  seal(): void {
    this.#server.sealed = true
  }

  /** Unseals it. */
  unseal(): void {
    this.#server.sealed = false
  }

  /** Makes it a standby, which `sys/health` tells, or the active one again. */
  setStandby(standby: boolean): void {
    this.#server.standby = standby
  }

  /** Lets it be down: connections are refused, until it is up again. What it knows stays. */
  setDown(down: boolean): void {
    this.#down = down
  }

  /**
   * Sends a request as its root, or as somebody else.
   *
   * @returns the body of the answer
   */
  async call(method: string, path: string, body: object = {}, token = this.rootToken): Promise<unknown> {
    const headers = { 'x-vault-token': token }
    const request = this.#parse(method, `/v1/${path}`, headers, JSON.stringify(body))
    return this.#server.answer(request).body
  }

  /** Answers requests in the process: give it to `createVaultClient`. */
  readonly fetch: typeof globalThis.fetch = async (input, init = {}) => {
    const { method = 'GET', headers, body, signal } = init
    const url = new URL(input instanceof Request ? input.url : String(input))
    const given = Object.fromEntries(new Headers(headers))
    signal?.throwIfAborted()
    try {
      if (this.#down) throw new BrokenConnection('ECONNREFUSED')
      const answer = await this.#answer(
        method,
        url.pathname + url.search,
        given,
        String(body ?? ''),
        signal ?? undefined,
      )
      const empty = answer.status === 204
      return new Response(empty ? null : answer.text, { status: answer.status, headers: answer.headers })
    } catch (error) {
      if (!(error instanceof BrokenConnection)) throw error
      throw new TypeError('fetch failed', { cause: error })
    }
  }

  /**
   * Listens on this machine.
   *
   * @param port - default: a free one
   * @returns its address
   */
  async listen(port = 0): Promise<string> {
    this.#front ??= new HttpFront(({ method, url, headers, body }) => {
      if (this.#down) throw new BrokenConnection('ECONNREFUSED')
      return this.#answer(method, url, headers, body, undefined)
    })
    this.#port = await this.#front.listen(port)
    return this.endpoint
  }

  /** Listens no more. */
  async close(): Promise<void> {
    await this.#front?.close()
    this.#front = undefined
    this.#port = 0
  }

  async #answer(
    method: string,
    url: string,
    headers: { readonly [name: string]: string },
    body: string,
    signal: AbortSignal | undefined,
  ): Promise<{ status: number; headers: { readonly [name: string]: string }; text: string }> {
    const request = this.#parse(method, url, headers, body)
    let status = 0
    try {
      const answer = await this.#faults.strike(request.path, this.#clock, signal, () => this.#server.answer(request))
      status = answer.status
      return sendable(answer)
    } finally {
      const { path } = request
      this.#calls.push(Object.freeze({ method, path, status, at: this.#clock.now() }))
      if (this.#calls.length > MAX_CALLS) this.#calls.shift()
    }
  }

  #parse(method: string, url: string, given: { readonly [name: string]: string }, body: string): SimulatedRequest {
    const { pathname, searchParams } = new URL(url, 'http://vault')
    const headers = Object.fromEntries(Object.entries(given).map(([name, value]) => [name.toLowerCase(), value]))
    let parsed: unknown
    try {
      parsed = body === '' ? {} : JSON.parse(body)
    } catch {
      parsed = {}
    }
    const object = typeof parsed === 'object' && parsed !== null ? (parsed as { readonly [name: string]: unknown }) : {}
    // As some clients list: LIST is no method that all proxies know.
    const lists = method === 'GET' && ['1', 'true'].includes(searchParams.get('list') ?? '')
    return {
      method: lists ? 'LIST' : method,
      path: decodeURIComponent(pathname.replace(/^\/v1\//, '')),
      query: searchParams,
      headers,
      body: object,
    }
  }
}

function sendable({ status, headers = {}, body }: SimulatedAnswer): {
  status: number
  headers: { readonly [name: string]: string }
  text: string
} {
  if (typeof body === 'string') return { status, headers, text: body }
  const text = body === undefined ? '' : `${JSON.stringify(body)}\n`
  return { status, headers: { 'content-type': 'application/json', ...headers }, text }
}
