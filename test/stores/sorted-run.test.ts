import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Row } from '../../src/stores/memory-row.ts'
import { OrderIndex } from '../../src/stores/order-index.ts'

interface Point {
  readonly at: number
}

const order = (record: unknown) => record as Point

/** Moves, puts in and takes out rows of an index and of a plain list alike. */
function play(steps: readonly (readonly [number, number])[]) {
  const index = new OrderIndex(order)
  const rows = new Map<string, Row>()
  for (const [n, at] of steps) {
    const id = `r${n}`
    const row = rows.get(id)
    if (row !== undefined) {
      index.remove(row, order(row.value))
      rows.delete(id)
      if (at % 3 === 0) continue
    }
    const fresh = new Row(id, 1, { at })
    rows.set(id, fresh)
    index.insert(fresh, { at })
  }
  const sorted = [...rows.values()].sort((a, b) => order(a.value).at - order(b.value).at || (a.id < b.id ? -1 : 1))
  return { index, sorted }
}

const ALL = {
  part: undefined,
  from: Number.NEGATIVE_INFINITY,
  to: Number.POSITIVE_INFINITY,
  after: undefined,
  limit: 1e9,
}

describe('an order index', () => {
  it('is in order after any changes, in any size', () => {
    const step = (ids: number, ats: number) => fc.tuple(fc.nat(ids), fc.nat(ats))
    const sizes = [
      fc.array(step(30, 5), { maxLength: 100 }),
      fc.array(step(3000, 50), { minLength: 1500, maxLength: 4000 }),
      fc.array(step(3000, 1e6), { minLength: 1500, maxLength: 4000 }),
    ]
    fc.assert(
      fc.property(fc.oneof(...sizes), fc.nat(50), fc.nat(50), (steps, from, length) => {
        const { index, sorted } = play(steps)
        expect(index.range({ ...ALL, reverse: false })).toEqual(sorted)
        expect(index.range({ ...ALL, reverse: true })).toEqual(sorted.toReversed())
        const to = from + length
        const inside = sorted.filter((row) => order(row.value).at >= from && order(row.value).at < to)
        expect(index.range({ ...ALL, from, to, reverse: false })).toEqual(inside)
        expect(index.range({ ...ALL, from, to, reverse: true })).toEqual(inside.toReversed())
        // From any row on, in either direction.
        const middle = inside[Math.floor(inside.length / 2)]
        if (middle === undefined) return
        const after = { at: order(middle.value).at, id: middle.id }
        const place = inside.indexOf(middle)
        expect(index.range({ ...ALL, from, to, after, reverse: false })).toEqual(inside.slice(place + 1))
        expect(index.range({ ...ALL, from, to, after, reverse: true })).toEqual(inside.slice(0, place).toReversed())
      }),
      { numRuns: 40 },
    )
  })

  it('holds twenty thousand rows that came in nearly rising order', () => {
    const index = new OrderIndex(order)
    for (let n = 0; n < 20_000; n++)
      index.insert(new Row(`r${(n * 7919) % 20_000}`, 1, { at: Math.floor(n / 16) }), { at: Math.floor(n / 16) })
    const rows = index.range({ ...ALL, reverse: false })
    expect(rows.length).toBe(20_000)
    expect(rows.every((row, n) => order(row.value).at === Math.floor(n / 16))).toBe(true)
  })
})
