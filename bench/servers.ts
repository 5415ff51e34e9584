import { connect } from 'node:net'
import pg from 'pg'

/** Where PostgreSQL is; PGHOST and the like may name another than the one on this machine. */
export const POSTGRES: pg.PoolConfig & { readonly host: string; readonly port: number } = {
  host: process.env['PGHOST'] ?? '127.0.0.1',
  port: Number(process.env['PGPORT'] ?? 5432),
  user: process.env['PGUSER'] ?? 'postgres',
  database: process.env['PGDATABASE'] ?? 'test',
  ...(process.env['PGPASSWORD'] === undefined ? undefined : { password: process.env['PGPASSWORD'] }),
}

/** Where Redis is; REDIS_HOST and REDIS_PORT may name another. */
export const REDIS: { readonly host: string; readonly port: number } = {
  host: process.env['REDIS_HOST'] ?? '127.0.0.1',
  port: Number(process.env['REDIS_PORT'] ?? 6379),
}

/** Why a section that needs a server can't be measured; undefined when the server is there. */
export async function missingServer(name: string, host: string, port: number): Promise<string | undefined> {
  const there = await new Promise<boolean>((resolve) => {
    const socket = connect({ host, port, timeout: 1000 })
    const done = (answer: boolean) => {
      socket.destroy()
      resolve(answer)
    }
    socket.once('connect', () => done(true))
    socket.once('error', () => done(false))
    socket.once('timeout', () => done(false))
  })
  return there ? undefined : `no ${name} answers at ${host}:${port}`
}

/** Connections for a section, and a schema of its own that goes with it. */
export class BenchDatabase {
  readonly pool: pg.Pool
  readonly #schemas: string[] = []

  constructor() {
    this.pool = new pg.Pool({ ...POSTGRES, max: 8 })
  }

  /** A schema that nobody else uses; taken away by {@link BenchDatabase.end}. */
  schema(name: string): string {
    const schema = `tokenwright_bench_${process.pid}_${name}`
    this.#schemas.push(schema)
    return schema
  }

  async end(): Promise<void> {
    for (const schema of this.#schemas) await this.pool.query(`DROP SCHEMA IF EXISTS "${schema}" CASCADE`)
    await this.pool.end()
  }
}
