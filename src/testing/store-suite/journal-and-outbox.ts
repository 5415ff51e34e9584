import type { EventRecord } from '../../stores/outbox.ts'
import { eventKind } from '../../stores/outbox.ts'
import type { TokenStore } from '../../stores/token-store.ts'
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
  journalKey,
  leaseKind,
  outcome,
  type Suite,
  wholeJournal,
} from './kit.ts'

/** The journal's chain, and reading it. */
export function journalTests({ describe, test, expect }: Suite): void {
  describe('journal', () => {
    test('an empty journal has an empty head', async (store) => {
      expect(await store.journalHead()).toEqual({ seq: 0, mac: '' })
      expect(await store.journal({ limit: 10 })).toEqual([])
    })

    test('entries are chained without gaps, in the order of the commits', async (store, { reopen }) => {
      const first = draft([
        account('a', 0),
        account('b', 0),
        { kind: leaseKind, id: 'l', value: { holder: 'h', endsAt: 1 } },
      ])
      await store.commit(first)
      expect(await outcome(() => commit(store, account('a', 7)))).toBe('ERR_STALE_REVISION')
      await Promise.all(Array.from({ length: 50 }, (_, n) => commit(store, account(`p${n}`, 0))))
      const again = reopen === undefined ? store : await reopen()
      await commit(again, grave('a', 1))
      const entries = await wholeJournal(again)
      expect(entries.length).toBe(53)
      expect(entries.map((found) => found.seq)).toEqual(Array.from({ length: 53 }, (_, n) => n + 1))
      expect(brokenAt(entries)).toBe(undefined)
      expect(entries.slice(0, 2).map(({ seq: _, mac: __, ...rest }) => rest)).toEqual(first.journal)
      expect(await again.journalHead()).toEqual({ seq: 53, mac: entries[52]?.mac })
    })

    test('it can be read from a point, about a record, backwards', async (store) => {
      for (let n = 0; n < 6; n++) await commit(store, account('a', n), account('b', n))
      await wholeJournal(store)
      const read = async (query: Parameters<TokenStore['journal']>[0]) =>
        (await store.journal(query)).map((found) => found.seq)
      expect(await read({ limit: 3 })).toEqual([1, 2, 3])
      expect(await read({ after: 3, limit: 3 })).toEqual([4, 5, 6])
      expect(await read({ after: 12, limit: 3 })).toEqual([])
      expect(await read({ limit: 3, reverse: true })).toEqual([12, 11, 10])
      expect(await read({ after: 10, limit: 3, reverse: true })).toEqual([9, 8, 7])
      expect(await read({ after: 1, limit: 3, reverse: true })).toEqual([])
      expect(await read({ subject: 'b', limit: 1000 })).toEqual([2, 4, 6, 8, 10, 12])
      expect(await read({ subject: 'b', after: 4, limit: 2 })).toEqual([6, 8])
      expect(await read({ subject: 'a', after: 9, limit: 2, reverse: true })).toEqual([7, 5])
      expect(await read({ subject: 'c', limit: 5 })).toEqual([])
      for (const limit of [0, 1001, 0.5]) {
        expect(await outcome(() => store.journal({ limit }))).toBe('ERR_INVALID_INPUT')
      }
    })

    test('old entries can be let go of, but for the last; what is left stays linked', async (store) => {
      if (store.pruneJournal === undefined) return
      for (let n = 0; n < 7; n++) await commit(store, account(`a${n}`, 0))
      const before = await wholeJournal(store)
      const seqs = async () => (await store.journal({ limit: 100 })).map((found) => found.seq)
      expect(await store.pruneJournal(4, 2)).toBe(2)
      expect(await seqs()).toEqual([3, 4, 5, 6, 7])
      expect(await store.pruneJournal(4, 10)).toBe(2)
      expect(await store.pruneJournal(4, 10)).toBe(0)
      expect(await seqs()).toEqual([5, 6, 7])
      expect((await store.journal({ limit: 100 }))[0]).toEqual(before[4])
      expect(await store.journal({ subject: 'a1', limit: 10 })).toEqual([])
      expect(await store.pruneJournal(1_000_000, 100)).toBe(2)
      expect(await seqs()).toEqual([7])
      expect((await store.journalHead()).seq).toBe(7)
      await commit(store, account('b', 0))
      const after = await wholeJournal(store)
      expect(after.map((found) => found.seq)).toEqual([7, 8])
      expect((await store.journal({ reverse: true, limit: 1 }))[0]?.subject).toBe('b')
      for (const limit of [0, 10_001, 0.5]) {
        expect(await outcome(() => store.pruneJournal?.(1, limit) as never)).toBe('ERR_INVALID_INPUT')
      }
    })

    test('an entry may tell of a record that the commit only read', async (store) => {
      await commit(store, account('a', 0))
      const told = draft([])
      await store.commit({ ...told, journal: [entry('told.0', accountKind, 'a', 1)] })
      expect((await wholeJournal(store)).map((found) => found.subject)).toEqual(['a', 'a'])
      expect((await store.get(accountKind, 'a'))?.revision).toBe(1)
    })

    test('details and reasons are kept as they were tagged', async (store) => {
      const told = draft([account('a', 0)])
      const facts = { ...told.journal[0], reason: 'because', detail: { n: 1, yes: true, text: 'x' } }
      await store.commit({ ...told, journal: [facts as (typeof told.journal)[number]] })
      const found = (await wholeJournal(store))[0]
      expect([found?.reason, found?.detail]).toEqual(['because', { n: 1, yes: true, text: 'x' }])
    })

    test('no store holds the journal key', async (store) => {
      await commit(store, account('a', 0))
      const secret = journalKey.export().toString('base64url')
      expect(JSON.stringify(await wholeJournal(store)).includes(secret)).toBe(false)
    })
  })
}

