import { createServer, type Server, type Socket } from 'node:net'
import fc from 'fast-check'
import { Redis } from 'ioredis'
import { createClient } from 'redis'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { LocalRateLimiter } from '../../src/access/local-rate-limiter.ts'
import { parseRateLimits } from '../../src/access/rate-limits.ts'
import { generateSecret, InvalidInputError, MemoryTokenStore, type TokenStore } from '../../src/index.ts'
import {
  fromIoredis,
  fromNodeRedis,
  LimiterUnavailableError,
  RedisChangeChannel,
  type RedisClient,
  RedisRateLimiter,
} from '../../src/redis/index.ts'
import { fakeClock } from '../../src/testing/index.ts'
import { setUp } from '../issuing/fixture.ts'
import { hasServer } from '../real-servers.ts'

const HOST = '127.0.0.1'
const PORT = 6379
const there = await hasServer('redis', HOST, PORT)
const run = `tokenwright-test-${process.pid}`
let keys = 0
const freshKey = () => `${run}-${++keys}`

describe.runIf(there)('with a real Redis', () => {
  const node = createClient({ url: `redis://${HOST}:${PORT}` })
  const io = new Redis(PORT, HOST, { lazyConnect: true })
  const clients: [string, () => RedisClient][] = [
    ['node-redis', () => fromNodeRedis(node)],
    ['ioredis', () => fromIoredis(io)],
  ]

  beforeAll(async () => {
    await node.connect()
    await io.connect()
  })

  afterAll(async () => {
    for await (const found of node.scanIterator({ MATCH: `*${run}*`, COUNT: 1000 })) {
      for (const key of found) await node.del(key)
    }
    node.destroy()
    io.disconnect()
  })

  describe.each(clients)('RedisRateLimiter over %s', (_, client) => {
    it('lets exactly 10 of 400 parallel calls of two instances through a limit of 10', async () => {
      const limits = parseRateLimits('rateLimit', { limit: 10, per: '1h' })
      const [a, b] = [new RedisRateLimiter({ client: client() }), new RedisRateLimiter({ client: client() })]
      const key = freshKey()
      const answers = await Promise.all(Array.from({ length: 400 }, (_, i) => (i % 2 ? a : b).reserve(key, limits, 1)))
      expect(answers.filter((answer) => answer.granted)).toHaveLength(10)
      const refused = answers.find((answer) => !answer.granted)
      expect(refused?.retryAfterMs).toBeGreaterThan(359_000)
      expect(refused?.retryAfterMs).toBeLessThanOrEqual(360_000)
      expect(refused?.states()).toMatchObject([
        { name: 'default', kind: 'rate', limit: 10, per: 3_600_000, remaining: 0 },
      ])
    })

    it('takes from all limits or from none, and gives back once', async () => {
      const limits = parseRateLimits('rateLimit', [
        { limit: 5, per: '1h', name: 'hour' },
        { limit: 8, per: '1d', name: 'day' },
      ])
      const limiter = new RedisRateLimiter({ client: client() })
      const key = freshKey()
      const left = async () => (await limiter.reserve(key, limits, 0)).states().map((state) => state.remaining)
      const taken = await limiter.reserve(key, limits, 3)
      expect(taken.granted).toBe(true)
      expect((await limiter.reserve(key, limits, 3)).granted).toBe(false)
      expect(await left()).toEqual([2, 5])
      await limiter.giveBack(taken)
      await limiter.giveBack(taken)
      expect(await left()).toEqual([5, 8])
      const never = await limiter.reserve(key, limits, 6)
      expect(never).toMatchObject({ granted: false, retryAfterMs: undefined })
    })

    it('keeps the used share when a limit changes', async () => {
      const limiter = new RedisRateLimiter({ client: client() })
      const key = freshKey()
      await limiter.reserve(key, parseRateLimits('rateLimit', { limit: 10, per: '1d' }), 5)
      const [state] = (await limiter.reserve(key, parseRateLimits('rateLimit', { limit: 100, per: '1d' }), 0)).states()
      expect(state?.remaining).toBe(50)
    })

    it('goes on after a flush of the scripts', async () => {
      const limits = parseRateLimits('rateLimit', { limit: 2, per: '1h' })
      const limiter = new RedisRateLimiter({ client: client() })
      const key = freshKey()
      await limiter.reserve(key, limits, 1)
      await node.scriptFlush()
      expect((await limiter.reserve(key, limits, 1)).granted).toBe(true)
      expect((await limiter.reserve(key, limits, 1)).granted).toBe(false)
    })
  })

  it('answers as the local limiter does, whatever is asked (model, within the same millisecond)', async () => {
    const limiter = new RedisRateLimiter({ client: fromNodeRedis(node) })
    const limit = fc.record({ limit: fc.integer({ min: 1, max: 1000 }), burst: fc.integer({ min: 1, max: 50 }) })
    await fc.assert(
      fc.asyncProperty(
        fc.array(limit, { minLength: 1, maxLength: 3 }),
        fc.array(fc.integer({ min: 0, max: 20 }), { maxLength: 15 }),
        async (inputs, costs) => {
          // A window so long that nothing refills while the test runs.
          const limits = parseRateLimits(
            'rateLimit',
            inputs.map(({ limit, burst }, i) => ({ limit, burst, per: '366d' as const, name: `l${i}` })),
          )
          const local = new LocalRateLimiter({ clock: fakeClock() })
          const key = freshKey()
          for (const cost of costs) {
            const there = await limiter.reserve(key, limits, cost)
            const here = local.reserve(key, limits, cost)
            expect(there.granted).toBe(here.granted)
            expect(there.states().map((state) => state.remaining)).toEqual(
              here.states().map((state) => state.remaining),
            )
          }
        },
      ),
      { numRuns: 60 },
    )
  })

  it('refills by the time of the server, and forgets full buckets', async () => {
    const limits = parseRateLimits('rateLimit', { limit: 1000, per: 1000, burst: 100 })
    const limiter = new RedisRateLimiter({ client: fromNodeRedis(node), prefix: `${run}:` })
    expect((await limiter.reserve('refill', limits, 100)).granted).toBe(true)
    const ttl = await node.pTTL(`${run}:{refill}`)
    expect(ttl).toBeGreaterThan(1000)
    expect(ttl).toBeLessThanOrEqual(1100)
    await expect
      .poll(async () => (await limiter.reserve('refill', limits, 0)).states()[0]?.remaining, { timeout: 5000 })
      .toBe(100)
  })

  it('is one limiter behind two front doors: 100 calls, a limit of 10, exactly 10', async () => {
    const limiter = new RedisRateLimiter({ client: fromNodeRedis(node), prefix: `${run}:door:` })
    const store = new MemoryTokenStore()
    const secret = generateSecret()
    const [a, b] = [setUp({ store, keys: secret, limiter }).tokens, setUp({ store, keys: secret, limiter }).tokens]
    const { token } = await a.generate({ service: 'A', rateLimit: { limit: 10, per: '1h' }, quota: { limit: 8 } })
    const answers = await Promise.all(Array.from({ length: 100 }, (_, i) => (i % 2 ? a : b).verify(token)))
    const passed = answers.filter((answer) => answer.ok).length
    // The quota is the narrower one; what it refuses is given back to the limit.
    expect(passed).toBe(8)
    await a.update('A', { quota: null })
    const rest = await Promise.all(Array.from({ length: 20 }, () => b.verify(token)))
    expect(rest.filter((answer) => answer.ok)).toHaveLength(2)
  })

  it('a channel tells other instances at once, and forged messages do nothing', async () => {
    const shared = new MemoryTokenStore()
    const remote = (): TokenStore =>
      new Proxy(shared as TokenStore, {
        get(target, name) {
          if (name === 'cell' || name === 'watch') return undefined
          const value: unknown = Reflect.get(target, name, target)
          return typeof value === 'function'
            ? async (...args: unknown[]) => value.apply(target, args) as unknown
            : value
        },
      })
    const secret = generateSecret()
    const channel = `${run}:changes`
    const open = (client: RedisClient) =>
      setUp({ store: remote(), keys: secret, channel: new RedisChangeChannel({ client, channel }) }).tokens
    const [here, there] = [open(fromNodeRedis(node)), open(fromIoredis(io))]
    const { token } = await there.generate({ service: 'A' })
    await expect.poll(async () => Number((await node.pubSubNumSub(channel))[channel])).toBe(2)
    expect((await here.verify(token)).ok).toBe(true)
    await node.publish(channel, 'garbage')
    await node.publish(channel, `token\n${'x'.repeat(5000)}`)
    await there.revoke('A')
    await expect.poll(async () => (await here.verify(token)).ok, { timeout: 1000, interval: 20 }).toBe(false)
    await here.close()
    await there.close()
    await expect.poll(async () => Number((await node.pubSubNumSub(channel))[channel])).toBe(0)
  })
})

