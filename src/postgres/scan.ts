import type { AnyKind, Tombstone } from '../kernel/kind.ts'
import type { ScanRow } from '../stores/token-store.ts'
import type { Connections } from './connections.ts'
import type { KindRegistry } from './kind-registry.ts'
import type { RecordRow, Statements } from './statements.ts'
import { fromStored } from './storable-text.ts'

/** How many rows a page of a scan has. */
const PAGE = 500

/** A record or tombstone as a row, with what tells the two apart. */
export type ScanSqlRow = RecordRow & { readonly kind?: number; readonly gone: boolean }

/** What a scan works on. */
export interface ScanOptions {
  readonly connections: Connections
  readonly sql: Statements
  readonly registry: KindRegistry
  readonly kinds: readonly AnyKind[]
  /** Whether there is but one connection, which a scan can't keep for itself. */
  readonly embedded: boolean
  /** Throws when the store is closed. */
  readonly checkOpen: () => void
}

/**
 * Every record and tombstone of some kinds, as of one point: one read-only transaction (REPEATABLE READ) on a connection
 * of its own, read page by page. While it goes on, the server can't clean up rows that were changed since.
 */
export async function* scanRows(options: ScanOptions): AsyncGenerator<readonly ScanRow[]> {
  const { connections, sql, registry, kinds, embedded, checkOpen } = options
  checkOpen()
  const known = new Map<number, AnyKind>()
  for (const kind of kinds) {
    const found = registry.known(kind) ?? (await registry.look(kind))
    if (found !== undefined) known.set(found.id, kind)
  }
  if (known.size === 0) return
  if (embedded) {
    yield* scanAtOnce(options, known)
    return
  }
  const transaction = await connections.begin('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY', 'scan')
  try {
    for (const [id, kind] of known) {
      for (let last: string | undefined = ''; last !== undefined; ) {
        checkOpen()
        const rows: ScanSqlRow[] = await transaction.run<ScanSqlRow>(sql.rowsOfKind, [id, last, PAGE])
        last = rows.length < PAGE ? undefined : rows[rows.length - 1]?.id
        if (rows.length > 0) yield rows.map((row) => scanRow(kind, row))
      }
    }
  } finally {
    await transaction.abandon()
  }
}

async function* scanAtOnce(
  { connections, sql, checkOpen }: ScanOptions,
  known: ReadonlyMap<number, AnyKind>,
): AsyncGenerator<readonly ScanRow[]> {
  const numbers = JSON.stringify([...known.keys()])
  const rows = await connections.run<ScanSqlRow>(sql.rowsOfKinds, [numbers], 'scan')
  for (let from = 0; from < rows.length; from += PAGE) {
    checkOpen()
    yield rows.slice(from, from + PAGE).map((row) => scanRow(known.get(row.kind ?? -1) as AnyKind, row))
  }
}

/** A row of the database as a scan gives it. */
export function scanRow(kind: AnyKind, { id, revision, gone, body }: ScanSqlRow): ScanRow {
  const parsed: unknown = JSON.parse(body)
  const base = { kind: kind.name, id: fromStored(id), revision: Number(revision) }
  return gone ? { ...base, tombstone: parsed as Tombstone } : { ...base, value: parsed }
}
