import { activityKind } from '../../stores/usage-rows.ts'
import {
  account,
  accountKind,
  commit,
  draft,
  entry,
  event,
  grave,
  ids,
  isFrozenDeep,
  leaseKind,
  listAll,
  outcome,
  REFUSED_NAME,
  type Suite,
  wholeJournal,
} from './kit.ts'

/** Commits: conditions, atomicity, replay, races, refusals. */
export function commitTests({ describe, test, expect }: Suite): void {
  describe('commits', () => {
    test('a record is read back as it was written, with revisions counting from 1', async (store) => {
      const value = { name: 'ä "quoted" \u0000 \u{1F600}', keys: ['a', 'b'], rank: -7, note: { lines: ['', "it's"] } }
      expect(await commit(store, account('a', 0, value))).toEqual({ revisions: [1], replayed: false })
      expect(await store.get(accountKind, 'a')).toEqual({ id: 'a', revision: 1, value })
      expect(await commit(store, account('a', 1, { rank: 8 }))).toEqual({ revisions: [2], replayed: false })
      const changed = await store.get(accountKind, 'a')
      expect(changed?.revision).toBe(2)
      expect(changed?.value.rank).toBe(8)
      expect(await store.get(accountKind, 'b')).toBe(undefined)
      expect(await store.get(leaseKind, 'a')).toBe(undefined)
    })

    test('ids and keys may be any text', async (store) => {
      for (const id of ['__proto__', 'constructor', 'a/b', "x'; --", 'ü', ' ']) {
        await commit(store, account(id, 0, { keys: [id], name: id, owner: id }))
        expect((await store.get(accountKind, id))?.id).toBe(id)
        expect((await store.find(accountKind, 'key', [id]))?.id).toBe(id)
        expect((await store.list(accountKind, { index: 'owner', in: id, limit: 5 })).items.length).toBe(1)
      }
      expect(await store.find(accountKind, 'key', ['hasOwnProperty'])).toBe(undefined)
    })

    test('another revision than the expected one is refused', async (store) => {
      await commit(store, account('a', 0))
      await commit(store, account('a', 1))
      for (const revision of [0, 1, 3]) {
        expect(await outcome(() => commit(store, account('a', revision)))).toBe('ERR_STALE_REVISION')
      }
      expect(await outcome(() => commit(store, account('b', 1)))).toBe('ERR_STALE_REVISION')
      expect((await store.get(accountKind, 'a'))?.revision).toBe(2)
      expect(await store.get(accountKind, 'b')).toBe(undefined)
    })

    test('a stale error names the revisions', async (store) => {
      await commit(store, account('a', 0))
      const found: unknown[] = []
      try {
        await commit(store, account('a', 7))
      } catch (error) {
        const { kind, id, expected, found: there, retryable } = error as { [name: string]: unknown }
        found.push(kind, id, expected, there, retryable)
      }
      expect(found).toEqual(['suite_account', 'a', 7, 1, true])
    })

    test('a refused commit writes nothing at all', async (store) => {
      await commit(store, account('a', 0, { rank: 1 }), { kind: leaseKind, id: 'l', value: { holder: 'h', endsAt: 1 } })
      const before = await wholeJournal(store)
      const bad = [
        draft([account('new', 0), { kind: leaseKind, id: 'l', remove: true }, account('a', 5, { rank: 2 })], {
          outbox: [event('e1', 'new')],
        }),
        draft([account('new', 0), account('b', 0, { name: 'name of a' })], { outbox: [event('e1', 'new')] }),
        draft([account('a', 1, { rank: 9, keys: ['other'] }), account('new', 0, { rank: 0.5 })]),
      ]
      for (const each of bad) expect((await outcome(() => store.commit(each))) === 'ok').toBe(false)
      expect(await store.get(accountKind, 'new')).toBe(undefined)
      expect((await store.get(accountKind, 'a'))?.value.rank).toBe(1)
      expect((await store.find(accountKind, 'key', ['other', 'key of a']))?.value.rank).toBe(1)
      expect((await store.get(leaseKind, 'l'))?.value.holder).toBe('h')
      expect((await listAll(store, accountKind, { index: 'rank', limit: 10 })).length).toBe(1)
      expect(await wholeJournal(store)).toEqual(before)
      // And the commit's id isn't taken for done.
      const again = draft([account('new', 0)], { id: bad[0]?.id ?? '' })
      expect((await store.commit(again)).replayed).toBe(false)
    })

    test('of racing commits on one record exactly one wins', async (store) => {
      await commit(store, account('a', 0))
      for (let round = 1; round <= 5; round++) {
        const racers = Array.from({ length: 20 }, (_, n) =>
          outcome(() => commit(store, account('a', round, { rank: n }))),
        )
        const outcomes = await Promise.all(racers)
        expect(outcomes.filter((code) => code === 'ok').length).toBe(1)
        expect(outcomes.filter((code) => code === 'ERR_STALE_REVISION').length).toBe(19)
        const stored = await store.get(accountKind, 'a')
        expect(stored?.revision).toBe(round + 1)
        expect(stored?.value.rank).toBe(outcomes.indexOf('ok'))
      }
    })

    test('of racing commits that claim one key exactly one wins', async (store) => {
      const racers = Array.from({ length: 20 }, (_, n) =>
        outcome(() => commit(store, account(`r${n}`, 0, { name: 'same' }))),
      )
      const outcomes = await Promise.all(racers)
      expect(outcomes.filter((code) => code === 'ok').length).toBe(1)
      expect(outcomes.filter((code) => code === 'ERR_UNIQUE_CONFLICT').length).toBe(19)
      expect((await store.find(accountKind, 'name', ['same']))?.id).toBe(`r${outcomes.indexOf('ok')}`)
    })

    test('of racing commits that make one record exactly one wins', async (store) => {
      const racers = Array.from({ length: 20 }, (_, n) =>
        outcome(() => commit(store, account('new', 0, { name: `n${n}`, keys: [`k${n}`], rank: n }))),
      )
      const outcomes = await Promise.all(racers)
      expect(outcomes.filter((code) => code === 'ok').length).toBe(1)
      expect(outcomes.filter((code) => code === 'ERR_STALE_REVISION').length).toBe(19)
      const winner = outcomes.indexOf('ok')
      expect((await store.get(accountKind, 'new'))?.value.rank).toBe(winner)
      expect((await ids(store, accountKind, { index: 'rank' })).length).toBe(1)
      for (let n = 0; n < 20; n++) {
        expect((await store.find(accountKind, 'key', [`k${n}`]))?.id).toBe(n === winner ? 'new' : undefined)
      }
    })

    test('two commits that each expect the other’s record not to be there are not both done', async (store) => {
      for (let round = 0; round < 10; round++) {
        const [a, b] = [`a${round}`, `b${round}`]
        const make = (id: string, absent: string) => {
          const made = draft([account(id, 0)])
          return { ...made, expect: [...made.expect, { kind: accountKind, id: absent, revision: 0 }] }
        }
        const both = [make(a, b), make(b, a)].map((each) => outcome(() => store.commit(each)))
        expect((await Promise.all(both)).sort()).toEqual(['ERR_STALE_REVISION', 'ok'])
        expect([await store.get(accountKind, a), await store.get(accountKind, b)].filter(Boolean).length).toBe(1)
      }
    })

    test('many commits at once are all done', async (store) => {
      const results = await Promise.all(
        Array.from({ length: 100 }, (_, n) => commit(store, account(`m${n}`, 0, { rank: n }))),
      )
      expect(results.every((result) => result.revisions[0] === 1 && !result.replayed)).toBe(true)
      expect(
        (await listAll(store, accountKind, { index: 'rank', limit: 7 })).map((stored) => stored.value.rank),
      ).toEqual(Array.from({ length: 100 }, (_, n) => n))
    })

    test('the same commit again changes nothing and answers as before', async (store, { reopen }) => {
      const first = draft([account('a', 0), { kind: leaseKind, id: 'l', remove: true }], { outbox: [event('e', 'a')] })
      expect(await store.commit(first)).toEqual({ revisions: [1, 0], replayed: false })
      await commit(store, account('a', 1, { rank: 3 }))
      expect(await store.commit(first)).toEqual({ revisions: [1, 0], replayed: true })
      const twice = draft([account('b', 0)])
      const answers = await Promise.all([store.commit(twice), store.commit(twice)])
      expect(answers.map((answer) => answer.replayed).sort()).toEqual([false, true])
      const again = reopen === undefined ? store : await reopen()
      expect(await again.commit(first)).toEqual({ revisions: [1, 0], replayed: true })
      expect((await again.get(accountKind, 'a'))?.value.rank).toBe(3)
      expect((await wholeJournal(again)).length).toBe(3)
    })

    test('an expectation alone guards the commit', async (store) => {
      await commit(store, account('a', 0))
      const guarded = draft([account('b', 0)])
      const guard = (revision: number) => ({
        ...guarded,
        expect: [...guarded.expect, { kind: accountKind, id: 'a', revision }],
      })
      expect(await outcome(() => store.commit(guard(2)))).toBe('ERR_STALE_REVISION')
      expect(await store.get(accountKind, 'b')).toBe(undefined)
      expect(await outcome(() => store.commit(guard(1)))).toBe('ok')
      expect((await store.get(accountKind, 'a'))?.revision).toBe(1)
    })

    test('a commit that breaks the rules is refused as such', async (store) => {
      await commit(store, account('a', 0))
      const good = draft([account('a', 1)])
      const note = { kind: leaseKind, id: 'l', value: { holder: 'h', endsAt: 1 } }
      const bad = {
        'no id': { ...good, id: '' },
        'a journaled write without expectation': { ...good, expect: [] },
        'a journaled write without entry': { ...good, journal: [] },
        'an entry of another revision': { ...good, journal: [entry('e', accountKind, 'a', 3)] },
        'a journaled record removed without tombstone': {
          ...good,
          write: [{ kind: accountKind, id: 'a', remove: true as const }],
        },
        'a record written twice': { ...good, write: [...good.write, ...good.write] },
        'a record expected twice': { ...good, expect: [...good.expect, ...good.expect] },
        'a record that its kind refuses': draft([account('a', 1, { name: REFUSED_NAME })]),
        'no value': { ...good, write: [{ kind: accountKind, id: 'a', value: undefined }] },
        'a record without id': draft([account('', 0)]),
        'an id without end': draft([account('x'.repeat(513), 0)]),
        'a revision that is none': draft([account('b', -1)]),
        'a tombstone without expectation': draft([
          { kind: leaseKind, id: 'l', tombstone: { endedAt: 1, reason: '', digests: [] } },
        ]),
        'a position that is not a safe integer': draft([account('b', 0, { rank: 1.5 })]),
        'a position that is no number': draft([account('b', 0, { dueAt: Number.NaN })]),
        'an empty partition': draft([account('b', 0, { owner: '' })]),
        'an empty key': draft([account('b', 0, { keys: [''] })]),
        'the same outbox event twice': draft([note], { outbox: [event('e', 't'), event('e', 't')] }),
        'an outbox event without token': draft([note], { outbox: [event('e', '')] }),
      }
      for (const [what, each] of Object.entries(bad)) {
        expect([what, await outcome(() => store.commit(each))]).toEqual([what, 'ERR_INVALID_COMMIT'])
      }
      expect((await store.get(accountKind, 'a'))?.revision).toBe(1)
      expect(await store.get(leaseKind, 'l')).toBe(undefined)
      expect((await wholeJournal(store)).length).toBe(1)
    })

    test('without journal the last writer wins, unless it expects', async (store) => {
      const lease = (holder: string, revision?: number) => ({
        kind: leaseKind,
        id: 'l',
        value: { holder, endsAt: 1 },
        ...(revision === undefined ? undefined : { revision }),
      })
      expect((await commit(store, lease('a'))).revisions).toEqual([1])
      expect((await commit(store, lease('b'))).revisions).toEqual([2])
      expect(await outcome(() => commit(store, lease('c', 1)))).toBe('ERR_STALE_REVISION')
      expect((await commit(store, lease('c', 2))).revisions).toEqual([3])
      expect((await store.get(leaseKind, 'l'))?.value.holder).toBe('c')
      expect((await commit(store, { kind: leaseKind, id: 'l', remove: true, revision: 3 })).revisions).toEqual([0])
      expect(await store.get(leaseKind, 'l')).toBe(undefined)
      expect(await store.find(leaseKind, 'holder', ['c'])).toBe(undefined)
      expect((await store.list(leaseKind, { index: 'ends', limit: 5 })).items).toEqual([])
      expect((await commit(store, lease('c', 0))).revisions).toEqual([1])
      expect((await wholeJournal(store)).length).toBe(0)
    })

    test('what is handed out is frozen, all of it', async (store) => {
      await commit(store, account('a', 0, { owner: 'o', note: { lines: ['x'] }, tags: ['t'] }))
      await wholeJournal(store)
      const values = [
        (await store.get(accountKind, 'a'))?.value,
        (await store.find(accountKind, 'key', ['key of a']))?.value,
        (await store.list(accountKind, { index: 'owner', in: 'o', limit: 5 })).items[0]?.value,
        (await store.journal({ limit: 1 }))[0],
      ]
      if (store.cell !== undefined) values.push(store.cell(accountKind, 'key', 'key of a')?.current?.value)
      for (const value of values) {
        expect(value !== undefined).toBe(true)
        expect(isFrozenDeep(value)).toBe(true)
      }
    })
  })

  describe('tombstones', () => {
    test('a removed record is gone from every way to read it', async (store) => {
      await commit(store, account('a', 0, { owner: 'o', tags: ['t'], dueAt: 5 }))
      const cell = store.cell?.(accountKind, 'key', 'key of a')
      expect((await commit(store, grave('a', 1))).revisions).toEqual([2])
      expect(await store.get(accountKind, 'a')).toBe(undefined)
      expect(await store.find(accountKind, 'key', ['key of a'])).toBe(undefined)
      expect(await store.find(accountKind, 'name', ['name of a'])).toBe(undefined)
      for (const [index, part] of [['rank'], ['due'], ['owner', 'o'], ['tag', 't']] as const) {
        expect((await store.list(accountKind, { index, in: part, limit: 5 })).items).toEqual([])
      }
      expect(cell?.current).toBe(undefined)
      expect(store.cell?.(accountKind, 'key', 'key of a')).toBe(undefined)
    })

    test('it needs the right revision', async (store) => {
      await commit(store, account('a', 0))
      expect(await outcome(() => commit(store, grave('a', 2)))).toBe('ERR_STALE_REVISION')
      expect(await outcome(() => commit(store, grave('a', 0)))).toBe('ERR_STALE_REVISION')
      expect((await store.get(accountKind, 'a'))?.revision).toBe(1)
    })

    test('nothing comes back: its id, and the keys that it keeps, stay taken', async (store, { reopen }) => {
      await commit(store, account('a', 0, { keys: ['k1', 'k2'] }))
      await commit(store, grave('a', 1, ['k1', 'k2', 'k0']))
      const again = reopen === undefined ? store : await reopen()
      expect(await outcome(() => commit(again, account('a', 0)))).toBe('ERR_STALE_REVISION')
      expect(await outcome(() => commit(again, account('a', 1)))).toBe('ERR_STALE_REVISION')
      expect(await outcome(() => commit(again, account('a', 2)))).toBe('ERR_INVALID_COMMIT')
      expect(await outcome(() => commit(again, grave('a', 2)))).toBe('ERR_INVALID_COMMIT')
      for (const key of ['k0', 'k1', 'k2']) {
        expect(await outcome(() => commit(again, account('b', 0, { keys: [key] })))).toBe('ERR_UNIQUE_CONFLICT')
      }
      // The name isn't kept: another record may have it.
      expect(await outcome(() => commit(again, account('b', 0, { name: 'name of a' })))).toBe('ok')
      expect((await again.find(accountKind, 'name', ['name of a']))?.id).toBe('b')
    })

    test('a tombstone may be put where no record was, and can not take the key of a living one', async (store) => {
      expect((await commit(store, grave('never', 0))).revisions).toEqual([1])
      expect(await outcome(() => commit(store, account('never', 0)))).toBe('ERR_STALE_REVISION')
      await commit(store, account('a', 0))
      expect(await outcome(() => commit(store, grave('b', 0, ['key of a'])))).toBe('ERR_UNIQUE_CONFLICT')
      expect((await store.find(accountKind, 'key', ['key of a']))?.id).toBe('a')
    })

    test('an unjournaled record with a tombstone stays gone too', async (store) => {
      await commit(store, { kind: activityKind, id: 't.1', value: { calls: 0, lastAt: 1 } })
      await commit(store, {
        kind: activityKind,
        id: 't.1',
        revision: 1,
        tombstone: { endedAt: 1, reason: 'test', digests: [] },
      })
      const late = { kind: activityKind, id: 't.1', value: { calls: 0, lastAt: 1 } }
      expect(await outcome(() => commit(store, late))).toBe('ERR_INVALID_COMMIT')
      expect(await outcome(() => commit(store, { kind: activityKind, id: 't.1', remove: true }))).toBe(
        'ERR_INVALID_COMMIT',
      )
      expect(await store.get(activityKind, 't.1')).toBe(undefined)
    })
  })
}
