/**
 * A store and a limiter in PostgreSQL, for any number of instances. They take the pool of the host's `pg`, or a PGlite database.
 *
 * @module
 */
export { fromPglite, type PgliteDatabase } from './pglite.ts'
export type { PostgresClient, PostgresListener, PostgresPool, PostgresQuery } from './pool.ts'
export { PostgresRateLimiter, type PostgresRateLimiterOptions } from './postgres-rate-limiter.ts'
export { PostgresTokenStore } from './postgres-token-store.ts'
export type { PostgresTokenStoreOptions } from './store-options.ts'
