import { createServer, type Server, type Socket } from 'node:net'
import { Redis } from 'ioredis'
import { createClient } from 'redis'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parseRateLimits } from '../../src/access/rate-limits.ts'
import {
  generateSecret,
  InvalidInputError,
  LimiterUnavailableError,
  MemoryTokenStore,
  systemClock,
  type TokenStore,
  Tokenwright,
} from '../../src/index.ts'
import {
  fromIoredis,
  fromNodeRedis,
  RedisChangeChannel,
  type RedisClient,
  RedisRateLimiter,
  withRedis,
} from '../../src/redis/index.ts'
import { freshKey, sharedLimiterSuite } from '../access/shared-limiter-suite.ts'
import { setUp } from '../issuing/fixture.ts'
import { forgetKeys, REDIS, redisThere } from './server.ts'

const { host: HOST, port: PORT } = REDIS
const run = `tokenwright-test-${process.pid}`

describe.runIf(redisThere)('with a real Redis', () => {
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
    await forgetKeys(run)
    node.destroy()
    io.disconnect()
  })

  describe.each(clients)('RedisRateLimiter over %s', (_, client) => {
    sharedLimiterSuite(() => ({ open: () => new RedisRateLimiter({ client: client(), prefix: `${run}:` }) }))

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

  it.each(['jwt', 'hmac'] as const)('a revocation of a signed token travels by a channel (%s)', async (format) => {
    const shared = new MemoryTokenStore()
    const elsewhere = new Proxy(shared as TokenStore, {
      get(target, name) {
        if (name === 'cell' || name === 'watch') return undefined
        if (name === 'close') return async () => {}
        const value: unknown = Reflect.get(target, name, target)
        return typeof value === 'function' ? async (...args: unknown[]) => value.apply(target, args) as unknown : value
      },
    })
    const secret = generateSecret()
    const channel = `${run}:signed:${format}`
    const open = (client: RedisClient) =>
      setUp({
        store: elsewhere,
        keys: secret,
        clock: systemClock(),
        // Without the channel it would take an hour.
        signed: { maxStaleness: '1h' },
        channel: new RedisChangeChannel({ client, channel }),
      }).tokens
    const [here, there] = [open(fromNodeRedis(node)), open(fromIoredis(io))]
    await expect.poll(async () => Number((await node.pubSubNumSub(channel))[channel])).toBe(2)
    const delays: number[] = []
    for (let round = 0; round < 20; round++) {
      const by = round % 2 === 0 ? here : there
      const other = by === here ? there : here
      const { token, id } = await by.signer.mint({ agent: `a-${round}`, ttl: '1h', format })
      expect((await other.verify(token)).ok).toBe(true)
      await by.signer.revoke(round % 3 === 0 ? { agent: `a-${round}` } : { id })
      const start = performance.now()
      while ((await other.verify(token)).ok) {
        if (performance.now() - start > 2000) throw new Error('the revocation has not come')
        await new Promise((resolve) => setImmediate(resolve))
      }
      delays.push(performance.now() - start)
    }
    delays.sort((a, b) => a - b)
    console.log(
      `${format}: holds in the other after ${delays[10]?.toFixed(1)} ms, at most ${delays.at(-1)?.toFixed(1)}`,
    )
    expect(delays.at(-1)).toBeLessThan(1000)
    await here.close()
    await there.close()
  })

  describe('withRedis', () => {
    it.each(['node-redis', 'ioredis'])(
      'wires limiter and channel in one line, and closes the client if told to (%s)',
      async (kind) => {
        const connect = async () => {
          if (kind === 'node-redis') return createClient({ socket: { host: HOST, port: PORT } }).connect()
          const client = new Redis(PORT, HOST, { lazyConnect: true })
          await client.connect()
          return client
        }
        const store = new MemoryTokenStore()
        const keys = generateSecret()
        const [a, b] = [await connect(), await connect()]
        const clientOf = (client: typeof a) => (client instanceof Redis ? fromIoredis(client) : fromNodeRedis(client))
        const shared = { prefix: `${run}:with:`, channel: `${run}:with` }
        const here = new Tokenwright({
          store,
          ...withRedis({ client: clientOf(a), closeClient: true, ...shared }),
          keys,
        })
        const there = new Tokenwright({ store, ...withRedis({ client: clientOf(b), ...shared }), keys })
        const { token } = await here.generate({ service: 'A', rateLimit: { limit: 3, per: '1d' } })
        const codes = []
        for (let n = 0; n < 4; n++) codes.push((await (n % 2 ? here : there).verify(token)).ok)
        expect(codes).toEqual([true, true, true, false])
        await here.close()
        const status = () => (a instanceof Redis ? a.status : a.isOpen ? 'open' : 'end')
        await expect.poll(status).toBe('end')
        // The host's client is the host's, unless it says otherwise.
        await there.close().catch(() => {})
        expect(await (b instanceof Redis ? b.ping() : b.ping())).toBe('PONG')
        b instanceof Redis ? b.disconnect() : b.destroy()
      },
    )
  })
})

describe('the client of version 4 of the package redis', () => {
  it('is closed and unsubscribed by the names that it has', async () => {
    const calls: string[] = []
    const note = (name: string) => async () => void calls.push(name)
    const client = fromNodeRedis({
      evalSha: note('evalSha'),
      eval: note('eval'),
      publish: note('publish'),
      duplicate: () => ({
        connect: note('connect'),
        subscribe: note('subscribe'),
        on: () => {},
        disconnect: note('disconnect'),
      }),
      quit: note('quit'),
    })
    const stop = await client.subscribe(
      'c',
      () => {},
      () => {},
    )
    await stop()
    await client.close?.()
    expect(calls).toEqual(['connect', 'subscribe', 'disconnect', 'quit'])
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
    // What a server refuses it says in its message, the code first.
    const down = () => Promise.reject(new Error('CLUSTERDOWN Hash slot not served of secret'))
    const refused: RedisClient = { evalSha: down, eval: down, publish: down, subscribe: down }
    const told = new RedisRateLimiter({ client: refused }).reserve('k', limits, 1)
    await expect(told).rejects.toMatchObject({ engineCode: 'CLUSTERDOWN' })
    await expect(told).rejects.not.toThrow('secret')
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

  it('a channel that nobody listens to any more tells nothing, whatever still comes', async () => {
    let deliver = (_message: string): void => {}
    let lose = (): void => {}
    const client: RedisClient = {
      evalSha: async () => [],
      eval: async () => [],
      publish: async () => 0,
      subscribe: async (_channel, onMessage, onLost) => {
        deliver = onMessage
        lose = onLost
        return async () => {}
      },
    }
    const heard: unknown[] = []
    const stop = await new RedisChangeChannel({ client }).subscribe(
      (change) => heard.push(change),
      () => heard.push('lost'),
    )
    deliver('token\na')
    lose()
    await stop()
    // The connection closes in its own time.
    deliver('token\nb')
    lose()
    expect(heard).toEqual([{ kind: 'token', id: 'a' }, 'lost'])
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
    const misspelt = { client, closeclient: true } as object as { client: RedisClient }
    expect(() => new RedisRateLimiter(misspelt)).toThrow(InvalidInputError)
    expect(() => new RedisChangeChannel(misspelt)).toThrow(InvalidInputError)
    expect(() => withRedis(misspelt)).toThrow(InvalidInputError)
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
