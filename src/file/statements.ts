import type { DatabaseSync, StatementSync } from 'node:sqlite'

/** A record or tombstone as a row. */
export interface StoredRow {
  readonly n: number
  readonly id: string
  readonly revision: number
  /** 1 = a tombstone. */
  readonly gone: number
  /** The record or the tombstone as JSON. */
  readonly body: string
}

/** A journal entry as a row. */
export interface JournalRow {
  readonly seq: number
  readonly mac: string
  readonly body: string
}

/** An usage row as the file holds it. */
export interface UsageSqlRow {
  readonly hour: number
  readonly token: string
  readonly tool: string
  readonly outcome: string
  readonly calls: number
  readonly cost: number
  readonly failures: number
  readonly duration: number
  readonly latency: string | null
  readonly last_at: number
}

const ROW = 'row.n, row.id, row.revision, row.gone, row.body'
const LISTED = `SELECT ${ROW}, ord.at FROM ord JOIN row ON row.n = ord.n WHERE ord.ind = ? AND ord.part = ?`
const JOURNAL = 'SELECT seq, mac, body FROM journal'
const USAGE = 'SELECT hour, token, tool, outcome, calls, cost, failures, duration, latency, last_at FROM usage'

/** Every statement that the store runs, prepared once. Values are always bound, never written into the text. */
const TEXTS = {
  begin: 'BEGIN IMMEDIATE',
  commit: 'COMMIT',
  rollback: 'ROLLBACK',
  savepoint: 'SAVEPOINT one',
  release: 'RELEASE one',
  rollbackTo: 'ROLLBACK TO one',
  dataVersion: 'PRAGMA data_version',

  kindByName: 'SELECT id, schema, shape FROM kind WHERE name = ?',
  addKind: 'INSERT INTO kind (name, schema, shape) VALUES (?, ?, ?)',
  setShape: 'UPDATE kind SET schema = ?, shape = ? WHERE id = ?',
  indexes: 'SELECT id, sort, name FROM ind WHERE kind = ?',
  addIndex: 'INSERT INTO ind (kind, sort, name) VALUES (?, ?, ?)',
  clearUniq: 'DELETE FROM uniq WHERE ind = ?',
  clearOrd: 'DELETE FROM ord WHERE ind = ?',
  rowsOfKind: `SELECT ${ROW} FROM row WHERE kind = ? AND id > ? ORDER BY id LIMIT ?`,

  row: `SELECT ${ROW} FROM row WHERE kind = ? AND id = ?`,
  rowHead: 'SELECT n, id, revision, gone FROM row WHERE kind = ? AND id = ?',
  rowByN: 'SELECT n, id, revision, gone FROM row WHERE n = ?',
  addRow: 'INSERT INTO row (kind, id, revision, gone, body) VALUES (?, ?, ?, ?, ?)',
  setRow: 'UPDATE row SET revision = ?, gone = ?, body = ? WHERE n = ?',
  removeRow: 'DELETE FROM row WHERE n = ?',

  find: `SELECT ${ROW} FROM uniq JOIN row ON row.n = uniq.n WHERE uniq.ind = ? AND uniq.key = ?`,
  holder: 'SELECT n FROM uniq WHERE ind = ? AND key = ?',
  addKey: 'INSERT INTO uniq (ind, key, n) VALUES (?, ?, ?)',
  removeKey: 'DELETE FROM uniq WHERE ind = ? AND key = ?',

  addPoint: 'INSERT INTO ord (ind, part, at, id, n) VALUES (?, ?, ?, ?, ?)',
  removePoint: 'DELETE FROM ord WHERE ind = ? AND part = ? AND at = ? AND id = ?',
  listUp: `${LISTED} AND (ord.at, ord.id) > (?, ?) AND ord.at < ? ORDER BY ord.at, ord.id LIMIT ?`,
  listDown: `${LISTED} AND (ord.at, ord.id) < (?, ?) AND ord.at >= ? ORDER BY ord.at DESC, ord.id DESC LIMIT ?`,
  firstIn: `${LISTED} ORDER BY ord.at, ord.id LIMIT 1`,

  head: 'SELECT seq, mac FROM journal ORDER BY seq DESC LIMIT 1',
  addEntry: 'INSERT INTO journal (seq, kind, subject, mac, body) VALUES (?, ?, ?, ?, ?)',
  tail: 'SELECT seq, kind, subject FROM journal WHERE seq > ? ORDER BY seq LIMIT ?',
  pruneJournal: `DELETE FROM journal WHERE seq IN (
    SELECT seq FROM journal WHERE seq <= ? AND seq < (SELECT max(seq) FROM journal) ORDER BY seq LIMIT ?)`,
  journalUp: `${JOURNAL} WHERE seq > ? ORDER BY seq LIMIT ?`,
  journalDown: `${JOURNAL} WHERE seq < ? ORDER BY seq DESC LIMIT ?`,
  subjectUp: `${JOURNAL} WHERE subject = ? AND seq > ? ORDER BY seq LIMIT ?`,
  subjectDown: `${JOURNAL} WHERE subject = ? AND seq < ? ORDER BY seq DESC LIMIT ?`,

  commitById: 'SELECT revisions FROM commits WHERE id = ?',
  addCommit: 'INSERT INTO commits (id, at, revisions) VALUES (?, ?, ?)',
  forgetCommits: 'DELETE FROM commits WHERE n IN (SELECT n FROM commits WHERE n < ? ORDER BY n LIMIT ?) AND at < ?',
  flushById: 'SELECT n FROM flushes WHERE id = ?',
  addFlush: 'INSERT INTO flushes (id, at) VALUES (?, ?)',
  forgetFlushes: 'DELETE FROM flushes WHERE n IN (SELECT n FROM flushes WHERE n < ? ORDER BY n LIMIT ?) AND at < ?',

  meta: 'SELECT value FROM meta WHERE name = ?',
  setMeta: 'INSERT INTO meta (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value',

  usageRow: `${USAGE} WHERE hour = ? AND token = ? AND tool = ? AND outcome = ?`,
  setUsage:
    'INSERT OR REPLACE INTO usage (hour, token, tool, outcome, calls, cost, failures, duration, latency, last_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)',
  removeUsage: 'DELETE FROM usage WHERE hour = ? AND token = ? AND tool = ? AND outcome = ?',
  usageFrom: `${USAGE} WHERE (hour, token, tool, outcome) > (?, ?, ?, ?) AND hour < ? ORDER BY hour, token, tool, outcome LIMIT ?`,
  usageOf: `${USAGE} WHERE token = ? AND (hour, tool, outcome) > (?, ?, ?) AND hour < ? ORDER BY hour, tool, outcome LIMIT ?`,
} as const

/** The store's statements by name. */
export type Statements = { readonly [name in keyof typeof TEXTS]: StatementSync }

/** Prepares every statement. */
export function prepareStatements(db: DatabaseSync): Statements {
  const entries = Object.entries(TEXTS).map(([name, text]) => [name, db.prepare(text)] as const)
  const sql = Object.fromEntries(entries) as unknown as Statements
  const { dataVersion } = sql
  // It may be asked for at every read. An array costs two thirds of an object; Node 22 has no arrays here.
  if ('setReturnArrays' in dataVersion) dataVersion.setReturnArrays(true)
  return sql
}

/** A number that changes when another connection has changed the file. */
export function dataVersion(sql: Statements): number {
  const row: unknown = sql.dataVersion.get()
  return Array.isArray(row) ? (row[0] as number) : (row as { data_version: number }).data_version
}

/** The row that a statement answers, if any. */
export function one<R>(statement: StatementSync, ...values: (string | number)[]): R | undefined {
  return statement.get(...values) as R | undefined
}

/** All rows that a statement answers. */
export function all<R>(statement: StatementSync, ...values: (string | number)[]): R[] {
  return statement.all(...values) as unknown as R[]
}
