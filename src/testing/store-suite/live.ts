import type { ScanRow, StoreChange } from '../../stores/token-store.ts'
import {
  account,
  accountKind,
  brokenAt,
  commit,
  draft,
  event,
  grave,
  ids,
  leaseKind,
  outcome,
  type Suite,
  wholeJournal,
} from './kit.ts'

/** Cells, watching, scanning, closing: what a store does beside reading and writing. */
export function liveTests({ describe, test, expect }: Suite): void {
  describe('cells', () => {
    test('a cell follows its record, and keeps its memo', async (store) => {
      if (store.cell === undefined) return
      await commit(store, account('a', 0, { keys: ['k1'], rank: 1 }))
      const cell = store.cell(accountKind, 'key', 'k1')
      if (cell === undefined) throw new Error('no cell for a key that is held')
      const first = cell.current
      expect(first).toEqual({ id: 'a', revision: 1, value: { name: 'name of a', keys: ['k1'], rank: 1 } })
      const memo = {}
      cell.memo = memo
      await commit(store, account('a', 1, { keys: ['k1', 'k2'], rank: 2 }))
      expect(cell.current?.revision).toBe(2)
      expect(cell.current?.value.rank).toBe(2)
      expect(cell.memo).toBe(memo)
      // What was handed out before hasn't changed.
      expect(first?.value.rank).toBe(1)
      // Every key leads to the same cell.
      expect(store.cell(accountKind, 'key', 'k2')).toBe(cell)
      expect(store.cell(accountKind, 'name', 'name of a')).toBe(cell)
      expect(store.cell(accountKind, 'key', 'none')).toBe(undefined)
      await commit(store, account('a', 2, { keys: ['k2'] }))
      expect(store.cell(accountKind, 'key', 'k1')).toBe(undefined)
      expect(store.cell(accountKind, 'key', 'k2')).toBe(cell)
      expect(cell.current?.revision).toBe(3)
      await commit(store, grave('a', 3))
      expect(cell.current).toBe(undefined)
    })

    test('a key that goes to another record leads to the other cell', async (store) => {
      if (store.cell === undefined) return
      await commit(store, account('a', 0, { keys: ['k'] }), account('b', 0, { keys: [] }))
      const [a, first] = [store.cell(accountKind, 'key', 'k'), store.cell(accountKind, 'name', 'name of b')]
      await commit(store, account('a', 1, { keys: [] }), account('b', 1, { keys: ['k'] }))
      expect(store.cell(accountKind, 'key', 'k')).toBe(first)
      expect([a?.current?.id, first?.current?.id]).toEqual(['a', 'b'])
      expect([a?.current?.revision, first?.current?.revision]).toEqual([2, 2])
    })

    test('cells of unjournaled records follow too, also beyond their removal', async (store) => {
      if (store.cell === undefined) return
      const lease = (endsAt: number) => ({ kind: leaseKind, id: 'l', value: { holder: 'h', endsAt } })
      await commit(store, lease(1))
      const cell = store.cell(leaseKind, 'holder', 'h')
      await commit(store, lease(2))
      expect(cell?.current?.value.endsAt).toBe(2)
      await commit(store, { kind: leaseKind, id: 'l', remove: true })
      expect(cell?.current).toBe(undefined)
      await commit(store, lease(3))
      expect(store.cell(leaseKind, 'holder', 'h')?.current?.value.endsAt).toBe(3)
    })

    test('a refused commit changes no cell', async (store) => {
      if (store.cell === undefined) return
      await commit(store, account('a', 0), account('b', 0))
      const cell = store.cell(accountKind, 'key', 'key of a')
      const before = cell?.current
      expect(await outcome(() => commit(store, account('a', 1, { rank: 9 }), account('b', 0)))).toBe(
        'ERR_STALE_REVISION',
      )
      expect(cell?.current).toBe(before)
    })
  })

  describe('watch', () => {
    test('watchers hear of every change after it is done, until they stop', async (store) => {
      if (store.watch === undefined) return
      const heard: string[] = []
      const stop = store.watch(({ kind, id }: StoreChange) => heard.push(`${kind}/${id}`))
      await store.commit(
        draft([account('a', 0), { kind: leaseKind, id: 'l', value: { holder: 'h', endsAt: 1 } }], {
          outbox: [event('e', 't')],
        }),
      )
      expect([...heard].sort()).toEqual(['event/e', 'suite_account/a', 'suite_lease/l'])
      await outcome(() => commit(store, account('a', 0)))
      expect(heard.length).toBe(3)
      await commit(store, grave('a', 1))
      expect(heard[3]).toBe('suite_account/a')
      stop()
      stop()
      await commit(store, account('b', 0))
      expect(heard.length).toBe(4)
    })

    test('a watcher that throws or rejects hurts nobody', async (store) => {
      if (store.watch === undefined) return
      const heard: string[] = []
      store.watch(() => {
        throw new Error('a watcher that throws')
      })
      store.watch((() => Promise.reject(new Error('a watcher that rejects'))) as () => void)
      store.watch(({ id }) => heard.push(id))
      expect(await outcome(() => commit(store, account('a', 0)))).toBe('ok')
      expect(heard).toEqual(['a'])
    })
  })

  describe('scan', () => {
    test('it yields every record and tombstone of the kinds asked for', async (store) => {
      if (store.scan === undefined) return
      const many = Array.from({ length: 1203 }, (_, n) => account(`m${n}`, 0, { rank: n }))
      for (let from = 0; from < many.length; from += 200) await commit(store, ...many.slice(from, from + 200))
      await commit(store, grave('m7', 1), { kind: leaseKind, id: 'l', value: { holder: 'h', endsAt: 1 } })
      const rows = await scanned(store.scan([accountKind]))
      expect(rows.length).toBe(1203)
      expect(new Set(rows.map((row) => row.id)).size).toBe(1203)
      expect(rows.find((row) => row.id === 'm7')).toEqual({
        kind: 'suite_account',
        id: 'm7',
        revision: 2,
        tombstone: { endedAt: 5, reason: 'test', digests: ['key of m7'] },
      })
      expect(rows.find((row) => row.id === 'm8')).toEqual({
        kind: 'suite_account',
        id: 'm8',
        revision: 1,
        value: many[8] !== undefined && 'value' in many[8] ? many[8].value : undefined,
      })
      expect((await scanned(store.scan([leaseKind, accountKind]))).length).toBe(1204)
      expect(await scanned(store.scan([]))).toEqual([])
    })

    test('it is of one point, whatever is written meanwhile', async (store) => {
      if (store.scan === undefined || !store.durability().snapshot) return
      const many = Array.from({ length: 1200 }, (_, n) => account(`m${n}`, 0, { rank: 1 }))
      for (let from = 0; from < many.length; from += 200) await commit(store, ...many.slice(from, from + 200))
      const rows: ScanRow[] = []
      let next = 0
      for await (const page of store.scan([accountKind])) {
        rows.push(...page)
        // Each page is answered by a commit that changes two records, makes one and removes one.
        await commit(
          store,
          account(`m${next}`, 1, { rank: 2 }),
          account(`m${1199 - next}`, 1, { rank: 0 }),
          account(`x${next}`, 0),
          grave(`m${600 + next}`, 1),
        )
        next += 1
      }
      expect(next > 1).toBe(true)
      expect(rows.length).toBe(1200)
      expect(rows.every((row) => row.revision === 1 && 'value' in row)).toBe(true)
    })

    test('a scan may be left early', async (store) => {
      if (store.scan === undefined) return
      await commit(store, ...Array.from({ length: 600 }, (_, n) => account(`m${n}`, 0)))
      for await (const page of store.scan([accountKind])) {
        expect(page.length > 0).toBe(true)
        break
      }
      expect(await outcome(() => commit(store, account('a', 0)))).toBe('ok')
      expect((await scanned(store.scan([accountKind]))).length).toBe(601)
    })
  })

  describe('several processes', () => {
    test('another store on the same data sees the changes and is held to the same revisions', async (store, {
      another,
    }) => {
      if (another === undefined) return
      const other = await another()
      await commit(store, account('a', 0, { rank: 1 }))
      expect((await other.get(accountKind, 'a'))?.value.rank).toBe(1)
      await commit(other, account('a', 1, { rank: 2 }))
      expect((await store.get(accountKind, 'a'))?.value.rank).toBe(2)
      expect(await outcome(() => commit(store, account('a', 1)))).toBe('ERR_STALE_REVISION')
      expect(await outcome(() => commit(store, account('b', 0, { name: 'name of a' })))).toBe('ERR_UNIQUE_CONFLICT')
      const told = draft([account('c', 0)])
      await store.commit(told)
      expect((await other.commit(told)).replayed).toBe(true)
      const both = Array.from({ length: 40 }, (_, n) =>
        commit(n % 2 === 0 ? store : other, account(`p${n}`, 0, { rank: 5 })),
      )
      await Promise.all(both)
      expect((await ids(store, accountKind, { index: 'rank', from: 5 })).length).toBe(40)
      expect(brokenAt(await wholeJournal(other))).toBe(undefined)
      await other.close()
    })
  })

  describe('time, promises and the end', () => {
    test('time is epoch milliseconds and goes on', async (store, { advance }) => {
      const now = await store.time()
      expect(Number.isFinite(now) && now >= 0).toBe(true)
      await advance?.(5000)
      expect((await store.time()) >= now + (advance === undefined ? 0 : 5000)).toBe(true)
    })

    test('what it promises has the right form', async (store, { reopen, another }) => {
      const { survives, multiProcess, snapshot, stalenessMs } = store.durability()
      expect(['nothing', 'process', 'power'].includes(survives)).toBe(true)
      expect(survives !== 'nothing').toBe(reopen !== undefined)
      expect(multiProcess).toBe(another !== undefined)
      expect(typeof snapshot).toBe('boolean')
      expect(stalenessMs >= 0).toBe(true)
    })

    test('what was acknowledged is there after closing and opening again', async (store, { reopen }) => {
      if (reopen === undefined) return
      await Promise.all(Array.from({ length: 40 }, (_, n) => commit(store, account(`a${n}`, 0, { rank: n }))))
      await commit(store, grave('a0', 1))
      const again = await reopen()
      expect((await ids(again, accountKind, { index: 'rank' })).length).toBe(39)
      expect((await again.find(accountKind, 'key', ['key of a0', 'key of a1']))?.id).toBe('a1')
      expect(brokenAt(await wholeJournal(again))).toBe(undefined)
    })

    test('a closed store refuses everything; closing twice is fine', async (store) => {
      await commit(store, account('a', 0))
      const pending = outcome(() => commit(store, account('b', 0)))
      await store.close()
      await store.close()
      // What was under way was finished.
      expect(await pending).toBe('ok')
      const calls: (() => unknown)[] = [
        () => store.get(accountKind, 'a'),
        () => store.find(accountKind, 'key', ['key of a']),
        () => store.list(accountKind, { index: 'rank', limit: 5 }),
        () => store.commit(draft([account('c', 0)])),
        () => store.journal({ limit: 5 }),
        () => store.journalHead(),
        () => store.addUsage('f', []),
        () => store.usage({ limit: 5 }),
        () => store.time(),
      ]
      if (store.cell !== undefined) calls.push(() => store.cell?.(accountKind, 'key', 'key of a'))
      if (store.scan !== undefined) calls.push(() => scanned(store.scan?.([accountKind]) ?? nothing()))
      for (const call of calls) expect([String(call), await outcome(call)]).toEqual([String(call), 'ERR_STORE_CLOSED'])
    })
  })
}

async function scanned(pages: AsyncIterable<readonly ScanRow[]>): Promise<ScanRow[]> {
  const rows: ScanRow[] = []
  for await (const page of pages) rows.push(...page)
  return rows
}

async function* nothing(): AsyncGenerator<readonly ScanRow[]> {}
