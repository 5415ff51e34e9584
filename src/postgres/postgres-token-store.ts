import { type AnyKind, deepFreeze, type Kind, type Stored } from '../kernel/kind.ts'
import { RisingIds } from '../kernel/rising-ids.ts'
import { checkCommit } from '../stores/check-commit.ts'
import {
  checkIds,
  checkJournalQuery,
  checkLimit,
  checkList,
  checkUniqueIndex,
  checkUsageQuery,
  cursorAt,
  MAX_SEALED,
} from '../stores/check-query.ts'
import { StoreClosedError } from '../stores/errors.ts'
import type { JournalHead, Link, SealedEntry } from '../stores/journal-link.ts'
import type {
  Commit,
  CommitResult,
  Durability,
  JournalQuery,
  ListQuery,
  Page,
  ScanRow,
  StoreChange,
  TokenStore,
} from '../stores/token-store.ts'
import { checkIncrements, type UsageIncrement, type UsageQuery, type UsageRow } from '../stores/usage-rows.ts'
import { Watchers } from '../stores/watchers.ts'
import { ChangeListener } from './change-listener.ts'
import { Connections } from './connections.ts'
import { pruneEntries, readHead, readJournal, sealEntries } from './journal.ts'
import { KindRegistry } from './kind-registry.ts'
import { listValues } from './list-values.ts'
import { migrate } from './migrate.ts'
import type { Names } from './names.ts'
import { type PgKind, reviveBody } from './pg-kind.ts'
import { listenForErrors, type PostgresPool } from './pool.ts'
import { changesOf, PostgresCommits } from './postgres-commit.ts'
import { PostgresUsage } from './postgres-usage.ts'
import { type ScanSqlRow, scanRow, scanRows } from './scan.ts'
import { SCHEMA_STEPS } from './schema.ts'
import { type RecordRow, type Statements, statementsOf } from './statements.ts'
import { fromStored, isStorable, toStored } from './storable-text.ts'
import { checkOptions, type PostgresTokenStoreOptions } from './store-options.ts'

/**
 * A store in PostgreSQL (13 or later): one truth for any number of instances on any number of machines.
 *
 * A commit is one statement, and atomic; it is acknowledged when the server has written it to its log. It needs nothing
 * of a session, so that a pooler may lend connections by the transaction. Every read is of the present state. The
 * journal is appended unsealed, and linked by `sealJournal`; `journal` and `journalHead` show the sealed part.
 *
 * @example
 * ```ts
 * import pg from 'pg'
 *
 * const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL })
 * const store = await PostgresTokenStore.open({ pool })
 * const tokens = new Tokenwright({ store, keys: process.env.TOKEN_KEY })
 * ```
 */
export class PostgresTokenStore implements TokenStore {
  readonly #pool: PostgresPool
  readonly #names: Names
  readonly #sql: Statements
  readonly #connections: Connections
  readonly #kinds: KindRegistry
  readonly #commits: PostgresCommits
  readonly #usage: PostgresUsage
  readonly #watchers = new Watchers()
  readonly #listener: ChangeListener | undefined
  readonly #lost = new Set<{ readonly tell: () => void }>()
  readonly #durability: Durability
  readonly #closePool: boolean
  #running = 0
  #idle: (() => void) | undefined
  #closing: Promise<void> | undefined

  /**
   * Makes a store and its tables: the constructor, then {@link PostgresTokenStore.migrate}.
   *
   * @param options - see {@link PostgresTokenStoreOptions}
   * @throws InvalidInputError for an option that can't be used
   * @throws StoreError `ERR_STORE_NEWER_SCHEMA`, `ERR_STORE_UNAVAILABLE`; the store is closed then
   */
  static async open(options: PostgresTokenStoreOptions): Promise<PostgresTokenStore> {
    const store = new PostgresTokenStore(options)
    try {
      await store.migrate()
    } catch (error) {
      await store.close()
      throw error
    }
    return store
  }

