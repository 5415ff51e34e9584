import { Redis } from 'ioredis'
import { createClient } from 'redis'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { parseRateLimits } from '../../src/access/rate-limits.ts'
import { generateSecret, LimiterUnavailableError, MemoryTokenStore, type TokenStore } from '../../src/index.ts'
import { fromIoredis, fromNodeRedis, type RedisClient, RedisRateLimiter, withRedis } from '../../src/redis/index.ts'
import { freshKey } from '../access/shared-limiter-suite.ts'
import { FaultyProxy } from '../faulty-proxy.ts'
import { setUp } from '../issuing/fixture.ts'
import { type OwnServer, ownRedis, REDIS_SERVER } from '../own-server.ts'

/** A connected client, and the way to let go of it. */
interface Connected {
  readonly client: RedisClient
  readonly destroy: () => void
}

const CLIENTS: readonly [string, (port: number) => Promise<Connected>][] = [
  [
    'node-redis',
    async (port) => {
      const socket = { port, host: '127.0.0.1', reconnectStrategy: () => 50 }
      const node = createClient({ socket })
      node.on('error', () => {})
      await node.connect()
      return { client: fromNodeRedis(node), destroy: () => node.destroy() }
    },
  ],
  [
    'ioredis',
    async (port) => {
      // As docs/several-instances.md says: by itself this client sends again what had no answer.
      const options = { lazyConnect: true, retryStrategy: () => 50, autoResendUnfulfilledCommands: false }
      const io = new Redis(port, '127.0.0.1', options)
      io.on('error', () => {})
      await io.connect()
      return { client: fromIoredis(io), destroy: () => io.disconnect() }
    },
  ],
]

