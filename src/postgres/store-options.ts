import { type Clock, systemClock } from '../kernel/clock.ts'
import { type Duration, parseDuration } from '../kernel/duration.ts'
import { InvalidInputError } from '../kernel/errors.ts'
import { checkFields } from '../kernel/fields.ts'
import { type Random, systemRandom } from '../kernel/random.ts'
import { type Names, namesOf } from './names.ts'
import { checkPool, type PostgresListener, type PostgresPool } from './pool.ts'

/** How a `PostgresTokenStore` is made. */
export interface PostgresTokenStoreOptions {
  /** The host's pool: `Pool` of `pg`, or `fromPglite(db)`. Two connections at least, and it gets a listener for errors of idle ones. */
  readonly pool: PostgresPool
  /** The schema that the tables are in; `migrate()` makes it. Default `tokenwright`. */
  readonly schema?: string | undefined
  /** What the names in the schema begin with, for several stores in one. Default none. */
  readonly prefix?: string | undefined
  /**
   * Makes a connection for LISTEN, straight to the server: `() => new pg.Client(...)`. With it, watchers hear of other
   * instances' changes as they are committed; without, only of this instance's. Default none.
   */
  readonly listen?: (() => PostgresListener | Promise<PostgresListener>) | undefined
  /** Whether commits notify those who listen; it has to be on in every instance if it is in one that listens. Default: whether `listen` is given. */
  readonly notify?: boolean | undefined
  /** Whether statements are prepared under names; off for poolers that lend connections by the transaction and don't know of prepared statements. Default true. */
  readonly statementNames?: boolean | undefined
  /** How long a call may take, repetitions included. Default `'10s'`. */
  readonly timeout?: Duration | undefined
  /** How long a connection of the pool is waited for. Default `'5s'`. */
  readonly connectTimeout?: Duration | undefined
  /** Whether `close()` ends the pool too. Default false. */
  readonly closePool?: boolean | undefined
  /** Sets the timers. What instances must agree on is told by the server's clock. Default: the system's. */
  readonly clock?: Clock | undefined
  /** Spreads retries, and makes the names of callers. Default: the system's. */
  readonly random?: Random | undefined
}

const OPTIONS: readonly string[] = [
  'pool',
  'schema',
  'prefix',
  'listen',
  'notify',
  'statementNames',
  'timeout',
  'connectTimeout',
  'closePool',
  'clock',
  'random',
]

/** The options, checked and complete. */
export interface CheckedOptions {
  readonly pool: PostgresPool
  readonly names: Names
  readonly listen: PostgresTokenStoreOptions['listen']
  readonly notify: boolean
  readonly statementNames: boolean
  readonly timeout: number
  readonly connectTimeout: number
  readonly closePool: boolean
  readonly clock: Clock
  readonly random: Random
}

/**
 * Checks a store's options and fills in their defaults.
 *
 * @throws InvalidInputError for one that can't be used
 */
export function checkOptions(options: PostgresTokenStoreOptions): CheckedOptions {
  checkFields('options', options, OPTIONS)
  const { pool, listen } = options
  checkPool(pool)
  if (listen !== undefined && typeof listen !== 'function') {
    throw new InvalidInputError('listen', 'is not a function', 'write () => new pg.Client(…)')
  }
  return {
    pool,
    names: namesOf(options.schema ?? 'tokenwright', options.prefix ?? ''),
    listen,
    notify: options.notify ?? listen !== undefined,
    statementNames: options.statementNames !== false,
    timeout: parseDuration('timeout', options.timeout ?? '10s'),
    connectTimeout: parseDuration('connectTimeout', options.connectTimeout ?? '5s'),
    closePool: options.closePool === true,
    clock: options.clock ?? systemClock(),
    random: options.random ?? systemRandom(),
  }
}
