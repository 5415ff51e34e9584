import { describe, expect, it } from 'vitest'
import { seededRandom } from '../../src/kernel/random.ts'
import { RisingIds } from '../../src/kernel/rising-ids.ts'

describe('RisingIds', () => {
  it('gives ids that differ and rise: within a millisecond, over time, past the count, and when the clock is set back', () => {
    const ids = new RisingIds(seededRandom('ids'))
    const times = [1, 1, 1, 2, 61, 62, 63, 3844, 1_800_000_000_000, 1_700_000_000_000, 1_800_000_000_001]
    const made = times.map((now) => ids.next(now))
    for (let i = 0; i < 10_000; i++) made.push(ids.next(1_800_000_000_001))
    expect(new Set(made).size).toBe(made.length)
    expect([...made].sort()).toEqual(made)
    expect(made.every((id) => /^[0-9A-Za-z]{20}$/.test(id))).toBe(true)
  })

  it('gives different ids in different processes at the same instant', () => {
    const at = Array.from({ length: 1000 }, (_, i) => new RisingIds(seededRandom(`process ${i}`)).next(5))
    expect(new Set(at).size).toBe(1000)
  })

  it('marks an instant: nothing made until then is greater, whoever made it, and what is made here afterwards is', () => {
    const one = new RisingIds(seededRandom('one'))
    const two = new RisingIds(seededRandom('two'))
    const before = [...Array.from({ length: 50 }, () => one.next(7)), ...Array.from({ length: 9 }, () => two.next(7))]
    const mark = two.mark(7)
    for (const id of before) expect(id <= mark).toBe(true)
    const after = [two.next(7), two.next(7), two.next(8), one.next(8)]
    for (const id of after) expect(id > mark).toBe(true)
    // Again at the same instant: it is above its own, and no further ahead.
    const again = two.mark(7)
    for (const id of after.slice(0, 3)) expect(id < again).toBe(true)
    expect(two.next(7) > again).toBe(true)
    expect(two.next(9).slice(0, 8)).toBe('00000009')
    expect([mark, again].every((id) => /^[0-9A-Za-z]{20}$/.test(id))).toBe(true)
  })
})
