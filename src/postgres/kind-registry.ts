import type { AnyKind, Tombstone } from '../kernel/kind.ts'
import type { OrderFunction, UniqueFunction } from '../stores/order-keys.ts'
import type { Connections } from './connections.ts'
import { isMissing, newerSchema, notMigrated } from './engine-errors.ts'
import { orderEntries, uniqueEntries } from './index-entries.ts'
import type { Names } from './names.ts'
import { type PgKind, reviveBody } from './pg-kind.ts'
import { SCHEMA_STEPS } from './schema.ts'
import type { RecordRow, Statements } from './statements.ts'
import type { Transaction } from './transaction.ts'

interface KindRow {
  readonly schema_version: number | string
  readonly id: number | null
  readonly schema: number
  readonly shape: string
  readonly version: number
  readonly ind: number | null
  readonly sort: string
  readonly name: string
}

/** How many rows are read at a time when indexes are made anew. */
const REINDEX_PAGE = 500

/**
 * The kinds that the database knows, each looked up once. A kind that comes with other indexes, or another schema of its
 * records, than the database was written with has its index entries made anew, while all writers wait.
 */
export class KindRegistry {
  readonly #names: Names
  readonly #sql: Statements
  readonly #connections: Connections
  readonly #known = new Map<string, PgKind>()
  readonly #looking = new Map<string, Promise<PgKind | undefined>>()

  constructor(names: Names, sql: Statements, connections: Connections) {
    this.#names = names
    this.#sql = sql
    this.#connections = connections
  }

  /** A kind that was met before. */
  known(kind: AnyKind): PgKind | undefined {
    return this.#known.get(kind.name)
  }

  /** The kind as the database has it; undefined when it has no record of it. */
  look(kind: AnyKind): Promise<PgKind | undefined> {
    let looking = this.#looking.get(kind.name)
    if (looking === undefined) {
      looking = this.#look(kind).finally(() => this.#looking.delete(kind.name))
      this.#looking.set(kind.name, looking)
    }
    return looking
  }

  /** The kind, entered into the database if need be. */
  async enter(kind: AnyKind): Promise<PgKind> {
    const known = this.#known.get(kind.name) ?? (await this.look(kind))
    if (known !== undefined) return known
    const values = [kind.name, kind.schema, shapeOf(kind), indexesOf(kind)]
    await this.#connections.run(this.#sql.enterKind, values, 'write')
    const entered = await this.look(kind)
    if (entered === undefined) throw notMigrated(this.#names.store)
    return entered
  }

  /**
   * Looks again at kinds whose entries somebody has made anew while this process used them.
   *
   * @throws StoreError ERR_STORE_NEWER_SCHEMA when their indexes are no longer the ones known here
   */
  async renew(kinds: readonly PgKind[]): Promise<void> {
    for (const { kind } of kinds) {
      const rows = await this.#rows(kind)
      const row = rows[0]
      if (row === undefined || row.schema !== kind.schema || row.shape !== shapeOf(kind)) {
        this.#known.delete(kind.name)
        throw newerSchema(this.#names.store, `the schema of ${kind.name} records`, row?.schema ?? 0, kind.schema)
      }
      this.#known.set(kind.name, assemble(kind, rows))
    }
  }

  async #look(kind: AnyKind): Promise<PgKind | undefined> {
    const rows = await this.#rows(kind)
    const row = rows[0]
    if (row === undefined) return undefined
    if (row.schema > kind.schema) {
      throw newerSchema(this.#names.store, `the schema of ${kind.name} records`, row.schema, kind.schema)
    }
    const stale = row.schema !== kind.schema || row.shape !== shapeOf(kind)
    const found = stale ? await this.#reindex(kind) : assemble(kind, rows)
    this.#known.set(kind.name, found)
    return found
  }

  /** What the database has of a kind, one row for each index; none when it doesn't know it. */
  async #rows(kind: AnyKind): Promise<(KindRow & { id: number })[]> {
    let rows: KindRow[]
    try {
      rows = await this.#connections.run<KindRow>(this.#sql.kind, [kind.name], 'read')
    } catch (error) {
      if (isMissing(error)) throw notMigrated(this.#names.store)
      throw error
    }
    const found = Number(rows[0]?.schema_version ?? 0)
    if (found === 0) throw notMigrated(this.#names.store)
    if (found > SCHEMA_STEPS.length) throw newerSchema(this.#names.store, 'its schema', found, SCHEMA_STEPS.length)
    return rows.filter((row): row is KindRow & { id: number } => row.id !== null)
  }

  async #reindex(kind: AnyKind): Promise<PgKind> {
    const sql = this.#sql
    return await this.#connections.transaction(`make the indexes of ${kind.name} anew in`, async (transaction) => {
      await transaction.run(sql.noTimeout, [])
      await transaction.run(sql.lockRecords, [])
      await transaction.run(sql.enterKind, [kind.name, kind.schema, shapeOf(kind), indexesOf(kind)])
      const rows = (await transaction.run<KindRow>(sql.kind, [kind.name])) as (KindRow & { id: number })[]
      const found = assemble(kind, rows)
      // Another instance may have done it while this one waited for the lock.
      if (rows[0]?.schema === kind.schema && rows[0].shape === shapeOf(kind)) return found
      await transaction.run(sql.clearUniq, [found.id])
      await transaction.run(sql.clearOrd, [found.id])
      await this.#reindexRows(transaction, found)
      await transaction.run(sql.setShape, [found.id, kind.schema, shapeOf(kind)])
      return { ...found, version: found.version + 1 }
    })
  }

  async #reindexRows(transaction: Transaction, kind: PgKind): Promise<void> {
    for (let last = ''; ; ) {
      const rows = await transaction.run<RecordRow & { gone: boolean }>(this.#sql.rowsOfKind, [
        kind.id,
        last,
        REINDEX_PAGE,
      ])
      const page = rows.map(({ id, gone, body }) => {
        const value = gone ? undefined : reviveBody(kind.kind, body)
        const tombstone = gone ? (JSON.parse(body) as Tombstone) : undefined
        return { k: kind.id, id, u: uniqueEntries(kind, value, tombstone), o: orderEntries(kind, value) }
      })
      await transaction.run(this.#sql.reindex, [JSON.stringify(page)])
      if (rows.length < REINDEX_PAGE) return
      last = rows[rows.length - 1]?.id ?? ''
    }
  }
}

function assemble(kind: AnyKind, rows: readonly (KindRow & { id: number })[]): PgKind {
  const numbers = new Map(rows.map(({ sort, name, ind }) => [`${sort} ${name}`, ind ?? -1]))
  const uniques = Object.keys(kind.unique).map((name) => ({
    ind: numbers.get(`u ${name}`) ?? -1,
    name,
    keysOf: kind.unique[name] as UniqueFunction,
  }))
  const orders = Object.keys(kind.order).map((name) => ({
    ind: numbers.get(`o ${name}`) ?? -1,
    name,
    keysOf: kind.order[name] as OrderFunction,
  }))
  const keeps = uniques.find((index) => index.name === kind.keeps)
  return { kind, id: rows[0]?.id ?? -1, version: rows[0]?.version ?? 0, uniques, orders, keeps }
}

function indexesOf(kind: AnyKind): string {
  const uniques = Object.keys(kind.unique).map((name) => ['u', name])
  return JSON.stringify([...uniques, ...Object.keys(kind.order).map((name) => ['o', name])])
}

/** What the index entries depend on. */
function shapeOf(kind: AnyKind): string {
  return JSON.stringify([Object.keys(kind.unique).sort(), Object.keys(kind.order).sort(), kind.keeps ?? null])
}
