import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { FileTokenStore } from '../../src/file/file-token-store.ts'
import type { Kind } from '../../src/kernel/kind.ts'
import { account, accountKind, commit, draft, grave, isFrozenDeep } from '../../src/testing/store-suite/kit.ts'
import { testFolder } from './folder.ts'

let place: ReturnType<typeof testFolder>

beforeEach(() => {
  place = testFolder()
})

afterEach(() => place.remove())

describe('cells of a file', () => {
  it('there are no more than asked for, and one that has left is right all the same', async () => {
    const store = await FileTokenStore.open(place.path, { maxCells: 20 })
    const drafts = Array.from({ length: 200 }, (_, n) => account(`a${n}`, 0, { rank: n }))
    await commit(store, ...drafts)
    const cells = drafts.map(({ id }) => store.cell(accountKind, 'key', `key of ${id}`))
    // Most have left the cache: each is read anew, and shows what has changed since.
    await commit(store, account('a3', 1, { rank: -3 }), grave('a4', 1))
    expect(cells[3]?.current?.value.rank).toBe(-3)
    expect(cells[4]?.current).toBe(undefined)
    expect(cells.map((cell) => cell?.current?.id)).toEqual(drafts.map(({ id }, n) => (n === 4 ? undefined : id)))
    // It came back by being read: it is kept right again.
    const [a, b] = [cells[7], store.cell(accountKind, 'key', 'key of a7')]
    await commit(store, account('a7', 1, { rank: 70 }))
    expect([a?.current?.value.rank, b?.current?.value.rank]).toEqual([70, 70])
    await store.close()
  })

  it('what is read stays', async () => {
    const store = await FileTokenStore.open(place.path, { maxCells: 40 })
    const drafts = Array.from({ length: 300 }, (_, n) => account(`a${n}`, 0, { rank: n }))
    await commit(store, ...drafts)
    const favourite = store.cell(accountKind, 'key', 'key of a0')
    if (favourite !== undefined) favourite.memo = { kept: true }
    const first = favourite?.current
    for (const { id } of drafts) {
      store.cell(accountKind, 'key', `key of ${id}`)
      expect(favourite?.current).toBe(first)
    }
    expect(store.cell(accountKind, 'key', 'key of a0')).toBe(favourite)
    await store.close()
  })

  it('records are revived as their kind says, and frozen', async () => {
    const shared = Object.freeze({ lines: Object.freeze(['shared']) })
    const kind: Kind<{ name: string; keys: readonly string[]; rank: number; note: object }, 'rank', 'key'> = {
      name: 'revived',
      schema: 1,
      journaled: true,
      unique: { key: (value) => value.keys },
      order: { rank: (value) => ({ at: value.rank }) },
      merge: () => undefined,
      revive: (value) => ({ ...value, note: shared }),
    }
    const writer = await FileTokenStore.open(place.path)
    const value = { name: 'n', keys: ['k'], rank: 1, note: { lines: ['shared'] } }
    await writer.commit(draft([{ kind, id: 'r', revision: 0, value }]))
    await writer.close()
    const store = await FileTokenStore.open(place.path)
    const found = [
      store.get(kind, 'r'),
      store.find(kind, 'key', ['k']),
      store.cell(kind, 'key', 'k')?.current,
      store.list(kind, { index: 'rank', limit: 5 }).items[0],
    ]
    for (const each of found) {
      expect(each?.value.note).toBe(shared)
      expect(isFrozenDeep(each)).toBe(true)
    }
    await store.close()
  })

  it('after the store is closed a cell shows what it showed last', async () => {
    const store = await FileTokenStore.open(place.path, { crossProcessStaleness: 0 })
    await commit(store, account('a', 0))
    const cell = store.cell(accountKind, 'key', 'key of a')
    const last = cell?.current
    await store.close()
    expect(cell?.current).toBe(last)
  })
})
