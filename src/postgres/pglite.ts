import type { PostgresClient, PostgresPool } from './pool.ts'

/** What of a PGlite database is used. */
export interface PgliteDatabase {
  /** Runs one statement. */
  query(text: string, values?: unknown[]): Promise<{ readonly rows: unknown[] }>
  /** Where its files are; absent or `memory://` = nowhere. */
  readonly dataDir?: string | undefined
  /** Closes it. */
  close?(): Promise<void>
}

/**
 * A pool over a PGlite database (`@electric-sql/pglite`): PostgreSQL inside this process, for development and tests without
 * a server. It has one connection, which is lent to one user at a time.
 *
 * @param db - the database; best of its own, for others' statements may come between those of a migration
 * @example
 * ```ts
 * import { PGlite } from '@electric-sql/pglite'
 *
 * const store = new PostgresTokenStore({ pool: fromPglite(await PGlite.create('./dev-tokens')) })
 * await store.migrate()
 * ```
 */
export function fromPglite(db: PgliteDatabase): PostgresPool {
  const { dataDir } = db
  const inMemory = dataDir === undefined || dataDir === '' || dataDir.startsWith('memory://')
  let free: Promise<void> = Promise.resolve()
  return {
    embedded: { survives: inMemory ? 'nothing' : 'process' },
    async connect(): Promise<PostgresClient> {
      const before = free
      let release = (): void => {}
      free = new Promise((resolve) => {
        release = resolve
      })
      await before
      return { query: ({ text, values }) => db.query(text, values), release: () => release() }
    },
    async end(): Promise<void> {
      await db.close?.()
    },
  }
}
