import { describe, expect, it } from 'vitest'
import { createClock } from '../../src/kernel/clock.ts'
import { InvalidInputError } from '../../src/kernel/errors.ts'
import { MemoryTokenStore } from '../../src/stores/memory-token-store.ts'
import { account, accountKind, commit, draft } from '../../src/testing/store-suite/kit.ts'
import { tokenStoreSuite } from '../../src/testing/token-store-suite.ts'

/** A clock that stands still until it is moved. */
function movable() {
  let now = Date.UTC(2026, 5, 15, 12)
  const clock = createClock({ wall: () => now, monotonic: () => now })
  const advance = (ms: number): void => {
    now += ms
  }
  return { clock, advance }
}

tokenStoreSuite(
  () => {
    const { clock, advance } = movable()
    return { store: new MemoryTokenStore({ clock }), advance }
  },
  { describe, it, expect },
)

describe('the memory store', () => {
  it('keeps the newest journal entries and the head of the whole chain', async () => {
    const store = new MemoryTokenStore({ journalLimit: 10 })
    for (let n = 0; n < 25; n++) await commit(store, account(`a${n}`, 0))
    const kept = store.journal({ limit: 100 })
    expect(kept.map((entry) => entry.seq)).toEqual([16, 17, 18, 19, 20, 21, 22, 23, 24, 25])
    expect(store.journal({ after: 20, limit: 2 }).map((entry) => entry.seq)).toEqual([21, 22])
    expect(store.journal({ after: 18, limit: 9, reverse: true }).map((entry) => entry.seq)).toEqual([17, 16])
    expect(store.journal({ subject: 'a3', limit: 9 })).toEqual([])
    expect(store.journalHead()).toEqual({ seq: 25, mac: kept.at(-1)?.mac })
  })

  it('may keep no journal at all, and goes on chaining', async () => {
    const store = new MemoryTokenStore({ journalLimit: 0 })
    const heads = []
    for (let n = 0; n < 3; n++) {
      await commit(store, account(`a${n}`, 0))
      heads.push(store.journalHead())
    }
    expect(store.journal({ limit: 9 })).toEqual([])
    expect(heads.map((head) => head.seq)).toEqual([1, 2, 3])
    expect(new Set(heads.map((head) => head.mac)).size).toBe(3)
  })

  it('refuses options that make no sense', () => {
    for (const journalLimit of [-1, 1.5, Number.NaN]) {
      expect(() => new MemoryTokenStore({ journalLimit })).toThrow(InvalidInputError)
    }
  })

  it('answers with values, not with promises', () => {
    const store = new MemoryTokenStore()
    const answers = [
      store.commit(draft([account('a', 0)])),
      store.get(accountKind, 'a'),
      store.find(accountKind, 'key', ['key of a']),
      store.list(accountKind, { index: 'rank', limit: 1 }),
      store.journal({ limit: 1 }),
      store.time(),
    ]
    expect(answers.every((answer) => !(answer instanceof Promise) && answer !== undefined)).toBe(true)
  })

  it('a commit whose kind throws writes nothing', async () => {
    const store = new MemoryTokenStore()
    const rank = (record: { rank: number }) => {
      if (record.rank === 13) throw new Error('unlucky')
      return { at: record.rank }
    }
    const kind = { ...accountKind, keeps: 'key' as const, order: { ...accountKind.order, rank } }
    const bad = { kind, id: 'b', revision: 0, value: { name: 'b', keys: [], rank: 13 } }
    expect(() => store.commit(draft([{ ...bad, id: 'a', value: { ...bad.value, name: 'a', rank: 1 } }, bad]))).toThrow(
      'unlucky',
    )
    expect(store.get(kind, 'a')).toBe(undefined)
    expect(store.journalHead().seq).toBe(0)
  })
})
