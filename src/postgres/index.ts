/**
 * A store in PostgreSQL, for any number of instances. Takes the pool of the host's `pg`, or a PGlite database.
 *
 * @module
 */
export { fromPglite, type PgliteDatabase } from './pglite.ts'
export type { PostgresClient, PostgresListener, PostgresPool, PostgresQuery } from './pool.ts'
export { PostgresTokenStore, type PostgresTokenStoreOptions } from './postgres-token-store.ts'
