import { isJsonObject } from '../kernel/canonical-json.ts'
import type { Clock } from '../kernel/clock.ts'
import type { CloudflareApi, Family, Run } from './api.ts'
import { CloudflareApiError } from './errors.ts'
import { sharedWait } from './shared-wait.ts'

/** Which token the healer's own credential is: asked once. */
export class SelfIdentity {
  readonly #api: CloudflareApi
  readonly #clock: Clock
  #id: Promise<string> | undefined

  /**
   * @param api - asks with the healer's credential
   * @param clock - waits
   */
  constructor(api: CloudflareApi, clock: Clock) {
    this.#api = api
    this.#clock = clock
  }

  /**
   * The id of the healer's own token.
   *
   * @param near - where to ask first
   * @throws CloudflareApiError when the credential isn't known, or nobody answers; the signal's reason
   */
  async id(near: Family, run: Run): Promise<string> {
    run.signal?.throwIfAborted()
    if (this.#id === undefined) {
      // Without the run's signal: others may wait for it too.
      const id = this.#ask(near, { budget: run.budget, signal: undefined })
      this.#id = id
      id.catch(() => {
        // A failure is nobody's to keep.
        if (this.#id === id) this.#id = undefined
      })
    }
    return sharedWait(this.#clock, this.#id, run.signal)
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
