import { type Clock, systemClock } from 'tokenwright'
import {
  type ActivityRecord,
  type AnyKind,
  activityId,
  activityKind,
  addActivity,
  addUsageRow,
  type Commit,
  type CommitResult,
  checkCommit,
  checkIds,
  checkIncrements,
  checkJournalQuery,
  checkList,
  checkUniqueIndex,
  checkUsageQuery,
  cursorAt,
  type Durability,
  dailyBefore,
  deepFreeze,
  type EventRecord,
  eventKind,
  InvalidCommitError,
  type JournalHead,
  type JournalQuery,
  type Kind,
  type ListQuery,
  nextRevision,
  type Page,
  type ScanRow,
  type SealedEntry,
  StaleRevisionError,
  StoreClosedError,
  type Stored,
  type TokenStore,
  type UsageIncrement,
  type UsageQuery,
  type UsageRow,
  usageHour,
} from 'tokenwright/stores'
import {
  byText,
  byUsage,
  copyOf,
  dropKeys,
  emptyTables,
  headOf,
  planRow,
  putRow,
  type Row,
  rowKey,
  rowOf,
  scanRow,
  stored,
  type Tables,
  uniqueKey,
} from './tables.ts'

/** The plainest store that keeps the contract: tables, scans, transactions by copying. To learn from, not to use. */
export class PlainTokenStore implements TokenStore {
  readonly #clock: Clock
  #tables: Tables = emptyTables()
  #lastEvent = 0
  #closed = false

  constructor(clock: Clock = systemClock()) {
    this.#clock = clock
  }

