import { isJsonObject } from '../kernel/canonical-json.ts'
import type { CloudflareApi, Family, Run } from './api.ts'
import { CloudflareApiError } from './errors.ts'

/** Which token the healer's own credential is: asked once. */
export class SelfIdentity {
  readonly #api: CloudflareApi
  #id: Promise<string> | undefined

  /** @param api - asks with the healer's credential */
  constructor(api: CloudflareApi) {
    this.#api = api
  }

  /**
   * The id of the healer's own token.
   *
   * @param near - where to ask first
   * @throws CloudflareApiError when the credential isn't known, or nobody answers
   */
  async id(near: Family, run: Run): Promise<string> {
    this.#id ??= this.#ask(near, run)
    try {
      return await this.#id
    } catch (error) {
      this.#id = undefined
      throw error
    }
  }

  async #ask(near: Family, run: Run): Promise<string> {
    let envelope: { readonly result: unknown }
    try {
      envelope = await this.#api.verify(near, run)
    } catch (error) {
      const elsewhere = error instanceof CloudflareApiError && error.fault.kind === 'invalid_token'
      if (!elsewhere || near.kind === 'user') throw error
      // The credential of a user may look after the tokens of accounts.
      envelope = await this.#api.verify({ kind: 'user', accountId: undefined }, run)
    }
    const { result } = envelope
    const id = isJsonObject(result) ? result['id'] : undefined
    if (typeof id === 'string') return id
    const fault = { kind: 'unreadable', message: 'a verification came without an id' } as const
    throw new CloudflareApiError('verifying the healer', fault, 'try again later', true)
  }
}
