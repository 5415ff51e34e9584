import type { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { FileTokenStore, type FileTokenStoreSeams } from '../../src/file/file-token-store.ts'
import { fakeClock } from '../../src/testing/index.ts'
import {
  account,
  accountKind,
  brokenAt,
  commit,
  draft,
  event,
  ids,
  leaseKind,
  outcome,
  wholeJournal,
} from '../../src/testing/store-suite/kit.ts'
import { testFolder } from './folder.ts'

let place: ReturnType<typeof testFolder>
/** How often each of these was run. */
let ran: { [statement: string]: number }

beforeEach(() => {
  place = testFolder()
  ran = { 'BEGIN IMMEDIATE': 0, COMMIT: 0, ROLLBACK: 0, 'SAVEPOINT one': 0 }
})

afterEach(() => place.remove())

/** Counts the statements that begin and end transactions; on a clock that stands still no batch ends for its length in time. */
function counting(more: (db: DatabaseSync) => void = () => undefined): FileTokenStoreSeams {
  return {
    connected: (db) => {
      const prepare = db.prepare.bind(db)
      db.prepare = (text) => {
        const statement = prepare(text)
        if (Object.hasOwn(ran, text)) {
          const run = statement.run.bind(statement)
          statement.run = () => {
            ran[text] = (ran[text] ?? 0) + 1
            return run()
          }
        }
        return statement
      }
      more(db)
    },
  }
}

const many = (count: number, name: string) =>
  Array.from({ length: count }, (_, n) => account(`${name}${n}`, 0, { rank: n }))

describe('batches', () => {
  it('what is asked for together is one transaction without savepoints', async () => {
    const store = await FileTokenStore.openWith(place.path, { clock: fakeClock() }, counting())
    await commit(store, account('warm', 0))
    ran['COMMIT'] = 0
    await Promise.all(many(20, 'a').map((each) => commit(store, each)))
    expect(ran).toEqual({ 'BEGIN IMMEDIATE': 2, COMMIT: 1, ROLLBACK: 0, 'SAVEPOINT one': 0 })
    await store.close()
  })

  it('a batch ends after 256 commits, or when the lock was held for 8 ms', async () => {
    const store = await FileTokenStore.openWith(place.path, {}, counting())
    await Promise.all(many(600, 'a').map((each) => commit(store, each)))
    expect(ran['COMMIT']).toBeGreaterThanOrEqual(3)
    expect((await ids(store, accountKind, { index: 'rank', limit: 1000 })).length).toBe(600)
    await store.close()
  })

  it('a refused commit among fifty good ones costs them nothing', async () => {
    const store = await FileTokenStore.openWith(place.path, { clock: fakeClock() }, counting())
    await commit(store, account('taken', 0, { name: 'taken' }))
    ran = { 'BEGIN IMMEDIATE': 0, COMMIT: 0, ROLLBACK: 0, 'SAVEPOINT one': 0 }
    const all = many(50, 'a')
    all.splice(25, 0, account('bad', 0, { name: 'taken' }))
    all.splice(40, 0, account('stale', 3))
    const outcomes = await Promise.all(all.map((each) => outcome(() => commit(store, each))))
    expect(outcomes.filter((code) => code === 'ok').length).toBe(50)
    expect([outcomes[25], outcomes[40]]).toEqual(['ERR_UNIQUE_CONFLICT', 'ERR_STALE_REVISION'])
    expect([ran['ROLLBACK'], ran['SAVEPOINT one']]).toEqual([0, 0])
    expect((await wholeJournal(store)).length).toBe(51)
    await store.close()
  })

  it('one that fails half done is rolled back alone; the others are done with savepoints', async () => {
    // A fault in the engine, after the commit has begun to write.
    const fault = (db: DatabaseSync): void =>
      db.exec(`
        CREATE TEMP TRIGGER fault BEFORE INSERT ON journal WHEN new.subject LIKE 'bad%'
        BEGIN SELECT RAISE(ABORT, 'fault'); END
      `)
    const store = await FileTokenStore.openWith(place.path, { clock: fakeClock() }, counting(fault))
    await commit(store, account('held', 0))
    const cell = store.cell(accountKind, 'key', 'key of held')
    ran = { 'BEGIN IMMEDIATE': 0, COMMIT: 0, ROLLBACK: 0, 'SAVEPOINT one': 0 }
    const good = many(30, 'a').map((each) => outcome(() => commit(store, each)))
    const lease = { kind: leaseKind, id: 'l', value: { holder: 'bad', endsAt: 1 } }
    const bad = outcome(() =>
      store.commit(draft([account('bad', 0), lease, account('held', 1, { rank: 99 })], { outbox: [event('e', 't')] })),
    )
    const after = outcome(() => commit(store, account('held', 1, { rank: 3 })))
    expect(await bad).toBe('ERR_STORE_UNAVAILABLE')
    expect(new Set(await Promise.all(good))).toEqual(new Set(['ok']))
    expect(await after).toBe('ok')
    // What came after the faulty one is a batch of its own.
    expect(ran).toEqual({ 'BEGIN IMMEDIATE': 3, COMMIT: 2, ROLLBACK: 1, 'SAVEPOINT one': 31 })
    expect(store.get(accountKind, 'bad')).toBe(undefined)
    expect(store.get(leaseKind, 'l')).toBe(undefined)
    expect(cell?.current?.value.rank).toBe(3)
    expect((await wholeJournal(store)).length).toBe(32)
    expect(brokenAt(await wholeJournal(store))).toBe(undefined)
    // Kinds that came with the failed commit can be used after it.
    expect(await outcome(() => commit(store, lease))).toBe('ok')
    expect(store.find(leaseKind, 'holder', ['bad'])?.id).toBe('l')
    // And the next batch is an ordinary one again.
    ran['SAVEPOINT one'] = 0
    await Promise.all(many(5, 'b').map((each) => commit(store, each)))
    expect(ran['SAVEPOINT one']).toBe(0)
    await store.close()
  })

  it('old commits and flushes are forgotten, not too early', async () => {
    const store = await FileTokenStore.openWith(
      place.path,
      {},
      {
        connected: (db) =>
          // As if a hundred thousand commits had been made, half of them long ago.
          db.exec(`
          WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 100400)
          INSERT INTO commits SELECT n, 'old-' || n, CASE WHEN n < 300 THEN 0 ELSE ${Date.now()} END, '[1]' FROM c
        `),
      },
    )
    await Promise.all(many(400, 'a').map((each) => commit(store, each)))
    const again = (n: number) => store.commit(draft([account(`x${n}`, 0)], { id: `old-${n}` }))
    expect((await again(299)).replayed).toBe(false)
    expect((await again(300)).replayed).toBe(true)
    expect((await again(700)).replayed).toBe(true)
    await store.close()
  })

  it('text that UTF-8 can’t hold is refused, and is never found', async () => {
    const store = await FileTokenStore.open(place.path)
    for (const each of [
      account('a\ud800', 0),
      account('a', 0, { keys: ['\udc00k'] }),
      account('a', 0, { owner: '\ud800' }),
    ]) {
      expect(await outcome(() => commit(store, each))).toBe('ERR_INVALID_COMMIT')
    }
    await commit(store, account('a\ufffd', 0, { keys: ['k\ufffd'], note: { lines: ['\ud800 in a value is fine'] } }))
    expect(store.get(accountKind, 'a\ud800')).toBe(undefined)
    expect(store.find(accountKind, 'key', ['k\ud800'])).toBe(undefined)
    expect(store.cell(accountKind, 'key', 'k\ud800')).toBe(undefined)
    expect(store.get(accountKind, 'a\ufffd')?.value.note?.lines).toEqual(['\ud800 in a value is fine'])
    await store.close()
  })
})
