import {
  type AnyKind,
  checkOrderKeys,
  checkUniqueKeys,
  deepFreeze,
  EMPTY_HEAD,
  InvalidCommitError,
  type JournalHead,
  type OrderKey,
  revisionMade,
  type ScanRow,
  type SealedEntry,
  type Stored,
  type Tombstone,
  UniqueConflictError,
  type UsagePoint,
  type UsageRow,
  type Write,
} from 'tokenwright/stores'

/** A row of the table of records. A tombstone has no value. */
export interface Row {
  readonly kind: AnyKind
  readonly id: string
  readonly revision: number
  readonly value?: unknown
  /** What remains of a removed record. */
  readonly tombstone?: Tombstone
  /** The row's points in the order indexes, by index: in SQL a table (kind, index, part, at, id). */
  readonly points: { readonly [index: string]: readonly OrderKey[] }
}

/** All tables. A commit works on a copy and puts it in place at the end: in SQL that is a transaction. */
export interface Tables {
  readonly rows: Map<string, Row>
  /** Who holds each unique key: in SQL a table (kind, index, key, id) with a primary key over the first three. */
  readonly keys: Map<string, string>
  readonly commits: Map<string, readonly number[]>
  readonly flushes: Set<string>
  readonly usage: Map<string, UsageRow>
  readonly journal: SealedEntry[]
}

export function emptyTables(): Tables {
  return { rows: new Map(), keys: new Map(), commits: new Map(), flushes: new Set(), usage: new Map(), journal: [] }
}

export function rowKey(kind: AnyKind, id: string): string {
  return `${kind.name}/${id}`
}

export function uniqueKey(kind: AnyKind, index: string, key: string): string {
  return `${kind.name}/${index}/${key}`
}

export function stored<T>(row: Row | undefined): Stored<T> | undefined {
  return row?.value === undefined ? undefined : { id: row.id, revision: row.revision, value: row.value as T }
}

export function copyOf({ rows, keys, commits, flushes, usage, journal }: Tables): Tables {
  return {
    rows: new Map(rows),
    keys: new Map(keys),
    commits: new Map(commits),
    flushes: new Set(flushes),
    usage: new Map(usage),
    journal: [...journal],
  }
}

export function scanRow(row: Row | undefined): ScanRow | undefined {
  if (row === undefined) return undefined
  const { kind, id, revision, value, tombstone } = row
  if (tombstone !== undefined) return { kind: kind.name, id, revision, tombstone }
  return { kind: kind.name, id, revision, value }
}

/** A row with its points. */
export function rowOf(kind: AnyKind, id: string, revision: number, value: unknown): Row {
  const points: { [index: string]: readonly OrderKey[] } = {}
  for (const index of Object.keys(kind.order)) {
    const keys = checkOrderKeys(kind, index, kind.order[index]?.(value))
    points[index] = keys === undefined ? [] : ([keys].flat() as OrderKey[])
  }
  return { kind, id, revision, value: deepFreeze(value), points }
}

/** What a write makes of its row; `undefined` = nothing is left of it. */
export function planRow(tables: Tables, write: Write, expected: number): Row | undefined {
  const { kind, id } = write
  const row = tables.rows.get(rowKey(kind, id))
  if (row !== undefined && row.value === undefined) {
    throw new InvalidCommitError(`${kind.name} ${id} is removed for good; it can't be written`)
  }
  if ('remove' in write) return undefined
  const revision = revisionMade(write, expected < 0 ? (row?.revision ?? 0) : expected)
  if ('value' in write) return rowOf(kind, id, revision, write.value)
  return { kind, id, revision, tombstone: deepFreeze(write.tombstone), points: {} }
}

export function dropKeys({ rows, keys }: Tables, kind: AnyKind, id: string): void {
  const row = rows.get(rowKey(kind, id))
  if (row?.value === undefined) return
  for (const index of Object.keys(kind.unique)) {
    for (const key of kind.unique[index]?.(row.value) ?? []) keys.delete(uniqueKey(kind, index, key))
  }
}

/** Puts a row in place with its unique keys; of a tombstone those of the index that the kind keeps. */
export function putRow({ rows, keys }: Tables, write: Write, row: Row | undefined): void {
  const { kind, id } = write
  if (row === undefined) rows.delete(rowKey(kind, id))
  else rows.set(rowKey(kind, id), row)
  for (const index of Object.keys(kind.unique)) {
    let held: readonly string[] = []
    if (row?.value !== undefined) held = kind.unique[index]?.(row.value) ?? []
    else if ('tombstone' in write && index === kind.keeps) held = write.tombstone.digests
    for (const key of checkUniqueKeys(kind, index, held)) {
      const holder = keys.get(uniqueKey(kind, index, key)) ?? id
      const removed = rows.get(rowKey(kind, holder))?.value === undefined
      if (holder !== id) throw new UniqueConflictError(kind.name, index, holder, removed)
      keys.set(uniqueKey(kind, index, key), id)
    }
  }
}

export function headOf({ journal }: Tables): JournalHead {
  const last = journal.at(-1)
  return last === undefined ? EMPTY_HEAD : { seq: last.seq, mac: last.mac }
}

/** The order of usage rows: hour, token, tool, outcome. */
export function byUsage(a: UsagePoint, b: UsagePoint): number {
  return a.hour - b.hour || byText(a.token, b.token) || byText(a.tool, b.tool) || byText(a.outcome, b.outcome)
}

export function byText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
