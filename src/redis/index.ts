/**
 * What several instances share in Redis: rate limits, and word of what was changed. Tokens stay in the store.
 *
 * @example
 * ```ts
 * import { createClient } from 'redis'
 * import { fromNodeRedis, withRedis } from 'tokenwright/redis'
 *
 * const client = fromNodeRedis(await createClient({ url: process.env.REDIS_URL }).connect())
 * const tokens = new Tokenwright({ store, ...withRedis({ client }), keys })
 * ```
 * @packageDocumentation
 */
export { RedisChangeChannel, type RedisChangeChannelOptions } from './redis-change-channel.ts'
export {
  fromIoredis,
  fromNodeRedis,
  type IoredisLike,
  type IoredisSubscriber,
  type NodeRedisLike,
  type NodeRedisSubscriber,
  type RedisClient,
} from './redis-client.ts'
export { RedisRateLimiter, type RedisRateLimiterOptions } from './redis-rate-limiter.ts'
export { type WithRedis, type WithRedisOptions, withRedis } from './with-redis.ts'
