import type pg from 'pg'
import type { Commit, Write } from '../src/index.ts'
import { orderEntries, uniqueEntries } from '../src/postgres/index-entries.ts'
import type { Names } from '../src/postgres/names.ts'
import type { PgKind } from '../src/postgres/pg-kind.ts'
import { eventKind } from '../src/stores/outbox.ts'

/** The rows that a commit writes, worked out beforehand. */
export interface CommitRows {
  readonly id: string
  readonly records: readonly (readonly [kind: number, id: string, body: string, u: string, o: string])[]
  readonly uniques: readonly (readonly [ind: number, key: string, id: string])[]
  readonly orders: readonly (readonly [ind: number, part: string, at: number, id: string])[]
  readonly journal: readonly (readonly [kind: string, subject: string, body: string])[]
}

/** The rows of a commit that makes records and sends events. */
export function rowsOf(commit: Commit, kinds: ReadonlyMap<string, PgKind>): CommitRows {
  const records: [number, string, string, string, string][] = []
  const uniques: [number, string, string][] = []
  const orders: [number, string, number, string][] = []
  const add = (name: string, id: string, value: unknown) => {
    const kind = kinds.get(name) as PgKind
    const u = uniqueEntries(kind, value, undefined)
    const o = orderEntries(kind, value)
    records.push([kind.id, id, JSON.stringify(value), JSON.stringify(u), JSON.stringify(o)])
    for (const [ind, key] of u) uniques.push([ind, key, id])
    for (const [ind, part, at] of o) orders.push([ind, part, at, id])
  }
  for (const write of commit.write) add(write.kind.name, write.id, (write as Write & { value: unknown }).value)
  for (const event of commit.outbox ?? []) add(eventKind.name, event.id, { ...event, order: event.at, dueAt: event.at })
  const journal = commit.journal.map((entry) => [entry.kind, entry.subject, JSON.stringify(entry)] as const)
  return { id: commit.id, records, uniques, orders, journal }
}

/** What somebody would write who needs no store: a transaction of one prepared statement for each table and row. */
export async function rawCommit(client: pg.PoolClient, n: Names, rows: CommitRows): Promise<void> {
  await client.query('BEGIN')
  await client.query({
    name: 'raw_commit',
    text: `INSERT INTO ${n.commits} (id, at, caller, revisions) VALUES ($1, $2, '', '[1]')`,
    values: [rows.id, Date.now()],
  })
  for (const values of rows.records) {
    const text = `INSERT INTO ${n.record} (kind, id, revision, gone, body, u, o) VALUES ($1, $2, 1, false, $3, $4, $5)`
    await client.query({ name: 'raw_record', text, values: [...values] })
  }
  await client.query(several('raw_uniq', `INSERT INTO ${n.uniq} (ind, key, id)`, rows.uniques))
  await client.query(several('raw_ord', `INSERT INTO ${n.ord} (ind, part, at, id)`, rows.orders))
  for (const values of rows.journal) {
    const text = `INSERT INTO ${n.journal} (kind, subject, body) VALUES ($1, $2, $3)`
    await client.query({ name: 'raw_journal', text, values: [...values] })
  }
  await client.query('COMMIT')
}

/** One statement for all rows of a table; prepared for each number of rows. */
function several(name: string, insert: string, rows: readonly (readonly unknown[])[]): pg.QueryConfig {
  let last = 0
  const places = rows.map((row) => `(${row.map(() => `$${++last}`).join(', ')})`)
  return { name: `${name}_${rows.length}`, text: `${insert} VALUES ${places.join(', ')}`, values: rows.flat() }
}
