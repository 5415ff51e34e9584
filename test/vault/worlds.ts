import { expect } from 'vitest'
import type { Clock } from '../../src/kernel/clock.ts'
import { systemClock } from '../../src/kernel/clock.ts'
import { type FakeClock, fakeClock, VaultSimulator } from '../../src/testing/index.ts'
import {
  createVaultClient,
  type NodeVaultClient,
  VaultTokenManager,
  type VaultTokenManagerOptions,
} from '../../src/vault/index.ts'
import { ownStandby, ownVault, type RealVault } from './server.ts'

/** What a raw request was answered. */
export interface RawAnswer {
  readonly status: number
  // biome-ignore lint/suspicious/noExplicitAny: tests look into all kinds of answers
  readonly body: any
  readonly headers: Headers
}

/** A request that a client of a world sent. */
export interface SentRequest {
  readonly method: string
  /** Below `/v1/`. */
  readonly path: string
  /** 0 when no answer came. */
  readonly status: number
  readonly at: number
}

/** What stands between a client and its server: answers itself, or hands on. */
export type Proxy = (path: string, handOn: () => Promise<Response>) => Promise<Response>

/** A server to live with, and time that passes: the real one, or the simulator on a fake clock. */
export interface World {
  readonly name: 'openbao' | 'simulator'
  readonly endpoint: string
  readonly clock: Clock
  /** A text that no other behaviour has, for names of mounts and roles. */
  readonly unique: string
  readonly rootToken: string
  /** Lets time pass. */
  pass(ms: number): Promise<void>
  /** A raw request. `token: ''` sends none. */
  raw(
    method: string,
    path: string,
    options?: { body?: object | undefined; token?: string; headers?: { [name: string]: string } },
  ): Promise<RawAnswer>
  /** Makes a token as root. */
  token(options: object): Promise<{ token: string; accessor: string }>
  /** A client of the library's, whose requests are noted in `sent`. */
  client(token?: string, sent?: SentRequest[], proxy?: Proxy): Promise<NodeVaultClient>
  /** Where it is for a client that isn't the library's: over HTTP. */
  listen(): Promise<string>
  seal(): Promise<void>
  unseal(): Promise<void>
  /** Ends the server, as when its machine fails. */
  kill(): Promise<void>
  /** Starts it again; its root token is what it was. */
  revive(): Promise<void>
  close(): Promise<void>
}

let serial = 0

function world(parts: {
  name: World['name']
  endpoint: string
  clock: Clock
  rootToken: string
  fetch: typeof globalThis.fetch
  pass: World['pass']
  unsealKey?: string | undefined
  listen: World['listen']
  kill: World['kill']
  revive: World['revive']
  close: World['close']
}): World {
  const { name, endpoint, clock, rootToken, fetch, pass, listen, kill, revive, close } = parts
  serial += 1
  const raw: World['raw'] = async (method, path, { body, token = rootToken, headers = {} } = {}) => {
    const sent = { ...(token !== '' && { 'X-Vault-Token': token }), ...headers }
    const response = await fetch(`${endpoint}/v1/${path}`, {
      method,
      headers: sent,
      ...(body !== undefined && { body: JSON.stringify(body) }),
    })
    const text = await response.text()
    let parsed: unknown = text
    try {
      parsed = JSON.parse(text)
    } catch {
      // No JSON: as it is.
    }
    return { status: response.status, body: parsed, headers: response.headers }
  }
  return {
    name,
    endpoint,
    clock,
    rootToken,
    unique: `${process.pid.toString(36)}${serial.toString(36)}`,
    pass,
    raw,
    token: async (options) => {
      const { body } = await raw('POST', 'auth/token/create', { body: { policies: ['default'], ...options } })
      return { token: body.auth.client_token, accessor: body.auth.accessor }
    },
    client: (token, sent = [], proxy = (_, handOn) => handOn()) => {
      const noting: typeof globalThis.fetch = async (input, init) => {
        const path = new URL(String(input)).pathname.replace('/v1/', '')
        const note = { method: init?.method ?? 'GET', path, at: clock.monotonic() }
        try {
          const response = await proxy(path, () => fetch(input, init))
          sent.push({ ...note, status: response.status })
          return response
        } catch (error) {
          sent.push({ ...note, status: 0 })
          throw error
        }
      }
      return createVaultClient({ endpoint, token, clock, fetch: noting })
    },
    listen,
    seal: async () => {
      await raw('PUT', 'sys/seal')
    },
    unseal: async () => {
      await raw('PUT', 'sys/unseal', { token: '', body: { key: parts.unsealKey } })
    },
    kill,
    revive,
    close,
  }
}

