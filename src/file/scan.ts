import type { DatabaseSync } from 'node:sqlite'
import type { AnyKind, Tombstone } from '../kernel/kind.ts'
import type { ScanRow } from '../stores/token-store.ts'
import { storeErrorOf } from './engine-errors.ts'
import { openReader } from './open-database.ts'
import { all, one, type StoredRow } from './statements.ts'

/** How many rows a page of a scan has. */
const PAGE = 25

/** What a scan works on. */
export interface ScanOptions {
  readonly path: string
  readonly kinds: readonly AnyKind[]
  /** The connections of scans under way. */
  readonly open: Set<DatabaseSync>
  /** Throws when the store is closed. */
  readonly checkOpen: () => void
}

/**
 * Every record and tombstone of some kinds, as of one point: one read transaction on a connection of its own. While it
 * goes on, SQLite can't shorten its log.
 */
export async function* scanRows({ path, kinds, open, checkOpen }: ScanOptions): AsyncGenerator<readonly ScanRow[]> {
  checkOpen()
  const db = guarded(path, () => openReader(path))
  open.add(db)
  try {
    guarded(path, () => db.exec('BEGIN'))
    const kindByName = db.prepare('SELECT id FROM kind WHERE name = ?')
    const page = db.prepare('SELECT n, id, revision, gone, body FROM row WHERE kind = ? AND id > ? ORDER BY id LIMIT ?')
    // Read together: this is the point that the whole scan shows.
    const numbers = guarded(path, () => kinds.map((kind) => one<{ id: number }>(kindByName, kind.name)?.id))
    for (const [k, kind] of kinds.entries()) {
      const number = numbers[k]
      let last: string | undefined = number === undefined ? undefined : ''
      while (number !== undefined && last !== undefined) {
        checkOpen()
        const after: string = last
        const rows: StoredRow[] = guarded(path, () => all<StoredRow>(page, number, after, PAGE))
        last = rows.length < PAGE ? undefined : rows[rows.length - 1]?.id
        if (rows.length > 0) yield rows.map((row) => scanRow(kind, row))
      }
    }
  } finally {
    if (open.delete(db)) db.close()
  }
}

/** A row of the file as a scan gives it. */
export function scanRow(kind: AnyKind, { id, revision, gone, body }: StoredRow): ScanRow {
  const parsed: unknown = JSON.parse(body)
  if (gone === 1) return { kind: kind.name, id, revision, tombstone: parsed as Tombstone }
  return { kind: kind.name, id, revision, value: parsed }
}

function guarded<T>(path: string, action: () => T): T {
  try {
    return action()
  } catch (error) {
    throw storeErrorOf(error, path, 'scan')
  }
}
