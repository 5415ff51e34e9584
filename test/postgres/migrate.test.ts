import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest'
import { parseRateLimits } from '../../src/access/rate-limits.ts'
import { InvalidInputError } from '../../src/kernel/errors.ts'
import type { AnyKind } from '../../src/kernel/kind.ts'
import { PostgresRateLimiter } from '../../src/postgres/postgres-rate-limiter.ts'
import { PostgresTokenStore } from '../../src/postgres/postgres-token-store.ts'
import { account, accountKind, commit, grave, ids, outcome } from '../../src/testing/store-suite/kit.ts'
import { dropSchema, freshSchema, newPool, there } from './database.ts'

describe.runIf(there)('migrate', () => {
  const pool = newPool()
  let schema = ''
  beforeEach(() => {
    schema = freshSchema()
  })
  afterEach(() => dropSchema(pool, schema))
  afterAll(() => pool.end())

  it('may be called by eight instances at once, and again', async () => {
    const pools = Array.from({ length: 8 }, () => newPool({ max: 2 }))
    const stores = pools.map((each) => new PostgresTokenStore({ pool: each, schema, closePool: true }))
    await Promise.all(stores.map((store) => store.migrate()))
    // And all of them meet a new kind at the same moment.
    await Promise.all(stores.map((store, n) => commit(store, account(`a${n}`, 0, { rank: n }))))
    await Promise.all(stores.map((store) => store.migrate()))
    expect((await ids(stores[0] as PostgresTokenStore, accountKind, { index: 'rank' })).length).toBe(8)
    const { rows } = await pool.query(`SELECT count(*)::int AS kinds FROM "${schema}".kind`)
    expect(rows).toEqual([{ kinds: 1 }])
    await Promise.all(stores.map((store) => store.close()))
  })

  it('refuses tables of a newer version, and so does every call', async () => {
    const store = new PostgresTokenStore({ pool, schema })
    await store.migrate()
    await pool.query(`UPDATE "${schema}".meta SET value = 99 WHERE name = 'version'`)
    const late = new PostgresTokenStore({ pool, schema })
    expect(await outcome(() => late.migrate())).toBe('ERR_STORE_NEWER_SCHEMA')
    expect(await outcome(() => late.get(accountKind, 'a'))).toBe('ERR_STORE_NEWER_SCHEMA')
    expect(await outcome(() => commit(late, account('a', 0)))).toBe('ERR_STORE_NEWER_SCHEMA')
  })

  it('is asked for by a store without tables', async () => {
    const store = new PostgresTokenStore({ pool, schema })
    const calls: (() => unknown)[] = [
      () => store.get(accountKind, 'a'),
      () => commit(store, account('a', 0)),
      () => store.journalHead(),
      () => store.time(),
      () => store.addUsage('f', []),
    ]
    for (const call of calls)
      expect([String(call), await outcome(call)]).toEqual([String(call), 'ERR_STORE_NOT_MIGRATED'])
  })

  it('leaves nothing behind when it fails half-way', async () => {
    await pool.query(`CREATE SCHEMA "${schema}"`)
    await pool.query(`CREATE TABLE "${schema}".journal (mine int)`)
    const store = new PostgresTokenStore({ pool, schema })
    expect(await outcome(() => store.migrate())).toBe('ERR_STORE_UNAVAILABLE')
    const { rows } = await pool.query(`SELECT tablename FROM pg_tables WHERE schemaname = '${schema}'`)
    expect(rows).toEqual([{ tablename: 'journal' }])
    await pool.query(`DROP TABLE "${schema}".journal`)
    await store.migrate()
    expect(await outcome(() => commit(store, account('a', 0)))).toBe('ok')
  })

  it('a user with the rights of docs/postgres.md can do all but migrate', async () => {
    const user = `${schema}_user`
    await new PostgresTokenStore({ pool, schema }).migrate()
    await pool.query(`CREATE ROLE ${user} LOGIN`)
    const theirs = newPool({ user, max: 2 })
    try {
      const store = new PostgresTokenStore({ pool: theirs, schema })
      expect(await outcome(() => commit(store, account('a', 0)))).toBe('ERR_STORE_UNAVAILABLE')
      for (const grant of [
        `GRANT USAGE ON SCHEMA "${schema}" TO ${user}`,
        `GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA "${schema}" TO ${user}`,
        `GRANT USAGE ON ALL SEQUENCES IN SCHEMA "${schema}" TO ${user}`,
      ]) {
        await pool.query(grant)
      }
      const event = { id: 'e', name: 'suite.happened', token: 't', at: 1, payload: null }
      expect(await outcome(() => commit(store, account('a', 0)))).toBe('ok')
      const lease = { expect: [], write: [], journal: [], outbox: [event] }
      expect(await outcome(() => store.commit({ id: 'with an event', ...lease }))).toBe('ok')
      await store.addUsage('f', [])
      const limits = parseRateLimits('rateLimit', { limit: 1, per: '1h' })
      expect((await new PostgresRateLimiter({ pool: theirs, schema }).reserve('a', limits, 1)).granted).toBe(true)
      // Up to date already: nothing to be made.
      expect(await outcome(() => store.migrate())).toBe('ok')
    } finally {
      await theirs.end()
      await pool.query(`DROP OWNED BY ${user}`)
      await pool.query(`DROP ROLE ${user}`)
    }
  })

  it('several stores share a schema by prefixes, and don’t see each other', async () => {
    const [a, b] = ['a_', 'b_'].map((prefix) => new PostgresTokenStore({ pool, schema, prefix })) as [
      PostgresTokenStore,
      PostgresTokenStore,
    ]
    await Promise.all([a.migrate(), b.migrate()])
    await commit(a, account('x', 0, { rank: 1 }))
    expect(await b.get(accountKind, 'x')).toBe(undefined)
    await commit(b, account('x', 0, { rank: 2 }))
    expect((await a.get(accountKind, 'x'))?.value.rank).toBe(1)
    expect((await b.get(accountKind, 'x'))?.value.rank).toBe(2)
  })

  it('refuses names that are none', () => {
    for (const bad of ['', 'a"b', 'a.b', 'x'.repeat(41), '1a', 'ü']) {
      expect(() => new PostgresTokenStore({ pool, schema: bad })).toThrow(InvalidInputError)
    }
    expect(() => new PostgresTokenStore({ pool, prefix: 'a-b' })).toThrow(InvalidInputError)
    expect(() => new PostgresTokenStore({ pool: {} as typeof pool })).toThrow(InvalidInputError)
    expect(() => new PostgresTokenStore({ pool, statementName: true } as object as { pool: typeof pool })).toThrow(
      InvalidInputError,
    )
  })

  describe('a kind with other indexes than before', () => {
    const next: AnyKind = {
      ...accountKind,
      schema: 2,
      order: { rank: accountKind.order.rank, size: (each: { keys: string[] }) => ({ at: each.keys.length }) },
    }

    it('has its entries made anew, by one of several that come at once', async () => {
      const old = new PostgresTokenStore({ pool, schema })
      await old.migrate()
      for (let from = 0; from < 1200; from += 300) {
        await commit(old, ...Array.from({ length: 300 }, (_, n) => account(`a${from + n}`, 0, { rank: n, dueAt: 1 })))
      }
      await commit(old, account('two', 0, { keys: ['k1', 'k2'] }), account('gone', 0))
      await commit(old, grave('gone', 1))
      const stores = Array.from({ length: 3 }, () => new PostgresTokenStore({ pool, schema }))
      const found = await Promise.all(stores.map((store) => ids(store, next, { index: 'size', from: 2 })))
      expect(found).toEqual([['two'], ['two'], ['two']])
      const store = stores[0] as PostgresTokenStore
      expect((await ids(store, next, { index: 'rank', limit: 500 })).length).toBe(1201)
      expect((await store.find(next, 'key', ['k2']))?.id).toBe('two')
      // The tombstone's keys stay taken.
      const taken = { kind: next, id: 'new', revision: 0, value: { name: 'n', keys: ['key of gone'], rank: 0 } }
      expect(await outcome(() => commit(store, taken))).toBe('ERR_UNIQUE_CONFLICT')
      const { rows } = await pool.query(`SELECT version FROM "${schema}".kind`)
      expect(rows).toEqual([{ version: 2 }])
      // Who still has the old indexes can read by those that are left, and write no more.
      expect((await old.get(accountKind, 'two'))?.revision).toBe(1)
      expect(await outcome(() => commit(old, account('two', 1)))).toBe('ERR_STORE_NEWER_SCHEMA')
      expect(await outcome(() => commit(new PostgresTokenStore({ pool, schema }), account('two', 1)))).toBe(
        'ERR_STORE_NEWER_SCHEMA',
      )
      expect((await store.get(next, 'two'))?.revision).toBe(1)
    })
  })
})
