import { type Clock, systemClock } from '../kernel/clock.ts'
import { InvalidInputError } from '../kernel/errors.ts'
import { type AnyKind, type Kind, nextRevision, type Stored } from '../kernel/kind.ts'
import { checkCommit } from './check-commit.ts'
import {
  checkIds,
  checkJournalQuery,
  checkLimit,
  checkList,
  checkUniqueIndex,
  checkUsageQuery,
  cursorAt,
  MAX_SEALED,
} from './check-query.ts'
import { InvalidCommitError, StaleRevisionError, StoreClosedError } from './errors.ts'
import type { JournalHead, SealedEntry } from './journal-link.ts'
import { MemoryJournal } from './memory-journal.ts'
import type { CellRow, Row } from './memory-row.ts'
import { MemoryTable } from './memory-table.ts'
import { MemoryUsage } from './memory-usage.ts'
import { checkUniques, PlannedWrite, planWrite, put, retract } from './memory-write.ts'
import { type EventRecord, eventKind, type OutboxEvent } from './outbox.ts'
import { RecentMap } from './recent-map.ts'
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
  Write,
} from './token-store.ts'
import {
  type ActivityRecord,
  activityId,
  activityKind,
  addActivity,
  checkIncrements,
  type UsageIncrement,
  type UsageQuery,
  type UsageRow,
} from './usage-rows.ts'
import { Watchers } from './watchers.ts'

/** How a {@link MemoryTokenStore} is made. */
export interface MemoryTokenStoreOptions {
  /** Where the time comes from. Default: the system's clock. */
  readonly clock?: Clock
  /** How many journal entries are kept, the newest ones. Default 10,000. */
  readonly journalLimit?: number
}

/** How many commits, and how many flushes, are remembered at least, to answer when they come again. */
const COMMITS_REMEMBERED = 10_000
const FLUSHES_REMEMBERED = 10_000

const SCAN_PAGE = 500

const DURABILITY: Durability = Object.freeze({
  survives: 'nothing',
  multiProcess: false,
  snapshot: true,
  stalenessMs: 0,
})

/**
 * A store that keeps everything in this process's memory, and nothing when the process ends. For tests, for tools, and
 * for services whose tokens come from elsewhere at each start.
 *
 * It answers with values, not with promises, and throws where another store would reject. Values given to it become
 * its own: it freezes them. Of the journal it keeps the newest `journalLimit` entries and the head of the chain; it
 * recognises at least the last 10,000 commits and the last 10,000 flushes when they come again.
 *
 * @example
 * ```ts
 * const store = new MemoryTokenStore()
 * const tokens = new Tokenwright({ store, keys: generateSecret() })
 * ```
 */
export class MemoryTokenStore implements TokenStore {
  readonly #clock: Clock
  readonly #tables = new Map<string, MemoryTable>()
  readonly #events: MemoryTable
  readonly #activity: MemoryTable
  readonly #journal: MemoryJournal
  readonly #usage = new MemoryUsage()
  readonly #commits = new RecentMap<readonly number[]>(COMMITS_REMEMBERED)
  readonly #flushes = new RecentMap<true>(FLUSHES_REMEMBERED)
  readonly #watchers = new Watchers()
  #lastEvent = 0
  #closed = false
  // The index asked by `cell` last: a verifier asks the same one each time.
  #hotKind: AnyKind | undefined = undefined
  #hotIndex = ''
  #hotHolders: ReadonlyMap<string, Row> = new Map()

  /**
   * @param options - see {@link MemoryTokenStoreOptions}
   * @throws InvalidInputError when `journalLimit` isn't a whole number from 0 up
   */
  constructor(options: MemoryTokenStoreOptions = {}) {
    const limit = options.journalLimit ?? 10_000
    if (!Number.isSafeInteger(limit) || limit < 0) {
      throw new InvalidInputError('journalLimit', 'is not a number of entries', 'give a whole number from 0 up')
    }
    this.#clock = options.clock ?? systemClock()
    this.#journal = new MemoryJournal(limit)
    this.#events = this.#table(eventKind)
    this.#activity = this.#table(activityKind)
  }

  get<T>(kind: Kind<T>, id: string): Stored<T> | undefined {
    this.#checkOpen()
    return this.#tables.get(kind.name)?.rows.get(id)?.current as Stored<T> | undefined
  }

  rows(kind: AnyKind, ids: readonly string[]): readonly (ScanRow | undefined)[] {
    this.#checkOpen()
    checkIds(ids)
    const table = this.#tables.get(kind.name)
    return ids.map((id) => {
      const row = table?.rows.get(id)
      return row === undefined ? undefined : scanRow(table as MemoryTable, row)
    })
  }

