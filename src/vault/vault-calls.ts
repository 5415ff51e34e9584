import type { Clock } from '../kernel/clock.ts'
import { withTimeLimit } from '../kernel/time-limit.ts'
import { type VaultOperation, VaultRequestError } from './errors.ts'
import { requestError, textsIn } from './failure.ts'
import type { Moment } from './lease-time.ts'
import { type Renewed, readLeaseRenewal, readLookup, readRenewal, type TokenFacts } from './token-facts.ts'
import { OWN_TOKEN, type VaultClient } from './vault-client.ts'

/** What a {@link VaultCalls} is made with. */
export interface VaultCallSettings {
  readonly client: VaultClient
  readonly clock: Clock
  /** How long one request may take, whatever the client does, ms. */
  readonly timeoutMs: number
  /** Told of each request that is sent. */
  readonly onRequest: (operation: VaultOperation) => void
}

/** An answer, with the local times before its request. */
export interface Timed<T> {
  readonly value: T
  readonly from: Moment
}

/** One request. */
interface Call {
  readonly operation: VaultOperation
  readonly path: string
  /** Absent for a read. */
  readonly data?: { readonly [name: string]: unknown }
  /** Sent as X-Vault-Token; absent where none is needed. */
  readonly token?: string
  /** Texts that no error may show, beside the token. */
  readonly secrets?: readonly string[]
  readonly signal?: AbortSignal | undefined
}

/**
 * The requests that a manager sends: each with the token that is meant, with headers of its own, within a time limit, with its answer checked
 * and its errors judged and cleaned. The client's own token isn't used.
 */
export class VaultCalls {
  readonly #settings: VaultCallSettings

  /** @param settings - the client and its limits */
  constructor(settings: VaultCallSettings) {
    this.#settings = settings
  }

  /** The local times now. */
  moment(): Moment {
    const { clock } = this.#settings
    return { wall: clock.now(), mono: clock.monotonic() }
  }

  /** What the server tells of a token. It costs one use; a token whose last one this was is refused. */
  async lookup(token: string, signal: AbortSignal): Promise<Timed<TokenFacts>> {
    const from = this.moment()
    const body = await this.#send({ operation: 'lookup', path: 'auth/token/lookup-self', token, signal })
    const value = readLookup(body)
    if (value.usesLeft !== 0) return { value, from }
    // From now on it is refused as an unknown one is.
    const messages = ['that was the last use of the token']
    throw new VaultRequestError({ operation: 'lookup', kind: 'auth', messages })
  }

  /** Renews a token by so many seconds from now. */
  async renew(token: string, seconds: number, signal: AbortSignal): Promise<Timed<Renewed>> {
    const from = this.moment()
    const data = { increment: seconds }
    const body = await this.#send({ operation: 'renew', path: 'auth/token/renew-self', data, token, signal })
    return { value: readRenewal(body), from }
  }

  /** Renews the lease of a secret by so many seconds from now. */
  async renewLease(token: string, id: string, seconds: number, signal: AbortSignal): Promise<Timed<Renewed>> {
    const from = this.moment()
    const data = { lease_id: id, increment: seconds }
    const body = await this.#send({ operation: 'renew_lease', path: 'sys/leases/renew', data, token, signal })
    return { value: readLeaseRenewal(body), from }
  }

  /** Ends a token. */
  async revoke(token: string, signal: AbortSignal): Promise<void> {
    await this.#send({ operation: 'revoke', path: 'auth/token/revoke-self', data: {}, token, signal })
  }

  /** POSTs credentials to a path that needs no token. */
  login(path: string, data: { readonly [name: string]: unknown }, signal: AbortSignal): Promise<unknown> {
    return this.#send({ operation: 'login', path, data, secrets: textsIn(data), signal })
  }

  /** What is inside a wrapping token, which ends by this. */
  unwrap(wrappingToken: string, signal: AbortSignal): Promise<unknown> {
    return this.#send({ operation: 'unwrap', path: 'sys/wrapping/unwrap', data: {}, token: wrappingToken, signal })
  }

  /** What a wrapping token was made by; it stays good. */
  async wrappedBy(wrappingToken: string, signal: AbortSignal): Promise<string | undefined> {
    const data = { token: wrappingToken }
    const secrets = [wrappingToken]
    const body = await this.#send({ operation: 'unwrap', path: 'sys/wrapping/lookup', data, secrets, signal })
    const path = (body as { readonly data?: { readonly creation_path?: unknown } } | null)?.data?.creation_path
    return typeof path === 'string' ? path : undefined
  }

  /** The server's health as it tells it without a token. */
  health(): Promise<unknown> {
    return this.#send({ operation: 'health', path: 'sys/health' })
  }

  async #send({ operation, path, data, token, secrets = [], signal }: Call): Promise<unknown> {
    const { client, clock, timeoutMs, onRequest } = this.#settings
    onRequest(operation)
    const headers = token === undefined ? {} : { 'X-Vault-Token': token }
    try {
      return await withTimeLimit(
        clock,
        timeoutMs,
        (inner) => {
          // Some clients write into the headers that they are given.
          const options = { headers: { ...headers }, signal: inner, [OWN_TOKEN]: true as const }
          return data === undefined ? client.read(path, options) : client.write(path, data, options)
        },
        signal,
      )
    } catch (error) {
      signal?.throwIfAborted()
      throw requestError(error, operation, token === undefined ? secrets : [...secrets, token])
    }
  }
}
