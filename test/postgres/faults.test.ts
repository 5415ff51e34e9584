import pg from 'pg'
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { PostgresPool } from '../../src/postgres/pool.ts'
import { PostgresTokenStore } from '../../src/postgres/postgres-token-store.ts'
import { StoreUnavailableError } from '../../src/stores/errors.ts'
import {
  account,
  accountKind,
  brokenAt,
  commit,
  draft,
  leaseKind,
  outcome,
  wholeJournal,
} from '../../src/testing/store-suite/kit.ts'
import { FaultyProxy } from '../faulty-proxy.ts'
import { dropSchema, freshSchema, newPool, SERVER, there } from './database.ts'

describe.runIf(there)('faults', () => {
  const admin = newPool()
  let schema = ''
  let proxy: FaultyProxy
  let pool: pg.Pool
  let store: PostgresTokenStore
  beforeEach(async () => {
    schema = freshSchema()
    proxy = await FaultyProxy.start(SERVER)
    pool = newPool({ host: '127.0.0.1', port: proxy.port, application_name: schema, max: 8 })
    store = new PostgresTokenStore({ pool, schema, closePool: true })
    await store.migrate()
    await commit(store, account('warm', 0))
  })
  afterEach(async () => {
    proxy.blackhole = false
    await store.close()
    await proxy.stop()
    await dropSchema(admin, schema)
  })
  afterAll(() => admin.end())

  const journalOf = async (id: string) => (await wholeJournal(store)).filter((entry) => entry.subject === id)

  it('a commit whose answer was lost is found done, and not done twice', async () => {
    for (let n = 0; n < 5; n++) {
      proxy.cutAnswersAbout(`lost ${n}`, 1 + (n % 3))
      const answer = await store.commit(draft([account(`lost ${n}`, 0)], { id: `lost ${n}` }))
      // It was this call's own doing.
      expect(answer).toEqual({ revisions: [1], replayed: false })
      expect((await journalOf(`lost ${n}`)).length).toBe(1)
      // Without an expectation nothing but the commit's id could have prevented a second time.
      const lease = draft([{ kind: leaseKind, id: 'l', value: { holder: 'h', endsAt: n } }], { id: `lease ${n}` })
      proxy.cutAnswersAbout(`lease ${n}`, 1)
      expect(await store.commit(lease)).toEqual({ revisions: [n + 1], replayed: false })
      expect((await store.commit(lease)).replayed).toBe(true)
      expect((await store.get(leaseKind, 'l'))?.revision).toBe(n + 1)
    }
    expect(proxy.cuts).toBe(14)
  })

  it('usage whose answer was lost is counted once, and a seal whose answer was lost is one seal', async () => {
    const hour = Math.floor((await store.time()) / 3_600_000) * 3_600_000
    const counts = { token: 't', version: 1, hour, tool: '', outcome: 'ok', calls: 3, cost: 3, failures: 0 }
    proxy.cutAnswersAbout('a flush', 2)
    await store.addUsage('a flush', [{ ...counts, durationMs: 1, lastAt: hour }])
    expect((await store.usage({ limit: 5 })).map((row) => row.calls)).toEqual([3])
    for (let n = 0; n < 5; n++) await commit(store, account(`s${n}`, 0))
    proxy.cutAnswersAbout('"entries"', 1)
    const journal = await wholeJournal(store)
    expect(proxy.cuts).toBe(3)
    expect(journal.length).toBe(6)
    expect(brokenAt(journal)).toBe(undefined)
  })

  it('a commit that never gets an answer says that it may have been done; the same again tells', async () => {
    const patient = new PostgresTokenStore({ pool, schema, timeout: 400 })
    await patient.get(accountKind, 'warm')
    proxy.cutAnswersAbout('never', Number.POSITIVE_INFINITY)
    const each = draft([account('never', 0)], { id: 'never' })
    const error = await patient.commit(each).catch((thrown: unknown) => thrown)
    expect(error).toBeInstanceOf(StoreUnavailableError)
    expect((error as StoreUnavailableError).retryable).toBe(true)
    expect(String(error)).toContain('whether it was done')
    proxy.cutAnswersAbout('never', 0)
    expect(await patient.commit(each)).toEqual({ revisions: [1], replayed: true })
    expect((await journalOf('never')).length).toBe(1)
    await patient.close()
  })

  it('backends that are terminated under load: nothing is lost, nothing is done twice, nobody has to restart', async () => {
    let stop = false
    const acknowledged = new Map<string, number>()
    const failures: string[] = []
    let done = 0
    let wanted = 0
    let wake = () => {}
    const work = async (name: string) => {
      for (let n = 0; !stop; n++) {
        const revision = acknowledged.get(name) ?? 0
        const each = draft([account(name, revision, { rank: n })], { id: `${name} ${n}` })
        const code = await outcome(() => store.commit(each))
        if (code === 'ok') acknowledged.set(name, revision + 1)
        else failures.push(code)
        done += 1
        if (done >= wanted) wake()
      }
    }
    const workers = Array.from({ length: 6 }, (_, n) => work(`worker ${n}`))
    let ended = 0
    for (let round = 0; round < 25; round++) {
      const { rows } = await admin.query(
        'SELECT pg_terminate_backend(pid) AS done FROM pg_stat_activity WHERE application_name = $1 AND random() < 0.5',
        [schema],
      )
      ended += rows.length
      wanted = done + 20
      await new Promise<void>((resolve) => {
        wake = resolve
      })
    }
    stop = true
    await Promise.all(workers)
    expect(ended).toBeGreaterThan(20)
    expect(failures).toEqual([])
    const journal = await wholeJournal(store)
    expect(brokenAt(journal)).toBe(undefined)
    for (const [name, commits] of acknowledged) {
      const revisions = journal.filter((entry) => entry.subject === name).map((entry) => entry.revision)
      expect(revisions).toEqual(Array.from({ length: commits }, (_, n) => n + 1))
      expect((await store.get(accountKind, name))?.revision).toBe(commits)
    }
    expect(acknowledged.size).toBe(6)
  }, 30_000)

  it('connections that break while idle are replaced, and don’t end the process', async () => {
    await Promise.all(Array.from({ length: 8 }, () => store.get(accountKind, 'warm')))
    for (let round = 0; round < 3; round++) {
      proxy.cutAll()
      expect(await outcome(() => store.get(accountKind, 'warm'))).toBe('ok')
    }
  })

  it('a server that doesn’t answer is told within the timeout, and used again when it does', async () => {
    const patient = new PostgresTokenStore({ pool, schema, timeout: 300 })
    await patient.get(accountKind, 'warm')
    proxy.blackhole = true
    const from = performance.now()
    const error = await patient.get(accountKind, 'warm').then(undefined, (thrown: unknown) => thrown)
    expect(performance.now() - from).toBeLessThan(2000)
    expect(error).toMatchObject({ code: 'ERR_STORE_UNAVAILABLE', retryable: true })
    proxy.blackhole = false
    proxy.cutAll()
    expect(await outcome(() => patient.get(accountKind, 'warm'))).toBe('ok')
    await patient.close()
  })

  it('a pool without a free connection is told within the time for it', async () => {
    const small = newPool({ max: 1 })
    const waiting = new PostgresTokenStore({ pool: small, schema, connectTimeout: 100 })
    const held = await small.connect()
    const from = performance.now()
    expect(await outcome(() => waiting.get(accountKind, 'warm'))).toBe('ERR_STORE_UNAVAILABLE')
    expect(performance.now() - from).toBeLessThan(1500)
    held.release()
    // The one that came too late went back to the pool.
    expect(await outcome(() => waiting.get(accountKind, 'warm'))).toBe('ok')
    await waiting.close()
    await small.end()
  })

  it('what can’t be reached is told at once, without credentials', async () => {
    const secret = 'p4ssw0rd-of-the-pool'
    const cases: [string, pg.PoolConfig, string, boolean][] = [
      ['nobody listens', { host: '127.0.0.1', port: 1 }, 'ECONNREFUSED', true],
      ['no such database', { ...SERVER, database: `none_${schema}` }, '3D000', false],
      ['no such user', { ...SERVER, user: `none_${schema}` }, '28000', false],
    ]
    for (const [what, config, engineCode, retryable] of cases) {
      const lost = new pg.Pool({ ...config, password: secret })
      const there = new PostgresTokenStore({ pool: lost, schema })
      const error = (await there.get(accountKind, 'a').catch((thrown: unknown) => thrown)) as StoreUnavailableError
      expect([what, error.code, error.engineCode, error.retryable]).toEqual([
        what,
        'ERR_STORE_UNAVAILABLE',
        engineCode,
        retryable,
      ])
      for (const text of [error.message, JSON.stringify(error), String(error.cause)]) {
        expect(text).not.toContain(secret)
        expect(text).not.toContain(`none_${schema}`)
      }
      await lost.end()
    }
  })

  it('a read-only session reads, and a commit says why it can’t', async () => {
    const replica = newPool({ options: '-c default_transaction_read_only=on' })
    const reader = new PostgresTokenStore({ pool: replica, schema })
    expect((await reader.get(accountKind, 'warm'))?.revision).toBe(1)
    expect(await outcome(() => commit(reader, account('a', 0)))).toBe('ERR_STORE_READ_ONLY')
    await replica.end()
  })

  it('a lock that is never given back is StoreBusyError, and the commit can be repeated', async () => {
    const holder = await admin.connect()
    const each = draft([account('warm', 1)])
    // As the functions have it, only sooner.
    await admin.query(`ALTER FUNCTION "${schema}".commit_2(text) SET lock_timeout = '200ms'`)
    await holder.query('BEGIN')
    await holder.query(`SELECT 1 FROM "${schema}".record FOR UPDATE`)
    expect(await outcome(() => store.commit(each))).toBe('ERR_STORE_BUSY')
    await holder.query('ROLLBACK')
    holder.release()
    expect(await outcome(() => store.commit(each))).toBe('ok')
  })

  it('commits that wait for each other in a circle are told apart by the server, and done again', async () => {
    const names = (a: string, b: string) => [
      account('a', 0, { name: a, keys: [] }),
      account('b', 0, { name: b, keys: [] }),
    ]
    await commit(store, ...names('x', 'y'))
    // Each gives its name up and then takes the other's: with time in between, both have done the first before the second.
    await admin.query(`CREATE FUNCTION "${schema}".dawdle() RETURNS trigger LANGUAGE plpgsql
      AS $body$ BEGIN PERFORM pg_sleep(0.2); RETURN new; END $body$`)
    await admin.query(`CREATE TRIGGER dawdle BEFORE INSERT ON "${schema}".uniq
      FOR EACH ROW EXECUTE FUNCTION "${schema}".dawdle()`)
    const swap = [
      outcome(() => commit(store, account('a', 1, { name: 'y', keys: [] }))),
      outcome(() => commit(store, account('b', 1, { name: 'x', keys: [] }))),
    ]
    // Neither may have a name that the other, whose commit is not done, still holds.
    expect(await Promise.all(swap)).toEqual(['ERR_UNIQUE_CONFLICT', 'ERR_UNIQUE_CONFLICT'])
    const { rows } = await admin.query('SELECT deadlocks::int FROM pg_stat_database WHERE datname = current_database()')
    expect(rows[0].deadlocks).toBeGreaterThan(0)
    expect((await store.find(accountKind, 'name', ['x']))?.id).toBe('a')
  }, 30_000)

  it('a scan whose connection breaks says so, and leaves the pool whole', async () => {
    await commit(store, ...Array.from({ length: 1200 }, (_, n) => account(`s${n}`, 0)))
    const scan = async () => {
      for await (const page of store.scan([accountKind])) {
        expect(page.length).toBeGreaterThan(0)
        proxy.cutAll()
      }
    }
    expect(await outcome(scan)).toBe('ERR_STORE_UNAVAILABLE')
    expect(await outcome(() => store.get(accountKind, 'warm'))).toBe('ok')
    expect(pool.totalCount - pool.idleCount).toBe(0)
  })

  it('no statement needs anything of its session: each may go to another connection', async () => {
    // What a pooler does that lends connections by the transaction, without prepared statements.
    const clients = await Promise.all(Array.from({ length: 3 }, () => admin.connect()))
    let turn = 0
    const lending: PostgresPool = {
      connect: async () => {
        let lent: pg.PoolClient | undefined
        return {
          query: async (query) => {
            expect(query.name).toBe(undefined)
            turn += 1
            const client = lent ?? (clients[turn % clients.length] as pg.PoolClient)
            if (query.text.startsWith('BEGIN')) lent = client
            if (query.text === 'COMMIT' || query.text === 'ROLLBACK') lent = undefined
            return await client.query({ ...query })
          },
          release: () => expect(lent).toBe(undefined),
        }
      },
    }
    const pooled = new PostgresTokenStore({ pool: lending, schema: `${schema}_p`, statementNames: false })
    await pooled.migrate()
    for (let n = 0; n < 12; n++) await commit(pooled, account(`a${n}`, 0, { rank: n }))
    expect((await pooled.list(accountKind, { index: 'rank', limit: 20 })).items.length).toBe(12)
    await pooled.addUsage('f', [])
    expect((await wholeJournal(pooled)).length).toBe(12)
    let scanned = 0
    for await (const page of pooled.scan([accountKind])) scanned += page.length
    expect(scanned).toBe(12)
    for (const client of clients) {
      const { rows } = await client.query(
        "SELECT (SELECT count(*) FROM pg_prepared_statements WHERE name <> '')::int AS prepared, (SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid() AND locktype = 'advisory')::int AS locks",
      )
      expect(rows).toEqual([{ prepared: 0, locks: 0 }])
      client.release()
    }
    await dropSchema(admin, `${schema}_p`)
  })
})
