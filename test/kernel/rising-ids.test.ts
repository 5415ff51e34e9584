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
})
