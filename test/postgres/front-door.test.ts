import pg from 'pg'
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest'
import { generateSecret, Tokenwright } from '../../src/index.ts'
import { PostgresTokenStore, type PostgresTokenStoreOptions } from '../../src/postgres/index.ts'
import { dropSchema, freshSchema, newPool, SERVER, there } from './database.ts'

describe.runIf(there)('instances of a service on one PostgreSQL', () => {
  const pool = newPool({ max: 20 })
  const keys = generateSecret()
  let schema = ''
  const opened: Tokenwright[] = []
  const open = async (options: Partial<PostgresTokenStoreOptions> = {}, maxStaleness = 60_000) => {
    const store = new PostgresTokenStore({ pool, schema, ...options })
    await store.migrate()
    const tokens = new Tokenwright({ store, keys, maxStaleness })
    opened.push(tokens)
    return tokens
  }
  beforeEach(() => {
    schema = freshSchema()
  })
  afterEach(async () => {
    for (const tokens of opened.splice(0)) await tokens.close()
    await dropSchema(pool, schema)
  })
  afterAll(() => pool.end())

  const codeOf = async (tokens: Tokenwright, text: string) => {
    const answer = await tokens.verify(text)
    return answer.ok ? 'ok' : answer.code
  }

  it('what one issues, the other checks, rotates and ends; both count', async () => {
    const [a, b] = [await open({}, 0), await open({}, 0)]
    const { token, record } = await a.generate({
      service: 'BILLING',
      scopes: ['orders:read'],
      quota: { limit: 100, per: '1d' },
    })
    expect(await codeOf(b, token)).toBe('ok')
    const rotated = await b.rotate('BILLING', { grace: '1h' })
    expect([await codeOf(a, token), await codeOf(a, rotated.token)]).toEqual(['ok', 'ok'])
    await a.tick()
    await b.tick()
    await a.usage.flush()
    await b.usage.flush()
    const rows = await a.usage.query({ token: record.id, limit: 100 })
    expect(rows.reduce((sum, row) => sum + row.calls, 0)).toBe(3)
    await a.revoke('BILLING')
    expect([await codeOf(b, token), await codeOf(b, rotated.token)]).toEqual(['revoked', 'revoked'])
    await expect(b.generate({ service: 'BILLING' })).resolves.toBeDefined()
    await expect(a.generate({ service: 'BILLING' })).rejects.toMatchObject({ code: 'ERR_SERVICE_EXISTS' })
  })

  it('400 parallel calls of two instances against a quota of 10 are let through 10 times', async () => {
    const [a, b] = [await open(), await open()]
    const { token } = await a.generate({ service: 'QUOTA', quota: { limit: 10, per: '1d' } })
    const calls = Array.from({ length: 400 }, (_, n) => codeOf(n % 2 === 0 ? a : b, token))
    const codes = await Promise.all(calls)
    expect(codes.filter((code) => code === 'ok').length).toBe(10)
    expect(codes.filter((code) => code === 'quota_exceeded').length).toBe(390)
  })

  it('rotations that race leave one current version and at most one pending: the record’s own row is the guard', async () => {
    const [a, b] = [await open({}, 0), await open({}, 0)]
    const { token, record } = await a.generate({ service: 'RACE' })
    const race = async () => {
      const asked = Array.from({ length: 12 }, (_, n) =>
        (n % 2 === 0 ? a : b).rotate('RACE', { grace: '1h', whenInGrace: 'endOldest' }),
      )
      const settled = await Promise.allSettled(asked)
      return settled.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []))
    }
    let rotated = 0
    for (let round = 0; round < 3; round++) {
      const won = await race()
      rotated += won.length
      expect(won.length).toBeGreaterThan(0)
      const { rows } = await pool.query<{ body: string }>(
        `SELECT r.body FROM "${schema}".record r JOIN "${schema}".kind k ON k.id = r.kind WHERE k.name = 'token'`,
      )
      const { versions } = JSON.parse(rows[0]?.body ?? '') as { versions: { n: number; state: string }[] }
      expect(versions.filter(({ state }) => state === 'current').map(({ n }) => n)).toEqual([rotated + 1])
      expect(versions.filter(({ state }) => state === 'pending').length).toBeLessThanOrEqual(1)
      // Each winner's text is of a version of its own.
      expect(new Set(won.map(({ token: text }) => text)).size).toBe(won.length)
      const codes = await Promise.all(won.map(({ token: text }) => codeOf(a, text)))
      expect(codes.filter((code) => code === 'ok').length).toBeGreaterThan(0)
    }
    expect(await codeOf(b, token)).toBe('revoked')
    const { rows } = await pool.query<{ action: string; n: number }>(
      `SELECT body::json->>'action' AS action, count(*)::int AS n FROM "${schema}".journal WHERE subject = $1 GROUP BY 1`,
      [record.id],
    )
    expect(rows).toContainEqual({ action: 'token.rotated', n: rotated })
  }, 30_000)

  it('an instance that may only read verifies, and refuses what needs a write (docs/scaling.md)', async () => {
    const writer = await open({}, 0)
    const { token } = await writer.generate({ service: 'READ', rateLimit: { limit: 2, per: '1d' } })
    const { token: counted } = await writer.generate({ service: 'COUNTED', quota: { limit: 100, per: '1d' } })
    const replica = newPool({ options: '-c default_transaction_read_only=on' })
    const reader = new Tokenwright({ store: new PostgresTokenStore({ pool: replica, schema }), keys, maxStaleness: 0 })
    expect([await codeOf(reader, token), await codeOf(reader, token)]).toEqual(['ok', 'ok'])
    expect(await codeOf(reader, token)).toBe('rate_limited')
    expect(await codeOf(reader, counted)).toBe('unavailable')
    await expect(reader.revoke('READ')).rejects.toMatchObject({ code: 'ERR_STORE_READ_ONLY' })
    await writer.revoke('READ')
    expect(await codeOf(reader, token)).toBe('revoked')
    // What it counted has nowhere to go.
    await expect(reader.close()).rejects.toMatchObject({ code: 'ERR_STORE_READ_ONLY' })
    await replica.end()
  })

  it('open() makes the tables, and closes what it was given when it can’t', async () => {
    const own = newPool()
    const store = await PostgresTokenStore.open({ pool: own, schema, closePool: true })
    await store.migrate()
    await store.close()
    expect(own.ended).toBe(true)
    await pool.query(`UPDATE "${schema}".meta SET value = 99 WHERE name = 'version'`)
    const late = newPool()
    await expect(PostgresTokenStore.open({ pool: late, schema, closePool: true })).rejects.toMatchObject({
      code: 'ERR_STORE_NEWER_SCHEMA',
    })
    expect(late.ended).toBe(true)
    await expect(PostgresTokenStore.open({ pool, schema })).rejects.toThrow()
    expect(pool.ended).toBe(false)
  })

  it('a revocation holds elsewhere within a second when the other listens', async () => {
    const listen = () => new pg.Client(SERVER)
    const [a, b] = [await open({ listen }), await open({ listen })]
    const { token: probe } = await a.generate({ service: 'PROBE' })
    expect(await codeOf(b, probe)).toBe('ok')
    for (let n = 0; n < 5; n++) {
      const { token } = await a.generate({ service: `S${n}` })
      expect(await codeOf(b, token)).toBe('ok')
      await a.revoke(`S${n}`)
      const from = performance.now()
      let code = await codeOf(b, token)
      while (code === 'ok' && performance.now() - from < 5000) {
        await new Promise((resolve) => setImmediate(resolve))
        code = await codeOf(b, token)
      }
      expect(code).toBe('revoked')
      expect(performance.now() - from).toBeLessThan(1000)
    }
  })
})
