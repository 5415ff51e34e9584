import type { OrderKey } from '../kernel/kind.ts'
import type { Row } from './memory-row.ts'
import { type OrderFunction, type OrderKeys, positionIn } from './order-keys.ts'
import type { OrderRange } from './order-range.ts'
import { SortedRun } from './sorted-run.ts'

/**
 * One order index of the memory store: for each partition the rows in order of position, then id.
 *
 * It holds pointers only; positions are computed from the row's value whenever they are compared. So a row must leave
 * ({@link OrderIndex.remove}) while it still has the value that it was put in with.
 */
export class OrderIndex {
  readonly #order: OrderFunction
  readonly #runs = new Map<string | undefined, SortedRun>()

  constructor(order: OrderFunction) {
    this.#order = order
  }

  /** Puts a row in at the points that its present value gives. */
  insert(row: Row, keys: OrderKeys): void {
    if (keys === undefined) return
    if (!Array.isArray(keys)) this.#insertAt(row, keys as OrderKey)
    else for (const key of keys as readonly OrderKey[]) this.#insertAt(row, key)
  }

  /** Takes a row out of the points that its present value gives. */
  remove(row: Row, keys: OrderKeys): void {
    if (keys === undefined) return
    if (!Array.isArray(keys)) this.#removeAt(row, keys as OrderKey)
    else for (const key of keys as readonly OrderKey[]) this.#removeAt(row, key)
  }

  /** The rows of a range, one more than `limit` if there is one. */
  range(range: OrderRange): Row[] {
    const found: Row[] = []
    this.#runs.get(range.part)?.collect(range, found)
    return found
  }

  /** The first row of a partition. */
  first(part: string | undefined): Row | undefined {
    return this.#runs.get(part)?.first()
  }

  /** The position of a row of this index. */
  at(row: Row, part: string | undefined): number {
    return positionIn(this.#order(row.value), part)
  }

  #insertAt(row: Row, key: OrderKey): void {
    const run = this.#runs.get(key.in)
    if (run === undefined) this.#runs.set(key.in, new SortedRun(this.#order, key.in, row))
    else run.insert(row, key.at)
  }

  #removeAt(row: Row, key: OrderKey): void {
    const run = this.#runs.get(key.in)
    if (run === undefined) return
    run.remove(row, key.at)
    if (run.empty) this.#runs.delete(key.in)
  }
}
