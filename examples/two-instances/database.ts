import { PGlite } from '@electric-sql/pglite'
import pg from 'pg'
import { fromPglite, PostgresRateLimiter, PostgresTokenStore } from 'tokenwright/postgres'

/** What an instance keeps in the database. */
export interface Shared {
  readonly store: PostgresTokenStore
  readonly limiter: PostgresRateLimiter
}

/** One database, as many instances as are opened on it. */
export interface Database {
  readonly name: string
  open(): Promise<Shared>
  end(): Promise<void>
}

/** Where the server is: PGHOST, PGPORT, PGUSER, PGPASSWORD and PGDATABASE say so, as for psql. */
const SERVER: pg.PoolConfig = {
  host: process.env['PGHOST'] ?? '127.0.0.1',
  port: Number(process.env['PGPORT'] ?? 5432),
  user: process.env['PGUSER'] ?? 'postgres',
  database: process.env['PGDATABASE'] ?? 'postgres',
  connectionTimeoutMillis: 2000,
  ...(process.env['PGPASSWORD'] === undefined ? undefined : { password: process.env['PGPASSWORD'] }),
}

/** The server, if one answers; else PGlite in this process, which both instances share. */
export async function openDatabase(): Promise<Database> {
  const admin = new pg.Pool({ ...SERVER, max: 1 })
  // An idle connection that breaks is no reason to end.
  admin.on('error', () => {})
  try {
    await admin.query('SELECT 1')
  } catch (error) {
    await admin.end()
    const why = error instanceof Error && 'code' in error ? String(error.code) : 'unknown'
    return await openPglite(`no PostgreSQL lets this example in at ${SERVER.host}:${SERVER.port} (${why})`)
  }
  const schema = `tokenwright_example_${process.pid}`
  return {
    name: `PostgreSQL at ${SERVER.host}:${SERVER.port}, schema ${schema}`,
    open: async () => {
      // A pool for each instance, as if each were a process of its own, and a connection to hear of changes.
      const pool = new pg.Pool({ ...SERVER, max: 4 })
      const store = await PostgresTokenStore.open({
        pool,
        schema,
        listen: () => new pg.Client(SERVER),
        closePool: true,
      })
      return { store, limiter: new PostgresRateLimiter({ pool, schema }) }
    },
    end: async () => {
      await admin.query(`DROP SCHEMA IF EXISTS "${schema}" CASCADE`)
      await admin.end()
    },
  }
}

async function openPglite(why: string): Promise<Database> {
  const db = await PGlite.create()
  const pool = fromPglite(db)
  return {
    name: `PGlite in this process, because ${why}`,
    open: async () => ({ store: await PostgresTokenStore.open({ pool }), limiter: new PostgresRateLimiter({ pool }) }),
    end: () => db.close(),
  }
}
