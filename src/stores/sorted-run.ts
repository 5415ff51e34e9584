import type { Row } from './memory-row.ts'
import { type OrderFunction, positionIn } from './order-keys.ts'
import type { OrderRange } from './order-range.ts'

/** The most rows in one chunk: what a splice moves at worst. */
const CHUNK = 512

/**
 * The rows of one partition of an order index: sorted by position, then id, in chunks.
 *
 * A chunk's smallest position is kept beside it, so that finding the chunk touches no row. Rows that come in rising
 * order fill their chunks wholly.
 */
export class SortedRun {
  readonly #order: OrderFunction
  readonly #part: string | undefined
  /** While there is one chunk, it alone: most partitions are small, and there can be a million. */
  #only: Row[] | undefined
  #chunks: Row[][] | undefined = undefined
  /** The smallest position of each chunk. */
  #mins: number[] | undefined = undefined

  constructor(order: OrderFunction, part: string | undefined, row: Row) {
    this.#order = order
    this.#part = part
    this.#only = [row]
  }

  get empty(): boolean {
    return this.#only !== undefined ? this.#only.length === 0 : this.#chunks?.length === 0
  }

  first(): Row | undefined {
    return this.#only !== undefined ? this.#only[0] : this.#chunks?.[0]?.[0]
  }

  /** Puts a row in; its value gives `at` in this partition, and it isn't in yet. */
  insert(row: Row, at: number): void {
    let rows = this.#only
    if (rows !== undefined) {
      if (rows.length < CHUNK) {
        this.#place(rows, row, at)
        return
      }
      this.#only = undefined
      this.#chunks = [rows]
      this.#mins = [this.#at(rows[0] as Row)]
    }
    const chunks = this.#chunks as Row[][]
    const mins = this.#mins as number[]
    const last = chunks.length - 1
    rows = chunks[last] as Row[]
    if (rows.length >= CHUNK && this.#compare(rows[rows.length - 1] as Row, at, row.id) < 0) {
      chunks.push([row])
      mins.push(at)
      return
    }
    const c = this.#chunkOf(at, row.id)
    rows = chunks[c] as Row[]
    const place = this.#place(rows, row, at)
    if (place === 0) mins[c] = at
    if (rows.length > CHUNK) {
      // The last chunk takes most of what comes: rows come in nearly rising order, and what is left behind stays full.
      const upper = rows.splice(c === chunks.length - 1 ? CHUNK - CHUNK / 16 : CHUNK / 2)
      // A fresh copy: the spliced array keeps the room that it had grown to.
      chunks[c] = rows.slice()
      chunks.splice(c + 1, 0, upper)
      mins.splice(c + 1, 0, this.#at(upper[0] as Row))
    }
  }

  /** Takes a row out; its value still gives `at`. */
  remove(row: Row, at: number): void {
    const only = this.#only
    if (only !== undefined) {
      const place = this.#lowerBound(only, at, row.id)
      if (only[place] === row) only.splice(place, 1)
      return
    }
    const chunks = this.#chunks as Row[][]
    const mins = this.#mins as number[]
    const c = this.#chunkOf(at, row.id)
    const rows = chunks[c] as Row[]
    const place = this.#lowerBound(rows, at, row.id)
    if (rows[place] !== row) return
    rows.splice(place, 1)
    if (rows.length === 0) {
      chunks.splice(c, 1)
      mins.splice(c, 1)
    } else {
      if (place === 0) mins[c] = this.#at(rows[0] as Row)
      const next = chunks[c + 1]
      if (next !== undefined && rows.length + next.length <= CHUNK / 2) {
        chunks[c] = rows.concat(next)
        chunks.splice(c + 1, 1)
        mins.splice(c + 1, 1)
      }
    }
  }

  /** Adds the rows of a range to `found`, one more than the limit if there is one. */
  collect(range: OrderRange, found: Row[]): void {
    const chunks = this.#only !== undefined ? [this.#only] : (this.#chunks as Row[][])
    if (chunks.length === 0) return
    if (range.reverse) this.#collectDown(chunks, range, found)
    else this.#collectUp(chunks, range, found)
  }

  #collectUp(chunks: Row[][], range: OrderRange, found: Row[]): void {
    let { from: at } = range
    let id = ''
    const after = range.after
    if (after !== undefined && after.at >= at) {
      at = after.at
      id = after.id
    }
    let c = this.#only === undefined ? this.#chunkOf(at, id) : 0
    let rows = chunks[c] as Row[]
    let place = this.#lowerBound(rows, at, id)
    const skipped = rows[place]
    if (after !== undefined && skipped?.id === after.id && this.#at(skipped) === after.at) place += 1
    for (;;) {
      for (; place < rows.length; place++) {
        const row = rows[place] as Row
        if (this.#at(row) >= range.to) return
        found.push(row)
        if (found.length > range.limit) return
      }
      c += 1
      if (c >= chunks.length) return
      rows = chunks[c] as Row[]
      place = 0
    }
  }

  #collectDown(chunks: Row[][], range: OrderRange, found: Row[]): void {
    let { to: at } = range
    let id = ''
    const after = range.after
    if (after !== undefined && after.at < at) {
      at = after.at
      id = after.id
    }
    let c = this.#only === undefined ? this.#chunkOf(at, id) : 0
    let rows = chunks[c] as Row[]
    let place = this.#lowerBound(rows, at, id) - 1
    for (;;) {
      for (; place >= 0; place--) {
        const row = rows[place] as Row
        if (this.#at(row) < range.from) return
        found.push(row)
        if (found.length > range.limit) return
      }
      c -= 1
      if (c < 0) return
      rows = chunks[c] as Row[]
      place = rows.length - 1
    }
  }

  /** Puts a row into a chunk and answers its place. */
  #place(rows: Row[], row: Row, at: number): number {
    const length = rows.length
    if (length === 0 || this.#compare(rows[length - 1] as Row, at, row.id) < 0) {
      rows.push(row)
      return length
    }
    const place = this.#lowerBound(rows, at, row.id)
    rows.splice(place, 0, row)
    return place
  }

  /** The chunk that holds a point, or would. */
  #chunkOf(at: number, id: string): number {
    const mins = this.#mins as number[]
    const chunks = this.#chunks as Row[][]
    // The last chunk that begins at or before the point; among those beginning at the same position the id decides.
    let low = 0
    let high = mins.length
    while (low < high) {
      const middle = (low + high) >>> 1
      const min = mins[middle] as number
      const before = min < at || (min === at && ((chunks[middle] as Row[])[0] as Row).id <= id)
      if (before) low = middle + 1
      else high = middle
    }
    return low === 0 ? 0 : low - 1
  }

  /** The first place in a chunk that isn't before the point. */
  #lowerBound(rows: Row[], at: number, id: string): number {
    let low = 0
    let high = rows.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#compare(rows[middle] as Row, at, id) < 0) low = middle + 1
      else high = middle
    }
    return low
  }

  #compare(row: Row, at: number, id: string): number {
    const own = this.#at(row)
    if (own !== at) return own < at ? -1 : 1
    return row.id < id ? -1 : row.id > id ? 1 : 0
  }

  #at(row: Row): number {
    return positionIn(this.#order(row.value), this.#part)
  }
}
