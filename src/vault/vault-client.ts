import { InvalidInputError } from '../kernel/errors.ts'

/**
 * Marks a request whose `X-Vault-Token` is meant, although it may be one that was replaced.
 *
 * @internal
 */
export const OWN_TOKEN: unique symbol = Symbol('a token of its own')

/** What a call may be sent with; the third argument of node-vault's calls. */
export interface VaultRequestOptions {
  /** Headers of this one request. Its `X-Vault-Token` is sent in place of the client's. */
  readonly headers?: { readonly [name: string]: string }
  /** Ends the request. */
  readonly signal?: AbortSignal
  /** @internal */
  readonly [OWN_TOKEN]?: true
}

/**
 * What of a Vault client is used. An instance of node-vault is one, and so is what `createVaultClient` makes. Calls resolve to the body of a 2xx
 * answer, and reject with an error that has `response.statusCode` and `response.body`.
 */
export interface VaultClient {
  /** The token that the host's own calls are sent with. The manager puts a new one here when it has logged in. */
  token: string
  /** GET of a path under `/v1/`. */
  read(path: string, requestOptions?: VaultRequestOptions): Promise<unknown>
  /** POST to a path under `/v1/`. */
  write(path: string, data: unknown, requestOptions?: VaultRequestOptions): Promise<unknown>
}

/**
 * Checks that a client is one.
 *
 * @throws InvalidInputError when it lacks a method
 */
export function checkClient(client: unknown): VaultClient {
  const given = client as Partial<VaultClient> | null | undefined
  if (typeof given?.read !== 'function' || typeof given.write !== 'function') {
    throw new InvalidInputError(
      'client',
      'is not a Vault client',
      'give a node-vault instance, or await createVaultClient({ endpoint, token })',
    )
  }
  return given as VaultClient
}

/**
 * The parts of a path, joined and encoded: what a part holds can't lead elsewhere.
 *
 * @internal
 */
export function pathOf(...parts: readonly string[]): string {
  return parts.map((part) => encodeURIComponent(part)).join('/')
}

/**
 * Checks the path of a mount, such as `approle` or `team/approle`.
 *
 * @throws InvalidInputError for one that is empty or leads elsewhere
 */
export function checkMount(field: string, mount: unknown): string {
  if (typeof mount === 'string' && mount.length <= 256 && /^[\w.~-]+(?:\/[\w.~-]+)*$/.test(mount)) {
    if (!mount.split('/').some((part) => part === '.' || part === '..')) return mount
  }
  throw new InvalidInputError(field, 'is not the path of a mount', "write 'approle', without slashes at its ends")
}