  find<T, U extends string>(kind: Kind<T, string, U>, index: U, keys: readonly string[]): Stored<T> | undefined {
    const holders = this.#holders(kind, index)
    for (const key of keys) {
      const stored = holders.get(key)?.current
      if (stored !== undefined) return stored as Stored<T>
    }
    return undefined
  }

  cell<T, U extends string>(kind: Kind<T, string, U>, index: U, key: string): Cell<T> | undefined {
    if (kind !== this.#hotKind || index !== this.#hotIndex) {
      this.#hotHolders = this.#holders(kind, index)
      this.#hotKind = kind
      this.#hotIndex = index
    }
    const row = this.#hotHolders.get(key)
    return row === undefined || row.value === undefined ? undefined : (row as CellRow as Cell<T>)
  }

  list<T, O extends string>(kind: Kind<T, O>, query: ListQuery<O>): Page<Stored<T>> {
    this.#checkOpen()
    const range = checkList(kind, query)
    const order = this.#tables.get(kind.name)?.order(query.index)
    if (order === undefined) return { items: [] }
    const rows = order.index.range(range)
    const more = rows.length > range.limit
    if (more) rows.pop()
    const items = rows.map((row) => row.current as Stored<T>)
    const last = rows[rows.length - 1]
    if (!more || last === undefined) return { items }
    return { items, cursor: cursorAt(order.index.at(last, range.part), last.id) }
  }

  commit(commit: Commit): CommitResult {
    this.#checkOpen()
    const known = this.#commits.get(commit.id)
    if (known !== undefined) return { revisions: known, replayed: true }
    const writes = this.#plan(commit, checkCommit(commit, true))
    checkUniques(writes)
    if (commit.outbox !== undefined) this.#checkEvents(commit.outbox, writes)
    const sealed = commit.link === undefined ? [] : commit.link(this.#journal.head, commit.journal)
    // From here on nothing can fail.
    const told = this.#apply(writes, commit.outbox ?? [])
    this.#journal.append(sealed)
    const revisions = Object.freeze(writes.map((write) => write.revision))
    this.#commits.set(commit.id, revisions)
    if (this.#watchers.size > 0) {
      for (const write of writes) this.#watchers.tell(write.table.kind.name, write.id)
      for (const event of told) this.#watchers.tell(eventKind.name, event)
    }
    return { revisions, replayed: false }
  }

  async *scan(kinds: readonly AnyKind[]): AsyncGenerator<readonly ScanRow[]> {
    this.#checkOpen()
    // Pointers to the values as of now: values never change, so this is a snapshot.
    const snapshots = kinds.map((kind) => this.#snapshot(kind))
    for (const rows of snapshots) {
      for (let from = 0; from < rows.length; from += SCAN_PAGE) yield rows.slice(from, from + SCAN_PAGE)
    }
  }

  journal(query: JournalQuery): readonly SealedEntry[] {
    this.#checkOpen()
    checkJournalQuery(query)
    return this.#journal.read(query)
  }

  pruneJournal(seq: number, limit: number): number {
    this.#checkOpen()
    checkLimit(limit, MAX_SEALED)
    return this.#journal.prune(seq, limit)
  }

  journalHead(): JournalHead {
    this.#checkOpen()
    return this.#journal.head
  }

  addUsage(flushId: string, increments: readonly UsageIncrement[]): void {
    this.#checkOpen()
    checkIncrements(flushId, increments)
    if (this.#flushes.get(flushId) !== undefined) return
    this.#usage.roll(this.#clock.now())
    for (const increment of increments) {
      this.#usage.add(increment)
      if (increment.version > 0) this.#addActivity(increment)
    }
    this.#flushes.set(flushId, true)
  }

  usage(query: UsageQuery): readonly UsageRow[] {
    this.#checkOpen()
    checkUsageQuery(query)
    return this.#usage.read(query)
  }

  time(): number {
    this.#checkOpen()
    return this.#clock.now()
  }

  watch(onChange: (change: StoreChange) => void): () => void {
    this.#checkOpen()
    return this.#watchers.add(onChange)
  }

  durability(): Durability {
    return DURABILITY
  }

  close(): void {
    this.#closed = true
    this.#hotKind = undefined
    this.#watchers.clear()
  }

  #checkOpen(): void {
    if (this.#closed) throw new StoreClosedError()
  }

  #table(kind: AnyKind): MemoryTable {
    let table = this.#tables.get(kind.name)
    if (table === undefined) {
      table = new MemoryTable(kind)
      this.#tables.set(kind.name, table)
    }
    return table
  }

  #holders(kind: AnyKind, index: string): ReadonlyMap<string, Row> {
    this.#checkOpen()
    checkUniqueIndex(kind, index)
    return this.#table(kind).unique(index)?.holders ?? new Map()
  }

  /** Checks what is expected, then works out the writes. */
  #plan({ expect, write }: Commit, expected: readonly number[]): PlannedWrite[] {
    const tables: MemoryTable[] = []
    const rows: (Row | undefined)[] = []
    let matched = 0
    for (let w = 0; w < write.length; w++) {
      const { kind, id } = write[w] as Write
      const table = this.#table(kind)
      const row = table.rows.get(id)
      tables.push(table)
      rows.push(row)
      if ((expected[w] as number) < 0) continue
      matched += 1
      checkRevision(kind, id, expected[w] as number, row)
    }
    if (matched < expect.length) {
      for (const { kind, id, revision } of expect) {
        checkRevision(kind, id, revision, this.#tables.get(kind.name)?.rows.get(id))
      }
    }
    const planned: PlannedWrite[] = []
    for (let w = 0; w < write.length; w++) {
      planned.push(planWrite(write[w] as Write, tables[w] as MemoryTable, rows[w]))
    }
    return planned
  }

  #checkEvents(outbox: readonly OutboxEvent[], writes: readonly PlannedWrite[]): void {
    for (const { id } of outbox) {
      if (this.#events.rows.has(id) || writes.some((write) => write.table === this.#events && write.id === id)) {
        throw new InvalidCommitError(`the outbox has an event ${id} already`)
      }
    }
  }

