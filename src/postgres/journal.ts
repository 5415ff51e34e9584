import { deepFreeze } from '../kernel/kind.ts'
import { EMPTY_HEAD, type JournalEntry, type JournalHead, type Link, type SealedEntry } from '../stores/journal-link.ts'
import type { JournalQuery } from '../stores/token-store.ts'
import type { Connections } from './connections.ts'
import type { Statements } from './statements.ts'
import { isStorable, toStored } from './storable-text.ts'

interface JournalRow {
  readonly seq: number | string
  readonly mac: string
  readonly body: string
}

interface HeadRow {
  readonly seq: number | string
  readonly mac: string
  readonly unsealed: number | string
}

interface UnsealedRow {
  readonly seq: number | string
  readonly mac: string
  readonly n: number | string | null
  readonly body: string
}

/** Numbers beyond this don't occur, and the type of the column ends. */
const LAST = Number.MAX_SAFE_INTEGER

/** Reads a range of the sealed entries. */
export async function readJournal(
  connections: Connections,
  sql: Statements,
  { after, subject, reverse, limit }: JournalQuery,
): Promise<readonly SealedEntry[]> {
  if (subject !== undefined && !isStorable(subject)) return []
  const down = reverse === true
  // A fraction stands between two entries.
  const from = after === undefined ? (down ? LAST : 0) : down ? Math.ceil(after) : Math.floor(after)
  const values: unknown[] = [Math.max(0, Math.min(LAST, from)), limit]
  if (subject !== undefined) values.push(toStored(subject))
  const [up, back] = subject === undefined ? [sql.journalUp, sql.journalDown] : [sql.subjectUp, sql.subjectDown]
  const rows = await connections.run<JournalRow>(down ? back : up, values, 'read')
  return rows.map(({ seq, mac, body }) => deepFreeze({ ...(JSON.parse(body) as JournalEntry), seq: Number(seq), mac }))
}

/** The end of the sealed part. */
export async function readHead(connections: Connections, sql: Statements): Promise<JournalHead> {
  const [row] = await connections.run<HeadRow>(sql.head, [], 'read')
  if (row === undefined) return EMPTY_HEAD
  const unsealed = Number(row.unsealed)
  return Object.freeze({ seq: Number(row.seq), mac: row.mac, ...(unsealed > 0 && { unsealed }) })
}

/** Lets go of sealed entries up to `seq`. The head is a row of its own. */
export async function pruneEntries(
  connections: Connections,
  sql: Statements,
  seq: number,
  limit: number,
): Promise<number> {
  const to = Math.max(0, Math.min(LAST, Math.floor(seq)))
  const [row] = await connections.run<{ gone: number | string }>(sql.pruneJournal, [to, limit], 'write')
  return Number(row?.gone ?? 0)
}

/**
 * Seals unsealed entries in the order in which they were written. Several instances may do it at once: each time one
 * wins, and the others link anew to the head that it left.
 *
 * @returns how many were sealed here
 */
export async function sealEntries(
  connections: Connections,
  sql: Statements,
  link: Link,
  limit: number,
): Promise<number> {
  for (;;) {
    const rows = await connections.run<UnsealedRow>(sql.unsealed, [limit], 'read')
    const [first] = rows
    if (first === undefined || first.n === null) return 0
    const head = { seq: Number(first.seq), mac: first.mac }
    const sealed = link(
      head,
      rows.map(({ body }) => JSON.parse(body) as JournalEntry),
    )
    const last = sealed[sealed.length - 1] as SealedEntry
    const text = JSON.stringify({
      from: [head.seq, head.mac],
      to: [last.seq, last.mac],
      entries: sealed.map(({ seq, mac }, i) => [Number(rows[i]?.n), seq, mac]),
    })
    const [answer] = await connections.run<{ sealed: boolean }>(sql.seal, [text], 'write')
    if (answer?.sealed === true) return sealed.length
  }
}
