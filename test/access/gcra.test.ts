import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { admits, convertLevel, gaugeOf, levelAfter, remainingUnits, untilFull, waitFor } from '../../src/access/gcra.ts'
import type { RateLimit } from '../../src/tokens/policy.ts'

const limitOf = (limit: number, per: number, burst = limit): RateLimit => ({ name: 'x', limit, per, burst })

/** The same bucket in exact fractions: used units times `per`, drained by `limit` each ms. */
class ExactBucket {
  #debt = 0n
  #at: number
  readonly #limit: RateLimit

  constructor(limit: RateLimit, at: number) {
    this.#limit = limit
    this.#at = at
  }

  take(now: number, cost: number): boolean {
    this.#debt = this.#debtAt(now)
    this.#at = now
    const next = this.#debt + BigInt(cost) * BigInt(this.#limit.per)
    const { limit, per, burst } = this.#limit
    // A call may be early by less than a millisecond, if that is less than a unit.
    if (cost > 0 && next >= BigInt(burst) * BigInt(per) + BigInt(Math.min(limit, per))) return false
    this.#debt = next
    return true
  }

  remaining(now: number): number {
    const free = BigInt(this.#limit.burst) * BigInt(this.#limit.per) - this.#debtAt(now)
    return free > 0n ? Number(free / BigInt(this.#limit.per)) : 0
  }

  #debtAt(now: number): bigint {
    const left = this.#debt - BigInt(now - this.#at) * BigInt(this.#limit.limit)
    return left > 0n ? left : 0n
  }
}

const anyLimit = fc
  .record({
    limit: fc.oneof(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 1, max: 1_000_000 })),
    per: fc.oneof(
      fc.constantFrom(1000, 60_000, 3_600_000, 86_400_000, 2_592_000_000),
      fc.integer({ min: 1000, max: 1_000_000 }),
    ),
    burst: fc.oneof(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 1, max: 1_000_000 })),
  })
  .map(({ limit, per, burst }) => limitOf(limit, per, burst))

describe('the bucket', () => {
  it('is the exact one, over any schedule', () => {
    fc.assert(
      fc.property(
        anyLimit,
        fc.array(
          fc.tuple(fc.oneof(fc.nat(5), fc.nat(100_000), fc.nat(5_000_000_000)), fc.oneof(fc.nat(3), fc.nat(1_000_000))),
          { maxLength: 80 },
        ),
        (limit, calls) => {
          const gauge = gaugeOf(limit)
          fc.pre(gauge.capacity * 2 <= Number.MAX_SAFE_INTEGER)
          let now = 1_800_000_000_000
          const exact = new ExactBucket(limit, now)
          let level = 0
          for (const [pause, cost] of calls) {
            now += pause
            level = levelAfter(gauge, level, pause)
            const wait = waitFor(gauge, level, cost)
            const admitted = admits(gauge, level, cost)
            expect(admitted).toBe(exact.take(now, cost))
            if (admitted) {
              expect(wait).toBe(0)
              level += cost * gauge.unit
            } else if (wait === undefined) {
              expect(cost).toBeGreaterThan(limit.burst)
            } else {
              // At that very millisecond, and not one before.
              expect(admits(gauge, levelAfter(gauge, level, wait), cost)).toBe(true)
              expect(admits(gauge, levelAfter(gauge, level, wait - 1), cost)).toBe(false)
            }
            expect(remainingUnits(gauge, level)).toBe(exact.remaining(now))
            expect(levelAfter(gauge, level, untilFull(gauge, level))).toBe(0)
          }
        },
      ),
      { numRuns: 1000 },
    )
  })

  // better-auth #6035, #8803: steady traffic below the limit ended in refusals.
  it('never refuses steady traffic at the limit, however long', () => {
    for (const [limit, per] of [
      [3, 1000],
      [7, 1000],
      [1000, 3_600_000],
      [17, 60_000],
      [1_000_000, 2_592_000_000],
      [999_983, 86_400_000],
    ] as const) {
      const gauge = gaugeOf(limitOf(limit, per, 1))
      // A clock of whole milliseconds shows the even times rounded one way or the other.
      for (const round of [Math.floor, Math.ceil, Math.round]) {
        let level = 0
        let last = 0
        for (let i = 1; i <= 20_000; i++) {
          const at = round((i * per) / limit)
          level = levelAfter(gauge, level, at - last)
          expect(admits(gauge, level, 1)).toBe(true)
          level += gauge.unit
          last = at
        }
      }
    }
  })

  it('grants no more than limit + burst in a window, at any rate', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 5000 }), fc.integer({ min: 1, max: 50 }), (limit, burst) => {
        const gauge = gaugeOf(limitOf(limit, 1000, burst))
        let level = 0
        let granted = 0
        for (let ms = 0; ms <= 1000; ms++) {
          for (; admits(gauge, level, 1); level += gauge.unit) granted += 1
          if (ms === 0) expect(granted).toBe(burst)
          level = levelAfter(gauge, level, 1)
        }
        expect(granted).toBeLessThanOrEqual(limit + burst)
      }),
    )
  })

  it('gives the boundary instant to the new window', () => {
    const gauge = gaugeOf(limitOf(1, 1000))
    expect(admits(gauge, levelAfter(gauge, gauge.unit, 999), 1)).toBe(false)
    expect(admits(gauge, levelAfter(gauge, gauge.unit, 1000), 1)).toBe(true)
  })

  it('holds also where its numbers are no longer exact', () => {
    const gauge = gaugeOf(limitOf(999_999_937, 366 * 86_400_000))
    expect(gauge.capacity).toBeGreaterThan(Number.MAX_SAFE_INTEGER)
    expect(admits(gauge, 0, 999_999_937)).toBe(true)
    expect(admits(gauge, gauge.capacity, 1)).toBe(false)
    expect(remainingUnits(gauge, 0)).toBe(999_999_937)
    expect(remainingUnits(gauge, gauge.capacity)).toBe(0)
  })
})

describe('convertLevel', () => {
  it('keeps the share that is used up', () => {
    const from = gaugeOf(limitOf(100, 60_000))
    const to = gaugeOf(limitOf(1000, 3_600_000, 10))
    expect(remainingUnits(to, convertLevel(from, to, from.capacity / 2))).toBe(5)
    expect(convertLevel(from, to, 0)).toBe(0)
    expect(convertLevel(from, to, from.capacity)).toBe(to.capacity)
  })
})
