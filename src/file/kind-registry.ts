import type { AnyKind, Tombstone } from '../kernel/kind.ts'
import {
  checkOrderKeys,
  checkUniqueKeys,
  type OrderFunction,
  type OrderKeys,
  type UniqueFunction,
} from '../stores/order-keys.ts'
import { newer } from './engine-errors.ts'
import { eachPoint } from './points.ts'
import { all, one, type Statements, type StoredRow } from './statements.ts'

/** A unique index with its number in the file. */
export interface FileUnique {
  readonly id: number
  readonly name: string
  readonly keysOf: UniqueFunction
}

/** An order index with its number in the file. */
export interface FileOrder {
  readonly id: number
  readonly name: string
  readonly keysOf: OrderFunction
}

/** A kind with its number in the file, and its indexes with theirs. */
export interface FileKind {
  readonly kind: AnyKind
  readonly id: number
  readonly uniques: readonly FileUnique[]
  readonly orders: readonly FileOrder[]
  readonly keeps: FileUnique | undefined
}

interface KindRow {
  readonly id: number
  readonly schema: number
  readonly shape: string
}

/** How many rows are read at a time when indexes are made anew. */
const REINDEX_PAGE = 1000

/**
 * The kinds that the file knows. A kind that comes with other indexes, or another schema of its records, than the file
 * was written with has its index entries made anew.
 */
export class KindRegistry {
  readonly #path: string
  readonly #sql: Statements
  readonly #known = new Map<string, FileKind>()
  /** Kinds met within a transaction that isn't committed yet. */
  readonly #tentative: string[] = []

  constructor(path: string, sql: Statements) {
    this.#path = path
    this.#sql = sql
  }

  /** A kind that was met before. */
  known(name: string): FileKind | undefined {
    return this.#known.get(name)
  }

  /**
   * The kind as the file has it; undefined when it has no record of it. `stale` means that its indexes have to be made
   * anew, in a transaction, by {@link KindRegistry.enter}.
   */
  look(kind: AnyKind): FileKind | 'stale' | undefined {
    const known = this.#known.get(kind.name)
    if (known !== undefined) return known
    const row = one<KindRow>(this.#sql.kindByName, kind.name)
    if (row === undefined) return undefined
    this.#checkSchema(kind, row)
    if (row.schema !== kind.schema || row.shape !== shapeOf(kind)) return 'stale'
    const found = this.#assemble(kind, row.id)
    this.#known.set(kind.name, found)
    return found
  }

  /** The kind, entered into the file if need be. Within a transaction that holds the write lock. */
  enter(kind: AnyKind): FileKind {
    const known = this.#known.get(kind.name)
    if (known !== undefined) return known
    const row = one<KindRow>(this.#sql.kindByName, kind.name)
    const shape = shapeOf(kind)
    const id = row?.id ?? Number(this.#sql.addKind.run(kind.name, kind.schema, shape).lastInsertRowid)
    if (row !== undefined) this.#checkSchema(kind, row)
    const entered = this.#assemble(kind, id, true)
    if (row !== undefined && (row.schema !== kind.schema || row.shape !== shape)) {
      this.#reindex(entered)
      this.#sql.setShape.run(kind.schema, shape, id)
    }
    this.#known.set(kind.name, entered)
    this.#tentative.push(kind.name)
    return entered
  }

  /** How many kinds the transaction has entered. */
  get entered(): number {
    return this.#tentative.length
  }

  /** Forgets what was entered after the first `count`: it was rolled back. */
  forget(count: number): void {
    for (const name of this.#tentative.splice(count)) this.#known.delete(name)
  }

  /** Tells how the transaction ended. */
  settle(committed: boolean): void {
    if (!committed) this.forget(0)
    this.#tentative.length = 0
  }

  /** Every kind that was met. */
  all(): Iterable<FileKind> {
    return this.#known.values()
  }

  #checkSchema(kind: AnyKind, { schema }: KindRow): void {
    if (schema > kind.schema) throw newer(this.#path, schema, kind.schema, `the schema of ${kind.name} records`)
  }

  #assemble(kind: AnyKind, id: number, make = false): FileKind {
    const numbers = new Map<string, number>()
    for (const index of all<{ id: number; sort: string; name: string }>(this.#sql.indexes, id)) {
      numbers.set(`${index.sort} ${index.name}`, index.id)
    }
    const number = (sort: string, name: string): number => {
      const known = numbers.get(`${sort} ${name}`)
      if (known !== undefined || !make) return known ?? -1
      return Number(this.#sql.addIndex.run(id, sort, name).lastInsertRowid)
    }
    const uniques = Object.keys(kind.unique).map((name) => ({
      id: number('u', name),
      name,
      keysOf: kind.unique[name] as UniqueFunction,
    }))
    const orders = Object.keys(kind.order).map((name) => ({
      id: number('o', name),
      name,
      keysOf: kind.order[name] as OrderFunction,
    }))
    const keeps = uniques.find((index) => index.name === kind.keeps)
    return { kind, id, uniques, orders, keeps }
  }

  #reindex(kind: FileKind): void {
    for (const index of all<{ id: number; sort: string }>(this.#sql.indexes, kind.id)) {
      if (index.sort === 'u') this.#sql.clearUniq.run(index.id)
      else this.#sql.clearOrd.run(index.id)
    }
    let last = ''
    for (;;) {
      const rows = all<StoredRow>(this.#sql.rowsOfKind, kind.id, last, REINDEX_PAGE)
      for (const row of rows) this.#index(kind, row)
      if (rows.length < REINDEX_PAGE) return
      last = rows[rows.length - 1]?.id ?? ''
    }
  }

  #index(kind: FileKind, row: StoredRow): void {
    if (row.gone === 1) {
      if (kind.keeps === undefined) return
      for (const key of new Set((JSON.parse(row.body) as Tombstone).digests)) {
        this.#sql.addKey.run(kind.keeps.id, key, row.n)
      }
      return
    }
    const value = reviveBody(kind, row.body)
    for (const index of kind.uniques) {
      for (const key of new Set(checkUniqueKeys(kind.kind, index.name, index.keysOf(value)))) {
        this.#sql.addKey.run(index.id, key, row.n)
      }
    }
    for (const order of kind.orders) {
      const points: OrderKeys = checkOrderKeys(kind.kind, order.name, order.keysOf(value))
      for (const { at, in: part = '' } of eachPoint(points)) this.#sql.addPoint.run(order.id, part, at, row.id, row.n)
    }
  }
}

/** What the index entries depend on. */
function shapeOf(kind: AnyKind): string {
  return JSON.stringify([Object.keys(kind.unique).sort(), Object.keys(kind.order).sort(), kind.keeps ?? null])
}

/** A record of its JSON text, not yet frozen. */
export function reviveBody({ kind }: FileKind, body: string): unknown {
  const value: unknown = JSON.parse(body)
  return kind.revive === undefined ? value : kind.revive(value)
}
