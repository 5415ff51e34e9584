import { DatabaseSync } from 'node:sqlite'
import type { D1DatabaseLike, D1Statement } from '../../src/cloudflare/index.ts'

/** A database that answers as D1 does, over SQLite in memory. The real one is tested in workerd (test/worker). */
export function sqliteD1(database: DatabaseSync = new DatabaseSync(':memory:')): D1DatabaseLike {
  const statement = (sql: string, values: readonly (string | number | null)[]): D1Statement => ({
    bind: (...more) => statement(sql, more),
    first: async () => (database.prepare(sql).get(...values) as { [column: string]: unknown } | undefined) ?? null,
    all: async () => ({ results: database.prepare(sql).all(...values) as { [column: string]: unknown }[] }),
    run: async () => ({ meta: { changes: Number(database.prepare(sql).run(...values).changes) } }),
  })
  return { prepare: (sql) => statement(sql, []) }
}
