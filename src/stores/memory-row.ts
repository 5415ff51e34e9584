import type { Stored } from '../kernel/kind.ts'
import type { Cell } from './token-store.ts'

/**
 * One record of the memory store. Every index points at it, and it stays the same object while the record changes.
 * There are millions of them: no field, and no private method (which would cost a word in each), without need.
 */
export class Row {
  readonly id: string
  revision: number
  /** The record; `undefined` once removed. */
  value: unknown

  constructor(id: string, revision: number, value: unknown) {
    this.id = id
    this.revision = revision
    this.value = value
  }

  /** The record as it is handed out. */
  get current(): Stored<unknown> | undefined {
    return stored(this)
  }

  /** Puts another value in place, or nothing. */
  replace(revision: number, value: unknown): void {
    this.revision = revision
    this.value = value
  }
}

/** The row of a record that can be found by a key: its live cell at once. */
export class CellRow extends Row implements Cell<unknown> {
  memo: object | undefined = undefined
  /** What `current` answers, made when first asked for. */
  #stored: Stored<unknown> | undefined = undefined

  override get current(): Stored<unknown> | undefined {
    const known = this.#stored
    if (known !== undefined) return known
    this.#stored = stored(this)
    return this.#stored
  }

  override replace(revision: number, value: unknown): void {
    this.revision = revision
    this.value = value
    this.#stored = undefined
  }
}

function stored({ id, revision, value }: Row): Stored<unknown> | undefined {
  return value === undefined ? undefined : Object.freeze({ id, revision, value })
}
