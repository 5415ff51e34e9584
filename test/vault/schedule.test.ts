import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { MAX_TIMER_MS } from '../../src/kernel/clock.ts'
import { recommendThreshold } from '../../src/vault/index.ts'
import { endOf, isDoubtful, leftOf, outcomeOf } from '../../src/vault/lease-time.ts'
import {
  leastSpacing,
  RETRY_CAP_MS,
  renewWhenLeft,
  replaceWhenLeft,
  retryDelay,
  sleepFor,
  warnWhenLeft,
} from '../../src/vault/schedule.ts'
import { type Standing, stepOf } from '../../src/vault/standing.ts'

const HOUR = 3_600_000
const ttl = fc.integer({ min: 1, max: 100_000 * HOUR })
const chance = fc.double({ min: 0, max: 1, noNaN: true })
const kind = fc.constantFrom(
  'network',
  'sealed',
  'rate_limited',
  'behind',
  'protocol',
  'credentials',
  'auth',
) as fc.Arbitrary<'network' | 'sealed' | 'rate_limited' | 'behind' | 'protocol' | 'credentials' | 'auth'>

describe('when a lease is renewed', () => {
  it('the sleep is always shorter than what remains (lifetime_watcher_test.go: 10,000 random cases)', () => {
    fc.assert(
      fc.property(ttl, chance, fc.option(ttl, { nil: undefined }), chance, (fullMs, part, thresholdMs, drawn) => {
        const leftMs = Math.max(1, Math.floor(fullMs * part))
        const whenLeft = renewWhenLeft({ leftMs, fullMs, thresholdMs, chance: drawn })
        expect(whenLeft).toBeGreaterThan(0)
        expect(leftMs - whenLeft).toBeLessThan(leftMs)
        expect(leftMs - whenLeft).toBeGreaterThanOrEqual(0)
      }),
      { numRuns: 10_000 },
    )
  })

  it('is after 70 to 73 % of the lease by default', () => {
    fc.assert(
      fc.property(ttl, chance, (fullMs, drawn) => {
        const passed = (fullMs - renewWhenLeft({ leftMs: fullMs, fullMs, chance: drawn })) / fullMs
        expect(passed).toBeGreaterThanOrEqual(0.6999)
        expect(passed).toBeLessThanOrEqual(0.7301)
      }),
    )
  })

  it('is when less than min(threshold, a third) is left, with a threshold', () => {
    fc.assert(
      fc.property(ttl, ttl, chance, (fullMs, thresholdMs, drawn) => {
        const whenLeft = renewWhenLeft({ leftMs: fullMs, fullMs, thresholdMs, chance: drawn })
        expect(whenLeft).toBeLessThan(Math.min(thresholdMs, fullMs / 3))
        expect(whenLeft).toBeGreaterThan(Math.min(thresholdMs, fullMs / 3) * 0.89)
      }),
    )
    // Later than 70 %, where the threshold says so.
    expect(renewWhenLeft({ leftMs: HOUR, fullMs: HOUR, thresholdMs: 60_000, chance: 0 })).toBeCloseTo(60_000, -3)
  })

  it('spreads a fleet that was handed tokens late', () => {
    const times = Array.from({ length: 200 }, (_, index) =>
      renewWhenLeft({ leftMs: HOUR / 4, fullMs: HOUR, chance: index / 200 }),
    )
    expect(Math.max(...times) - Math.min(...times)).toBeGreaterThan((HOUR / 4) * 0.09)
  })

  it('recommends a quarter', () => {
    expect(recommendThreshold('1h')).toBe(900_000)
    expect(() => recommendThreshold(3600 as never)).toThrow('write "3600s"')
  })

  it('warns at 24 h or a tenth, replaces where it would renew, spaces by a second or 5 %', () => {
    expect(warnWhenLeft(768 * HOUR, 24 * HOUR)).toBe(24 * HOUR)
    expect(warnWhenLeft(HOUR, 24 * HOUR)).toBe(HOUR / 10)
    expect(replaceWhenLeft(8000, 0)).toBeCloseTo(2400)
    expect([leastSpacing(5000), leastSpacing(HOUR)]).toEqual([1000, HOUR / 20])
  })
})

describe('how long is waited after a failure', () => {
  it('half a second at least, a quarter of what is left or 5 minutes at most', () => {
    fc.assert(
      fc.property(kind, fc.integer({ min: 1, max: 500 }), ttl, chance, (kind, failures, leftMs, drawn) => {
        const delay = retryDelay({ kind, failures, leftMs, chance: drawn })
        expect(delay).toBeGreaterThanOrEqual(kind === 'behind' ? 100 : 500)
        expect(delay).toBeLessThanOrEqual(Math.max(1000, Math.min(RETRY_CAP_MS, leftMs / 4)))
      }),
    )
  })

  it('what the server asks for, but for one attempt before the end', () => {
    const base = { kind: 'rate_limited', failures: 1, chance: 0.5 } as const
    expect(retryDelay({ ...base, leftMs: HOUR, retryAfterMs: 20_000 })).toBe(20_000)
    expect(retryDelay({ ...base, leftMs: 10_000, retryAfterMs: 20_000 })).toBe(9000)
    expect(retryDelay({ ...base, leftMs: HOUR, retryAfterMs: 0 })).toBe(500)
  })

  it('doubles, with full jitter', () => {
    const most = (failures: number) => retryDelay({ kind: 'network', failures, leftMs: 0, chance: 1 })
    expect([1, 2, 3, 4, 20].map(most)).toEqual([1000, 2000, 4000, 8000, RETRY_CAP_MS])
    expect(retryDelay({ kind: 'protocol', failures: 1, leftMs: 0, chance: 1 })).toBe(8000)
  })
})

