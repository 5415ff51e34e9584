import { nextEpoch } from '../../kernel/kind.ts'
import { eventKind } from '../../stores/outbox.ts'
import {
  account,
  accountKind,
  brokenAt,
  commit,
  draft,
  entry,
  event,
  grave,
  ids,
  isFrozenDeep,
  leaseKind,
  outcome,
  type Suite,
  wholeJournal,
} from './kit.ts'

/** Revisions that a write names, as a restore does, and reading what stands at ids. */
export function epochTests({ describe, test, expect }: Suite): void {
  describe('named revisions', () => {
    test('a write may open another epoch, and the next write goes on from there', async (store, { reopen }) => {
      const epoch = nextEpoch(0, 7)
      expect(epoch).toBe(2 ** 32 + 1)
      expect((await commit(store, { ...account('new', 0), made: epoch })).revisions).toEqual([epoch])
      await commit(store, account('old', 0, { rank: 1 }))
      expect((await commit(store, { ...account('old', 1, { rank: 2 }), made: epoch })).revisions).toEqual([epoch])
      expect((await commit(store, account('old', epoch, { rank: 3 }))).revisions).toEqual([epoch + 1])
      const later = nextEpoch(epoch + 1, 1)
      expect((await commit(store, { ...account('old', epoch + 1, { rank: 4 }), made: later })).revisions).toEqual([
        later,
      ])
      const again = reopen === undefined ? store : await reopen()
      expect((await again.get(accountKind, 'new'))?.revision).toBe(epoch)
      expect(await again.get(accountKind, 'old')).toEqual({
        id: 'old',
        revision: later,
        value: { name: 'name of old', keys: ['key of old'], rank: 4 },
      })
      expect(await ids(again, accountKind, { index: 'rank' })).toEqual(['new', 'old'])
      const journal = await wholeJournal(again)
      expect(journal.map((found) => found.revision)).toEqual([epoch, 1, epoch, epoch + 1, later])
      expect(brokenAt(journal)).toBe(undefined)
    })

    test('whoever read the record in the epoch before can not write it', async (store) => {
      await commit(store, account('a', 0))
      await commit(store, { ...account('a', 1, { rank: 5 }), made: nextEpoch(1, 1) })
      for (const revision of [0, 1, 2]) {
        expect(await outcome(() => commit(store, account('a', revision)))).toBe('ERR_STALE_REVISION')
      }
      expect((await store.get(accountKind, 'a'))?.value.rank).toBe(5)
    })

    test('a tombstone and an unjournaled record may have one too', async (store) => {
      const epoch = nextEpoch(0, 0)
      const lease = { kind: leaseKind, id: 'l', value: { holder: 'h', endsAt: 1 } }
      const all = draft([
        { ...grave('a', 0), made: epoch },
        { ...lease, revision: 0, made: epoch },
        { ...account('b', 0), made: epoch + 3 },
      ])
      expect((await store.commit(all)).revisions).toEqual([epoch, epoch, epoch + 3])
      expect(await outcome(() => commit(store, account('a', epoch)))).toBe('ERR_INVALID_COMMIT')
      expect((await commit(store, lease)).revisions).toEqual([epoch + 1])
      // Among so many that the checks go by a map.
      const many = Array.from({ length: 30 }, (_, n) => ({ ...account(`m${n}`, 0), made: epoch + n }))
      expect((await commit(store, ...many)).revisions).toEqual(many.map((write) => write.made))
    })

    test('one that the contract does not allow is refused', async (store) => {
      await commit(store, account('a', 0))
      await commit(store, account('a', 1))
      const lease = { kind: leaseKind, id: 'l', value: { holder: 'h', endsAt: 1 } }
      const good = draft([{ ...account('a', 2), made: 9 }])
      const bad = {
        'not after the expected one': draft([{ ...account('a', 2), made: 2 }]),
        'no whole number': draft([{ ...account('a', 2), made: 3.5 }]),
        'beyond what is safe': draft([{ ...account('a', 2), made: 2 ** 53 }]),
        'without an expectation': draft([{ ...lease, made: 5 }]),
        'with an entry of another revision': { ...good, journal: [entry('e', accountKind, 'a', 3)] },
      }
      for (const [what, each] of Object.entries(bad)) {
        expect([what, await outcome(() => store.commit(each))]).toEqual([what, 'ERR_INVALID_COMMIT'])
      }
      expect((await store.get(accountKind, 'a'))?.revision).toBe(2)
      expect(await store.get(leaseKind, 'l')).toBe(undefined)
    })
  })

  describe('rows', () => {
    test('what stands at ids is told in their order, tombstones included', async (store) => {
      if (store.rows === undefined) return
      expect(await store.rows(accountKind, ['a'])).toEqual([undefined])
      await commit(store, account('a', 0, { rank: 1, note: { lines: ['x'] } }), account('b', 0), account('ü', 0))
      await commit(store, grave('b', 1))
      await commit(store, { ...account('c', 0, { rank: 3 }), made: nextEpoch(0, 0) })
      const found = await store.rows(accountKind, ['c', 'none', 'b', 'ü', 'a', '__proto__', 'c'])
      expect(found.map((row) => row?.revision)).toEqual([2 ** 32 + 1, undefined, 2, 1, 1, undefined, 2 ** 32 + 1])
      expect(found[2]).toEqual({
        kind: accountKind.name,
        id: 'b',
        revision: 2,
        tombstone: { endedAt: 5, reason: 'test', digests: ['key of b'] },
      })
      expect(found[4]).toEqual({
        kind: accountKind.name,
        id: 'a',
        revision: 1,
        value: { name: 'name of a', keys: ['key of a'], rank: 1, note: { lines: ['x'] } },
      })
      expect(found.every((row) => row === undefined || !('value' in row) || isFrozenDeep(row.value))).toBe(true)
      expect(await store.rows(leaseKind, ['a'])).toEqual([undefined])
      expect(await store.rows(accountKind, [])).toEqual([])
    })

    test('at most 1000 at a time', async (store) => {
      if (store.rows === undefined) return
      const rows = store.rows.bind(store)
      const many = Array.from({ length: 1000 }, (_, n) => `a${n}`)
      await commit(store, account('a999', 0))
      expect((await rows(accountKind, many))[999]?.id).toBe('a999')
      expect(await outcome(() => rows(accountKind, [...many, 'more']))).toBe('ERR_INVALID_INPUT')
    })

    test('an event of the outbox is a row too', async (store) => {
      if (store.rows === undefined) return
      await store.commit(draft([account('a', 0)], { outbox: [event('e', 'a')] }))
      expect((await store.rows(eventKind, ['e']))[0]?.id).toBe('e')
    })
  })
}
