import { type Random, seededRandom } from '../../kernel/random.ts'
import { account, accountKind, commit, grave, ids, leaseKind, listAll, outcome, type Suite } from './kit.ts'

/** Unique and order indexes. */
export function indexTests({ describe, test, expect }: Suite): void {
  describe('unique indexes', () => {
    test('find answers the first hit in the order of the keys', async (store) => {
      await commit(store, account('a', 0, { keys: ['a1', 'a2'] }), account('b', 0, { keys: ['b1'] }))
      expect((await store.find(accountKind, 'key', ['none', 'b1', 'a1']))?.id).toBe('b')
      expect((await store.find(accountKind, 'key', ['a2', 'b1']))?.id).toBe('a')
      expect(await store.find(accountKind, 'key', ['none'])).toBe(undefined)
      expect(await store.find(accountKind, 'key', [])).toBe(undefined)
      // Keys of one index are no keys of another, nor of another kind.
      expect(await store.find(accountKind, 'name', ['a1'])).toBe(undefined)
      expect(await store.find(leaseKind, 'holder', ['a1'])).toBe(undefined)
    })

    test('a key that is held is refused, and the error names the holder', async (store) => {
      await commit(store, account('a', 0, { keys: ['k'] }))
      const found: unknown[] = []
      try {
        await commit(store, account('b', 0, { keys: ['fresh', 'k'] }))
      } catch (error) {
        const { code, kind, index, holder, removed } = error as { [name: string]: unknown }
        found.push(code, kind, index, holder, removed)
      }
      expect(found).toEqual(['ERR_UNIQUE_CONFLICT', 'suite_account', 'key', 'a', false])
      expect(await store.find(accountKind, 'key', ['fresh'])).toBe(undefined)
    })

    test('a key that is given up is free, also within the same commit', async (store) => {
      await commit(store, account('a', 0, { name: 'x', keys: ['k1', 'k2'] }))
      await commit(store, account('a', 1, { name: 'x', keys: ['k2', 'k3'] }))
      expect(await store.find(accountKind, 'key', ['k1'])).toBe(undefined)
      await commit(store, account('b', 0, { name: 'y', keys: ['k1'] }))
      // The name goes from one record to another.
      await commit(store, account('c', 0, { name: 'x', keys: [] }), account('a', 2, { name: 'old x', keys: ['k2'] }))
      expect((await store.find(accountKind, 'name', ['x']))?.id).toBe('c')
      // Two records swap names.
      await commit(
        store,
        account('a', 3, { name: 'y', keys: ['k2'] }),
        account('b', 1, { name: 'old x', keys: ['k1'] }),
      )
      expect((await store.find(accountKind, 'name', ['y']))?.id).toBe('a')
      expect((await store.find(accountKind, 'name', ['old x']))?.id).toBe('b')
      expect((await store.find(accountKind, 'key', ['k1']))?.id).toBe('b')
    })

    test('two records of one commit can not claim the same key', async (store) => {
      const both = () => commit(store, account('a', 0, { name: 'x' }), account('b', 0, { name: 'x' }))
      expect(await outcome(both)).toBe('ERR_UNIQUE_CONFLICT')
      expect(await store.get(accountKind, 'a')).toBe(undefined)
      // Nor one that a tombstone of the same commit keeps.
      await commit(store, account('a', 0))
      const kept = () => commit(store, grave('a', 1), account('b', 0, { keys: ['key of a'] }))
      expect(await outcome(kept)).toBe('ERR_UNIQUE_CONFLICT')
      expect((await store.get(accountKind, 'a'))?.revision).toBe(1)
    })

    test('an index that the kind lacks is refused', async (store) => {
      const lost = 'nothing' as 'name'
      expect(await outcome(() => store.find(accountKind, lost, ['a']))).toBe('ERR_INVALID_INPUT')
      expect(await outcome(() => store.list(accountKind, { index: lost as 'rank', limit: 5 }))).toBe(
        'ERR_INVALID_INPUT',
      )
    })
  })

  describe('order indexes', () => {
    test('ranges include from and exclude to, in both directions', async (store) => {
      for (const rank of [30, 10, -5, 20, 40]) await commit(store, account(`r${rank}`, 0, { rank }))
      expect(await ids(store, accountKind, { index: 'rank' })).toEqual(['r-5', 'r10', 'r20', 'r30', 'r40'])
      expect(await ids(store, accountKind, { index: 'rank', from: 10, to: 40 })).toEqual(['r10', 'r20', 'r30'])
      expect(await ids(store, accountKind, { index: 'rank', from: 11, to: 31, limit: 1 })).toEqual(['r20', 'r30'])
      expect(await ids(store, accountKind, { index: 'rank', from: 10, to: 40, reverse: true })).toEqual([
        'r30',
        'r20',
        'r10',
      ])
      expect(await ids(store, accountKind, { index: 'rank', reverse: true, limit: 2 })).toEqual([
        'r40',
        'r30',
        'r20',
        'r10',
        'r-5',
      ])
      expect(await ids(store, accountKind, { index: 'rank', from: 41 })).toEqual([])
      expect(await ids(store, accountKind, { index: 'rank', to: -5 })).toEqual([])
      expect(await ids(store, accountKind, { index: 'rank', from: 20, to: 20 })).toEqual([])
    })

    test('the same position is ordered by id', async (store) => {
      for (const id of ['c', 'a', 'b', 'B', 'a1']) await commit(store, account(id, 0, { rank: 1 }))
      const sorted = ['B', 'a', 'a1', 'b', 'c']
      expect(await ids(store, accountKind, { index: 'rank', limit: 2 })).toEqual(sorted)
      expect(await ids(store, accountKind, { index: 'rank', limit: 2, reverse: true })).toEqual(sorted.reverse())
    })

    test('the ends of the axis', async (store) => {
      const ranks = [Number.MIN_SAFE_INTEGER, 0, Number.MAX_SAFE_INTEGER]
      for (const rank of ranks) await commit(store, account(`r${rank}`, 0, { rank }))
      expect(await ids(store, accountKind, { index: 'rank', limit: 1 })).toEqual(ranks.map((rank) => `r${rank}`))
      expect(await ids(store, accountKind, { index: 'rank', from: 1 })).toEqual([`r${Number.MAX_SAFE_INTEGER}`])
      expect(await ids(store, accountKind, { index: 'rank', to: Number.MAX_SAFE_INTEGER })).toEqual([
        `r${ranks[0]}`,
        'r0',
      ])
    })

    test('records without a key are not in the index', async (store) => {
      await commit(store, account('a', 0), account('b', 0, { dueAt: 5 }))
      expect(await ids(store, accountKind, { index: 'due' })).toEqual(['b'])
      await commit(store, account('a', 1, { dueAt: 4 }), account('b', 1))
      expect(await ids(store, accountKind, { index: 'due' })).toEqual(['a'])
    })

    test('partitions don’t see each other', async (store) => {
      await commit(store, account('a', 0, { owner: 'x', tags: ['red', 'blue'], rank: 2 }))
      await commit(store, account('b', 0, { owner: 'y', tags: ['red'], rank: 1 }), account('c', 0))
      expect(await ids(store, accountKind, { index: 'owner', in: 'x' })).toEqual(['a'])
      expect(await ids(store, accountKind, { index: 'owner', in: 'z' })).toEqual([])
      expect(await ids(store, accountKind, { index: 'owner' })).toEqual([])
      expect(await ids(store, accountKind, { index: 'tag', in: 'red' })).toEqual(['b', 'a'])
      expect(await ids(store, accountKind, { index: 'tag', in: 'blue' })).toEqual(['a'])
      await commit(store, account('a', 1, { owner: 'y', tags: ['green', 'red'], rank: 0 }))
      expect(await ids(store, accountKind, { index: 'owner', in: 'x' })).toEqual([])
      expect(await ids(store, accountKind, { index: 'owner', in: 'y' })).toEqual(['a', 'b'])
      expect(await ids(store, accountKind, { index: 'tag', in: 'red' })).toEqual(['a', 'b'])
      expect(await ids(store, accountKind, { index: 'tag', in: 'blue' })).toEqual([])
      expect(await ids(store, accountKind, { index: 'tag', in: 'green' })).toEqual(['a'])
      // The same partition twice counts once.
      await commit(store, account('a', 2, { tags: ['red', 'red'], rank: 3 }))
      expect(await ids(store, accountKind, { index: 'tag', in: 'red' })).toEqual(['b', 'a'])
      await commit(store, account('a', 3, {}))
      expect(await ids(store, accountKind, { index: 'tag', in: 'red' })).toEqual(['b'])
    })

    test('a cursor goes on where the page ended, whatever has changed since', async (store) => {
      for (let rank = 0; rank < 10; rank++) await commit(store, account(`r${rank}`, 0, { rank }))
      const page = await store.list(accountKind, { index: 'rank', limit: 4 })
      expect(page.items.map((stored) => stored.id)).toEqual(['r0', 'r1', 'r2', 'r3'])
      await commit(store, grave('r3', 1), account('r0', 1, { rank: 100 }), account('r35', 0, { rank: 4 }))
      const next = await store.list(accountKind, { index: 'rank', limit: 4, cursor: page.cursor })
      expect(next.items.map((stored) => stored.id)).toEqual(['r35', 'r4', 'r5', 'r6'])
      const back = await store.list(accountKind, { index: 'rank', limit: 3, reverse: true, to: 9 })
      await commit(store, grave('r6', 1))
      const further = await store.list(accountKind, {
        index: 'rank',
        limit: 3,
        reverse: true,
        to: 9,
        cursor: back.cursor,
      })
      expect(further.items.map((stored) => stored.id)).toEqual(['r5', 'r4', 'r35'])
      // A full last page has no cursor.
      expect((await store.list(accountKind, { index: 'rank', from: 7, to: 10, limit: 3 })).cursor).toBe(undefined)
    })

    test('limits, bounds and cursors that can not be used are refused', async (store) => {
      await commit(store, account('a', 0))
      for (const bad of [
        { limit: 0 },
        { limit: 1001 },
        { limit: 1.5 },
        { limit: Number.NaN },
        { from: Number.NaN },
        { cursor: 'x' },
        { cursor: '' },
      ]) {
        expect(await outcome(() => store.list(accountKind, { index: 'rank', limit: 5, ...bad }))).toBe(
          'ERR_INVALID_INPUT',
        )
      }
    })

    test('thousands of records in random order, half of them moved, a third removed', async (store) => {
      const random = seededRandom('order indexes')
      const ranks = new Map<string, number>()
      const every = Array.from({ length: 2400 }, (_, n) => `id${n}`)
      for (let from = 0; from < every.length; from += 100) {
        const batch = every.slice(from, from + 100)
        for (const id of batch) ranks.set(id, pick(random, 400))
        await commit(store, ...batch.map((id) => account(id, 0, { rank: ranks.get(id) ?? 0, owner: 'o' })))
      }
      await compare(ranks)
      for (let from = 0; from < every.length; from += 200) {
        const batch = every.slice(from, from + 100)
        for (const id of batch) ranks.set(id, pick(random, 400))
        await commit(store, ...batch.map((id) => account(id, 1, { rank: ranks.get(id) ?? 0, owner: 'o' })))
      }
      const removed = every.filter((_, n) => n % 3 === 0)
      for (let from = 0; from < removed.length; from += 100) {
        const graves = await Promise.all(
          removed
            .slice(from, from + 100)
            .map(async (id) => grave(id, (await store.get(accountKind, id))?.revision ?? 0)),
        )
        await commit(store, ...graves)
      }
      for (const id of removed) ranks.delete(id)
      await compare(ranks)

      async function compare(model: ReadonlyMap<string, number>): Promise<void> {
        const sorted = [...model].sort(([a, x], [b, y]) => x - y || (a < b ? -1 : 1))
        for (const [from, to] of [
          [0, 400],
          [100, 101],
          [17, 233],
        ] as const) {
          const expected = sorted.filter(([, rank]) => rank >= from && rank < to).map(([id]) => id)
          for (const limit of [37, 1000]) {
            const range = { index: 'owner', in: 'o', from, to, limit } as const
            expect((await listAll(store, accountKind, range)).map((stored) => stored.id)).toEqual(expected)
            const down = await listAll(store, accountKind, { ...range, reverse: true })
            expect(down.map((stored) => stored.id).reverse()).toEqual(expected)
          }
        }
      }
    })
  })
}

function pick(random: Random, below: number): number {
  return Math.floor(random.float() * below)
}
