import { Cluster } from 'ioredis'
import { createClient, createCluster } from 'redis'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parseRateLimits } from '../../src/access/rate-limits.ts'
import {
  fromIoredis,
  fromNodeRedis,
  RedisChangeChannel,
  type RedisClient,
  RedisRateLimiter,
} from '../../src/redis/index.ts'
import type { StoreChange } from '../../src/stores/token-store.ts'
import { freshKey, sharedLimiterSuite } from '../access/shared-limiter-suite.ts'
import { ownRedisCluster, REDIS_SERVER } from '../own-server.ts'

describe.runIf(REDIS_SERVER !== undefined)('with a Redis Cluster of three', () => {
  let ports: readonly number[] = []
  let remove = async (): Promise<void> => {}
  let node: ReturnType<typeof newNode>
  let io: Cluster

  function newNode() {
    const cluster = createCluster({ rootNodes: ports.map((port) => ({ url: `redis://127.0.0.1:${port}` })) })
    return cluster.on('error', () => {})
  }

  beforeAll(async () => {
    const servers = await ownRedisCluster()
    ports = servers.ports
    remove = servers.remove
    node = newNode()
    await node.connect()
    io = new Cluster(
      ports.map((port) => ({ host: '127.0.0.1', port })),
      { lazyConnect: true },
    )
    await io.connect()
  }, 60_000)

  afterAll(async () => {
    node?.destroy()
    io?.disconnect()
    await remove()
  })

  const clients: [string, () => RedisClient][] = [
    ['node-redis', () => fromNodeRedis(node)],
    ['ioredis', () => fromIoredis(io)],
  ]

  describe.each(clients)('over %s', (_, client) => {
    sharedLimiterSuite(() => ({ open: () => new RedisRateLimiter({ client: client() }) }))

    it('all limits of a token are in one slot, and tokens are spread over the servers', async () => {
      const limiter = new RedisRateLimiter({ client: client(), prefix: 'spread:' })
      const limits = parseRateLimits('rateLimit', [
        { name: 'second', limit: 5, per: 1000 },
        { name: 'hour', limit: 3, per: '1h' },
      ])
      for (let n = 0; n < 60; n++) {
        const key = freshKey()
        const answers = await Promise.all(Array.from({ length: 5 }, () => limiter.reserve(key, limits, 1)))
        expect(answers.filter(({ granted }) => granted)).toHaveLength(3)
      }
      for (const port of ports) {
        const direct = createClient({ url: `redis://127.0.0.1:${port}` })
        await direct.connect()
        expect(await direct.dbSize()).toBeGreaterThan(5)
        direct.destroy()
      }
    })

    it('a change is told wherever in the cluster one listens', async () => {
      const heard: StoreChange[] = []
      const channel = new RedisChangeChannel({ client: client(), channel: `changes:${_}` })
      const stop = await channel.subscribe(
        (change) => heard.push(change),
        () => {},
      )
      for (const [, other] of clients) {
        await new RedisChangeChannel({ client: other(), channel: `changes:${_}` }).publish({ kind: 'token', id: 'a' })
      }
      await expect
        .poll(() => heard)
        .toEqual([
          { kind: 'token', id: 'a' },
          { kind: 'token', id: 'a' },
        ])
      await stop()
      await channel.publish({ kind: 'token', id: 'late' })
      expect(heard).toHaveLength(2)
    })
  })
})