  /** Does it. Answers the ids of the events that came or became due. */
  #apply(writes: readonly PlannedWrite[], outbox: readonly OutboxEvent[]): readonly string[] {
    const moved: string[] = []
    for (const write of writes) {
      if (write.table === this.#events && write.value === undefined && write.row !== undefined) {
        moved.push((write.row.value as EventRecord).token)
      }
    }
    for (const write of writes) retract(write)
    for (const write of writes) put(write)
    const told: string[] = []
    for (const token of moved) this.#handOver(token, told)
    for (const event of outbox) {
      this.#lastEvent += 1
      const oldest = this.#events.order('order')?.index.first(event.token) === undefined
      const record: EventRecord = { ...event, order: this.#lastEvent, ...(oldest ? { dueAt: event.at } : undefined) }
      this.#set(this.#events, undefined, event.id, record)
      told.push(event.id)
    }
    return told
  }

  /** Makes the oldest event of a token due, if it isn't yet. */
  #handOver(token: string, told: string[]): void {
    const oldest = this.#events.order('order')?.index.first(token)
    if (oldest === undefined) return
    const event = oldest.value as EventRecord
    if (event.dueAt !== undefined) return
    this.#set(this.#events, oldest, event.id, { ...event, dueAt: event.at })
    told.push(event.id)
  }

  #addActivity(increment: UsageIncrement): void {
    const row = this.#activity.rows.get(activityId(increment.token, increment.version))
    if (row === undefined || row.value === undefined) return
    const value = addActivity(row.value as ActivityRecord, increment)
    const write = new PlannedWrite(this.#activity, row.id, row.revision, row, value, undefined)
    retract(write)
    put(write)
  }

  #set(table: MemoryTable, row: Row | undefined, id: string, value: unknown): void {
    const write = new PlannedWrite(table, id, nextRevision(row?.revision ?? 0), row, value, undefined)
    retract(write)
    put(write)
  }

  #snapshot(kind: AnyKind): ScanRow[] {
    const table = this.#tables.get(kind.name)
    if (table === undefined) return []
    const rows: ScanRow[] = []
    for (const row of table.rows.values()) rows.push(scanRow(table, row))
    return rows
  }
}

function scanRow({ kind, tombstones }: MemoryTable, { id, revision, value }: Row): ScanRow {
  const tombstone = value === undefined ? tombstones.get(id) : undefined
  if (tombstone === undefined) return { kind: kind.name, id, revision, value }
  return { kind: kind.name, id, revision, tombstone }
}

function checkRevision(kind: AnyKind, id: string, expected: number, row: Row | undefined): void {
  const found = row === undefined ? 0 : row.revision
  if (found !== expected) throw new StaleRevisionError(kind.name, id, expected, found)
}
