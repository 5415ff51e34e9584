import { compileIpRules } from '../../access/network.ts'
import { SCOPES } from '../../cloudflare/known-groups.ts'
import { readResources, scopeOf, userResource } from '../../cloudflare/resources.ts'
import { type Clock, systemClock } from '../../kernel/clock.ts'
import { InvalidInputError } from '../../kernel/errors.ts'
import type { Random } from '../../kernel/random.ts'
import { seededRandom } from '../../kernel/random.ts'
import { noRoute, type SimulatedAnswer, type SimulatedRequest } from './answers.ts'
import { type FaultOrder, Faults, faulty } from './faults.ts'
import { fixtureGroups, type SimulatedGroupRow } from './groups.ts'
import { type OpenServer, serve } from './http.ts'
import { answerTo } from './routes.ts'
import type { SimulatedPolicy, SimulatedToken } from './token.ts'
import type { World } from './world.ts'

/** How a {@link CloudflareSimulator} behaves. */
export interface CloudflareSimulatorOptions {
  /** Dates tokens, and judges their ends. Default: the system's. */
  readonly clock?: Clock | undefined
  /** Ids and values of tokens. Default: the same every time. */
  readonly random?: Random | undefined
  /** Whether an update keeps the fields that it leaves out, or clears them. Default `keep`. */
  readonly omission?: 'keep' | 'clear' | undefined
  /** Who may grant what. Default `owner`: everything but `ungrantable`. */
  readonly ceiling?: 'owner' | 'creator' | 'silent-drop' | undefined
}

/** A policy as a test writes it: groups by name (of the resource's scope) or id. */
export interface SimulatedPolicyInput {
  /** Default `allow`. */
  readonly effect?: 'allow' | 'deny' | undefined
  readonly groups: readonly string[]
  readonly resources: { readonly [key: string]: unknown }
}

/** A token as a test writes it. */
export interface SimulatedTokenInput {
  readonly name?: string | undefined
  /** With it the token is this account's, else the user's. */
  readonly account?: string | undefined
  readonly policies: readonly SimulatedPolicyInput[]
  /** Default `active`. */
  readonly status?: string | undefined
  readonly condition?: object | undefined
  readonly expires_on?: string | undefined
  readonly not_before?: string | undefined
  readonly last_used_on?: string | undefined
  /** Whether its value has the family's prefix; older ones have none. Default true. */
  readonly prefixed?: boolean | undefined
}

/** A token that was made: its id, and its value, which the API never tells again. */
export interface MadeToken {
  readonly id: string
  readonly value: string
}

/** A request as it was seen. */
export interface SeenRequest {
  readonly method: string
  /** Below `/client/v4`, without the query. */
  readonly path: string
  readonly query: string
  /** The body, parsed; a text where it is no JSON. */
  readonly body: unknown
  /** How it said who asks. */
  readonly auth: 'bearer' | 'none' | 'other'
  /** The id of the token that asked. */
  readonly by: string | undefined
  /** The answer's status. */
  readonly status: number
  /** The answer's body. */
  readonly answer: string
  /** Whether a fault befell it, so that the answer isn't this Cloudflare's own. */
  readonly faulty: boolean
}

/**
 * A Cloudflare that knows tokens and permission groups, for tests: two families of tokens with their own endpoints, permissions of
 * the caller, statuses, dates and address conditions, updates that replace policies whole and give them back in another order,
 * rolls, delays, and faults to order. Stateful; over loopback HTTP (`listen`) or without a socket (`fetch`).
 *
 * What it does where the real API's behaviour is told in two ways is an option; docs/cloudflare.md names what is assumed.
 *
 * @example
 * ```ts sketch
 * const cloudflare = new CloudflareSimulator({ clock })
 * const account = cloudflare.addAccount()
 * const healer = cloudflare.addToken({ account, policies: [{ groups: ['Account API Tokens Write'], resources: cloudflare.on(account) }] })
 * const url = await cloudflare.listen()
 * // … new Cloudflare({ apiToken: healer.value, baseURL: url })
 * await cloudflare.close()
 * ```
 */