describe.runIf(REDIS_SERVER !== undefined).each(CLIENTS)(
  'Redis is stopped, started, slow or silent, over %s',
  (_, connect) => {
    let server: OwnServer
    let proxy: FaultyProxy
    const connected: Connected[] = []
    const open = async (port = server.port) => {
      const one = await connect(port)
      connected.push(one)
      return one.client
    }
    const limits = parseRateLimits('rateLimit', { limit: 10, per: '1d' })
    const left = async (limiter: RedisRateLimiter, key: string) =>
      (await limiter.check(key, limits, 0)).states()[0]?.remaining

    beforeAll(async () => {
      server = await ownRedis()
    })
    beforeEach(async () => {
      proxy = await FaultyProxy.start({ host: '127.0.0.1', port: server.port })
    })
    afterEach(async () => {
      for (const { destroy } of connected.splice(0)) destroy()
      await proxy.stop()
    })
    afterAll(() => server.remove())

    it('goes on after a flush of the scripts', async () => {
      const limiter = new RedisRateLimiter({ client: await open() })
      const admin = createClient({ socket: { port: server.port, host: '127.0.0.1' } })
      await admin.connect()
      const key = freshKey()
      for (let n = 1; n <= 3; n++) {
        expect((await limiter.reserve(key, limits, 1)).granted).toBe(true)
        await admin.scriptFlush()
        expect(await left(limiter, key)).toBe(10 - n)
      }
      admin.destroy()
    })

    it('while it is down the fail mode decides, with an event; when it is back it is used again', async () => {
      const limiter = new RedisRateLimiter({ client: await open(), timeout: 150 })
      for (const [mode, passed] of [
        ['closed', 0],
        ['local', 2],
        ['open', 4],
      ] as const) {
        const { tokens, events } = setUp({ limiter, failMode: { limiter: mode } })
        const { token } = await tokens.generate({ service: 'A', rateLimit: { limit: 2, per: '1d' } })
        expect((await tokens.verify(token)).ok).toBe(true)
        await server.stop()
        const answers = await Promise.all(Array.from({ length: 4 }, () => tokens.verify(token)))
        expect(answers.filter((answer) => answer.ok)).toHaveLength(passed)
        const told = events.events.filter(({ name }) => name === 'limiter.failed').map(({ payload }) => payload)
        expect(told).toHaveLength(4)
        expect(told[0]).toMatchObject({ code: 'ERR_LIMITER_UNAVAILABLE', mode })
        await server.start()
        await expect
          .poll(() =>
            limiter.check('x', limits, 0).then(
              () => 'back',
              () => 'away',
            ),
          )
          .toBe('back')
        // A server that has lost its data has full buckets; what the client had kept to itself it sends now.
        const codes = []
        for (let n = 0; n < 3; n++) codes.push((await tokens.verify(token)).ok)
        expect(codes.at(-1)).toBe(false)
        expect(events.names().filter((name) => name === 'limiter.failed')).toHaveLength(4)
      }
    }, 30_000)

    it('an answer that is cut off or too late is told, and the reservation is not made twice', async () => {
      const client = await open(proxy.port)
      const limiter = new RedisRateLimiter({ client, timeout: 200 })
      const key = freshKey()
      expect((await limiter.reserve(key, limits, 1)).granted).toBe(true)
      proxy.delay = 400
      const from = performance.now()
      await expect(limiter.reserve(key, limits, 2)).rejects.toThrow(LimiterUnavailableError)
      expect(performance.now() - from).toBeLessThan(390)
      proxy.delay = 0
      proxy.blackhole = true
      await expect(limiter.reserve(key, limits, 4)).rejects.toMatchObject({ engineCode: 'timeout' })
      proxy.blackhole = false
      proxy.cutAll()
      const direct = new RedisRateLimiter({ client: await open() })
      await expect.poll(() => left(limiter, key).catch(() => 'away')).toBeTypeOf('number')
      // The late one was made, the swallowed one not, and neither was asked again.
      expect(await left(direct, key)).toBe(7)
    })

    it('who listens hears again when it is back, and what was missed is read', async () => {
      const shared = new MemoryTokenStore()
      const remote = (): TokenStore =>
        new Proxy(shared as TokenStore, {
          get(target, name) {
            if (name === 'cell' || name === 'watch') return undefined
            // Both have it, and either may be the last.
            if (name === 'close') return () => {}
            const value: unknown = Reflect.get(target, name, target)
            return typeof value === 'function'
              ? async (...args: unknown[]) => value.apply(target, args) as unknown
              : value
          },
        })
      const keys = generateSecret()
      const door = async () => {
        const { limiter, channel } = withRedis({ client: await open() })
        return setUp({ store: remote(), keys, maxStaleness: '1h', limiter, channel }).tokens
      }
      const [here, there] = [await door(), await door()]
      const admin = createClient({ socket: { port: server.port, host: '127.0.0.1', reconnectStrategy: () => 50 } })
      admin.on('error', () => {})
      await admin.connect()
      const name = 'tokenwright:changes'
      const listeners = async () => Number((await admin.pubSubNumSub(name))[name])
      await expect.poll(listeners).toBe(2)
      const texts = await Promise.all(['A', 'B'].map(async (service) => (await here.generate({ service })).token))
      const codeOf = async (text: string | undefined) => {
        const answer = await there.verify(text)
        return answer.ok ? 'ok' : answer.code
      }
      for (const text of texts) await expect.poll(() => codeOf(text)).toBe('ok')
      await server.stop()
      // A change while nobody can be told of it: the loss of the connection says that something may have been missed.
      await here.revoke('A')
      await expect.poll(() => codeOf(texts[0])).toBe('revoked')
      await server.start()
      await expect.poll(listeners, { timeout: 10_000 }).toBe(2)
      expect(await codeOf(texts[1])).toBe('ok')
      await here.revoke('B')
      await expect.poll(() => codeOf(texts[1]), { timeout: 1000, interval: 10 }).toBe('revoked')
      admin.destroy()
      await here.close()
      await there.close()
    }, 30_000)
  },
)
