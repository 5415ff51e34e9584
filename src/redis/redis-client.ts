/** What of a Redis client is used. `fromNodeRedis` and `fromIoredis` make one of the usual clients; any other can be fitted by hand. */
export interface RedisClient {
  /** EVALSHA. Rejects with an error whose message begins with `NOSCRIPT` when the server doesn't know the script. */
  evalSha(sha: string, keys: readonly string[], args: readonly string[]): Promise<unknown>
  /** EVAL. */
  eval(script: string, keys: readonly string[], args: readonly string[]): Promise<unknown>
  /** PUBLISH. */
  publish(channel: string, message: string): Promise<unknown>
  /**
   * SUBSCRIBE, on a connection of its own.
   *
   * @param onLost - told when messages may have been missed: the connection broke
   * @returns the way to stop
   */
  subscribe(channel: string, onMessage: (message: string) => void, onLost: () => void): Promise<() => Promise<void>>
  /** Ends the connection; called only by a limiter that is told to (`closeClient`). */
  close?(): Promise<void>
}

/** What of a client of the package `redis` (node-redis 4 and later) is used. */
export interface NodeRedisLike {
  /** EVALSHA. */
  evalSha(sha: string, options: { keys: string[]; arguments: string[] }): Promise<unknown>
  /** EVAL. */
  eval(script: string, options: { keys: string[]; arguments: string[] }): Promise<unknown>
  /** PUBLISH. */
  publish(channel: string, message: string): Promise<unknown>
  /** A client like this one, on a connection of its own. */
  duplicate(): NodeRedisSubscriber
  /** Ends the connection once what was asked is answered. Its name in version 4 is `quit`. */
  close?(): unknown
  /** The name of `close` in version 4. */
  quit?(): unknown
}

/** A second connection of node-redis, for subscriptions. */
export interface NodeRedisSubscriber {
  /** Connects. */
  connect(): Promise<unknown>
  /** SUBSCRIBE. */
  subscribe(channel: string, listener: (message: string) => void): Promise<unknown>
  /** Listens for failures of the connection. */
  on(event: 'error' | 'reconnecting', listener: () => void): unknown
  /** Ends the connection. Its name in version 4 is `disconnect`. */
  destroy?(): unknown
  /** The name of `destroy` in version 4. */
  disconnect?(): unknown
}

/**
 * A {@link RedisClient} of a connected client of the package `redis`.
 *
 * @example
 * ```ts
 * const client = await createClient({ url: process.env.REDIS_URL }).connect()
 * const limiter = new RedisRateLimiter({ client: fromNodeRedis(client) })
 * ```
 */
export function fromNodeRedis(client: NodeRedisLike): RedisClient {
  return {
    evalSha: (sha, keys, args) => client.evalSha(sha, { keys: [...keys], arguments: [...args] }),
    eval: (script, keys, args) => client.eval(script, { keys: [...keys], arguments: [...args] }),
    publish: (channel, message) => client.publish(channel, message),
    subscribe: async (channel, onMessage, onLost) => {
      const subscriber = client.duplicate()
      // A client without an error listener would crash the process.
      subscriber.on('error', onLost)
      subscriber.on('reconnecting', onLost)
      await subscriber.connect()
      await subscriber.subscribe(channel, onMessage)
      return async () => {
        await (subscriber.destroy === undefined ? subscriber.disconnect?.() : subscriber.destroy())
      }
    },
    close: async () => {
      await (client.close === undefined ? client.quit?.() : client.close())
    },
  }
}

/** What of a client of the package `ioredis` is used. */
export interface IoredisLike {
  /** EVALSHA. */
  evalsha(sha: string, keyCount: number, ...keysAndArgs: string[]): Promise<unknown>
  /** EVAL. */
  eval(script: string, keyCount: number, ...keysAndArgs: string[]): Promise<unknown>
  /** PUBLISH. */
  publish(channel: string, message: string): Promise<unknown>
  /** A client like this one, on a connection of its own. */
  duplicate(): IoredisSubscriber
  /** Ends the connection once what was asked is answered. */
  quit(): Promise<unknown>
}

/** A second connection of ioredis, for subscriptions. */
export interface IoredisSubscriber {
  /** SUBSCRIBE. */
  subscribe(channel: string): Promise<unknown>
  /** Listens for messages of all channels. */
  on(event: 'message', listener: (channel: string, message: string) => void): unknown
  /** Listens for failures of the connection. */
  on(event: 'error' | 'close', listener: () => void): unknown
  /** Ends the connection. */
  disconnect(): void
}

/** A {@link RedisClient} of a client of the package `ioredis`. */
export function fromIoredis(client: IoredisLike): RedisClient {
  return {
    evalSha: (sha, keys, args) => client.evalsha(sha, keys.length, ...keys, ...args),
    eval: (script, keys, args) => client.eval(script, keys.length, ...keys, ...args),
    publish: (channel, message) => client.publish(channel, message),
    subscribe: async (channel, onMessage, onLost) => {
      const subscriber = client.duplicate()
      subscriber.on('error', onLost)
      subscriber.on('close', onLost)
      subscriber.on('message', (from, message) => {
        if (from === channel) onMessage(message)
      })
      await subscriber.subscribe(channel)
      return async () => subscriber.disconnect()
    },
    close: async () => {
      await client.quit()
    },
  }
}
