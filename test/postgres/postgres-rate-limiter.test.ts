import { PGlite } from '@electric-sql/pglite'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { parseRateLimits } from '../../src/access/rate-limits.ts'
import { InvalidInputError, LimiterUnavailableError, systemClock, systemRandom } from '../../src/index.ts'
import { Connections } from '../../src/postgres/connections.ts'
import { fromPglite, PostgresRateLimiter, PostgresTokenStore } from '../../src/postgres/index.ts'
import { migrate } from '../../src/postgres/migrate.ts'
import { namesOf } from '../../src/postgres/names.ts'
import { SCHEMA_STEPS } from '../../src/postgres/schema.ts'
import { sharedLimiterSuite } from '../access/shared-limiter-suite.ts'
import { FaultyProxy } from '../faulty-proxy.ts'
import { setUp } from '../issuing/fixture.ts'
import { dropSchema, freshSchema, newPool, SERVER, type Sql, there } from './database.ts'

/** Sets the clock of a store, which is the server's, and holds it. */
async function holdClock(sql: Sql, schema: string, now: number): Promise<void> {
  await sql.query(`CREATE OR REPLACE FUNCTION ${namesOf(schema, '').now_ms}() RETURNS bigint LANGUAGE sql VOLATILE
    AS $body$ SELECT ${now}::bigint $body$`)
}

describe.runIf(there).each([true, false])('on a server, statementNames %s', (statementNames) => {
  const pool = newPool({ max: 8 })
  const schema = freshSchema()
  beforeAll(async () => void (await PostgresTokenStore.open({ pool, schema })))
  afterAll(async () => {
    await dropSchema(pool, schema)
    await pool.end()
  })

  sharedLimiterSuite(() => ({
    // The crowd of the tests waits in line behind eight connections.
    open: () => new PostgresRateLimiter({ pool, schema, statementNames, timeout: '10s' }),
    setTime: (now) => holdClock(pool, schema, now),
  }))
})

describe('on PGlite', () => {
  const schema = 'limits'
  let db: PGlite
  beforeAll(async () => {
    db = await PGlite.create()
    await new PostgresTokenStore({ pool: fromPglite(db), schema }).migrate()
  }, 60_000)
  afterAll(() => db.close())

  sharedLimiterSuite(() => {
    const pool = fromPglite(db)
    return {
      open: () => new PostgresRateLimiter({ pool, schema, timeout: '10s' }),
      setTime: (now) => holdClock({ query: (text) => db.query(text) }, schema, now),
    }
  })
})

