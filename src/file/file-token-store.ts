import { resolve } from 'node:path'
import type { DatabaseSync } from 'node:sqlite'
import { type Clock, systemClock } from '../kernel/clock.ts'
import { InvalidInputError } from '../kernel/errors.ts'
import { type AnyKind, deepFreeze, type Kind, type Stored } from '../kernel/kind.ts'
import { type Random, systemRandom } from '../kernel/random.ts'
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
import { EMPTY_HEAD, type JournalHead, type SealedEntry } from '../stores/journal-link.ts'
import { eventKind } from '../stores/outbox.ts'
import type {
  Cell,
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
import { ChangeFeed } from './change-feed.ts'
import { CommitQueue, type Job } from './commit-queue.ts'
import { readOnly, storeErrorOf } from './engine-errors.ts'
import { CellCache, storedOf } from './file-cells.ts'
import { applyCommit } from './file-commit.ts'
import { applyUsage, readUsage, USAGE_KINDS } from './file-usage.ts'
import { type FileKind, KindRegistry } from './kind-registry.ts'
import { openDatabase } from './open-database.ts'
import { pruneJournal, readJournal } from './read-journal.ts'
import { scanRow, scanRows } from './scan.ts'
import type { SchemaStep } from './schema.ts'
import { all, one, prepareStatements, type Statements, type StoredRow } from './statements.ts'

/** How many usage increments are written in one transaction. */
const USAGE_PART = 100

/** How a {@link FileTokenStore} is opened. */
export interface FileTokenStoreOptions {
  /** Where the time comes from. Default: the system's clock. */
  readonly clock?: Clock | undefined
  /** Spreads the retries of several processes. Default: the system's. */
  readonly random?: Random | undefined
  /**
   * How old another process's change may be before a cell shows it, ms; 0 = looked for at every read, which costs about
   * as much as a digest. This process's own changes are seen at once. Default 10.
   */
  readonly crossProcessStaleness?: number | undefined
  /** Whether to open a file or folder that group or others may read or write. Default false. */
  readonly allowInsecurePermissions?: boolean | undefined
  /** Whether only to read. The file has to be there then. Default false. */
  readonly readOnly?: boolean | undefined
  /** How many records are kept as live cells. Default 100,000. */
  readonly maxCells?: number | undefined
}

/** What only tests give. */
export interface FileTokenStoreSeams {
  readonly steps?: readonly SchemaStep[]
  /** Sees the connection before anything is prepared on it. */
  readonly connected?: (db: DatabaseSync) => void
}

/**
 * A store in one SQLite file, for one machine: durable, and shared by any number of processes.
 *
 * A commit is acknowledged when it is on the disk (WAL, synchronous=FULL). Commits asked for in the same turn of the
 * event loop share one transaction and one wait for the disk. Reads answer at once, with values. A file on a network
 * share is not supported: SQLite's log needs memory that all processes share.
 *
 * @example
 * ```ts
 * const store = await FileTokenStore.open('/var/lib/my-api/tokens/tokens.db')
 * const tokens = new Tokenwright({ store, keys: process.env.TOKEN_KEY })
 * // at the end: writes what is buffered, and closes the store
 * await tokens.close()
 * ```
 */
export class FileTokenStore implements TokenStore {
  /** The file, as an absolute path. */
  readonly path: string
  readonly #db: DatabaseSync
  readonly #sql: Statements
  readonly #clock: Clock
  readonly #readOnly: boolean
  readonly #durability: Durability
  readonly #kinds: KindRegistry
  readonly #cells: CellCache
  readonly #feed: ChangeFeed
  readonly #queue: CommitQueue
  readonly #scans = new Set<DatabaseSync>()
  #closing: Promise<void> | undefined

  private constructor(path: string, db: DatabaseSync, options: CheckedOptions) {
    const { clock, random, staleness } = options
    this.path = path
    this.#db = db
    this.#clock = clock
    this.#readOnly = options.readOnly
    this.#durability = Object.freeze({ survives: 'power', multiProcess: true, snapshot: true, stalenessMs: staleness })
    const sql = prepareStatements(db)
    this.#sql = sql
    this.#kinds = new KindRegistry(path, sql)
    const feed = new ChangeFeed(sql, this.#kinds, clock, staleness)
    this.#feed = feed
    this.#cells = new CellCache(sql, options.maxCells, feed.sync)
    feed.serve(this.#cells)
    this.#queue = new CommitQueue({
      path,
      isTransaction: () => db.isTransaction,
      sql,
      kinds: this.#kinds,
      cells: this.#cells,
      clock,
      random,
      look: () => feed.look(),
      committed: (effects, before, after) => feed.committed(effects, before, after),
    })
  }

  /**
   * Opens the file, making it (mode 600) and its folder (mode 700) if they aren't there. A file of an older version is
   * brought up to date.
   *
   * @param path - the file; best in a folder of its own, for SQLite puts two more files beside it
   * @param options - see {@link FileTokenStoreOptions}
   * @throws InvalidInputError for a path or an option that can't be used
   * @throws StoreError `ERR_STORE_PERMISSIONS` when others may get at the file or its folder,
   * `ERR_STORE_FOREIGN_FILE` when the file is something else or damaged, `ERR_STORE_NEWER_FILE` when a newer version
   * wrote it, `ERR_STORE_READ_ONLY` when it may not be written, `ERR_STORE_FULL`, `ERR_STORE_BUSY`
   */
  static async open(path: string, options: FileTokenStoreOptions = {}): Promise<FileTokenStore> {
    return await FileTokenStore.openWith(path, options, {})
  }

  /** @internal as {@link FileTokenStore.open}, with what only tests give */
  static async openWith(
    path: string,
    options: FileTokenStoreOptions,
    seams: FileTokenStoreSeams,
  ): Promise<FileTokenStore> {
    if (typeof path !== 'string' || path === '' || path.includes('\u0000')) {
      throw new InvalidInputError('path', 'is not a path', 'give the path of a file')
    }
    const checked = checkOptions(options)
    const absolute = resolve(path)
    const { clock, random, allowInsecurePermissions } = checked
    const opening = { path: absolute, readOnly: checked.readOnly, allowInsecurePermissions, clock, random }
    const db = await openDatabase({ ...opening, steps: seams.steps })
    try {
      seams.connected?.(db)
      return new FileTokenStore(absolute, db, checked)
    } catch (error) {
      db.close()
      throw storeErrorOf(error, absolute, 'open')
    }
  }

  get<T>(kind: Kind<T>, id: string): Stored<T> | undefined {
    return this.#read(kind, (known) => {
      const row = id.isWellFormed() ? one<StoredRow>(this.#sql.row, known.id, id) : undefined
      return row === undefined || row.gone === 1 ? undefined : (storedOf(known, row) as Stored<T>)
    })
  }

  rows(kind: AnyKind, ids: readonly string[]): readonly (ScanRow | undefined)[] {
    checkIds(ids)
    const rows = this.#read(kind, (known) =>
      ids.map((id) => {
        const row = id.isWellFormed() ? one<StoredRow>(this.#sql.row, known.id, id) : undefined
        return row === undefined ? undefined : deepFreeze(scanRow(kind, row))
      }),
    )
    return rows ?? ids.map(() => undefined)
  }

  find<T, U extends string>(kind: Kind<T, string, U>, index: U, keys: readonly string[]): Stored<T> | undefined {
    checkUniqueIndex(kind, index)
    return this.#read(kind, (known) => {
      const number = known.uniques.find((unique) => unique.name === index)?.id ?? -1
      for (const key of keys) {
        const row = key.isWellFormed() ? one<StoredRow>(this.#sql.find, number, key) : undefined
        if (row !== undefined && row.gone === 0) return storedOf(known, row) as Stored<T>
      }
      return undefined
    })
  }

  cell<T, U extends string>(kind: Kind<T, string, U>, index: U, key: string): Cell<T> | undefined {
    return this.#read(kind, (known) => {
      for (const unique of known.uniques) {
        if (unique.name !== index) continue
        this.#feed.sync()
        return this.#cells.find(known, unique, key) as Cell<T> | undefined
      }
      checkUniqueIndex(kind, index)
      return undefined
    })
  }

  list<T, O extends string>(kind: Kind<T, O>, query: ListQuery<O>): Page<Stored<T>> {
    const { part = '', from, to, reverse, after, limit } = checkList(kind, query)
    const page = this.#read(kind, (known) => {
      const index = known.orders.find((order) => order.name === query.index)?.id ?? -1
      const statement = reverse ? this.#sql.listDown : this.#sql.listUp
      const inRange = after !== undefined && (reverse ? after.at < to : after.at >= from)
      const [at, id] = inRange ? [after.at, after.id] : [reverse ? to : from, '']
      const rows = all<StoredRow & { at: number }>(statement, index, part, at, id, reverse ? from : to, limit + 1)
      const more = rows.length > limit
      if (more) rows.pop()
      const items = rows.map((row) => storedOf(known, row) as Stored<T>)
      const last = rows[rows.length - 1]
      return more && last !== undefined ? { items, cursor: cursorAt(last.at, last.id) } : { items }
    })
    return page ?? { items: [] }
  }

  async commit(commit: Commit): Promise<CommitResult> {
    const expected = checkCommit(commit, true)
    const kinds = [...commit.write.map((write) => write.kind), ...commit.expect.map((expectation) => expectation.kind)]
    if (commit.outbox !== undefined) kinds.push(eventKind)
    return await this.#write({ kinds, run: (tx) => applyCommit(tx, commit, expected, this.#clock.now()) })
  }

  scan(kinds: readonly AnyKind[]): AsyncGenerator<readonly ScanRow[]> {
    return scanRows({ path: this.path, kinds, open: this.#scans, checkOpen: () => this.#checkOpen() })
  }

  journal(query: JournalQuery): readonly SealedEntry[] {
    checkJournalQuery(query)
    return this.#guard(() => readJournal(this.#sql, query))
  }

  journalHead(): JournalHead {
    return this.#guard(() => Object.freeze({ ...(one<JournalHead>(this.#sql.head) ?? EMPTY_HEAD) }))
  }

  async pruneJournal(seq: number, limit: number): Promise<number> {
    checkLimit(limit, MAX_SEALED)
    return await this.#write({ kinds: [], run: (tx) => pruneJournal(tx, seq, limit) })
  }

  async addUsage(flushId: string, increments: readonly UsageIncrement[]): Promise<void> {
    checkIncrements(flushId, increments)
    this.#checkOpen()
    // In parts, each known by itself when it comes again: the lock is not held for all of a large flush.
    const parts: Promise<void>[] = []
    for (let from = 0; from < increments.length; from += USAGE_PART) {
      const part = increments.slice(from, from + USAGE_PART)
      const id = `${flushId}/${from / USAGE_PART}`
      parts.push(this.#write({ kinds: USAGE_KINDS, run: (tx) => applyUsage(tx, id, part, this.#clock.now()) }))
    }
    await Promise.all(parts)
  }

  usage(query: UsageQuery): readonly UsageRow[] {
    checkUsageQuery(query)
    return this.#guard(() => deepFreeze(readUsage(this.#sql, query)))
  }

  time(): number {
    this.#checkOpen()
    return this.#clock.now()
  }

  watch(onChange: (change: StoreChange) => void): () => void {
    return this.#guard(() => this.#feed.watch(onChange))
  }

  durability(): Durability {
    return this.#durability
  }

  /** Finishes the commits under way, writes the log into the file, and lets go of it. Later calls are refused. */
  close(): Promise<void> {
    this.#closing ??= this.#finish()
    return this.#closing
  }

  async #finish(): Promise<void> {
    await this.#queue.idle()
    this.#feed.close()
    this.#cells.close()
    for (const scan of this.#scans) scan.close()
    this.#scans.clear()
    try {
      if (!this.#readOnly) this.#db.exec('PRAGMA wal_checkpoint(TRUNCATE)')
    } catch {
      // Others use the file, or the disk is full: the log keeps what isn't in the file yet.
    } finally {
      this.#db.close()
    }
  }

  #checkOpen(): void {
    if (this.#closing !== undefined) throw new StoreClosedError()
  }

  async #write<T>(job: Job<T>): Promise<T> {
    this.#checkOpen()
    if (this.#readOnly) throw readOnly(this.path, 'the store was opened with readOnly: true')
    return await this.#queue.add(job)
  }

  #guard<T>(action: () => T): T {
    this.#checkOpen()
    try {
      return action()
    } catch (error) {
      throw storeErrorOf(error, this.path, 'read')
    }
  }

  /** Reads of a kind; undefined when the file has nothing of it. */
  #read<T>(kind: AnyKind, action: (known: FileKind) => T): T | undefined {
    this.#checkOpen()
    try {
      const known = this.#kinds.known(kind.name) ?? this.#kinds.look(kind)
      if (known === undefined) return undefined
      return action(known === 'stale' ? this.#reindexed(kind) : known)
    } catch (error) {
      throw storeErrorOf(error, this.path, 'read')
    }
  }

  /** A kind whose indexes had to be made anew, because this version of it has others than the file was written with. */
  #reindexed(kind: AnyKind): FileKind {
    this.#sql.begin.run()
    try {
      const entered = this.#kinds.enter(kind)
      this.#sql.commit.run()
      this.#kinds.settle(true)
      return entered
    } catch (error) {
      this.#kinds.settle(false)
      if (this.#db.isTransaction) this.#sql.rollback.run()
      throw error
    }
  }
}

interface CheckedOptions {
  readonly clock: Clock
  readonly random: Random
  readonly staleness: number
  readonly allowInsecurePermissions: boolean
  readonly readOnly: boolean
  readonly maxCells: number
}

function checkOptions(options: FileTokenStoreOptions): CheckedOptions {
  const staleness = options.crossProcessStaleness ?? 10
  if (typeof staleness !== 'number' || !(staleness >= 0 && staleness <= 60_000)) {
    throw new InvalidInputError(
      'crossProcessStaleness',
      'is not a number of ms from 0 to 60,000',
      'leave it out for 10',
    )
  }
  const maxCells = options.maxCells ?? 100_000
  if (!Number.isSafeInteger(maxCells) || maxCells < 2) {
    throw new InvalidInputError('maxCells', 'is not a whole number from 2 up', 'leave it out for 100,000')
  }
  return {
    clock: options.clock ?? systemClock(),
    random: options.random ?? systemRandom(),
    staleness,
    allowInsecurePermissions: options.allowInsecurePermissions === true,
    readOnly: options.readOnly === true,
    maxCells,
  }
}
