import pg from 'pg'
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest'
import { PostgresTokenStore } from '../../src/postgres/postgres-token-store.ts'
import { fakeClock } from '../../src/testing/fake-clock.ts'
import { account, commit, grave, leaseKind } from '../../src/testing/store-suite/kit.ts'
import { FaultyProxy } from '../faulty-proxy.ts'
import { dropSchema, freshSchema, newPool, SERVER, there } from './database.ts'

describe.runIf(there)('watching other instances', () => {
  const pool = newPool()
  let schema = ''
  let proxy: FaultyProxy
  let here: PostgresTokenStore
  let other: PostgresTokenStore
  let connections = 0
  beforeEach(async () => {
    schema = freshSchema()
    proxy = await FaultyProxy.start(SERVER)
    connections = 0
    const listen = () => {
      connections += 1
      return new pg.Client({ ...SERVER, host: '127.0.0.1', port: proxy.port })
    }
    here = new PostgresTokenStore({ pool, schema, listen })
    other = new PostgresTokenStore({ pool, schema, notify: true })
    await here.migrate()
  })
  afterEach(async () => {
    await here.close()
    await other.close()
    await proxy.stop()
    await dropSchema(pool, schema)
  })
  afterAll(() => pool.end())

  /** Watches, and waits for what is heard. */
  function watch(store: PostgresTokenStore) {
    const heard: string[] = []
    let lost = 0
    let wake = () => {}
    const stop = store.watch(
      ({ id }) => {
        heard.push(id)
        wake()
      },
      () => {
        lost += 1
        wake()
      },
    )
    const until = async (done: () => boolean) => {
      while (!done()) {
        await new Promise<void>((resolve) => {
          wake = resolve
        })
      }
    }
    return { heard, stop, lost: () => lost, until }
  }

  it('changes of journaled records are told, each once, and one’s own as they are made', async () => {
    const { heard, until, lost, stop } = watch(here)
    await until(() => lost() === 1)
    await commit(other, account('a', 0), { kind: leaseKind, id: 'l', value: { holder: 'h', endsAt: 1 } })
    await until(() => heard.length === 1)
    await commit(here, account('b', 0))
    expect(heard).toEqual(['a', 'b'])
    await commit(other, grave('a', 1))
    await until(() => heard.length === 3)
    // Too many for one notification.
    const many = Array.from({ length: 700 }, (_, n) => `record number ${n} "ü"`)
    await commit(other, ...many.map((id) => account(id, 0)))
    await until(() => heard.length === 703)
    expect(heard.slice(3).sort()).toEqual([...many].sort())
    // Notifications come in the order of the commits: had one come twice, it would have come before this.
    await commit(other, account('last', 0))
    await until(() => heard.at(-1) === 'last')
    expect(heard.length).toBe(704)
    stop()
    await commit(other, account('late', 0))
    expect(heard.length).toBe(704)
  })

  it('when its connection breaks it is made anew, and what may have been missed is told as lost', async () => {
    const { heard, until, lost } = watch(here)
    await until(() => lost() === 1)
    for (let round = 1; round <= 3; round++) {
      proxy.cutAll()
      await until(() => lost() === 1 + 2 * round)
      await commit(other, account(`a${round}`, 0))
      await until(() => heard.length === round)
    }
    expect(heard).toEqual(['a1', 'a2', 'a3'])
    expect(connections).toBe(4)
  })

  it('a change is heard within a second of its commit', async () => {
    const { heard, until, lost } = watch(here)
    await until(() => lost() === 1)
    const delays: number[] = []
    for (let n = 0; n < 20; n++) {
      await commit(other, account(`a${n}`, 0))
      const from = performance.now()
      await until(() => heard.length === n + 1)
      delays.push(performance.now() - from)
    }
    expect(Math.max(...delays)).toBeLessThan(1000)
  })

  it('a connection that died without a word is noticed, and made anew', async () => {
    const clock = fakeClock()
    const listen = () => new pg.Client({ ...SERVER, host: '127.0.0.1', port: proxy.port })
    const store = new PostgresTokenStore({ pool, schema, listen, clock })
    const { heard, until, lost } = watch(store)
    await until(() => lost() === 1)
    proxy.blackhole = true
    // It is asked after 5 s, and given 5 s to answer.
    await clock.advance('9s')
    expect(lost()).toBe(1)
    await clock.advance('1s')
    expect(lost()).toBe(2)
    proxy.blackhole = false
    await clock.advance('100ms')
    await until(() => lost() === 3)
    await commit(other, account('a', 0))
    await until(() => heard.length === 1)
    await store.close()
  })

  it('who stops and starts again at once hears again', async () => {
    for (let round = 0; round < 5; round++) here.watch(() => {})()
    const { heard, until, lost } = watch(here)
    await until(() => lost() > 0)
    await commit(other, account('a', 0))
    await until(() => heard.length === 1)
  })

  it('nobody listens while nobody watches', async () => {
    expect(connections).toBe(0)
    const { until, lost, stop } = watch(here)
    await until(() => lost() === 1)
    stop()
    const again = watch(here)
    await again.until(() => again.lost() === 1)
    expect(connections).toBe(2)
  })

  it('without notify nothing is sent', async () => {
    const silent = new PostgresTokenStore({ pool, schema })
    const { heard, until, lost } = watch(here)
    await until(() => lost() === 1)
    await commit(silent, account('silent', 0))
    await commit(other, account('loud', 0))
    await until(() => heard.length === 1)
    expect(heard).toEqual(['loud'])
  })
})
