import type pg from 'pg'
import { Generator, type KeyRing, systemClock, systemRandom, type Write } from '../src/index.ts'
import { Connections } from '../src/postgres/connections.ts'
import { PostgresTokenStore } from '../src/postgres/index.ts'
import { orderEntries, uniqueEntries } from '../src/postgres/index-entries.ts'
import { KindRegistry } from '../src/postgres/kind-registry.ts'
import { namesOf } from '../src/postgres/names.ts'
import type { PgKind } from '../src/postgres/pg-kind.ts'
import { statementsOf } from '../src/postgres/statements.ts'
import { Collector } from './million-file.ts'
import { tokenInput } from './population.ts'

/** Tokens in one bulk statement. */
const TOGETHER = 4000

/**
 * A store with many tokens, as commits would have made it: their records, activity and index entries, written in bulk.
 * The tables are not logged while they are filled, and stay so: that is nothing to a read.
 *
 * @returns the store, and texts that are spread evenly over it
 */
export async function loadPostgres(
  pool: pg.Pool,
  schema: string,
  keys: KeyRing,
  tokens: number,
  kept: number,
): Promise<{ readonly store: PostgresTokenStore; readonly texts: readonly string[] }> {
  const store = await PostgresTokenStore.open({ pool, schema })
  const names = namesOf(schema, '')
  const sql = statementsOf(names)
  const shared = { pool, clock: systemClock(), random: systemRandom(), store: schema, mark: undefined }
  const connections = new Connections({ ...shared, timeout: 60_000, connectTimeout: 60_000 })
  const registry = new KindRegistry(names, sql, connections)
  for (const table of [names.record, names.uniq, names.ord]) await pool.query(`ALTER TABLE ${table} SET UNLOGGED`)

  const collector = new Collector()
  const generator = new Generator({ store: collector, keys })
  const texts: string[] = []
  let writing: Promise<void> = Promise.resolve()
  const write = async (): Promise<void> => {
    const { write: writes } = collector.take()
    const rows: object[] = []
    for (const each of writes) rows.push(rowOf(each, await registry.enter(each.kind)))
    await writing
    // The next ones are made while these are written.
    writing = insert(JSON.stringify(rows))
  }
  const insert = async (rows: string): Promise<void> => {
    await pool.query(
      `INSERT INTO ${names.record} (kind, id, revision, gone, body, u, o)
       SELECT k, id, 1, false, b, u, o FROM jsonb_to_recordset($1::jsonb) AS c(k int, id text, b text, u jsonb, o jsonb)`,
      [rows],
    )
    await Promise.all([
      pool.query(
        `INSERT INTO ${names.uniq} SELECT (e->>0)::int, e->>1, id
         FROM jsonb_to_recordset($1::jsonb) AS c(id text, u jsonb), jsonb_array_elements(c.u) e`,
        [rows],
      ),
      pool.query(
        `INSERT INTO ${names.ord} SELECT (e->>0)::int, e->>1, (e->>2)::bigint, id
         FROM jsonb_to_recordset($1::jsonb) AS c(id text, o jsonb), jsonb_array_elements(c.o) e ORDER BY 1, 2, 3`,
        [rows],
      ),
    ])
  }
  for (let i = 0; i < tokens; i++) {
    const { token } = await generator.generate(tokenInput(i))
    if (Math.floor(((i + 1) * kept) / tokens) > texts.length) texts.push(token)
    if (collector.size >= TOGETHER) await write()
  }
  if (collector.size > 0) await write()
  await writing
  for (const table of [names.record, names.uniq, names.ord]) await pool.query(`VACUUM (ANALYZE) ${table}`)
  return { store, texts }
}

function rowOf(write: Write, kind: PgKind): object {
  if (!('value' in write)) throw new TypeError('tokens are only added')
  const u = uniqueEntries(kind, write.value, undefined)
  return { k: kind.id, id: write.id, b: JSON.stringify(write.value), u, o: orderEntries(kind, write.value) }
}
