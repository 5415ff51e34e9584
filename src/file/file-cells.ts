import { deepFreeze, type Stored } from '../kernel/kind.ts'
import type { Cell } from '../stores/token-store.ts'
import { type FileKind, type FileUnique, reviveBody } from './kind-registry.ts'
import { one, type Statements, type StoredRow } from './statements.ts'

/** The cell shows what the file holds, as far as this process knows. */
const FRESH = 0
/** The record has changed elsewhere: to be read again. */
const DIRTY = 1
/** No longer in the cache, so nobody tells it of changes. */
const EVICTED = 2

/** The live view of one record of a file. */
export class FileCell implements Cell<unknown> {
  memo: object | undefined = undefined
  /** @internal */
  stored: Stored<unknown> | undefined
  /** @internal */
  state = FRESH
  /** Whether it was read since the cache was last swept. @internal */
  used = true
  /** Where it is found by key. @internal */
  keys: { readonly map: Map<string, FileCell>; readonly key: string }[] = []
  /** @internal */
  readonly kind: FileKind
  /** @internal */
  readonly id: string
  readonly #home: CellCache

  /** @internal */
  constructor(home: CellCache, kind: FileKind, id: string, stored: Stored<unknown> | undefined) {
    this.#home = home
    this.kind = kind
    this.id = id
    this.stored = stored
  }

  get current(): Stored<unknown> | undefined {
    const home = this.#home
    home.sync()
    if (this.state !== FRESH) return home.refresh(this)
    this.used = true
    return this.stored
  }
}

/**
 * The cells of the records that were asked for of late, at most about `max` of them.
 *
 * Two generations: when the young one is full, the old one is swept; what was read since the last sweep stays.
 */
export class CellCache {
  /** Looks for changes of other processes, if it is time. */
  readonly sync: () => void
  readonly #sql: Statements
  readonly #half: number
  /** By number of the kind, then by record. */
  readonly #records: Map<string, FileCell>[] = []
  /** By number of the unique index, then by key. */
  readonly #keys: Map<string, FileCell>[] = []
  #young = new Set<FileCell>()
  #old = new Set<FileCell>()
  #closed = false

  constructor(sql: Statements, max: number, sync: () => void) {
    this.#sql = sql
    this.#half = Math.max(1, Math.floor(max / 2))
    this.sync = sync
  }

  /** How many cells there are. */
  get size(): number {
    return this.#young.size + this.#old.size
  }

  /** The cell of the record that holds a key. */
  find(kind: FileKind, index: FileUnique, key: string): FileCell | undefined {
    const known = this.#keys[index.id]?.get(key)
    if (known !== undefined && known.state === FRESH) return known.stored === undefined ? undefined : known
    const row = key.isWellFormed() ? one<StoredRow>(this.#sql.find, index.id, key) : undefined
    if (row === undefined || row.gone === 1) return undefined
    let cell = this.#records[kind.id]?.get(row.id)
    if (cell === undefined) {
      cell = new FileCell(this, kind, row.id, storedOf(kind, row))
      this.#add(cell)
    } else if (cell.state !== FRESH || cell.stored?.revision !== row.revision) {
      this.#set(cell, storedOf(kind, row))
    }
    this.#link(cell, index, key)
    return cell
  }

  /** Puts what this process has committed in place. */
  changed(kind: FileKind, id: string, stored: Stored<unknown> | undefined): void {
    const cell = this.#records[kind.id]?.get(id)
    if (cell !== undefined) this.#set(cell, stored)
  }

  /** A record has changed elsewhere. */
  outdate(kind: FileKind, id: string): void {
    const cell = this.#records[kind.id]?.get(id)
    if (cell !== undefined) this.#outdate(cell)
  }

  /** Every record of a kind may have changed elsewhere. */
  outdateAll(kind: FileKind): void {
    for (const cell of this.#records[kind.id]?.values() ?? []) this.#outdate(cell)
  }

  /** The value of a record at a revision, if a cell has it. */
  valueAt(kind: FileKind, id: string, revision: number): unknown {
    const cell = this.#records[kind.id]?.get(id)
    if (cell === undefined || cell.state !== FRESH || cell.stored?.revision !== revision) return undefined
    return kind.kind.journaled ? cell.stored.value : undefined
  }

  /** Reads a cell's record again, and takes the cell back into the cache. */
  refresh(cell: FileCell): Stored<unknown> | undefined {
    if (this.#closed) return cell.stored
    const { kind, id } = cell
    const cached = this.#records[kind.id]?.get(id)
    // Its place was taken meanwhile: the other one is kept right.
    if (cached !== undefined && cached !== cell) return cached.current
    const row = one<StoredRow>(this.#sql.row, kind.id, id)
    this.#set(cell, row === undefined || row.gone === 1 ? undefined : storedOf(kind, row))
    if (cached === undefined) this.#add(cell)
    return cell.stored
  }

  /** From now on cells show what they showed last. */
  close(): void {
    this.#closed = true
  }

  #set(cell: FileCell, stored: Stored<unknown> | undefined): void {
    if (cell.keys.length > 0) unlink(cell)
    cell.stored = stored
    cell.state = FRESH
    cell.used = true
  }

  #outdate(cell: FileCell): void {
    unlink(cell)
    cell.state = DIRTY
  }

  #link(cell: FileCell, index: FileUnique, key: string): void {
    let map = this.#keys[index.id]
    if (map === undefined) {
      map = new Map()
      this.#keys[index.id] = map
    }
    map.set(key, cell)
    cell.keys.push({ map, key })
  }

  #add(cell: FileCell): void {
    let records = this.#records[cell.kind.id]
    if (records === undefined) {
      records = new Map()
      this.#records[cell.kind.id] = records
    }
    records.set(cell.id, cell)
    this.#young.add(cell)
    if (this.#young.size > this.#half) this.#sweep()
  }

  #sweep(): void {
    const kept = new Set<FileCell>()
    // At most half of a generation stays, so that a sweep always makes room.
    const room = this.#half / 2
    for (const cell of this.#old) {
      if (cell.used && kept.size < room) {
        cell.used = false
        kept.add(cell)
      } else {
        unlink(cell)
        cell.state = EVICTED
        this.#records[cell.kind.id]?.delete(cell.id)
      }
    }
    this.#old = this.#young
    for (const cell of this.#old) cell.used = false
    this.#young = kept
  }
}

function unlink(cell: FileCell): void {
  for (const { map, key } of cell.keys) if (map.get(key) === cell) map.delete(key)
  cell.keys.length = 0
}

/** A row's record as it is handed out. */
export function storedOf(kind: FileKind, { id, revision, body }: StoredRow): Stored<unknown> {
  return Object.freeze({ id, revision, value: deepFreeze(reviveBody(kind, body)) })
}