describe.runIf(there)('a PostgresRateLimiter', () => {
  const pool = newPool()
  let schema = ''
  beforeEach(async () => {
    schema = freshSchema()
    await PostgresTokenStore.open({ pool, schema })
  })
  afterEach(() => dropSchema(pool, schema))
  afterAll(() => pool.end())

  const limits = parseRateLimits('rateLimit', { limit: 10, per: '1m' })
  const rows = async () => {
    const { rows: found } = await pool.query<{ key: string }>(`SELECT key FROM "${schema}".limits ORDER BY key`)
    return found.map(({ key }) => key)
  }

  it('forgets rows that are full again as others come, and looks again later at those that are not', async () => {
    const limiter = new PostgresRateLimiter({ pool, schema, timeout: '10s' })
    const start = Date.UTC(2027, 0, 1)
    const long = parseRateLimits('rateLimit', { limit: 10, per: '1h' })
    await holdClock(pool, schema, start)
    for (let n = 0; n < 20; n++) await limiter.reserve(`a${n}`, limits, 1)
    await limiter.reserve('held', long, 10)
    expect((await rows()).length).toBe(21)
    await holdClock(pool, schema, start + 120_000)
    // Two are looked at for each that comes.
    for (let n = 0; n < 11; n++) await limiter.reserve(`b${n}`, limits, 1)
    expect((await rows()).filter((key) => !key.startsWith('b'))).toEqual(['held'])
    await holdClock(pool, schema, start + 3_600_000)
    expect((await limiter.check('held', long, 10)).granted).toBe(true)
    for (let n = 0; n < 8; n++) await limiter.reserve(`c${n}`, limits, 1)
    expect((await rows()).filter((key) => !key.startsWith('c'))).toEqual([])
  })

  it('a check of a key that isn’t there makes no row, nor does a refusal', async () => {
    const limiter = new PostgresRateLimiter({ pool, schema, timeout: '10s' })
    await limiter.check('a', limits, 1)
    await limiter.reserve('b', limits, 11)
    await limiter.reserve('c', limits, 0)
    expect(await rows()).toEqual([])
  })

  it('is not logged, and an update stays on its page', async () => {
    const limiter = new PostgresRateLimiter({ pool, schema, timeout: '10s' })
    for (let n = 0; n < 10; n++) await limiter.reserve('a', limits, 1)
    const { rows: tables } = await pool.query(
      `SELECT relpersistence FROM pg_class WHERE oid = '"${schema}".limits'::regclass`,
    )
    expect(tables).toEqual([{ relpersistence: 'u' }])
    const updates = async () => {
      const { rows: counted } = await pool.query(
        `SELECT n_tup_upd::int AS all, n_tup_hot_upd::int AS hot FROM pg_stat_all_tables WHERE relid = '"${schema}".limits'::regclass`,
      )
      return counted
    }
    await expect.poll(updates, { timeout: 10_000 }).toEqual([{ all: 9, hot: 9 }])
  })

  it('is bounded in time by its timeout, whoever holds the row, and the fail mode decides', async () => {
    const limiter = new PostgresRateLimiter({ pool, schema, timeout: 200 })
    const { tokens, events } = setUp({ limiter, failMode: { limiter: 'local' } })
    const { token, record } = await tokens.generate({ service: 'A', rateLimit: { limit: 2, per: '1h' } })
    expect((await tokens.verify(token)).ok).toBe(true)
    const holder = await pool.connect()
    await holder.query('BEGIN')
    await holder.query(`SELECT 1 FROM "${schema}".limits WHERE key = '${record.id}' FOR UPDATE`)
    const from = performance.now()
    expect((await tokens.verify(token)).ok).toBe(true)
    expect(performance.now() - from).toBeLessThan(2000)
    expect(events.events.find(({ name }) => name === 'limiter.failed')?.payload).toMatchObject({
      code: 'ERR_LIMITER_UNAVAILABLE',
      mode: 'local',
    })
    await holder.query('ROLLBACK')
    holder.release()
    expect((await tokens.verify(token)).ok).toBe(true)
    expect(await tokens.verify(token)).toMatchObject({ code: 'rate_limited' })
  })

  it('a reservation whose answer was lost is not made twice', async () => {
    const proxy = await FaultyProxy.start(SERVER)
    const through = newPool({ host: '127.0.0.1', port: proxy.port, max: 2 })
    const limiter = new PostgresRateLimiter({ pool: through, schema })
    expect((await limiter.reserve('lost', limits, 1)).granted).toBe(true)
    proxy.cutAnswersAbout('lost', 1)
    await expect(limiter.reserve('lost', limits, 4)).rejects.toThrow(LimiterUnavailableError)
    expect(proxy.cuts).toBe(1)
    const [state] = (await limiter.check('lost', limits, 0)).states()
    expect(state?.remaining).toBe(5)
    await through.end()
    await proxy.stop()
  })

  it('tells who forgot to migrate, and no address of a server that isn’t there', async () => {
    const bare = new PostgresRateLimiter({ pool, schema: `${schema}_none` })
    await expect(bare.reserve('a', limits, 1)).rejects.toMatchObject({ code: 'ERR_STORE_NOT_MIGRATED' })
    const lost = newPool({ host: '127.0.0.1', port: 1, password: 'p4ssw0rd-of-the-pool' })
    const error: unknown = await new PostgresRateLimiter({ pool: lost, schema })
      .reserve('a', limits, 1)
      .catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({ code: 'ERR_LIMITER_UNAVAILABLE', engineCode: 'ECONNREFUSED', retryable: true })
    expect(String(error) + JSON.stringify(error)).not.toContain('p4ssw0rd')
    await lost.end()
  })

  it('comes with the second step of the schema: a store of the first gets it by migrate()', async () => {
    await dropSchema(pool, schema)
    const [clock, random] = [systemClock(), systemRandom()]
    const waits = { timeout: 10_000, connectTimeout: 10_000 }
    const connections = new Connections({ pool, clock, random, store: schema, mark: undefined, ...waits })
    await migrate(connections, namesOf(schema, ''), SCHEMA_STEPS.slice(0, 1))
    await expect(new PostgresRateLimiter({ pool, schema }).reserve('a', limits, 1)).rejects.toMatchObject({
      code: 'ERR_STORE_NOT_MIGRATED',
    })
    await PostgresTokenStore.open({ pool, schema })
    expect((await new PostgresRateLimiter({ pool, schema }).reserve('a', limits, 1)).granted).toBe(true)
  })

  it('refuses what can not work', () => {
    expect(() => new PostgresRateLimiter({ pool: {} as typeof pool })).toThrow(InvalidInputError)
    expect(() => new PostgresRateLimiter({ pool, schema: 'a"b' })).toThrow(InvalidInputError)
    expect(() => new PostgresRateLimiter({ pool, timeout: 0 })).toThrow(InvalidInputError)
    expect(() => new PostgresRateLimiter({ pool, table: 'x' } as object as { pool: typeof pool })).toThrow(
      InvalidInputError,
    )
  })
})