describe('what a timer is set to', () => {
  it('never beyond 2^31-1, nor the interval, nor before now', () => {
    expect(sleepFor(768 * HOUR, 10 ** 12)).toBe(MAX_TIMER_MS)
    expect(sleepFor(768 * HOUR, 300_000)).toBe(300_000)
    expect(sleepFor(Number.POSITIVE_INFINITY, 300_000)).toBe(300_000)
    expect([sleepFor(-5, 1000), sleepFor(0.2, 1000)]).toEqual([0, 1])
  })
})

describe('the time of a lease', () => {
  const lease = { ttlMs: 10_000, from: { wall: 1_000_000, mono: 500 } }
  const at = (wall: number, mono: number) => ({ wall: 1_000_000 + wall, mono: 500 + mono })

  it('counts the clock that has gone further', () => {
    expect(leftOf(lease, at(4000, 4000))).toBe(6000)
    // Suspended: monotonic time stood still.
    expect(leftOf(lease, at(9000, 100))).toBe(1000)
    // Set back: wall time extends nothing.
    expect(leftOf(lease, at(-7_200_000, 4000))).toBe(6000)
    expect(endOf(lease, at(4000, 4000))).toBe(1_010_000)
  })

  it('is doubtful when wall time ran ahead', () => {
    expect(isDoubtful(lease, at(4500, 4000))).toBe(false)
    expect(isDoubtful(lease, at(6000, 4000))).toBe(true)
    expect(isDoubtful(lease, at(-7_200_000, 4000))).toBe(false)
    expect(isDoubtful({ ...lease, ttlMs: 768 * HOUR }, at(60_000, 0))).toBe(false)
    expect(isDoubtful({ ...lease, ttlMs: 768 * HOUR }, at(600_000, 0))).toBe(true)
  })

  it('tells a renewal that extended from one that merely succeeded', () => {
    expect(outcomeOf({ leftMs: 3000, requestedMs: 10_000, grantedMs: 10_000 })).toEqual({
      extended: true,
      capped: false,
      shortened: false,
    })
    // vault#2459: 200, and what is granted is what was left.
    expect(outcomeOf({ leftMs: 207 * HOUR, requestedMs: 768 * HOUR, grantedMs: 207 * HOUR })).toEqual({
      extended: false,
      capped: true,
      shortened: false,
    })
    expect(outcomeOf({ leftMs: HOUR, requestedMs: 60_000, grantedMs: 60_000 })).toMatchObject({ shortened: true })
  })
})

describe('what is due', () => {
  const standing: Standing = {
    lease: { ttlMs: 10_000, from: { wall: 0, mono: 0 } },
    fullMs: 10_000,
    renewable: true,
    renewWhenLeftMs: 3000,
    replaceWhenLeftMs: 0,
    warnWhenLeftMs: 1000,
    ended: false,
    renewAt: Number.NEGATIVE_INFINITY,
    replaceAt: Number.NEGATIVE_INFINITY,
    verifyAt: Number.NEGATIVE_INFINITY,
    verifiable: true,
  }
  const at = (ms: number) => ({ wall: ms, mono: ms })

  it('in the order of a life', () => {
    expect(stepOf(standing, at(0))).toEqual({ do: 'wait', forMs: 7000 })
    expect(stepOf(standing, at(7000))).toEqual({ do: 'renew' })
    expect(stepOf({ ...standing, renewAt: 8000 }, at(7000))).toEqual({ do: 'wait', forMs: 1000 })
    expect(stepOf({ ...standing, renewable: false }, at(7000))).toEqual({ do: 'wait', forMs: 2000 })
    expect(stepOf({ ...standing, renewAt: 9500 }, at(9000))).toEqual({ do: 'warn' })
    expect(stepOf({ ...standing, renewAt: 9500, warnWhenLeftMs: 0 }, at(9200))).toEqual({ do: 'wait', forMs: 300 })
    expect(stepOf(standing, at(10_000))).toEqual({ do: 'expire' })
    expect(stepOf({ ...standing, ended: true, verifyAt: 20_000 }, at(10_000))).toEqual({ do: 'wait', forMs: 10_000 })
    expect(stepOf({ ...standing, ended: true }, at(10_000))).toEqual({ do: 'probe' })
    expect(stepOf({ ...standing, ended: true, replaceWhenLeftMs: 1 }, at(10_000))).toEqual({ do: 'replace' })
    expect(stepOf({ ...standing, replaceWhenLeftMs: Number.POSITIVE_INFINITY }, at(1))).toEqual({ do: 'replace' })
    expect(stepOf(standing, { wall: 9000, mono: 100 })).toEqual({ do: 'verify' })
    expect(stepOf({ ...standing, verifiable: false }, { wall: 10_000, mono: 100 })).toEqual({ do: 'expire' })
    expect(stepOf({ ...standing, lease: undefined }, at(10 ** 12))).toEqual({
      do: 'wait',
      forMs: Number.POSITIVE_INFINITY,
    })
  })

  it('a wait is never longer than what is left, and never 0', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 9999 }),
        fc.record({
          renewWhenLeftMs: fc.integer({ min: 1, max: 9999 }),
          replaceWhenLeftMs: fc.integer({ min: 0, max: 9999 }),
          warnWhenLeftMs: fc.integer({ min: 0, max: 9999 }),
          renewAt: fc.integer({ min: 0, max: 20_000 }),
          replaceAt: fc.integer({ min: 0, max: 20_000 }),
          renewable: fc.boolean(),
        }),
        (passed, change) => {
          const step = stepOf({ ...standing, ...change }, at(passed))
          if (step.do !== 'wait') return
          expect(step.forMs).toBeGreaterThan(0)
          expect(step.forMs).toBeLessThanOrEqual(10_000 - passed)
        },
      ),
    )
  })
})