/** How a behaviour's server is made. */
export interface WorldOptions {
  /** Whether the root token is the one of the server's initialisation. Default false. */
  readonly initialRoot?: boolean | undefined
  /** Whether it is a standby, which forwards to the active one. Default false. */
  readonly standby?: boolean | undefined
}

/** The simulator, on a clock that stands still. */
export function simulatedWorld({ initialRoot, standby = false }: WorldOptions = {}): World {
  const clock = fakeClock()
  const simulator = new VaultSimulator({ clock, initialRoot })
  simulator.setStandby(standby)
  return world({
    name: 'simulator',
    endpoint: simulator.endpoint,
    clock,
    rootToken: simulator.rootToken,
    fetch: simulator.fetch,
    pass: (ms) => clock.advance(ms),
    unsealKey: simulator.unsealKey,
    listen: () => simulator.listen(),
    kill: async () => simulator.setDown(true),
    revive: async () => simulator.setDown(false),
    close: () => simulator.close(),
  })
}

/** A real server, in real time. */
export function realWorld(server: RealVault): World {
  return world({
    name: 'openbao',
    endpoint: server.address,
    clock: systemClock(),
    rootToken: server.token,
    fetch: (input, init) => globalThis.fetch(input, init),
    pass: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
    unsealKey: server.unsealKey,
    listen: async () => server.address,
    kill: () => server.kill(),
    revive: async () => server.revive?.(),
    close: async () => {},
  })
}

/** A real server of a behaviour's own. */
export async function ownRealWorld({ initialRoot = false, standby = false }: WorldOptions): Promise<World> {
  const server = standby ? await ownStandby() : await ownVault(initialRoot ? undefined : 'root')
  return { ...realWorld(server), close: () => server.kill() }
}

/** A manager over a token of this world, with all that it tells. */
export async function manage(
  world: World,
  token: string | undefined,
  options: Omit<VaultTokenManagerOptions, 'client'> = {},
  proxy?: Proxy,
): Promise<{
  manager: VaultTokenManager
  vault: NodeVaultClient
  sent: SentRequest[]
  // biome-ignore lint/suspicious/noExplicitAny: payloads of all events
  told: { readonly name: string; readonly payload: any; readonly at: number }[]
  names: () => string[]
}> {
  const sent: SentRequest[] = []
  const vault = await world.client(token, sent, proxy)
  const manager = new VaultTokenManager({ client: vault, clock: world.clock, ...options })
  // biome-ignore lint/suspicious/noExplicitAny: payloads of all events
  const told: { name: string; payload: any; at: number }[] = []
  manager.events.onAny((name, payload) => told.push({ name, payload, at: world.clock.monotonic() }))
  return { manager, vault, sent, told, names: () => told.map(({ name }) => name) }
}

/** How many requests of a list went to a path. */
export function sentTo(sent: readonly SentRequest[], path: string): number {
  return sent.filter((request) => request.path === path).length
}

/** Real files and requests aren't a fake clock's: waits for a condition, in real time, in which a given clock goes on too. */
export async function until(holds: () => boolean, clock?: FakeClock): Promise<void> {
  for (let i = 0; i < 400 && !holds(); i++) {
    await new Promise((resolve) => setTimeout(resolve, 5))
    await clock?.advance(5)
  }
  expect(holds()).toBe(true)
}
