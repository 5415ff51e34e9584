import { type Gauge, gaugesFor, remainingUnits, untilFull, waitFor } from '../access/gcra.ts'
import type { RateLimiter, Reservation } from '../access/rate-limiter.ts'
import { type Clock, systemClock } from '../kernel/clock.ts'
import { type Duration, parseDuration } from '../kernel/duration.ts'
import { codeOf, InvalidInputError, TokenwrightError } from '../kernel/errors.ts'
import type { RateLimit } from '../tokens/policy.ts'
import type { LimitState } from '../tokens/verification.ts'
import { LIMIT_SCRIPT } from './limit-script.ts'
import type { RedisClient } from './redis-client.ts'

/** The codes of the errors that this room throws. */
export type RedisErrorCode = 'ERR_LIMITER_UNAVAILABLE'

/** The shared limiter doesn't answer, or not in time. The verifier's `failMode.limiter` decides what happens then. */
export class LimiterUnavailableError extends TokenwrightError<'ERR_LIMITER_UNAVAILABLE'> {
  /** The client's code for it, such as `ECONNREFUSED`. */
  readonly engineCode: string

  /**
   * @param what - what failed, without credentials
   * @param engineCode - the client's code
   */
  constructor(what: string, engineCode: string) {
    super('ERR_LIMITER_UNAVAILABLE', `${what} (${engineCode})`, {
      help: 'try again; if it stays so, look at the Redis server',
      retryable: true,
    })
    this.engineCode = engineCode
  }
}

/** How a {@link RedisRateLimiter} is made. */
export interface RedisRateLimiterOptions {
  /** From `fromNodeRedis` or `fromIoredis`. */
  readonly client: RedisClient
  /** What keys begin with. At most 64 characters without braces. Default `tokenwright:limit:`. */
  readonly prefix?: string | undefined
  /** How long an answer is waited for. 1 ms to 60 s. Default 500 ms. */
  readonly timeout?: Duration | undefined
  /** Measures the timeout. Default: the system's. */
  readonly clock?: Clock | undefined
}

class RedisReservation implements Reservation {
  readonly granted: boolean
  readonly key: string
  readonly limits: readonly RateLimit[]
  /** What can still be given back. */
  cost: number
  readonly #levels: readonly number[]
  readonly #asked: number

  constructor(granted: boolean, key: string, limits: readonly RateLimit[], cost: number, levels: readonly number[]) {
    this.granted = granted
    this.key = key
    this.limits = limits
    this.cost = granted ? cost : 0
    this.#asked = cost
    this.#levels = levels
  }

  get retryAfterMs(): number | undefined {
    if (this.granted) return undefined
    let longest = 0
    const gauges = gaugesFor(this.limits)
    for (let i = 0; i < gauges.length; i++) {
      const wait = waitFor(gauges[i] as Gauge, this.#levels[i] as number, this.#asked)
      if (wait === undefined) return undefined
      longest = Math.max(longest, wait)
    }
    return longest
  }

  states(): LimitState[] {
    return gaugesFor(this.limits).map((gauge, i): LimitState => {
      const level = this.#levels[i] as number
      const { name, limit, per } = gauge.limit
      return {
        name,
        kind: 'rate',
        limit,
        per,
        remaining: remainingUnits(gauge, level),
        resetMs: untilFull(gauge, level),
      }
    })
  }
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
  readonly #clock: Clock

  /**
   * @param options - the client, and what is to differ from the defaults
   * @throws InvalidInputError for a client that is none, or a prefix with braces
   */
  constructor(options: RedisRateLimiterOptions) {
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
    this.#clock = options.clock ?? systemClock()
  }

  /**
   * Reserves `cost` units of every limit, or of none.
   *
   * @throws LimiterUnavailableError when Redis doesn't answer in time
   */
  async reserve(key: string, limits: readonly RateLimit[], cost: number): Promise<Reservation> {
    const [granted, levels] = await this.#run(key, limits, cost)
    return new RedisReservation(granted, key, limits, cost, levels)
  }

  /**
   * Gives a granted reservation back. Again, or for a refused one: nothing happens.
   *
   * @throws LimiterUnavailableError when Redis doesn't answer in time
   */
  async giveBack(reservation: Reservation): Promise<void> {
    if (!(reservation instanceof RedisReservation) || reservation.cost === 0) return
    const { key, limits, cost } = reservation
    reservation.cost = 0
    await this.#run(key, limits, -cost)
  }

  async #run(key: string, limits: readonly RateLimit[], cost: number): Promise<[boolean, number[]]> {
    const args = [String(cost)]
    for (const { limit, unit, drain, capacity, slack } of gaugesFor(limits)) {
      args.push(limit.name, String(unit), String(drain), String(capacity), String(slack))
    }
    const answer = await this.#within(this.#evaluate([`${this.#prefix}{${key}}`], args))
    if (!Array.isArray(answer) || answer.length !== limits.length + 1) {
      throw new LimiterUnavailableError('Redis gave an answer of another shape', 'protocol')
    }
    const [granted, ...levels] = answer.map(String)
    return [granted === '1', levels.map(Number)]
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
          reject(new LimiterUnavailableError("Redis can't be asked", codeOf(error)))
        })
        .finally(() => timer.cancel())
    })
  }
}
