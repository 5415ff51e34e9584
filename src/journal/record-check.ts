import type { AnyKind } from '../kernel/kind.ts'
import { nextTurn } from '../kernel/turn.ts'
import { dataDigest, type SealedEntry } from '../stores/journal-link.ts'
import type { ScanRow, TokenStore } from '../stores/token-store.ts'
import type { BadEntry } from './chain.ts'

/** How often a record is looked at again while it is being changed. */
const LOOKS = 5

/**
 * Compares the records of some kinds with the last entries about them: one that was changed, put back or brought in
 * without an entry is found.
 *
 * @throws the signal's reason
 */
export async function checkRecords(
  store: TokenStore,
  kinds: readonly AnyKind[],
  signal: AbortSignal | undefined,
): Promise<{ readonly records: number; readonly bad: BadEntry | undefined }> {
  let records = 0
  const byName = new Map(kinds.map((kind) => [kind.name, kind]))
  for await (const rows of store.scan?.(kinds.filter((kind) => kind.journaled)) ?? []) {
    signal?.throwIfAborted()
    for (const row of rows) {
      const bad = await checkRecord(store, byName.get(row.kind) as AnyKind, row)
      if (bad !== undefined) return { records, bad }
      records += 1
    }
    await nextTurn()
  }
  return { records, bad: undefined }
}

async function checkRecord(store: TokenStore, kind: AnyKind, scanned: ScanRow): Promise<BadEntry | undefined> {
  let row: ScanRow = scanned
  let entry: SealedEntry | undefined
  for (let look = 1; look <= LOOKS; look++) {
    entry = await lastEntry(store, kind, row)
    if (entry !== undefined && entry.revision === row.revision) {
      const value = 'tombstone' in row ? row.tombstone : row.value
      if (entry.data === dataDigest(JSON.stringify(value))) return undefined
    }
    // It may have been changed since it was scanned.
    const now = await store.get(kind, row.id)
    if (now === undefined) {
      // Removed meanwhile; a tombstone can't be read by itself, and doesn't change any more.
      if (!('tombstone' in row)) return undefined
    } else row = { kind: row.kind, id: row.id, revision: now.revision, value: now.value }
  }
  return { problem: 'record', seq: entry?.seq ?? 0, subject: scanned.id, ...(entry !== undefined && { id: entry.id }) }
}

/** The last entry that tells of a change of the record. */
async function lastEntry(store: TokenStore, kind: AnyKind, row: ScanRow): Promise<SealedEntry | undefined> {
  const rows = await store.journal({ subject: row.id, reverse: true, limit: 10 })
  return rows.find((entry) => entry.kind === kind.name)
}
