import { InvalidInputError } from '../kernel/errors.ts'
import { VaultStateError } from './errors.ts'
import type { VaultTokenManagerOptions } from './manager-options.ts'
import { createVaultClient } from './node-vault-client.ts'
import { VaultTokenManager } from './vault-token-manager.ts'

/** How {@link startTokenManager} makes the process's manager. */
export interface StartTokenManagerOptions extends Omit<VaultTokenManagerOptions, 'client'> {
  /** Default: one made from the environment. */
  readonly client?: VaultTokenManagerOptions['client'] | undefined
  /** Where VAULT_ADDR, VAULT_TOKEN and VAULT_NAMESPACE are read. Default: `process.env`. */
  readonly env?: { readonly [name: string]: string | undefined } | undefined
}

/** The process's manager on its way: made, then started. */
interface Shared {
  readonly made: Promise<VaultTokenManager>
  readonly started: Promise<VaultTokenManager>
  /** Once it has started. */
  manager?: VaultTokenManager
}

let shared: Shared | undefined

/**
 * Starts the process's manager, once: further calls answer the same one. Without options it keeps the token of `VAULT_TOKEN` at the server of
 * `VAULT_ADDR`, in the namespace of `VAULT_NAMESPACE`, if any. When the start fails, the next call tries anew.
 *
 * @param options - as of a VaultTokenManager; only the first call's are used
 * @throws InvalidInputError when the environment names no server or token; MissingPackageError without node-vault; what `start()` throws
 * @example
 * ```ts
 * await startTokenManager()
 * const { ttlMs } = getTokenManager().status()
 * ```
 */
export function startTokenManager(options: StartTokenManagerOptions = {}): Promise<VaultTokenManager> {
  if (shared === undefined) {
    const made = make(options)
    const started = made.then(async (manager) => {
      await manager.start()
      entry.manager = manager
      return manager
    })
    const entry: Shared = { made, started }
    shared = entry
    started.catch(() => {
      if (shared === entry) shared = undefined
    })
  }
  return shared.started
}

/**
 * The process's manager.
 *
 * @throws VaultStateError before `startTokenManager()` has resolved
 */
export function getTokenManager(): VaultTokenManager {
  if (shared?.manager !== undefined) return shared.manager
  throw new VaultStateError("the process's manager isn't started", 'await startTokenManager() first')
}

/** Stops the process's manager, one that is still starting too, and forgets it. Does nothing where there is none. */
export async function stopTokenManager(): Promise<void> {
  const entry = shared
  shared = undefined
  const manager = await entry?.made.catch(() => undefined)
  await manager?.stop()
}

async function make({ client, env = process.env, ...options }: StartTokenManagerOptions): Promise<VaultTokenManager> {
  return new VaultTokenManager({ ...options, client: client ?? (await clientOf(env, options)) })
}

async function clientOf(
  env: { readonly [name: string]: string | undefined },
  { login, clock }: Omit<VaultTokenManagerOptions, 'client'>,
): Promise<VaultTokenManagerOptions['client']> {
  const { VAULT_ADDR: endpoint, VAULT_TOKEN: token, VAULT_NAMESPACE: namespace } = env
  if (endpoint === undefined || endpoint === '') {
    throw new InvalidInputError('VAULT_ADDR', 'is not set', "set it to the server's address, or give a client")
  }
  if ((token === undefined || token === '') && login === undefined) {
    throw new InvalidInputError('VAULT_TOKEN', 'is not set', 'set it, or give a login')
  }
  return await createVaultClient({ endpoint, token: token === '' ? undefined : token, namespace, clock })
}
