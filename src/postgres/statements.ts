import type { Names } from './names.ts'

/** A statement of the store. Values are always bound, never written into the text. */
export interface Statement {
  /** Under which a connection keeps it prepared; absent = it isn't worth it. */
  readonly name?: string
  readonly text: string
  /** Whether it may take as long as it takes: steps of migrations, indexes made anew. */
  readonly unbounded?: boolean
  /**
   * What is done when the connection breaks before the answer comes. A read is asked again, unless nobody can be reached.
   * `settle`: it may have been done, and knows that by itself; so it is asked again until there is an answer. `once`: it
   * would be done twice, so it isn't asked again.
   */
  readonly broken?: 'settle' | 'once'
}

/** A record or tombstone as a row. Numbers may come as texts: a bigint is one to `pg`. */
export interface RecordRow {
  readonly id: string
  readonly revision: number | string
  /** The record or the tombstone as JSON. */
  readonly body: string
}

const ROW = 'r.id, r.revision, r.body'

/** Every statement of a store, by name. */
export type Statements = ReturnType<typeof statementsOf>

/** The statements over a store's tables. */
export function statementsOf(n: Names) {
  const listed = (condition: string, order: string): string =>
    // The page first, then its records one by one: whatever the statistics say, never more than a page is read.
    `SELECT ${ROW}, o.at FROM (
       SELECT at, id FROM ${n.ord} WHERE ind = $2 AND part = $3 AND ${condition} ORDER BY ${order} LIMIT $7
     ) o CROSS JOIN LATERAL (
       SELECT id, revision, body FROM ${n.record} WHERE kind = $1 AND id = o.id LIMIT 1
     ) r ORDER BY ${order.replaceAll(/\b(at|id)\b/g, 'o.$1')}`
  const journal = (condition: string, order: string): string =>
    `SELECT seq, mac, body FROM ${n.journal} WHERE ${condition} ORDER BY seq ${order} LIMIT $2`
  const usage = (condition: string, order: string): string =>
    `SELECT hour, token, tool, outcome, calls, cost, failures, duration, to_json(latency)::text AS latency, last_at
     FROM ${n.usage} WHERE ${condition} ORDER BY ${order} LIMIT $1`
  const findAny = new Map<number, Statement>()
  return {
    get: {
      name: 'get',
      text: `SELECT ${ROW} FROM ${n.record} r WHERE r.kind = $1 AND r.id = $2 AND NOT r.gone`,
    },
    rows: {
      name: 'rows',
      text: `SELECT ${ROW}, r.gone FROM jsonb_array_elements_text($2::text::jsonb) AS k(id)
        CROSS JOIN LATERAL (SELECT id, revision, body, gone FROM ${n.record} WHERE kind = $1 AND id = k.id LIMIT 1) r`,
    },
    find: {
      name: 'find',
      text: `SELECT ${ROW} FROM ${n.uniq} u JOIN ${n.record} r ON r.kind = $1 AND r.id = u.id
        WHERE u.ind = $2 AND u.key = $3 AND NOT r.gone`,
    },
    /** Looks for 2, 4, 8 … keys at once, after the number of the kind and the index: a statement for each such number. */
    findAny: (keys: number): Statement => {
      const known = findAny.get(keys)
      if (known !== undefined) return known
      const places = Array.from({ length: keys }, (_, i) => `$${i + 3}`).join(', ')
      const text = `SELECT ${ROW}, u.key FROM ${n.uniq} u CROSS JOIN LATERAL (
          SELECT id, revision, body FROM ${n.record} WHERE kind = $1 AND id = u.id AND NOT gone LIMIT 1
        ) r WHERE u.ind = $2 AND u.key IN (${places})`
      const statement = { name: `find_${keys}`, text }
      findAny.set(keys, statement)
      return statement
    },
    listUp: { name: 'list_up', text: listed('(at, id) > ($4, $5) AND at < $6', 'at, id') },
    listDown: { name: 'list_down', text: listed('(at, id) < ($4, $5) AND at >= $6', 'at DESC, id DESC') },
    commit: { name: 'commit', text: `SELECT ${n.commit_2}($1) AS answer`, broken: 'settle' },
    addUsage: { name: 'add_usage', text: `SELECT ${n.add_usage_1}($1) AS answer`, broken: 'settle' },
    rollUsage: { name: 'roll_usage', text: `SELECT ${n.roll_usage_1}($1) AS answer`, broken: 'settle' },
    usageAll: {
      name: 'usage_all',
      text: usage('(hour, token, tool, outcome) > ($2, $3, $4, $5) AND hour < $6', 'hour, token, tool, outcome'),
    },
    usageOf: {
      name: 'usage_of',
      text: usage('token = $2 AND (hour, tool, outcome) > ($3, $4, $5) AND hour < $6', 'hour, tool, outcome'),
    },
    journalUp: { name: 'journal_up', text: journal('seq > $1', '') },
    journalDown: { name: 'journal_down', text: journal('seq < $1', 'DESC') },
    subjectUp: { name: 'subject_up', text: journal('seq > $1 AND subject = $3', '') },
    subjectDown: { name: 'subject_down', text: journal('seq < $1 AND subject = $3', 'DESC') },
    head: {
      name: 'head',
      text: `SELECT seq, mac, (SELECT count(*) FROM (SELECT 1 FROM ${n.journal} WHERE seq IS NULL LIMIT 100000) u) AS unsealed
        FROM ${n.head}`,
    },
    pruneJournal: {
      text: `WITH gone AS (DELETE FROM ${n.journal} WHERE n IN (
          SELECT n FROM ${n.journal} WHERE seq <= $1 AND seq < (SELECT seq FROM ${n.head}) ORDER BY seq LIMIT $2
        ) RETURNING 1) SELECT count(*) AS gone FROM gone`,
    },
    unsealed: {
      name: 'unsealed',
      text: `SELECT h.seq, h.mac, j.n, j.body FROM ${n.head} h LEFT JOIN LATERAL (
          SELECT n, body FROM ${n.journal} WHERE seq IS NULL ORDER BY n LIMIT $1
        ) j ON true ORDER BY j.n`,
    },
    seal: { name: 'seal', text: `SELECT ${n.seal_1}($1) AS sealed`, broken: 'settle' },
    reserve: { name: 'reserve', text: `SELECT ${n.reserve_1}($1, $2, $3, $4, $5, $6) AS answer`, broken: 'once' },
    now: { name: 'now', text: `SELECT ${n.now_ms}() AS now` },

    kind: {
      text: `SELECT v.value AS schema_version, k.id, k.schema, k.shape, k.version, i.id AS ind, i.sort, i.name
        FROM ${n.meta} v LEFT JOIN ${n.kind} k ON k.name = $1 LEFT JOIN ${n.ind} i ON i.kind = k.id
        WHERE v.name = 'version'`,
    },
    enterKind: {
      broken: 'settle',
      text: `WITH k AS (
          INSERT INTO ${n.kind} (name, schema, shape) VALUES ($1, $2, $3)
          ON CONFLICT (name) DO UPDATE SET name = excluded.name RETURNING id
        ) INSERT INTO ${n.ind} (kind, sort, name)
          SELECT k.id, i->>0, i->>1 FROM k, jsonb_array_elements($4::text::jsonb) i ON CONFLICT DO NOTHING`,
    },
    lockRecords: { text: `LOCK TABLE ${n.record} IN EXCLUSIVE MODE` },
    noTimeout: { text: 'SET LOCAL statement_timeout = 0' },
    clearUniq: {
      text: `DELETE FROM ${n.uniq} WHERE ind IN (SELECT id FROM ${n.ind} WHERE kind = $1)`,
      unbounded: true,
    },
    clearOrd: {
      text: `DELETE FROM ${n.ord} WHERE ind IN (SELECT id FROM ${n.ind} WHERE kind = $1)`,
      unbounded: true,
    },
    reindex: { text: `SELECT ${n.reindex_1}($1)`, unbounded: true },
    setShape: { text: `UPDATE ${n.kind} SET schema = $2, shape = $3, version = version + 1 WHERE id = $1` },
    rowsOfKind: {
      name: 'rows_of_kind',
      text: `SELECT ${ROW}, r.gone FROM ${n.record} r WHERE r.kind = $1 AND r.id > $2 ORDER BY r.id LIMIT $3`,
    },
    rowsOfKinds: {
      text: `SELECT r.kind, ${ROW}, r.gone FROM ${n.record} r
        WHERE r.kind IN (SELECT k::int FROM jsonb_array_elements_text($1::text::jsonb) k) ORDER BY r.kind, r.id`,
    },
  } satisfies { readonly [name: string]: Statement | ((keys: number) => Statement) }
}
