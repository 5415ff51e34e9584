import { type FakeClock, fakeClock, VaultSimulator } from '../../src/testing/index.ts'
import {
  createVaultClient,
  type NodeVaultClient,
  VaultTokenManager,
  type VaultTokenManagerOptions,
} from '../../src/vault/index.ts'

export const LOOKUP = 'auth/token/lookup-self'
export const RENEW = 'auth/token/renew-self'
export const HOUR = 3_600_000

/** A simulator on a fake clock, and ways to make tokens and managers of it. */
export interface Bench {
  readonly clock: FakeClock
  readonly simulator: VaultSimulator
  /** Makes a token as root. */
  token(options?: object): Promise<string>
  client(token?: string): Promise<NodeVaultClient>
  manage(token: string | undefined, options?: Omit<VaultTokenManagerOptions, 'client'>): Promise<Managed>
  /** A role of AppRole, and the ids to log in with. */
  appRole(settings?: object): Promise<{ roleId: string; secretId: string }>
}

/** A manager, and all that it told. */
export interface Managed {
  readonly manager: VaultTokenManager
  readonly vault: NodeVaultClient
  // biome-ignore lint/suspicious/noExplicitAny: payloads of all events
  readonly told: { readonly name: string; readonly payload: any; readonly at: number }[]
  names(): string[]
  // biome-ignore lint/suspicious/noExplicitAny: payloads of all events
  all(name: string): any[]
}

// biome-ignore lint/suspicious/noExplicitAny: answers of all kinds
type Body = any

/** A fresh one. */
export function bench(): Bench {
  const clock = fakeClock()
  const simulator = new VaultSimulator({ clock })
  const client = (token?: string) =>
    createVaultClient({ endpoint: simulator.endpoint, token, fetch: simulator.fetch, clock })
  return {
    clock,
    simulator,
    client,
    token: async (options = {}) => {
      const body = { ttl: '1h', policies: ['default'], ...options }
      return ((await simulator.call('POST', 'auth/token/create', body)) as Body).auth.client_token
    },
    manage: async (token, options = {}) => {
      const vault = await client(token)
      const manager = new VaultTokenManager({ client: vault, clock, ...options })
      const told: Managed['told'] = []
      manager.events.onAny((name, payload) => told.push({ name, payload, at: clock.monotonic() }))
      return {
        manager,
        vault,
        told,
        names: () => told.map(({ name }) => name),
        all: (name) => told.filter((each) => each.name === name).map(({ payload }) => payload),
      }
    },
    appRole: async (settings = {}) => {
      await simulator.call('POST', 'sys/auth/approle', { type: 'approle' })
      await simulator.call('POST', 'auth/approle/role/app', { token_policies: ['default'], ...settings })
      const role = (await simulator.call('GET', 'auth/approle/role/app/role-id')) as Body
      const secret = (await simulator.call('POST', 'auth/approle/role/app/secret-id')) as Body
      return { roleId: role.data.role_id, secretId: secret.data.secret_id }
    },
  }
}