describe('without an answer', () => {
  const limits = parseRateLimits('rateLimit', { limit: 2, per: '1h' })

  it('is bounded in time, and the fail mode decides', async () => {
    // A server that takes connections and says nothing.
    const sockets = new Set<Socket>()
    const server: Server = createServer((socket) => void sockets.add(socket))
    await new Promise<void>((resolve) => server.listen(0, HOST, resolve))
    const { port } = server.address() as { port: number }
    const io = new Redis(port, HOST, { lazyConnect: true, enableReadyCheck: false, retryStrategy: () => null })
    io.on('error', () => {})
    io.connect().catch(() => {})
    const limiter = new RedisRateLimiter({ client: fromIoredis(io), timeout: 50 })
    await expect(limiter.reserve('k', limits, 1)).rejects.toThrow(LimiterUnavailableError)
    for (const [mode, passed] of [
      ['closed', 0],
      ['local', 2],
      ['open', 4],
    ] as const) {
      const { tokens, events } = setUp({ limiter, failMode: { limiter: mode } })
      const { token } = await tokens.generate({ service: 'A', rateLimit: { limit: 2, per: '1h' } })
      const answers = await Promise.all(Array.from({ length: 4 }, () => tokens.verify(token)))
      expect(answers.filter((answer) => answer.ok)).toHaveLength(passed)
      expect(events.names()).toContain('limiter.failed')
    }
    io.disconnect()
    for (const socket of sockets) socket.destroy()
    server.close()
  })

  it('tells the code and no address of what went wrong', async () => {
    const refuse = () =>
      Promise.reject(Object.assign(new Error('connect redis://user:secret@host'), { code: 'ECONNREFUSED' }))
    const client: RedisClient = { evalSha: refuse, eval: refuse, publish: refuse, subscribe: refuse }
    const error: unknown = await new RedisRateLimiter({ client })
      .reserve('k', limits, 1)
      .catch((caught: unknown) => caught)
    expect(error).toMatchObject({ code: 'ERR_LIMITER_UNAVAILABLE', engineCode: 'ECONNREFUSED', retryable: true })
    expect(String(error)).not.toContain('secret')
    const { tokens, events } = setUp({
      store: new Proxy(new MemoryTokenStore() as TokenStore, {
        get(target, name) {
          if (name === 'cell') return undefined
          const value: unknown = Reflect.get(target, name, target)
          return typeof value === 'function' ? value.bind(target) : value
        },
      }),
      channel: new RedisChangeChannel({ client }),
    })
    await tokens.generate({ service: 'A' })
    await new Promise((resolve) => setImmediate(resolve))
    expect(events.names().filter((name) => name === 'channel.failed')).toHaveLength(2)
  })

  it('refuses what can not work', () => {
    const client = {
      evalSha: async () => [],
      eval: async () => [],
      publish: async () => 0,
      subscribe: async () => async () => {},
    }
    expect(() => new RedisRateLimiter({ client: {} as RedisClient })).toThrow(InvalidInputError)
    expect(() => new RedisRateLimiter({ client, prefix: '{a}' })).toThrow(InvalidInputError)
    expect(() => new RedisRateLimiter({ client, timeout: 0 })).toThrow(InvalidInputError)
    expect(() => new RedisChangeChannel({ client: {} as RedisClient })).toThrow(InvalidInputError)
    expect(() => new RedisChangeChannel({ client, channel: '' })).toThrow(InvalidInputError)
  })

  it('refuses an answer of another shape', async () => {
    const odd = {
      evalSha: async () => 'OK',
      eval: async () => 'OK',
      publish: async () => 0,
      subscribe: async () => async () => {},
    }
    await expect(new RedisRateLimiter({ client: odd }).reserve('k', limits, 1)).rejects.toThrow(/another shape/)
  })
})