  /**
   * @param options - see {@link PostgresTokenStoreOptions}; nothing is connected before the first call
   * @throws InvalidInputError for an option that can't be used
   */
  constructor(options: PostgresTokenStoreOptions) {
    const { pool, names, listen, clock, random, ...checked } = checkOptions(options)
    const { timeout, connectTimeout } = checked
    const store = names.store
    const sql = statementsOf(names)
    const mark = checked.statementNames ? names.mark : undefined
    const connections = new Connections({ pool, clock, random, store, mark, timeout, connectTimeout })
    const kinds = new KindRegistry(names, sql, connections)
    const origin = new RisingIds(random).next(0)
    this.#pool = pool
    this.#names = names
    this.#sql = sql
    this.#closePool = checked.closePool
    this.#connections = connections
    this.#kinds = kinds
    const notifier = checked.notify ? origin : undefined
    this.#commits = new PostgresCommits({ connections, sql, kinds, store, origin: notifier, random })
    this.#usage = new PostgresUsage(connections, sql, kinds)
    this.#listener =
      listen === undefined
        ? undefined
        : new ChangeListener({
            listen,
            channel: names.channel,
            origin,
            clock,
            random,
            onChange: ({ kind, id }) => this.#watchers.tell(kind, id),
            onLost: () => this.#tellLost(),
          })
    this.#durability = Object.freeze({
      survives: pool.embedded?.survives ?? 'power',
      multiProcess: pool.embedded === undefined,
      snapshot: true,
      stalenessMs: 0,
    })
    listenForErrors(pool)
  }

  /**
   * Makes the tables, or brings them up to date. Safe when many instances start at once. Call it before anything else,
   * as a user who may create tables; docs/postgres.md tells how to do it apart from the service.
   *
   * @throws StoreError `ERR_STORE_NEWER_SCHEMA` when a newer version of this library made them; `ERR_STORE_UNAVAILABLE`
   */
  async migrate(): Promise<void> {
    await this.#run(() => migrate(this.#connections, this.#names, SCHEMA_STEPS))
  }

  get<T>(kind: Kind<T>, id: string): Promise<Stored<T> | undefined> {
    return this.#read(kind, async (known) => {
      if (!isStorable(id)) return undefined
      const [row] = await this.#connections.run<RecordRow>(this.#sql.get, [known.id, toStored(id)], 'read')
      return row === undefined ? undefined : storedOf<T>(known, row)
    })
  }

  async rows(kind: AnyKind, ids: readonly string[]): Promise<readonly (ScanRow | undefined)[]> {
    checkIds(ids)
    const found = new Map<string, ScanRow>()
    await this.#read(kind, async (known) => {
      const asked = JSON.stringify(ids.filter(isStorable).map(toStored))
      const rows = await this.#connections.run<ScanSqlRow>(this.#sql.rows, [known.id, asked], 'read')
      for (const row of rows) found.set(fromStored(row.id), deepFreeze(scanRow(kind, row)))
      return undefined
    })
    return ids.map((id) => found.get(id))
  }

  find<T, U extends string>(
    kind: Kind<T, string, U>,
    index: U,
    keys: readonly string[],
  ): Promise<Stored<T> | undefined> {
    return this.#read(
      kind,
      async (known) => {
        const ind = known.uniques.find((unique) => unique.name === index)?.ind ?? -1
        const found = keys.filter(isStorable).map(toStored)
        if (found.length === 0) return undefined
        if (found.length > 1) return await this.#findAny<T>(known, ind, found)
        const [row] = await this.#connections.run<RecordRow>(this.#sql.find, [known.id, ind, found[0]], 'read')
        return row === undefined ? undefined : storedOf<T>(known, row)
      },
      () => checkUniqueIndex(kind, index),
    )
  }

  async list<T, O extends string>(kind: Kind<T, O>, query: ListQuery<O>): Promise<Page<Stored<T>>> {
    const range = checkList(kind, query)
    const page = await this.#read(kind, async (known) => {
      const ind = known.orders.find((order) => order.name === query.index)?.ind ?? -1
      const values = listValues(range)
      if (values === undefined) return undefined
      const statement = range.reverse ? this.#sql.listDown : this.#sql.listUp
      const rows = await this.#connections.run<RecordRow & { at: number | string }>(
        statement,
        [known.id, ind, ...values, range.limit + 1],
        'read',
      )
      const more = rows.length > range.limit
      if (more) rows.pop()
      const items = rows.map((row) => storedOf<T>(known, row))
      const last = rows[rows.length - 1]
      return more && last !== undefined ? { items, cursor: cursorAt(Number(last.at), fromStored(last.id)) } : { items }
    })
    return page ?? { items: [] }
  }

  commit(commit: Commit): Promise<CommitResult> {
    return this.#run(async () => {
      const { result, events } = await this.#commits.commit(commit, checkCommit(commit, false))
      if (!result.replayed && this.#watchers.size > 0) {
        for (const [kind, id] of changesOf(commit, events)) this.#watchers.tell(kind, id)
      }
      return result
    })
  }

  scan(kinds: readonly AnyKind[]): AsyncGenerator<readonly ScanRow[]> {
    return scanRows({
      connections: this.#connections,
      sql: this.#sql,
      registry: this.#kinds,
      kinds,
      embedded: this.#pool.embedded !== undefined,
      checkOpen: () => this.#checkOpen(),
    })
  }

  sealJournal(link: Link, limit: number): Promise<number> {
    return this.#run(() => {
      checkLimit(limit, MAX_SEALED)
      return sealEntries(this.#connections, this.#sql, link, limit)
    })
  }

  journal(query: JournalQuery): Promise<readonly SealedEntry[]> {
    return this.#run(() => {
      checkJournalQuery(query)
      return readJournal(this.#connections, this.#sql, query)
    })
  }

  pruneJournal(seq: number, limit: number): Promise<number> {
    return this.#run(() => {
      checkLimit(limit, MAX_SEALED)
      return pruneEntries(this.#connections, this.#sql, seq, limit)
    })
  }

  journalHead(): Promise<JournalHead> {
    return this.#run(() => readHead(this.#connections, this.#sql))
  }

  addUsage(flushId: string, increments: readonly UsageIncrement[]): Promise<void> {
    return this.#run(() => {
      checkIncrements(flushId, increments)
      return this.#usage.add(flushId, increments)
    })
  }

  usage(query: UsageQuery): Promise<readonly UsageRow[]> {
    return this.#run(() => {
      checkUsageQuery(query)
      return this.#usage.read(query)
    })
  }

  /** The server's time. */
  time(): Promise<number> {
    return this.#run(async () => {
      const [row] = await this.#connections.run<{ now: number | string }>(this.#sql.now, [], 'read')
      return Number(row?.now)
    })
  }

  /** With the option `listen` also other instances' changes of journaled kinds are told, as they are committed. */
  watch(onChange: (change: StoreChange) => void, onLost?: () => void): () => void {
    this.#checkOpen()
    const stop = this.#watchers.add(onChange)
    const entry = { tell: onLost ?? ignore }
    this.#lost.add(entry)
    this.#listener?.start()
    return () => {
      stop()
      this.#lost.delete(entry)
      if (this.#watchers.size === 0) void this.#listener?.stop()
    }
  }

  durability(): Durability {
    return this.#durability
  }

  /** Waits for what is under way. The pool stays open unless the store was made with `closePool`. Later calls are refused. */
  close(): Promise<void> {
    this.#closing ??= this.#finish()
    return this.#closing
  }

  async #finish(): Promise<void> {
    if (this.#running > 0) {
      await new Promise<void>((resolve) => {
        this.#idle = resolve
      })
    }
    this.#watchers.clear()
    this.#lost.clear()
    await this.#listener?.stop()
    if (this.#closePool) await this.#pool.end?.()
  }

  #checkOpen(): void {
    if (this.#closing !== undefined) throw new StoreClosedError()
  }

  /** Counts what is under way, for `close` to wait for. */
  async #run<T>(action: () => Promise<T>): Promise<T> {
    this.#checkOpen()
    this.#running += 1
    try {
      return await action()
    } finally {
      this.#running -= 1
      if (this.#running === 0) this.#idle?.()
    }
  }

  /** Reads of a kind; undefined when the database has nothing of it. */
  #read<T>(kind: AnyKind, action: (known: PgKind) => Promise<T>, check?: () => void): Promise<T | undefined> {
    return this.#run(async () => {
      check?.()
      const known = this.#kinds.known(kind) ?? (await this.#kinds.look(kind))
      return known === undefined ? undefined : await action(known)
    })
  }

  /** The record of the first of several keys that is there. */
  async #findAny<T>(known: PgKind, ind: number, keys: readonly string[]): Promise<Stored<T> | undefined> {
    // Rounded up, so that there are few statements; to look for a key twice finds nothing else.
    const places = 2 ** Math.ceil(Math.log2(keys.length))
    const values = [known.id, ind, ...keys, ...Array.from({ length: places - keys.length }, () => keys[0])]
    const rows = await this.#connections.run<RecordRow & { key: string }>(this.#sql.findAny(places), values, 'read')
    let first: (typeof rows)[0] | undefined
    for (const row of rows) if (first === undefined || keys.indexOf(row.key) < keys.indexOf(first.key)) first = row
    return first === undefined ? undefined : storedOf<T>(known, first)
  }

  #tellLost(): void {
    for (const { tell } of [...this.#lost]) {
      try {
        tell()
      } catch {
        // What a watcher makes of it is its own affair.
      }
    }
  }
}

function storedOf<T>({ kind }: PgKind, { id, revision, body }: RecordRow): Stored<T> {
  return Object.freeze({
    id: fromStored(id),
    revision: Number(revision),
    value: deepFreeze(reviveBody(kind, body)) as T,
  })
}

function ignore(): void {}