  async get<T>(kind: Kind<T>, id: string): Promise<Stored<T> | undefined> {
    return stored<T>(this.#open().rows.get(rowKey(kind, id)))
  }

  async rows(kind: AnyKind, ids: readonly string[]): Promise<readonly (ScanRow | undefined)[]> {
    const { rows } = this.#open()
    checkIds(ids)
    return ids.map((id) => scanRow(rows.get(rowKey(kind, id))))
  }

  async find<T, U extends string>(kind: Kind<T, string, U>, index: U, keys: readonly string[]) {
    const { rows, keys: holders } = this.#open()
    checkUniqueIndex(kind, index)
    for (const key of keys) {
      const holder = holders.get(uniqueKey(kind, index, key))
      const found = holder === undefined ? undefined : stored<T>(rows.get(rowKey(kind, holder)))
      if (found !== undefined) return found
    }
    return undefined
  }

  async list<T, O extends string>(kind: Kind<T, O>, query: ListQuery<O>): Promise<Page<Stored<T>>> {
    const { rows } = this.#open()
    const { part, from, to, reverse, after, limit } = checkList(kind, query)
    const found: { at: number; id: string; row: Row }[] = []
    for (const row of rows.values()) {
      if (row.kind.name !== kind.name) continue
      for (const { at, in: of } of row.points[query.index] ?? []) {
        if (of === part && at >= from && at < to) found.push({ at, id: row.id, row })
      }
    }
    const direction = reverse ? -1 : 1
    const compare = (a: { at: number; id: string }, b: { at: number; id: string }) =>
      direction * (a.at - b.at || byText(a.id, b.id))
    const rest = found.filter((each) => after === undefined || compare(each, after) > 0).sort(compare)
    const page = rest.slice(0, limit)
    const last = page.at(-1)
    const items = page.map(({ row }) => stored<T>(row) as Stored<T>)
    return rest.length > limit && last !== undefined ? { items, cursor: cursorAt(last.at, last.id) } : { items }
  }

  async commit(commit: Commit): Promise<CommitResult> {
    const before = this.#open()
    const known = before.commits.get(commit.id)
    if (known !== undefined) return { revisions: known, replayed: true }
    const expected = checkCommit(commit, true)
    for (const { kind, id, revision } of commit.expect) {
      const found = before.rows.get(rowKey(kind, id))?.revision ?? 0
      if (found !== revision) throw new StaleRevisionError(kind.name, id, revision, found)
    }
    const tables = copyOf(before)
    const planned = commit.write.map((write, w) => planRow(tables, write, expected[w] as number))
    // First every key that is given up, then every key that is taken: one write may take what another gives up.
    for (const { kind, id } of commit.write) dropKeys(tables, kind, id)
    for (const [w, write] of commit.write.entries()) putRow(tables, write, planned[w])
    const lastEvent = this.#sendEvents(before, tables, commit)
    tables.journal.push(...(commit.link?.(headOf(tables), commit.journal).map(deepFreeze) ?? []))
    const revisions = planned.map((row) => row?.revision ?? 0)
    tables.commits.set(commit.id, revisions)
    this.#tables = tables
    this.#lastEvent = lastEvent
    return { revisions, replayed: false }
  }

  async journal(query: JournalQuery): Promise<readonly SealedEntry[]> {
    const { journal } = this.#open()
    const { after, subject, reverse, limit } = query
    checkJournalQuery(query)
    const inRange = (seq: number) => after === undefined || (reverse === true ? seq < after : seq > after)
    const found = journal.filter((entry) => inRange(entry.seq) && (subject === undefined || entry.subject === subject))
    return (reverse === true ? found.reverse() : found).slice(0, limit)
  }

  async journalHead(): Promise<JournalHead> {
    return headOf(this.#open())
  }

  async addUsage(flushId: string, increments: readonly UsageIncrement[]): Promise<void> {
    const before = this.#open()
    checkIncrements(flushId, increments)
    if (before.flushes.has(flushId)) return
    const tables = copyOf(before)
    const daily = dailyBefore(this.#clock.now())
    const old = [...tables.usage].filter(([, row]) => usageHour(row.hour, daily) !== row.hour)
    for (const [key] of old) tables.usage.delete(key)
    for (const row of [...old.map(([, row]) => row), ...increments]) {
      const hour = usageHour(row.hour, daily)
      const key = JSON.stringify([hour, row.token, row.tool, row.outcome])
      tables.usage.set(key, deepFreeze(addUsageRow(tables.usage.get(key), row, hour)))
    }
    for (const increment of increments) {
      const row = tables.rows.get(rowKey(activityKind, activityId(increment.token, increment.version)))
      if (row?.value === undefined) continue
      const value = addActivity(row.value as ActivityRecord, increment)
      tables.rows.set(rowKey(row.kind, row.id), rowOf(row.kind, row.id, row.revision, value))
    }
    tables.flushes.add(flushId)
    this.#tables = tables
  }

  async usage(query: UsageQuery): Promise<readonly UsageRow[]> {
    const { usage } = this.#open()
    checkUsageQuery(query)
    const { token, from = 0, to = Number.POSITIVE_INFINITY, after, limit } = query
    const found = [...usage.values()].filter(
      (row) => (token === undefined || row.token === token) && row.hour >= from && row.hour < to,
    )
    return found
      .filter((row) => after === undefined || byUsage(row, after) > 0)
      .sort(byUsage)
      .slice(0, limit)
  }

  async time(): Promise<number> {
    this.#open()
    return this.#clock.now()
  }

  durability(): Durability {
    return { survives: 'nothing', multiProcess: false, snapshot: false, stalenessMs: 0 }
  }

  async close(): Promise<void> {
    this.#closed = true
  }

  #open(): Tables {
    if (this.#closed) throw new StoreClosedError()
    return this.#tables
  }

  /** Numbers the commit's events, and sees to it that the oldest event of each token is due. Answers the last number. */
  #sendEvents(before: Tables, tables: Tables, { outbox = [], write }: Commit): number {
    let order = this.#lastEvent
    const touched = new Set(outbox.map((event) => event.token))
    for (const { kind, id } of write) {
      const row = kind.name === eventKind.name ? before.rows.get(rowKey(kind, id)) : undefined
      if (row !== undefined) touched.add((row.value as EventRecord).token)
    }
    for (const event of outbox) {
      const key = rowKey(eventKind, event.id)
      if (tables.rows.has(key)) throw new InvalidCommitError(`the outbox has an event ${event.id} already`)
      order += 1
      tables.rows.set(key, rowOf(eventKind, event.id, 1, { ...event, order }))
    }
    for (const token of touched) {
      const events = [...tables.rows.values()].filter((row) => row.points['order']?.[0]?.in === token)
      const oldest = events.sort((a, b) => (a.value as EventRecord).order - (b.value as EventRecord).order)[0]
      const event = oldest?.value as EventRecord | undefined
      if (oldest === undefined || event === undefined || event.dueAt !== undefined) continue
      const due = rowOf(eventKind, oldest.id, nextRevision(oldest.revision), { ...event, dueAt: event.at })
      tables.rows.set(rowKey(eventKind, oldest.id), due)
    }
    return order
  }
}