/** The outbox: numbering, order per token, handing over what is due. */
export function outboxTests({ describe, test, expect }: Suite): void {
  const due = (store: TokenStore) => ids(store, eventKind, { index: 'due' })
  const inToken = (store: TokenStore, token: string) => ids(store, eventKind, { index: 'order', in: token })
  const note = { kind: leaseKind, id: 'l', value: { holder: 'h', endsAt: 1 } }

  describe('outbox', () => {
    test('events are numbered, and only the oldest of each token is due', async (store) => {
      const sent = [event('e1', 't', 300), event('e2', 't', 200), event('e3', 'u', 100)]
      await store.commit(draft([account('a', 0)], { outbox: sent }))
      await store.commit(draft([note], { outbox: [event('e4', 'u', 50)] }))
      expect(await due(store)).toEqual(['e3', 'e1'])
      expect(await inToken(store, 't')).toEqual(['e1', 'e2'])
      expect(await inToken(store, 'u')).toEqual(['e3', 'e4'])
      expect((await store.get(eventKind, 'e1'))?.value).toEqual({ ...sent[0], order: 1, dueAt: 300 })
      expect((await store.get(eventKind, 'e2'))?.value).toEqual({ ...sent[1], order: 2 })
      expect((await store.get(eventKind, 'e3'))?.value).toEqual({ ...sent[2], order: 3, dueAt: 100 })
    })

    test('when the oldest is acknowledged, the next becomes due in the same commit', async (store) => {
      await store.commit(draft([note], { outbox: [event('e1', 't', 1), event('e2', 't', 2), event('e3', 't', 3)] }))
      // One out of turn changes nothing.
      await commit(store, { kind: eventKind, id: 'e2', remove: true })
      expect(await due(store)).toEqual(['e1'])
      await commit(store, { kind: eventKind, id: 'e1', remove: true })
      expect(await due(store)).toEqual(['e3'])
      expect((await store.get(eventKind, 'e3'))?.value.dueAt).toBe(3)
      await commit(store, { kind: eventKind, id: 'e3', remove: true })
      expect(await due(store)).toEqual([])
      expect(await inToken(store, 't')).toEqual([])
      await store.commit(draft([note], { outbox: [event('e4', 't', 4)] }))
      expect(await due(store)).toEqual(['e4'])
    })

    test('one commit may acknowledge and send', async (store) => {
      await store.commit(draft([note], { outbox: [event('e1', 't', 1), event('f1', 'u', 1)] }))
      const removed = (id: string) => ({ kind: eventKind, id, remove: true as const })
      await store.commit(draft([removed('e1'), removed('f1')], { outbox: [event('e2', 't', 2), event('e3', 't', 3)] }))
      expect(await due(store)).toEqual(['e2'])
      expect(await inToken(store, 't')).toEqual(['e2', 'e3'])
    })

    test('a delivery that failed is put off by an ordinary write, and holds back its token only', async (store) => {
      await store.commit(draft([note], { outbox: [event('e1', 't', 1), event('e2', 't', 2), event('f1', 'u', 5)] }))
      const stored = await store.get(eventKind, 'e1')
      const later: EventRecord = { ...(stored?.value as EventRecord), dueAt: 900, attempts: 1, acknowledged: ['mail'] }
      await commit(store, { kind: eventKind, id: 'e1', revision: stored?.revision ?? 0, value: later })
      expect(await due(store)).toEqual(['f1', 'e1'])
      expect((await store.get(eventKind, 'e1'))?.value).toEqual(later)
      expect(await outcome(() => commit(store, { kind: eventKind, id: 'e1', revision: 1, remove: true }))).toBe(
        'ERR_STALE_REVISION',
      )
      expect(await due(store)).toEqual(['f1', 'e1'])
    })

    test('the numbers go on after everything was acknowledged', async (store, { reopen }) => {
      await store.commit(draft([note], { outbox: [event('e1', 't'), event('e2', 't')] }))
      await commit(store, { kind: eventKind, id: 'e1', remove: true }, { kind: eventKind, id: 'e2', remove: true })
      const again = reopen === undefined ? store : await reopen()
      await again.commit(draft([note], { outbox: [event('e3', 't')] }))
      expect((await again.get(eventKind, 'e3'))?.value.order).toBe(3)
    })

    test('an event that is there already is refused', async (store) => {
      await store.commit(draft([note], { outbox: [event('e1', 't')] }))
      const again = draft([account('a', 0)], { outbox: [event('e1', 'u')] })
      expect(await outcome(() => store.commit(again))).toBe('ERR_INVALID_COMMIT')
      expect(await store.get(accountKind, 'a')).toBe(undefined)
      expect(await due(store)).toEqual(['e1'])
    })

    test('events of racing commits keep one order per token', async (store) => {
      await Promise.all(
        Array.from({ length: 30 }, (_, n) =>
          store.commit(draft([account(`a${n}`, 0)], { outbox: [event(`e${n}`, `t${n % 3}`)] })),
        ),
      )
      const orders: number[] = []
      for (const token of ['t0', 't1', 't2']) {
        const page = await store.list(eventKind, { index: 'order', in: token, limit: 100 })
        expect(page.items.length).toBe(10)
        expect(page.items.map((stored) => stored.value.dueAt !== undefined)).toEqual(page.items.map((_, n) => n === 0))
        orders.push(...page.items.map((stored) => stored.value.order))
      }
      expect(orders.sort((a, b) => a - b)).toEqual(Array.from({ length: 30 }, (_, n) => n + 1))
    })
  })
}
