import { Emitter, type EventSink } from '../kernel/emitter.ts'
import type { VaultRequestError } from './errors.ts'
import type { VaultEvents, VaultManagerEvents } from './events.ts'

/** What a manager tells, and to whom: its own listeners, a shared emitter, two callbacks. Nothing of it can hurt, and nothing is told once it is silent. */
export class Voice {
  readonly own: Emitter<VaultManagerEvents> = new Emitter()
  silent = false
  readonly #shared: EventSink<VaultEvents> | undefined
  readonly #onRenewal: ((ttlMs: number) => unknown) | undefined
  readonly #onFailure: ((error: VaultRequestError) => unknown) | undefined

  /** @param to - the shared emitter and the callbacks */
  constructor(to: {
    readonly events: EventSink<VaultEvents> | undefined
    readonly onRenewal: ((ttlMs: number) => unknown) | undefined
    readonly onFailure: ((error: VaultRequestError) => unknown) | undefined
  }) {
    this.#shared = to.events
    this.#onRenewal = to.onRenewal
    this.#onFailure = to.onFailure
  }

  /** Tells an event. */
  tell<Name extends keyof VaultManagerEvents & string>(name: Name, payload: VaultManagerEvents[Name]): void {
    if (this.silent) return
    Object.freeze(payload)
    this.own.emit(name, payload)
    const shared = `vault.${name}` as keyof VaultEvents
    this.#shared?.emit(shared, payload as unknown as VaultEvents[typeof shared])
  }

  /** Tells the callback of a token that has more time. */
  renewed(ttlMs: number): void {
    if (!this.silent) this.#call('onRenewal', this.#onRenewal, ttlMs)
  }

  /** Tells the callback of a failure. */
  failed(error: VaultRequestError): void {
    if (!this.silent) this.#call('onFailure', this.#onFailure, error)
  }

  /** Something of the host's, or of ours, failed and hurts nobody: a `listenerError` event on both emitters. */
  troubled(name: string, error: unknown): void {
    this.own.listenerFailed(name, error)
    this.#shared?.listenerFailed(`vault.${name}`, error)
  }

  #call<T>(name: string, callback: ((value: T) => unknown) | undefined, value: T): void {
    if (callback === undefined) return
    const failed = (error: unknown): void => this.troubled(name, error)
    try {
      // Not every answer that can fail later is a promise of the runtime's own.
      Promise.resolve(callback(value)).then(undefined, failed)
    } catch (error) {
      failed(error)
    }
  }
}
