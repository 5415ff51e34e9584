import { LimiterUnavailableError } from '../access/limiter-error.ts'
import type { RateLimiter, Reservation } from '../access/rate-limiter.ts'
import { type LevelsAnswer, type LevelsRequest, SharedLimits } from '../access/shared-limits.ts'
import { type Clock, systemClock } from '../kernel/clock.ts'
import { type Duration, parseDuration } from '../kernel/duration.ts'
import { codeOf, InvalidInputError } from '../kernel/errors.ts'
import { checkFields } from '../kernel/fields.ts'
import type { RateLimit } from '../tokens/policy.ts'
import { LIMIT_SCRIPT } from './limit-script.ts'
import type { RedisClient } from './redis-client.ts'

/** How a {@link RedisRateLimiter} is made. */
export interface RedisRateLimiterOptions {
  /** From `fromNodeRedis` or `fromIoredis`. */
  readonly client: RedisClient
  /** What keys begin with. At most 64 characters without braces. Default `tokenwright:limit:`. */
  readonly prefix?: string | undefined
  /** How long an answer is waited for. 1 ms to 60 s. Default 500 ms. */
  readonly timeout?: Duration | undefined
  /** Whether `close()` ends the client too. Default false. */
  readonly closeClient?: boolean | undefined
  /** Measures the timeout. Default: the system's. */
  readonly clock?: Clock | undefined
}

/**
 * Rate limits that all instances share, in Redis: all limits of a call in one round trip, by one script and by the
 * server's time, with the arithmetic of `LocalRateLimiter`. A token's state is one key, in one slot of a cluster, and
 * goes when its buckets are full again. Redis holds no tokens; when it loses its data, buckets are full.
 *
 * @example
 * ```ts
 * const limiter = new RedisRateLimiter({ client: fromNodeRedis(await createClient().connect()) })
 * const tokens = new Tokenwright({ store, keys, limiter, failMode: { limiter: 'local' } })
 * ```
 */
export class RedisRateLimiter implements RateLimiter {
  readonly #client: RedisClient
  readonly #prefix: string
  readonly #timeout: number
  readonly #closeClient: boolean
  readonly #clock: Clock
  readonly #limits = new SharedLimits((request) => this.#ask(request))

  /**
   * @param options - the client, and what is to differ from the defaults
   * @throws InvalidInputError for a client that is none, a prefix with braces, or an unknown option
   */
  constructor(options: RedisRateLimiterOptions) {
    checkFields('options', options, ['client', 'prefix', 'timeout', 'closeClient', 'clock'])
    const { client, prefix = 'tokenwright:limit:' } = options
    if (typeof client?.evalSha !== 'function') {
      throw new InvalidInputError('client', 'is not a RedisClient', 'make one with fromNodeRedis or fromIoredis')
    }
    if (typeof prefix !== 'string' || prefix.length > 64 || /[{}]/.test(prefix)) {
      throw new InvalidInputError(
        'prefix',
        'must be at most 64 characters without braces',
        'leave it out for the default',
      )
    }
    this.#client = client
    this.#prefix = prefix
    this.#timeout = parseDuration('timeout', options.timeout ?? 500, { min: 1, max: 60_000 })
    this.#closeClient = options.closeClient === true
    this.#clock = options.clock ?? systemClock()
  }

  /**
   * Reserves `cost` units of every limit, or of none.
   *
   * @throws LimiterUnavailableError when Redis doesn't answer in time
   * @throws InvalidInputError when `cost` is not a whole number from 0
   */
  reserve(key: string, limits: readonly RateLimit[], cost: number): Promise<Reservation> {
    return this.#limits.reserve(key, limits, cost, true)
  }

  /**
   * Answers as {@link RedisRateLimiter.reserve} would, and takes nothing.
   *
   * @throws LimiterUnavailableError when Redis doesn't answer in time
   * @throws InvalidInputError when `cost` is not a whole number from 0
   */
  check(key: string, limits: readonly RateLimit[], cost: number): Promise<Reservation> {
    return this.#limits.reserve(key, limits, cost, false)
  }

  /**
   * Gives a granted reservation back. Again, or for a refused one: nothing happens.
   *
   * @throws LimiterUnavailableError when Redis doesn't answer in time
   */
  giveBack(reservation: Reservation): Promise<void> {
    return this.#limits.giveBack(reservation)
  }

  /** Ends the client, if the limiter was made with `closeClient`. */
  async close(): Promise<void> {
    if (this.#closeClient) await this.#client.close?.()
  }

  async #ask({ key, gauges, cost, take }: LevelsRequest): Promise<LevelsAnswer> {
    const args = [String(cost), take ? '1' : '0']
    for (const { limit, unit, drain, capacity, slack } of gauges) {
      args.push(limit.name, String(unit), String(drain), String(capacity), String(slack))
    }
    const answer = await this.#within(this.#evaluate([`${this.#prefix}{${key}}`], args))
    if (!Array.isArray(answer) || answer.length !== gauges.length + 1) {
      throw new LimiterUnavailableError('Redis gave an answer of another shape', 'protocol')
    }
    const [granted, ...levels] = answer.map(String)
    return { granted: granted === '1', levels: levels.map(Number) }
  }

  async #evaluate(keys: readonly string[], args: readonly string[]): Promise<unknown> {
    try {
      return await this.#client.evalSha(LIMIT_SCRIPT.sha, keys, args)
    } catch (error) {
      // A fresh server, or one whose scripts were flushed: sent whole, it knows the script again.
      if (!(error instanceof Error) || !error.message.startsWith('NOSCRIPT')) throw error
      return this.#client.eval(LIMIT_SCRIPT.text, keys, args)
    }
  }

  /** The answer, or an error of ours: a client that waits for its server would hold up every verification. */
  #within(answer: Promise<unknown>): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const timer = this.#clock.setTimer(this.#timeout, () => {
        reject(new LimiterUnavailableError(`Redis didn't answer within ${this.#timeout} ms`, 'timeout'))
      })
      answer
        .then(resolve, (error: unknown) => {
          reject(new LimiterUnavailableError("Redis can't be asked", redisCodeOf(error)))
        })
        .finally(() => timer.cancel())
    })
  }
}

/** The code of a failure: a server that refuses says it as the first word of its message, such as CLUSTERDOWN. */
function redisCodeOf(error: unknown): string {
  const said = error instanceof Error ? /^[A-Z]{3,16}(?= )/.exec(error.message)?.[0] : undefined
  return said ?? codeOf(error)
}
