import pg from 'pg'
import { PostgresTokenStore } from '../../src/postgres/index.ts'
import { namesOf } from '../../src/postgres/names.ts'
import type { StoreFixture } from '../../src/testing/index.ts'
import { hasServer } from '../real-servers.ts'

/** Where the server is; PGHOST and the like may name another than the one on this machine. */
export const SERVER: pg.PoolConfig & { readonly host: string; readonly port: number } = {
  host: process.env['PGHOST'] ?? '127.0.0.1',
  port: Number(process.env['PGPORT'] ?? 5432),
  user: process.env['PGUSER'] ?? 'postgres',
  database: process.env['PGDATABASE'] ?? 'test',
  ...(process.env['PGPASSWORD'] === undefined ? undefined : { password: process.env['PGPASSWORD'] }),
}

/** Whether there is a server to test with. */
export const there: boolean = await hasServer('postgres', SERVER.host, SERVER.port)

/** A pool of connections to the server. */
export function newPool(more: pg.PoolConfig = {}): pg.Pool {
  return new pg.Pool({ ...SERVER, ...more })
}

let schemas = 0

/** The name of a schema that no other test uses. */
export function freshSchema(): string {
  schemas += 1
  return `tw_test_${process.pid}_${schemas}`
}

/** Statements of a test itself. */
export interface Sql {
  query(text: string): Promise<unknown>
}

/** Takes a schema away, with all that is in it. */
export async function dropSchema(sql: Sql, schema: string): Promise<void> {
  await sql.query(`DROP SCHEMA IF EXISTS "${schema}" CASCADE`)
}

/** Moves the clock of a store, which is the server's: the function that tells the time is replaced. */
export async function moveClock(sql: Sql, schema: string, offsetMs: number): Promise<void> {
  await sql.query(
    `CREATE OR REPLACE FUNCTION ${namesOf(schema, '').now_ms}() RETURNS bigint LANGUAGE sql VOLATILE
       AS $body$ SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint + ${offsetMs} $body$`,
  )
}

/**
 * Fresh stores for the contract suite, each in a schema of its own.
 *
 * @param pool - asked for at each test: it may lead to a pooler that is only started before the first
 */
export function storeFixtures(pool: pg.Pool | (() => pg.Pool), statementNames: boolean): () => Promise<StoreFixture> {
  return async () => {
    const schema = freshSchema()
    const connections = typeof pool === 'function' ? pool() : pool
    const open = () => new PostgresTokenStore({ pool: connections, schema, statementNames })
    let store = open()
    await store.migrate()
    let offset = 0
    return {
      store,
      reopen: async () => {
        await store.close()
        store = open()
        return store
      },
      another: open,
      advance: async (ms) => {
        offset += ms
        await moveClock(connections, schema, offset)
      },
      release: async () => {
        await store.close()
        await dropSchema(connections, schema)
      },
    }
  }
}
