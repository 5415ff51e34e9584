import type { Clock } from '../kernel/clock.ts'
import type { Random } from '../kernel/random.ts'
import { pause } from '../kernel/turn.ts'
import { StoreBusyError, StoreUnavailableError } from '../stores/errors.ts'
import { isBroken, isLostRace, sqlState, storeErrorOf } from './engine-errors.ts'
import type { PostgresClient, PostgresPool, PostgresQuery } from './pool.ts'
import type { Statement } from './statements.ts'

/** How often a statement is repeated that the server undid for the sake of another. */
const RACES = 20

/** The longest pause before a statement is repeated, ms. */
const PAUSE_MS = 250

/** What {@link Connections} are made of. */
export interface ConnectionsOptions {
  readonly pool: PostgresPool
  readonly clock: Clock
  readonly random: Random
  /** How messages call the store. */
  readonly store: string
  /** What the names of prepared statements begin with; undefined = none has a name. */
  readonly mark: string | undefined
  /** How long a call may take, with all its repetitions, ms. */
  readonly timeout: number
  /** How long a connection of the pool is waited for, ms. */
  readonly connectTimeout: number
}

/** Statements one after the other within one transaction. */
export interface Session {
  /** Runs one of the store's statements. */
  run<R>(statement: Statement, values: unknown[]): Promise<R[]>
}

/**
 * The host's pool, with bounds on waiting and with repetition. Every statement that goes through {@link Connections.run}
 * can be repeated: it reads, or it knows by an id or by what it compares that it was done before.
 */
export class Connections {
  readonly #options: ConnectionsOptions

  constructor(options: ConnectionsOptions) {
    this.#options = options
  }

  /**
   * Runs one statement, a transaction of its own. What the server undid for the sake of another is done again. If the
   * connection breaks before the answer comes, the statement is asked again on another one: that settles what became of it.
   *
   * @param doing - what is done, for messages
   * @throws the errors of stores; errors of the server whose SQLSTATE is our own (`TW…`) as they are
   */
  async run<R>(statement: Statement, values: unknown[], doing: string): Promise<R[]> {
    const { clock, random, store, timeout } = this.#options
    const deadline = clock.monotonic() + timeout
    /** The code of the failure that left a statement without an answer. */
    let unsettled: string | undefined
    for (let attempt = 1; ; attempt++) {
      let sent = false
      try {
        const client = await this.#take(deadline)
        sent = true
        return await this.#ask<R>(client, statement, values, deadline)
      } catch (error) {
        const left = deadline - clock.monotonic()
        const race = sent && isLostRace(error)
        if (race && attempt >= RACES) throw new StoreBusyError(store, timeout - left)
        if (sent && isBroken(error)) unsettled = sqlState(error) ?? 'no answer'
        // A server that can't be reached is told at once, unless it has to say what became of a statement.
        const again = race || (unsettled !== undefined && (isBroken(error) || !sent))
        if (!again || left <= 0) {
          if (sqlState(error)?.startsWith('TW') === true) throw error
          throw unsettled === undefined ? storeErrorOf(error, store, doing) : outcomeUnknown(store, doing, unsettled)
        }
        const most = Math.min(PAUSE_MS, 2 ** attempt, left)
        await pause(race ? random.float() * most : most)
      }
    }
  }

  /**
   * Runs several statements within one transaction. It isn't repeated.
   *
   * @param begin - the statement that begins it
   */
  async transaction<T>(begin: string, doing: string, work: (session: Session) => Promise<T>): Promise<T> {
    const { clock, store, timeout } = this.#options
    let client: PostgresClient | undefined
    let broken = false
    const later = (): number => clock.monotonic() + timeout
    const run = async <R>(open: PostgresClient, statement: Statement, values: unknown[]): Promise<R[]> => {
      const answer = open.query(this.#queryOf(statement, values))
      const { rows } = await (statement.unbounded === true ? answer : this.#bounded(answer, later()))
      return rows as R[]
    }
    try {
      const open = await this.#take(later())
      client = open
      client.on?.('error', ignore)
      await run(open, { text: begin }, [])
      const result = await work({ run: (statement, values) => run(open, statement, values) })
      await run(open, COMMIT, [])
      return result
    } catch (error) {
      broken = cantBeUsed(error)
      if (client !== undefined && !broken) {
        await run(client, ROLLBACK, []).catch(() => {
          broken = true
        })
      }
      throw storeErrorOf(error, store, doing)
    } finally {
      client?.off?.('error', ignore)
      client?.release(broken)
    }
  }

  async #ask<R>(client: PostgresClient, statement: Statement, values: unknown[], deadline: number): Promise<R[]> {
    let broken = false
    // A connection that fails says so by an event too, which nobody else hears while it is out of the pool.
    client.on?.('error', ignore)
    try {
      const { rows } = await this.#bounded(client.query(this.#queryOf(statement, values)), deadline)
      return rows as R[]
    } catch (error) {
      broken = cantBeUsed(error)
      throw error
    } finally {
      client.off?.('error', ignore)
      client.release(broken)
    }
  }

  #queryOf({ name, text }: Statement, values: unknown[]): PostgresQuery {
    const { mark } = this.#options
    return mark === undefined || name === undefined ? { text, values } : { text, values, name: `${mark}_${name}` }
  }

  /** Takes a connection out of the pool; one that comes too late is given back. */
  #take(deadline: number): Promise<PostgresClient> {
    const { pool, clock, connectTimeout, store } = this.#options
    const wait = Math.max(0, Math.min(connectTimeout, deadline - clock.monotonic()))
    return new Promise<PostgresClient>((resolve, reject) => {
      let late = false
      const timer = clock.setTimer(wait, () => {
        late = true
        reject(new StoreUnavailableError(`no connection to ${store} came free within ${Math.round(wait)} ms`))
      })
      pool.connect().then(
        (client) => {
          timer.cancel()
          if (late) client.release()
          else resolve(client)
        },
        (error: unknown) => {
          timer.cancel()
          reject(error)
        },
      )
    })
  }

  /** The answer, or an error when none came in time. */
  #bounded<T>(answer: Promise<T>, deadline: number): Promise<T> {
    const { clock, store } = this.#options
    const wait = Math.max(0, deadline - clock.monotonic())
    return new Promise<T>((resolve, reject) => {
      const timer = clock.setTimer(wait, () => {
        reject(new StoreUnavailableError(`${store} gave no answer within ${Math.round(wait)} ms`))
      })
      answer.then(
        (value) => {
          timer.cancel()
          resolve(value)
        },
        (error: unknown) => {
          timer.cancel()
          reject(error)
        },
      )
    })
  }
}

const COMMIT: Statement = { text: 'COMMIT' }
const ROLLBACK: Statement = { text: 'ROLLBACK' }

function ignore(): void {}

/** Whether a connection is to be closed after this: it is broken, or an answer is still to come on it. */
function cantBeUsed(error: unknown): boolean {
  return isBroken(error) || error instanceof StoreUnavailableError
}

function outcomeUnknown(store: string, doing: string, code: string): StoreUnavailableError {
  const what = `the connection to ${store} broke while it was asked to ${doing}; whether it was done could not be found out`
  return new StoreUnavailableError(what, code)
}
