import type { Stored } from '../kernel/kind.ts'
import type { Cell } from './token-store.ts'

/**
 * One record of the memory store, and its live cell at once: every index points at it, and it stays the same object
 * while the record changes. One object of five words instead of three, because there are a million of them.
 */
export class Row implements Cell<unknown> {
  readonly id: string
  revision: number
  /** The record; `undefined` once removed. */
  value: unknown
  memo: object | undefined = undefined
  /** What `current` answers, made when first asked for. */
  #stored: Stored<unknown> | undefined = undefined

  constructor(id: string, revision: number, value: unknown) {
    this.id = id
    this.revision = revision
    this.value = value
  }

  get current(): Stored<unknown> | undefined {
    const stored = this.#stored
    return stored === undefined ? this.#make() : stored
  }

  /** Puts another value in place, or nothing. */
  replace(revision: number, value: unknown): void {
    this.revision = revision
    this.value = value
    this.#stored = undefined
  }

  #make(): Stored<unknown> | undefined {
    if (this.value === undefined) return undefined
    const stored = Object.freeze({ id: this.id, revision: this.revision, value: this.value })
    this.#stored = stored
    return stored
  }
}
