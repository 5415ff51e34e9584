import { InvalidInputError } from '../kernel/errors.ts'

/** One statement with its values, in the form that `pg` takes. */
export interface PostgresQuery {
  /** The statement. */
  readonly text: string
  /** What stands for $1, $2 … */
  readonly values: unknown[]
  /** The name under which the connection keeps the statement prepared; absent = it is prepared each time. */
  readonly name?: string
}

/** A connection taken out of a pool. */
export interface PostgresClient {
  /** Runs one statement. */
  query(query: PostgresQuery): Promise<{ readonly rows: unknown[] }>
  /** Gives the connection back; with `true` the pool is to close it, because it can't be used any more. */
  release(broken?: boolean): void
  /** Where the connection tells of its failure while it is out of the pool. */
  on?(event: 'error', listener: (error: Error) => void): unknown
}

/**
 * A pool of connections. `Pool` of the package `pg` is one; `fromPglite` makes one of a PGlite database; any other driver
 * can be fitted by hand.
 */
export interface PostgresPool {
  /** Takes a connection out. */
  connect(): Promise<PostgresClient>
  /** Closes all connections; called only when the store is told to (`closePool`). */
  end?(): Promise<void>
  /** Where the pool tells of idle connections that broke. */
  on?(event: 'error', listener: (error: Error) => void): unknown
  /** Where it tells of a connection that is about to be lent. */
  on?(event: 'acquire', listener: (client: PostgresClient) => void): unknown
  /** Given by a pool over a database inside this process, which has one connection only. */
  readonly embedded?: {
    /** What acknowledged commits survive. */
    readonly survives: 'nothing' | 'process' | 'power'
  }
}

/**
 * A connection of its own for LISTEN, not yet connected. `Client` of the package `pg` is one. It must lead to the server
 * itself: a pooler that lends connections by the transaction can't pass notifications on.
 */
export interface PostgresListener {
  /** Connects. */
  connect(): Promise<unknown>
  /** Runs one statement. */
  query(text: string): Promise<unknown>
  /** Closes the connection. */
  end(): Promise<unknown>
  /** Where notifications come. */
  on(event: 'notification', listener: (message: { readonly payload?: string | undefined }) => void): unknown
  /** Where the connection tells that it failed or ended. */
  on(event: 'error' | 'end', listener: () => void): unknown
}

/** @throws InvalidInputError for what is no pool */
export function checkPool(pool: PostgresPool): void {
  if (typeof pool?.connect === 'function') return
  throw new InvalidInputError('pool', 'is not a pool of connections', 'pass a Pool of pg, or fromPglite(db)')
}

/** Pools and connections that are listened to. */
const heard = new WeakSet<object>()

/**
 * An idle connection that breaks concerns nobody; without a listener it would end the process. So it would where a
 * connection is broken off in the very message by which it becomes free: the pool has stopped listening then, and who asked
 * for it hasn't begun.
 */
export function listenForErrors(pool: PostgresPool): void {
  if (heard.has(pool)) return
  heard.add(pool)
  pool.on?.('error', ignore)
  pool.on?.('acquire', listenToClient)
}

/** What a connection tells of its failure while it is lent is told by what was asked of it too. */
export function listenToClient(client: PostgresClient): void {
  if (heard.has(client)) return
  heard.add(client)
  client.on?.('error', ignore)
}

function ignore(): void {}
