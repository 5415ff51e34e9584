import type { Clock } from '../kernel/clock.ts'
import type { Duration } from '../kernel/duration.ts'
import { checkFields } from '../kernel/fields.ts'
import { RedisChangeChannel } from './redis-change-channel.ts'
import type { RedisClient } from './redis-client.ts'
import { RedisRateLimiter } from './redis-rate-limiter.ts'

/** How {@link withRedis} makes its two parts. */
export interface WithRedisOptions {
  /** From `fromNodeRedis` or `fromIoredis`. */
  readonly client: RedisClient
  /** What the keys of the limits begin with. Default `tokenwright:limit:`. */
  readonly prefix?: string | undefined
  /** The pub/sub channel for changes. Default `tokenwright:changes`. */
  readonly channel?: string | undefined
  /** How long the limiter waits for an answer. 1 ms to 60 s. Default 500 ms. */
  readonly timeout?: Duration | undefined
  /** Whether `close()` of the front door ends the client. Default false. */
  readonly closeClient?: boolean | undefined
  /** Measures the timeout. Default: the system's. */
  readonly clock?: Clock | undefined
}

/** What {@link withRedis} gives: two options of the front door. */
export interface WithRedis {
  /** The option `limiter`. */
  readonly limiter: RedisRateLimiter
  /** The option `channel`. */
  readonly channel: RedisChangeChannel
}

/**
 * What several instances share in Redis, as options of the front door: rate limits, and word of what was changed.
 *
 * @param options - the client, and what is to differ from the defaults
 * @throws InvalidInputError for an option that can't be used
 * @example
 * ```ts
 * const client = fromNodeRedis(await createClient({ url: process.env.REDIS_URL }).connect())
 * const tokens = new Tokenwright({ store: await PostgresTokenStore.open({ pool }), ...withRedis({ client }), keys })
 * ```
 */
export function withRedis(options: WithRedisOptions): WithRedis {
  checkFields('options', options, ['client', 'prefix', 'channel', 'timeout', 'closeClient', 'clock'])
  const { client, channel, ...limits } = options
  return { limiter: new RedisRateLimiter({ client, ...limits }), channel: new RedisChangeChannel({ client, channel }) }
}
