import { Buffer } from 'node:buffer'
import { timingSafeEqual } from 'node:crypto'
import { InvalidInputError } from '../kernel/errors.ts'
import { checkFields } from '../kernel/fields.ts'
import type { HookAnswer, ValueContext } from '../rotation/hooks.ts'
import { VaultStateError } from './errors.ts'
import { factsOf, requestError } from './failure.ts'
import { checkClient, checkMount, type VaultClient, type VaultRequestOptions } from './vault-client.ts'
import type { VaultTokenManager } from './vault-token-manager.ts'

/** How {@link publishToVaultKv} writes. */
export interface PublishToVaultKvOptions {
  /** A client, or better a manager: then a dead Vault token is replaced, and the write tried again. */
  readonly vault: VaultClient | VaultTokenManager
  /** The secret, or what tells it by the service: `apps/billing`. */
  readonly path: string | ((context: ValueContext) => string)
  /** The key in the secret that gets the value; the others stay. Default `token`. */
  readonly key?: string | undefined
  /** The mount of a KV engine of version 2. Default `secret`. */
  readonly mount?: string | undefined
}

const CAS_LOST = 'check-and-set parameter did not match'

/**
 * A `publish` hook that writes the new value into a secret of a KV version 2 engine, with check-and-set: what somebody else changed meanwhile isn't overwritten,
 * the hook reads anew and tries again. A value that is there already isn't written twice.
 *
 * @param options - where to
 * @throws InvalidInputError for options that can't be used
 * @see https://openbao.org/docs/secrets/kv/kv-v2/
 * @example
 * ```ts
 * const rotation = { hooks: { MY_API: { publish: publishToVaultKv({ vault: manager, path: 'apps/my-api' }) } } }
 * ```
 */
export function publishToVaultKv(options: PublishToVaultKvOptions): (context: ValueContext) => Promise<HookAnswer> {
  checkFields('options', options, ['vault', 'path', 'key', 'mount'])
  const { vault, path, key = 'token' } = options
  const mount = checkMount('mount', options.mount ?? 'secret')
  if (typeof key !== 'string' || key === '' || key.length > 256 || key === '__proto__') {
    throw new InvalidInputError('key', 'is not a name of 1 to 256 characters', "leave it out for 'token'")
  }
  if (typeof path !== 'function') checkMount('path', path)
  const call = callerOf(vault)
  return async (context) => {
    const secret = checkMount('path', typeof path === 'function' ? path(context) : path)
    const at = `${mount}/data/${secret}`
    // No operation of ours depends on it: a client may ignore the signal.
    const send: VaultRequestOptions = { signal: context.signal }
    try {
      const { data, version } = await call((client) => readSecret(client, at, { ...send }))
      if (sameText(data[key], context.token)) return 'ok'
      const body = { options: { cas: version }, data: { ...data, [key]: context.token } }
      await call((client) => client.write(at, body, { ...send }))
      return 'ok'
    } catch (error) {
      context.signal.throwIfAborted()
      // Somebody else wrote: read anew.
      if (factsOf(error).messages.some((message) => message.includes(CAS_LOST))) return 'unknown'
      if (error instanceof VaultStateError) throw error
      throw requestError(error, 'write', [context.token])
    }
  }
}

type Call = <T>(fn: (client: VaultClient) => Promise<T>) => Promise<T>

function callerOf(vault: VaultClient | VaultTokenManager): Call {
  if (typeof (vault as Partial<VaultTokenManager> | undefined)?.withToken === 'function') {
    const manager = vault as VaultTokenManager
    return (fn) => manager.withToken((_, client) => fn(client))
  }
  const client = checkClient(vault)
  return (fn) => fn(client)
}

interface Secret {
  readonly data: { readonly [key: string]: unknown }
  /** The version that a write must follow; 0 where there was none. */
  readonly version: number
}

async function readSecret(client: VaultClient, path: string, options: VaultRequestOptions): Promise<Secret> {
  let body: unknown
  try {
    body = await client.read(path, options)
  } catch (error) {
    const { response } = error as { readonly response?: { readonly statusCode?: unknown; readonly body?: unknown } }
    if (response?.statusCode !== 404) throw error
    // One that was deleted has versions all the same, and the answer tells the last.
    body = response.body
  }
  const found = (
    body as { readonly data?: { readonly data?: unknown; readonly metadata?: { readonly version?: unknown } } } | null
  )?.data
  const version = found?.metadata?.version
  const data = found?.data
  return {
    data: typeof data === 'object' && data !== null ? (data as Secret['data']) : {},
    version: typeof version === 'number' ? version : 0,
  }
}

function sameText(found: unknown, wanted: string): boolean {
  if (typeof found !== 'string') return false
  const [a, b] = [Buffer.from(found), Buffer.from(wanted)]
  return a.length === b.length && timingSafeEqual(a, b)
}
