import { deepFreeze } from '../kernel/kind.ts'
import type { JournalEntry, SealedEntry } from '../stores/journal-link.ts'
import type { JournalQuery } from '../stores/token-store.ts'
import type { FileTransaction } from './file-transaction.ts'
import { all, type JournalRow, type Statements } from './statements.ts'

/** Reads a range of the journal. */
export function readJournal(sql: Statements, { after, subject, reverse, limit }: JournalQuery): SealedEntry[] {
  const down = reverse === true
  const from = after ?? (down ? Number.POSITIVE_INFINITY : 0)
  const rows =
    subject === undefined
      ? all<JournalRow>(down ? sql.journalDown : sql.journalUp, from, limit)
      : all<JournalRow>(down ? sql.subjectDown : sql.subjectUp, subject, from, limit)
  return rows.map(({ seq, mac, body }) => deepFreeze(Object.assign(JSON.parse(body) as JournalEntry, { seq, mac })))
}

/** Lets go of entries up to `seq`; the last one stays, for it is the head of the chain. */
export function pruneJournal(tx: FileTransaction, seq: number, limit: number): number {
  tx.startWriting()
  return Number(tx.sql.pruneJournal.run(Math.floor(seq), limit).changes)
}
