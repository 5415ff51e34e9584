import pg from 'pg'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { generateSecret, Tokenwright, type TokenwrightOptions } from '../../src/index.ts'
import { PostgresRateLimiter, PostgresTokenStore, type PostgresTokenStoreOptions } from '../../src/postgres/index.ts'
import { fakeClock, recordEvents } from '../../src/testing/index.ts'
import { account, accountKind, brokenAt, commit, draft, wholeJournal } from '../../src/testing/store-suite/kit.ts'
import { FaultyProxy } from '../faulty-proxy.ts'
import { INITDB, type OwnServer, ownPostgres } from '../own-server.ts'

describe.runIf(INITDB !== undefined)('PostgreSQL is stopped, started, slow or silent', () => {
  let server: OwnServer
  let proxy: FaultyProxy
  let schema = ''
  let schemas = 0
  const keys = generateSecret()
  const pools: pg.Pool[] = []
  const opened: Tokenwright[] = []

  const connection = (port = server.port) => ({ host: '127.0.0.1', port, user: 'postgres', database: 'test' })
  const poolOf = (config: pg.PoolConfig = {}) => {
    const pool = new pg.Pool({ ...connection(), max: 4, ...config })
    pools.push(pool)
    return pool
  }
  const storeOf = async (options: Partial<PostgresTokenStoreOptions> = {}) =>
    await PostgresTokenStore.open({ pool: poolOf(), schema, ...options })
  const doorOf = (options: Pick<TokenwrightOptions, 'store'> & Partial<TokenwrightOptions>) => {
    const tokens = new Tokenwright({ keys, ...options })
    opened.push(tokens)
    return { tokens, events: recordEvents(tokens.events) }
  }
  const codeOf = async (tokens: Tokenwright, text: string) => {
    const answer = await tokens.verify(text)
    return answer.ok ? 'ok' : answer.code
  }

  beforeAll(async () => {
    server = await ownPostgres()
  }, 60_000)
  beforeEach(async () => {
    schemas += 1
    schema = `outage_${schemas}`
    proxy = await FaultyProxy.start(connection())
  })
  afterEach(async () => {
    proxy.blackhole = false
    proxy.delay = 0
    for (const tokens of opened.splice(0)) await tokens.close()
    for (const pool of pools.splice(0)) await pool.end()
    await proxy.stop()
  })
  afterAll(() => server.remove())

  it('commits under way when it dies are settled once it is back: each done once, none lost, nobody restarted', async () => {
    const stores = [await storeOf({ timeout: 300 }), await storeOf({ timeout: 300 })] as const
    const codes = new Set<string>()
    const done = new Map<string, number>()
    let stop = false
    const work = async (name: string, store: PostgresTokenStore) => {
      for (let n = 0; !stop; n++) {
        const each = draft([account(name, n, { rank: n })], { id: `${name} ${n}` })
        // The same commit until there is an answer: what became of it is known to the server alone.
        for (let answered = false; !answered; ) {
          try {
            await store.commit(each)
            answered = true
          } catch (error) {
            codes.add((error as { code: string }).code)
            await new Promise((resolve) => setTimeout(resolve, 20))
          }
        }
        done.set(name, n + 1)
      }
    }
    const workers = Array.from({ length: 6 }, (_, n) => work(`worker ${n}`, stores[n % 2] as PostgresTokenStore))
    for (const gently of [false, true, false]) {
      const before = done.get('worker 0') ?? 0
      await expect.poll(() => done.get('worker 0') ?? 0).toBeGreaterThan(before + 3)
      await server.stop(gently)
      await new Promise((resolve) => setTimeout(resolve, 400))
      await server.start()
    }
    const before = new Map(done)
    await expect.poll(() => [...done].every(([name, n]) => n > (before.get(name) ?? 0) + 3)).toBe(true)
    stop = true
    await Promise.all(workers)
    expect([...codes]).toEqual(['ERR_STORE_UNAVAILABLE'])
    const journal = await wholeJournal(stores[0])
    expect(brokenAt(journal)).toBe(undefined)
    for (const [name, commits] of done) {
      expect((await stores[1].get(accountKind, name))?.revision).toBe(commits)
      expect(journal.filter(({ subject }) => subject === name).map(({ revision }) => revision)).toEqual(
        Array.from({ length: commits }, (_, n) => n + 1),
      )
    }
    expect(done.size).toBe(6)
    for (const store of stores) await store.close()
  }, 60_000)

  it('each dependency has its fail mode and its event, and all of them are used again when it is back', async () => {
    const listen = () => new pg.Client(connection())
    const closed = doorOf({ store: await storeOf({ listen }), maxStaleness: 0 })
    const stale = doorOf({
      store: await storeOf({ listen }),
      maxStaleness: 0,
      limiter: new PostgresRateLimiter({ pool: poolOf(), schema }),
      failMode: { store: 'stale', limiter: 'local' },
    })
    const { token } = await closed.tokens.generate({ service: 'SEEN', rateLimit: { limit: 3, per: '1d' } })
    const { token: unseen } = await closed.tokens.generate({ service: 'UNSEEN' })
    expect([await codeOf(closed.tokens, token), await codeOf(stale.tokens, token)]).toEqual(['ok', 'ok'])

    await server.stop()
    const from = performance.now()
    expect([await codeOf(closed.tokens, token), await codeOf(stale.tokens, unseen)]).toEqual([
      'unavailable',
      'unavailable',
    ])
    // A read has nothing to settle: whoever can't be reached is told at once.
    expect(performance.now() - from).toBeLessThan(2000)
    // Proved before; limited by the process alone.
    expect([await codeOf(stale.tokens, token), await codeOf(stale.tokens, token)]).toEqual(['ok', 'ok'])
    await expect(closed.tokens.revoke('SEEN')).rejects.toMatchObject({
      code: 'ERR_STORE_UNAVAILABLE',
      engineCode: 'ECONNREFUSED',
      retryable: true,
    })
    expect((await stale.tokens.health()).sources['store']?.status).toBe('unknown')
    const told = (name: string, events: typeof stale.events) =>
      events.events.filter((event) => event.name === name).map((event) => event.payload)
    expect(told('store.failed', closed.events)).toMatchObject([{ code: 'ERR_STORE_UNAVAILABLE', stale: false }])
    expect(told('store.failed', stale.events)).toContainEqual(expect.objectContaining({ stale: true }))
    expect(told('limiter.failed', stale.events)).toContainEqual(
      expect.objectContaining({ code: 'ERR_LIMITER_UNAVAILABLE', mode: 'local' }),
    )

    await server.start()
    expect([await codeOf(closed.tokens, token), await codeOf(stale.tokens, unseen)]).toEqual(['ok', 'ok'])
    // The levels were not logged: the bucket is full again, and shared again.
    const codes = []
    for (let n = 0; n < 4; n++) codes.push(await codeOf(stale.tokens, token))
    expect(codes).toEqual(['ok', 'ok', 'ok', 'rate_limited'])
    expect((await stale.tokens.health()).sources['store']?.status).toBe('healthy')
  }, 60_000)

  it('who listens hears again when it is back, and what was missed is read', async () => {
    const listen = () => new pg.Client(connection())
    const [here, there] = [
      doorOf({ store: await storeOf({ listen }), maxStaleness: '1h' }),
      doorOf({ store: await storeOf({ listen }), maxStaleness: '1h' }),
    ]
    const texts = await Promise.all(['A', 'B'].map(async (service) => (await here.tokens.generate({ service })).token))
    for (const text of texts) expect(await codeOf(there.tokens, text)).toBe('ok')
    await server.stop()
    await server.start()
    // Before anybody has connected again: only the loss of the connection tells that something may have been missed.
    await here.tokens.revoke('A')
    expect(await codeOf(there.tokens, texts[0] as string)).toBe('revoked')
    await expect.poll(async () => await listeners(), { timeout: 15_000 }).toBe(2)
    expect(await codeOf(there.tokens, texts[1] as string)).toBe('ok')
    await here.tokens.revoke('B')
    await expect.poll(() => codeOf(there.tokens, texts[1] as string), { timeout: 1000, interval: 10 }).toBe('revoked')

    async function listeners(): Promise<number> {
      const { rows } = await (pools[0] as pg.Pool).query(
        `SELECT count(*)::int AS n FROM pg_stat_activity WHERE query LIKE 'LISTEN%'`,
      )
      return rows[0].n
    }
  }, 60_000)

  it('a server that is slow holds nobody up for longer than the timeouts', async () => {
    const slow = poolOf({ port: proxy.port })
    const store = await storeOf({ pool: slow, timeout: '2s' })
    const limiter = new PostgresRateLimiter({ pool: slow, schema, timeout: 100 })
    const { tokens, events } = doorOf({ store, limiter })
    const { token } = await tokens.generate({ service: 'A', rateLimit: { limit: 100, per: '1d' } })
    const { token: free } = await tokens.generate({ service: 'FREE' })
    expect([await codeOf(tokens, token), await codeOf(tokens, free)]).toEqual(['ok', 'ok'])
    proxy.delay = 300
    const from = performance.now()
    // What was read before is still fresh.
    expect(await codeOf(tokens, free)).toBe('ok')
    expect(performance.now() - from).toBeLessThan(100)
    // The limiter is too slow, and this process alone limits.
    expect(await codeOf(tokens, token)).toBe('ok')
    expect(performance.now() - from).toBeLessThan(290)
    expect(events.names()).toContain('limiter.failed')
    // A read is only slow.
    expect((await tokens.get('A'))?.service).toBe('A')
    proxy.blackhole = true
    const silent = performance.now()
    await expect(tokens.get('A')).rejects.toMatchObject({ code: 'ERR_STORE_UNAVAILABLE' })
    expect(performance.now() - silent).toBeLessThan(3500)
    proxy.blackhole = false
    proxy.delay = 0
    proxy.cutAll()
    expect((await tokens.get('A'))?.service).toBe('A')
    expect(await codeOf(tokens, token)).toBe('ok')
  }, 30_000)

  it('a statement_timeout of the host’s is told as such, and can be repeated', async () => {
    const store = await storeOf()
    await commit(store, account('a', 0))
    const hasty = new PostgresTokenStore({ pool: poolOf({ statement_timeout: 100 }), schema })
    expect((await hasty.get(accountKind, 'a'))?.revision).toBe(1)
    const holder = await poolOf().connect()
    await holder.query('BEGIN')
    await holder.query(`SELECT 1 FROM "${schema}".record FOR UPDATE`)
    const error: unknown = await commit(hasty, account('a', 1)).catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({ code: 'ERR_STORE_UNAVAILABLE', engineCode: '57014', retryable: true })
    await holder.query('ROLLBACK')
    holder.release()
    await commit(hasty, account('a', 1))
    expect((await store.get(accountKind, 'a'))?.revision).toBe(2)
  })

  it('an instance whose clock is an hour off: limits are exact, it is told and degraded, deadlines are its own', async () => {
    const now = Date.now()
    const limiter = () => new PostgresRateLimiter({ pool: poolOf({ max: 10 }), schema, timeout: '10s' })
    const right = doorOf({ store: await storeOf(), limiter: limiter(), maxStaleness: 0, clock: fakeClock({ now }) })
    const fast = doorOf({
      store: await storeOf(),
      limiter: limiter(),
      maxStaleness: 0,
      clock: fakeClock({ now: now + 3_600_000 }),
    })
    const { token } = await right.tokens.generate({
      service: 'A',
      rateLimit: { limit: 10, per: '30m' },
      quota: { limit: 15, per: '1h' },
    })
    const calls = Array.from({ length: 100 }, (_, n) => codeOf(n % 2 ? right.tokens : fast.tokens, token))
    expect((await Promise.all(calls)).filter((code) => code === 'ok')).toHaveLength(10)
    await right.tokens.update('A', { rateLimit: null })
    await fast.tokens.tick()
    const rest = []
    for (let n = 0; n < 20; n++) rest.push(await codeOf(n % 2 ? right.tokens : fast.tokens, token))
    expect(rest.filter((code) => code === 'ok').length).toBe(5)

    expect(fast.events.names()).toContain('clock.skewed')
    expect(right.events.names()).not.toContain('clock.skewed')
    expect((await fast.tokens.health()).sources['store']).toMatchObject({ status: 'degraded' })
    expect((await right.tokens.health()).status).toBe('healthy')

    const { token: short } = await right.tokens.generate({ service: 'SHORT', expiresIn: '30m' })
    expect([await codeOf(right.tokens, short), await codeOf(fast.tokens, short)]).toEqual(['ok', 'expired'])
  }, 30_000)
})
