import { LimiterUnavailableError } from '../access/limiter-error.ts'
import type { RateLimiter, Reservation } from '../access/rate-limiter.ts'
import { type LevelsAnswer, type LevelsRequest, SharedLimits } from '../access/shared-limits.ts'
import { type Clock, systemClock } from '../kernel/clock.ts'
import { type Duration, parseDuration } from '../kernel/duration.ts'
import { InvalidInputError } from '../kernel/errors.ts'
import { checkFields } from '../kernel/fields.ts'
import { type Random, systemRandom } from '../kernel/random.ts'
import { StoreUnavailableError } from '../stores/errors.ts'
import type { RateLimit } from '../tokens/policy.ts'
import { Connections } from './connections.ts'
import { sqlState, storeErrorOf } from './engine-errors.ts'
import { namesOf } from './names.ts'
import { checkPool, listenForErrors, type PostgresPool } from './pool.ts'
import { type Statements, statementsOf } from './statements.ts'
import { isStorable, toStored } from './storable-text.ts'

/** How a {@link PostgresRateLimiter} is made. */
export interface PostgresRateLimiterOptions {
  /** The host's pool: `Pool` of `pg`, or `fromPglite(db)`. The store's own will do. It gets a listener for errors of idle connections. */
  readonly pool: PostgresPool
  /** As the store has it. Default `tokenwright`. */
  readonly schema?: string | undefined
  /** As the store has it. Default none. */
  readonly prefix?: string | undefined
  /** Whether the statement is prepared under a name; off for poolers that lend connections by the transaction and don't know of prepared statements. Default true. */
  readonly statementNames?: boolean | undefined
  /** How long an answer is waited for, the wait for a connection included. 1 ms to 60 s. Default 500 ms. */
  readonly timeout?: Duration | undefined
  /** Measures the timeout. Default: the system's. */
  readonly clock?: Clock | undefined
  /** Spreads retries. Default: the system's. */
  readonly random?: Random | undefined
}

const OPTIONS: readonly string[] = ['pool', 'schema', 'prefix', 'statementNames', 'timeout', 'clock', 'random']

/** The server gives up before we do: so nothing is taken for somebody who has gone, and the connection stays whole. */
const LOCK_SHARE = 0.75

/** What the function answers: whether it was granted, and the levels. */
const ANSWER = /^([01]):([0-9.e+,]+)$/

/**
 * Rate limits that all instances share, in PostgreSQL, for those without Redis: all limits of a call in one round trip, by
 * one function in the database and by the server's time, with the arithmetic of `LocalRateLimiter`. A token's state is one
 * row of an unlogged table beside the store's, and goes some time after its buckets are full again. After a crash of the
 * server the buckets are full. The store's `migrate()` makes the table.
 *
 * @example
 * ```ts
 * const store = await PostgresTokenStore.open({ pool })
 * const tokens = new Tokenwright({ store, limiter: new PostgresRateLimiter({ pool }), keys })
 * ```
 */
export class PostgresRateLimiter implements RateLimiter {
  readonly #connections: Connections
  readonly #sql: Statements
  readonly #store: string
  /** How long the server waits for a row that others hold, ms. */
  readonly #lockWait: number
  readonly #limits = new SharedLimits((request) => this.#ask(request))

  /**
   * @param options - the pool, and what is to differ from the defaults
   * @throws InvalidInputError for an option that can't be used
   */
  constructor(options: PostgresRateLimiterOptions) {
    checkFields('options', options, OPTIONS)
    const { pool, statementNames, clock = systemClock(), random = systemRandom() } = options
    checkPool(pool)
    const names = namesOf(options.schema ?? 'tokenwright', options.prefix ?? '')
    const timeout = parseDuration('timeout', options.timeout ?? 500, { min: 1, max: 60_000 })
    const mark = statementNames === false ? undefined : names.mark
    this.#store = names.store
    this.#sql = statementsOf(names)
    this.#lockWait = Math.max(1, Math.floor(timeout * LOCK_SHARE))
    this.#connections = new Connections({
      pool,
      clock,
      random,
      store: names.store,
      mark,
      timeout,
      connectTimeout: timeout,
    })
    listenForErrors(pool)
  }

  /**
   * Reserves `cost` units of every limit, or of none.
   *
   * @throws LimiterUnavailableError when the server doesn't answer in time; StoreError `ERR_STORE_NOT_MIGRATED`
   * @throws InvalidInputError when `cost` is not a whole number from 0
   */
  reserve(key: string, limits: readonly RateLimit[], cost: number): Promise<Reservation> {
    return this.#limits.reserve(key, limits, cost, true)
  }

  /**
   * Answers as {@link PostgresRateLimiter.reserve} would, and takes nothing.
   *
   * @throws LimiterUnavailableError when the server doesn't answer in time; StoreError `ERR_STORE_NOT_MIGRATED`
   * @throws InvalidInputError when `cost` is not a whole number from 0
   */
  check(key: string, limits: readonly RateLimit[], cost: number): Promise<Reservation> {
    return this.#limits.reserve(key, limits, cost, false)
  }

  /**
   * Gives a granted reservation back. Again, or for a refused one: nothing happens.
   *
   * @throws LimiterUnavailableError when the server doesn't answer in time
   */
  giveBack(reservation: Reservation): Promise<void> {
    return this.#limits.giveBack(reservation)
  }

  async #ask({ key, gauges, cost, take }: LevelsRequest): Promise<LevelsAnswer> {
    if (!isStorable(key)) throw new InvalidInputError('key', 'is not well-formed Unicode', 'give the id of a token')
    const names = gauges.map(({ limit }) => limit.name).join(',')
    const numbers = gauges.map(({ unit, drain, capacity, slack }) => `${unit},${drain},${capacity},${slack}`).join(',')
    const values = [toStored(key), cost, take, `{${names}}`, `{${numbers}}`, this.#lockWait]
    let answer: string | undefined
    try {
      const [row] = await this.#connections.run<{ answer: string }>(this.#sql.reserve, values, 'reserve units in')
      answer = row?.answer
    } catch (error) {
      throw limiterErrorOf(error, this.#store)
    }
    const [, granted, levels] = ANSWER.exec(answer ?? '') ?? []
    if (granted === undefined || levels === undefined) {
      throw new LimiterUnavailableError(`${this.#store} gave an answer of another shape`, 'protocol')
    }
    return { granted: granted === '1', levels: levels.split(',').map(Number) }
  }
}

/** A limiter that doesn't answer is one thing, one that nobody has migrated another: waiting doesn't help there. */
function limiterErrorOf(error: unknown, store: string): Error {
  const told = storeErrorOf(error, store, 'reserve units in')
  if ('code' in told && told.code === 'ERR_STORE_NOT_MIGRATED') return told
  const code = told instanceof StoreUnavailableError ? told.engineCode : sqlState(error)
  return new LimiterUnavailableError(`units can't be reserved in ${store}`, code ?? 'timeout')
}
