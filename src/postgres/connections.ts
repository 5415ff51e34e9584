import type { Clock } from '../kernel/clock.ts'
import type { Random } from '../kernel/random.ts'
import { pause } from '../kernel/turn.ts'
import { StoreBusyError, StoreUnavailableError } from '../stores/errors.ts'
import { isBroken, isLostRace, sqlState, storeErrorOf } from './engine-errors.ts'
import { listenToClient, type PostgresClient, type PostgresPool, type PostgresQuery } from './pool.ts'
import type { Statement } from './statements.ts'
import { cantBeUsed, Transaction } from './transaction.ts'

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

/**
 * The host's pool, with bounds on waiting and with repetition. Every statement that goes through {@link Connections.run}
 * can be repeated: it reads, or it knows by an id or by what it compares that it was done before. One that can't says so
 * (`broken`), and is repeated only after the server undid it.
 */
export class Connections {
  readonly #options: ConnectionsOptions

  constructor(options: ConnectionsOptions) {
    this.#options = options
  }

  /**
   * Runs one statement, a transaction of its own. What the server undid for the sake of another is done again. If the
   * connection breaks before the answer comes, the statement is asked again on another one ({@link Statement.broken}): that
   * settles what became of it.
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
        const { broken } = statement
        const again =
          race || (unsettled !== undefined && broken !== 'once' && (sent ? isBroken(error) : broken === 'settle'))
        if (!again || left <= 0) {
          if (sqlState(error)?.startsWith('TW') === true) throw error
          if (unsettled === undefined || broken === undefined) throw storeErrorOf(error, store, doing)
          throw outcomeUnknown(store, doing, unsettled)
        }
        const most = Math.min(PAUSE_MS, 2 ** attempt, left)
        await pause(race ? random.float() * most : most)
      }
    }
  }

  /**
   * Begins a transaction on a connection of its own. It isn't repeated, and has to be ended.
   *
   * @param begin - the statement that begins it
   */
  async begin(begin: string, doing: string): Promise<Transaction> {
    const { clock, store, timeout } = this.#options
    const ask = async (client: PostgresClient, statement: Statement, values: unknown[]): Promise<unknown[]> => {
      const answer = client.query(this.#queryOf(statement, values))
      return (await (statement.unbounded === true ? answer : this.#bounded(answer, clock.monotonic() + timeout))).rows
    }
    try {
      const client = await this.#take(clock.monotonic() + timeout)
      const transaction = new Transaction(client, ask, store, doing)
      await transaction.run({ text: begin }, [])
      return transaction
    } catch (error) {
      throw storeErrorOf(error, store, doing)
    }
  }

  /** Runs several statements within one transaction. It isn't repeated. */
  async transaction<T>(doing: string, work: (transaction: Transaction) => Promise<T>): Promise<T> {
    const transaction = await this.begin('BEGIN', doing)
    try {
      const result = await work(transaction)
      await transaction.commit()
      return result
    } catch (error) {
      await transaction.abandon()
      throw error
    }
  }

  async #ask<R>(client: PostgresClient, statement: Statement, values: unknown[], deadline: number): Promise<R[]> {
    let broken = false
    try {
      const { rows } = await this.#bounded(client.query(this.#queryOf(statement, values)), deadline)
      return rows as R[]
    } catch (error) {
      broken = cantBeUsed(error)
      throw error
    } finally {
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
          listenToClient(client)
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
        reject(
          new StoreUnavailableError(
            `${store} gave no answer within ${Math.round(wait)} ms; what it was asked may be done all the same`,
          ),
        )
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

function outcomeUnknown(store: string, doing: string, code: string): StoreUnavailableError {
  const what = `the connection to ${store} broke while it was asked to ${doing}; whether it was done could not be found out`
  return new StoreUnavailableError(what, code)
}