export class CloudflareSimulator {
  /** Every request, oldest first. */
  readonly requests: SeenRequest[] = []
  /** The rows of the catalogue; tests may change them. */
  readonly groups: SimulatedGroupRow[] = fixtureGroups()
  /** Names of groups that nobody may grant. */
  readonly ungrantable = new Set<string>()
  /** The address that requests come from, unless their header `x-simulated-ip` says another. */
  ip = '203.0.113.7'
  /** How many rows a page of the catalogue has where nothing is asked for. */
  defaultPage = 25
  /** The most rows that a page has. */
  maxPage = 1000
  /** How often a product refuses a fresh grant before it is in force. */
  propagation = 0
  /** How often a token is read as it was before an update. */
  staleReads = 0
  /** Called with each token that was updated, before the answer: for changes that nobody asked for. */
  onUpdate: ((token: SimulatedToken) => void) | undefined = undefined
  readonly #clock: Clock
  readonly #random: Random
  readonly #world: World
  readonly #faults = new Faults()
  #server: Promise<OpenServer> | undefined

  /** @param options - time, and which of the told behaviours it has */
  constructor(options: CloudflareSimulatorOptions = {}) {
    const { clock = systemClock(), random = seededRandom('cloudflare'), omission = 'keep', ceiling = 'owner' } = options
    this.#clock = clock
    this.#random = random
    const user = this.#newId()
    this.#world = {
      simulator: this,
      clock,
      omission,
      ceiling,
      user,
      accounts: new Set(),
      zones: new Map(),
      buckets: new Set(),
      tokens: new Map(),
      values: new Map(),
      pending: new Map(),
      stale: new Map(),
      newId: () => this.#newId(),
      newValue: (family, prefixed) => this.#newValue(family, prefixed),
      nextDate: (after) => new Date(Math.max(clock.now(), Date.parse(after) + 1000)).toISOString(),
      contains: (net, ip) => compileIpRules([net]).allows(ip),
    }
  }

  /** The id of the one user. */
  get user(): string {
    return this.#world.user
  }

  /** Makes an account. @returns its id */
  addAccount(): string {
    const id = this.#newId()
    this.#world.accounts.add(id)
    return id
  }

  /** Makes a zone of an account. @returns its id */
  addZone(account: string): string {
    const id = this.#newId()
    this.#world.zones.set(id, account)
    return id
  }

  /** Makes a bucket of an account. @returns its name in resources, `<account>_default_<name>` */
  addBucket(account: string, name: string): string {
    const bucket = `${account}_default_${name}`
    this.#world.buckets.add(bucket)
    return bucket
  }

  /** The resources of a policy on an account. */
  on(account: string): { readonly [key: string]: string } {
    return { [`${SCOPES.account}.${account}`]: '*' }
  }

  /** The resources of a policy on one zone. */
  onZone(zone: string): { readonly [key: string]: string } {
    return { [`${SCOPES.zone}.${zone}`]: '*' }
  }

  /** The resources of a policy on the user. */
  onUser(): { readonly [key: string]: string } {
    return { [userResource(this.user)]: '*' }
  }

  /** Makes a token. */
  addToken(input: SimulatedTokenInput): MadeToken {
    const family = input.account === undefined ? 'user' : 'account'
    const id = this.#newId()
    const date = new Date(this.#clock.now()).toISOString()
    const {
      name = `token ${id.slice(0, 6)}`,
      status = 'active',
      condition,
      expires_on,
      not_before,
      last_used_on,
    } = input
    this.#world.tokens.set(id, {
      ...{
        id,
        family,
        owner: input.account ?? this.user,
        name,
        status,
        condition,
        expires_on,
        not_before,
        last_used_on,
      },
      ...{ issued_on: date, modified_on: date, policies: input.policies.map((policy) => this.#policy(policy)) },
    })
    const value = this.#newValue(family, input.prefixed ?? true)
    this.#world.values.set(value, id)
    return { id, value }
  }

  /**
   * A token as it stands. Changes of it are somebody's by hand; `touch` dates them.
   *
   * @throws InvalidInputError when there is none
   */
  token(id: string): SimulatedToken {
    const token = this.#world.tokens.get(id)
    if (token === undefined) throw new InvalidInputError('id', 'is of no token here', 'take it from addToken')
    return token
  }

  /** Changes a token by hand, as in the dashboard. */
  change(id: string, change: Partial<Omit<SimulatedToken, 'id' | 'family' | 'owner'>>): void {
    const token = this.token(id)
    Object.assign(token, change, { modified_on: this.#world.nextDate(token.modified_on) })
  }

  /** Replaces a token's policies by hand. */
  setPolicies(id: string, policies: readonly SimulatedPolicyInput[]): void {
    this.change(id, { policies: policies.map((policy) => this.#policy(policy)) })
  }

  /** What a token grants and denies: `allow <group's name> <resource>`, sorted. */
  grants(id: string): string[] {
    return this.token(id)
      .policies.flatMap(({ effect, permission_groups, resources }) =>
        permission_groups.flatMap(({ id: group }) =>
          (readResources(resources) ?? []).map((resource) => `${effect} ${this.#nameOf(group)} ${resource}`),
        ),
      )
      .sort()
  }

  /** Deletes a token. */
  deleteToken(id: string): void {
    this.#world.tokens.delete(id)
  }

  /** Orders a fault. */
  fault(order: FaultOrder): void {
    this.#faults.add(order)
  }

  /** Takes back the faults that didn't come yet. */
  clearFaults(): void {
    this.#faults.clear()
  }

  /** How many requests of a method there were. */
  count(method: string): number {
    return this.requests.filter((request) => request.method === method).length
  }

  /** Answers a request. */
  handle(request: SimulatedRequest): SimulatedAnswer {
    const fault = this.#faults.take(request)
    const act = (): SimulatedAnswer => answerTo(request, this.#world) ?? noRoute()
    const answer = fault === undefined ? act() : faulty(fault, act)
    const { headers, body } = request
    const value = headers['authorization']?.replace(/^Bearer /, '') ?? ''
    const other = headers['x-auth-key'] !== undefined || headers['x-auth-email'] !== undefined
    this.requests.push({
      method: request.method,
      path: request.path,
      query: request.query.toString(),
      body: parsed(body),
      auth: other ? 'other' : headers['authorization'] === undefined ? 'none' : 'bearer',
      by: this.#world.values.get(value),
      status: answer.status,
      answer: answer.body,
      faulty: fault !== undefined,
    })
    return answer
  }

  /** A `fetch` that asks this Cloudflare, whatever the host of the URL. Arrow function: it is handed on. */
  readonly fetch: typeof globalThis.fetch = async (input, init) => {
    const request = new Request(input, init)
    // The caller's own: a Request's may be collected, with those that wait for it.
    const signal = init?.signal ?? (input instanceof Request ? input.signal : undefined)
    signal?.throwIfAborted()
    const url = new URL(request.url)
    const headers = Object.fromEntries(request.headers.entries())
    const path = url.pathname.replace(/^\/client\/v4/, '')
    const body = await request.text()
    const answer = this.handle({ method: request.method, path, query: url.searchParams, headers, body })
    if (answer.connection === 'reset') throw new TypeError('fetch failed')
    if (answer.connection === 'hang') {
      await new Promise((_, reject) => {
        if (signal?.aborted === true) reject(signal.reason)
        signal?.addEventListener('abort', () => reject(signal.reason), { once: true })
      })
    }
    return new Response(answer.body, { status: answer.status, headers: answer.headers })
  }

  /**
   * Listens on a free port of 127.0.0.1.
   *
   * @returns the base URL, `http://127.0.0.1:<port>/client/v4`
   */
  async listen(): Promise<string> {
    this.#server ??= serve((request) => this.handle(request))
    return (await this.#server).url
  }

  /** Stops listening, and ends the connections. */
  async close(): Promise<void> {
    const server = await this.#server
    this.#server = undefined
    await server?.close()
  }

  #policy({ effect = 'allow', groups, resources }: SimulatedPolicyInput): SimulatedPolicy {
    const atoms = readResources(resources) ?? []
    const permission_groups = groups.map((group) => {
      const row = this.groups.find(
        ({ id, name, scopes }) =>
          id === group || (name === group && atoms.some((atom) => scopes.includes(scopeOf(atom) ?? ''))),
      )
      if (row === undefined)
        throw new InvalidInputError('groups', `has no '${group}' for these resources`, 'see groups')
      return { id: row.id, name: row.name }
    })
    return { id: this.#newId(), effect, permission_groups, resources }
  }

  #nameOf(id: string): string {
    return this.groups.find((group) => group.id === id)?.name ?? id
  }

  #newId(): string {
    let id = ''
    for (const byte of this.#random.bytes(16)) id += byte.toString(16).padStart(2, '0')
    return id
  }

  #newValue(family: 'account' | 'user', prefixed: boolean): string {
    const value = `${this.#newId()}${this.#newId()}`.slice(0, 48)
    return prefixed ? `${family === 'account' ? 'cfat_' : 'cfut_'}${value}` : value.slice(0, 40)
  }
}

function parsed(body: string): unknown {
  try {
    return body === '' ? undefined : JSON.parse(body)
  } catch {
    return body
  }
}
