import { InvalidInputError } from '../kernel/errors.ts'
import type { Kind } from '../kernel/kind.ts'
import type { ListQuery, Page, TokenStore, Write } from '../stores/token-store.ts'

/** Rows in one commit: a store holds its lock for one of them. */
const BATCH = 500
/** Rows read for one page, at most. */
const PAGE_READS = 1000

/** What a {@link RowLog} is made from. */
export interface RowLogOptions<T, O extends string> {
  readonly store: TokenStore
  /** An unjournaled kind, in order of `at`. */
  readonly kind: Kind<T, O | 'at', never>
  /** How long rows stay, ms. */
  readonly retention: number
  /** How many rows may wait to be written. */
  readonly capacity: number
  /** A fresh id for a row or commit of this instant. */
  readonly newId: (at: number) => string
}

/** A log in the store: rows wait in a bounded buffer and are written in batches; those that find it full are counted. */
export class RowLog<T extends { readonly at: number }, O extends string> {
  /** Rows that were lost because the buffer was full. */
  dropped = 0
  readonly #options: RowLogOptions<T, O>
  #waiting: T[] = []

  /** @param options - store, kind, retention and capacity */
  constructor(options: RowLogOptions<T, O>) {
    this.#options = options
  }

  /** Rows that wait to be written. */
  get size(): number {
    return this.#waiting.length
  }

  /** Whether another row would be lost. */
  get full(): boolean {
    return this.#waiting.length >= this.#options.capacity
  }

  /** Adds a row, or counts it as lost. */
  add(row: T): void {
    if (this.full) this.dropped += 1
    else this.#waiting.push(row)
  }

  /** Writes what waits. What the store refuses goes on waiting. */
  async flush(now: number): Promise<number> {
    const { store, kind, newId } = this.#options
    let written = 0
    while (this.#waiting.length > 0) {
      const rows = this.#waiting.slice(0, BATCH)
      const write = rows.map((value): Write => ({ kind, id: newId(value.at), value }))
      await store.commit({ id: newId(now), expect: [], write, journal: [] })
      this.#waiting.splice(0, rows.length)
      written += rows.length
    }
    return written
  }

  /** Removes a batch of the rows that are older than the retention. */
  async forget(now: number): Promise<void> {
    const { store, kind, retention, newId } = this.#options
    const { items } = await store.list(kind, { index: 'at', to: now - retention, limit: BATCH })
    if (items.length === 0) return
    const write = items.map(({ id }): Write => ({ kind, id, remove: true }))
    await store.commit({ id: newId(now), expect: [], write, journal: [] })
  }

  /**
   * A page of a range, of the rows that fit. At most 1000 rows are read.
   *
   * @throws InvalidInputError for a limit that isn't from 1 to 1000
   */
  async page(
    range: Omit<ListQuery<O | 'at'>, 'limit' | 'cursor'>,
    { limit = 100, cursor }: { readonly limit?: number | undefined; readonly cursor?: string | undefined },
    fits: (row: T) => boolean,
  ): Promise<Page<T>> {
    if (!Number.isInteger(limit) || limit < 1 || limit > PAGE_READS) {
      throw new InvalidInputError('limit', `must be a whole number from 1 to ${PAGE_READS}`, 'leave it out for 100')
    }
    const { store, kind } = this.#options
    const items: T[] = []
    let next = cursor
    for (let reads = 0; reads < PAGE_READS; ) {
      const page = await store.list(kind, { ...range, limit: limit - items.length, cursor: next })
      reads += page.items.length
      for (const { value } of page.items) if (fits(value)) items.push(value)
      next = page.cursor
      if (next === undefined || items.length === limit) break
    }
    return next === undefined ? { items } : { items, cursor: next }
  }
}
