import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { LocalRateLimiter } from '../../src/access/local-rate-limiter.ts'
import type { LimitMemo, RateLimiter } from '../../src/access/rate-limiter.ts'
import { parseRateLimits } from '../../src/access/rate-limits.ts'
import { InvalidInputError } from '../../src/kernel/errors.ts'
import { fakeClock } from '../../src/testing/fake-clock.ts'
import type { RateLimit } from '../../src/tokens/policy.ts'

const perSecond = (limit: number, burst = limit) => parseRateLimits('x', { limit, per: '1s', burst })
const newMemo = (): LimitMemo => ({ limiterSlot: undefined })

function setUp(maxKeys?: number) {
  const clock = fakeClock()
  return { clock, limiter: new LocalRateLimiter({ clock, ...(maxKeys === undefined ? {} : { maxKeys }) }) }
}

/** Reserves until refused. */
function drainKey(limiter: LocalRateLimiter, key: string, limits: readonly RateLimit[]): number {
  for (let n = 0; ; n++) if (!limiter.reserve(key, limits, 1).granted) return n
}

describe('reserve', () => {
  it('grants the burst at once, then evenly', async () => {
    const { clock, limiter } = setUp()
    const limits = perSecond(10, 3)
    expect(drainKey(limiter, 'a', limits)).toBe(3)
    const denied = limiter.reserve('a', limits, 1)
    expect(denied).toMatchObject({ granted: false, retryAfterMs: 100 })
    await clock.advance(99)
    expect(limiter.reserve('a', limits, 1)).toMatchObject({ granted: false, retryAfterMs: 1 })
    await clock.advance(1)
    expect(drainKey(limiter, 'a', limits)).toBe(1)
    await clock.advance('1h')
    expect(drainKey(limiter, 'a', limits)).toBe(3)
  })

  it('lets one window see at most limit + burst', async () => {
    const { clock, limiter } = setUp()
    const limits = perSecond(10, 10)
    let granted = 0
    for (let ms = 0; ms <= 1000; ms++) {
      granted += drainKey(limiter, 'a', limits)
      if (ms < 1000) await clock.advance(1)
    }
    expect(granted).toBe(20)
  })

  it('gives exactly as many to parallel callers', async () => {
    const { limiter } = setUp()
    const limits = perSecond(10)
    const memo = newMemo()
    const answers = await Promise.all(
      Array.from({ length: 100 }, async (_, i) => {
        await null
        return limiter.reserve('a', limits, 1, i % 2 === 0 ? memo : undefined)
      }),
    )
    expect(answers.filter((answer) => answer.granted)).toHaveLength(10)
    expect(answers.at(-1)?.states()).toEqual([
      { name: 'default', kind: 'rate', limit: 10, per: 1000, remaining: 0, resetMs: 1000 },
    ])
  })

  it('takes from all limits or from none, and a refusal costs nothing', async () => {
    const { clock, limiter } = setUp()
    const limits = parseRateLimits('x', [
      { name: 'second', limit: 2, per: '1s' },
      { name: 'minute', limit: 3, per: '1m' },
    ])
    expect(drainKey(limiter, 'a', limits)).toBe(2)
    for (let i = 0; i < 50; i++) expect(limiter.reserve('a', limits, 1).granted).toBe(false)
    expect(
      limiter
        .reserve('a', limits, 0)
        .states()
        .map((state) => state.remaining),
    ).toEqual([0, 1])
    await clock.advance('1s')
    expect(drainKey(limiter, 'a', limits)).toBe(1)
    // The second's bucket has one left, the minute's is empty: 19 of its 20 s a unit are still to come.
    expect(limiter.reserve('a', limits, 1)).toMatchObject({ granted: false, retryAfterMs: 19_000 })
  })

  it('counts costs, lets 0 pass, and never grants more than a bucket holds', () => {
    const { limiter } = setUp()
    const limits = perSecond(10)
    expect(limiter.reserve('a', limits, 7).granted).toBe(true)
    expect(limiter.reserve('a', limits, 4)).toMatchObject({ granted: false, retryAfterMs: 100 })
    expect(limiter.reserve('a', limits, 3).granted).toBe(true)
    expect(limiter.reserve('a', limits, 0).granted).toBe(true)
    const never = limiter.reserve('b', limits, 11)
    expect(never.granted).toBe(false)
    expect(never.retryAfterMs).toBeUndefined()
    expect(limiter.reserve('b', limits, Number.MAX_SAFE_INTEGER).granted).toBe(false)
    expect(limiter.reserve('b', limits, 10).granted).toBe(true)
    expect(limiter.reserve('c', [], 5)).toMatchObject({ granted: true })
    for (const cost of [-1, 0.5, Number.NaN, 2 ** 53, '1' as unknown as number]) {
      expect(() => limiter.reserve('a', limits, cost)).toThrow(InvalidInputError)
    }
  })

  it('keeps keys apart, whatever they are called', () => {
    const { limiter } = setUp()
    for (const key of ['a', 'b', '', '__proto__', 'constructor']) expect(drainKey(limiter, key, perSecond(2))).toBe(2)
  })

  it('fits the interface that a shared one fits too', () => {
    const limiter: RateLimiter = setUp().limiter
    expect(limiter.reserve('a', perSecond(1), 1)).not.toBeInstanceOf(Promise)
  })
})

describe('giveBack', () => {
  it('makes a reservation undone, once', () => {
    const { limiter } = setUp()
    const limits = perSecond(10)
    const first = limiter.reserve('a', limits, 4)
    expect(limiter.reserve('a', limits, 6).granted).toBe(true)
    limiter.giveBack(first)
    limiter.giveBack(first)
    expect(drainKey(limiter, 'a', limits)).toBe(4)
    const refused = limiter.reserve('a', limits, 1)
    limiter.giveBack(refused)
    expect(limiter.reserve('a', limits, 1).granted).toBe(false)
    setUp().limiter.giveBack(limiter.reserve('a', limits, 0))
  })

  it('never fills a bucket beyond its brim', async () => {
    const { clock, limiter } = setUp()
    const limits = perSecond(10)
    const early = limiter.reserve('a', limits, 4)
    await clock.advance('1m')
    limiter.giveBack(early)
    expect(drainKey(limiter, 'a', limits)).toBe(10)
  })
})

describe('a change of limits', () => {
  it('keeps the share that is used up, by name', () => {
    const { limiter } = setUp()
    const old = parseRateLimits('x', [
      { name: 'a', limit: 10, per: '1s' },
      { name: 'b', limit: 10, per: '1m' },
    ])
    const next = parseRateLimits('x', [
      { name: 'b', limit: 100, per: '1m' },
      { name: 'c', limit: 7, per: '1s' },
    ])
    limiter.reserve('k', old, 5)
    expect(
      limiter
        .reserve('k', next, 0)
        .states()
        .map((state) => [state.name, state.remaining]),
    ).toEqual([
      ['b', 50],
      ['c', 7],
    ])
    expect(limiter.reserve('k', next, 7).granted).toBe(true)
    expect(limiter.reserve('k', next, 1).granted).toBe(false)
  })

  it('keeps what isn’t named until it is full again: taking turns with two lists fills nothing', async () => {
    const { clock, limiter } = setUp()
    const [one, other] = ['one', 'other'].map((name) => parseRateLimits('x', { limit: 2, per: '1h', name }))
    if (one === undefined || other === undefined) throw new Error('no limits')
    expect(drainKey(limiter, 'a', one)).toBe(2)
    for (let turn = 0; turn < 3; turn++) {
      expect(drainKey(limiter, 'a', other)).toBe(turn === 0 ? 2 : 0)
      expect(drainKey(limiter, 'a', one)).toBe(0)
    }
    // Others come meanwhile, which lets go of buckets that are full.
    for (let i = 0; i < 10; i++) limiter.reserve(`b${i}`, other, 0)
    await clock.advance('30m')
    expect(drainKey(limiter, 'a', other)).toBe(1)
    expect(drainKey(limiter, 'a', one)).toBe(1)
    await clock.advance('2h')
    for (let i = 0; i < 30; i++) limiter.reserve(`c${i}`, other, 0)
    expect(drainKey(limiter, 'a', one)).toBe(2)
  })

  it("doesn't let a reservation under the old limits be given back to the new ones", () => {
    const { limiter } = setUp()
    const under = limiter.reserve('k', perSecond(10), 10)
    const limits = perSecond(2)
    expect(limiter.reserve('k', limits, 1).granted).toBe(false)
    limiter.giveBack(under)
    expect(limiter.reserve('k', limits, 1).granted).toBe(false)
  })
})

describe('the clock', () => {
  it('may jump back without stopping the refill, and forward', async () => {
    const { clock, limiter } = setUp()
    const limits = perSecond(10)
    expect(drainKey(limiter, 'a', limits)).toBe(10)
    await clock.set(clock.now() - 3_600_000)
    expect(drainKey(limiter, 'a', limits)).toBe(0)
    await clock.advance('1s')
    expect(drainKey(limiter, 'a', limits)).toBe(10)
    await clock.set(clock.now() + 3_600_000)
    expect(drainKey(limiter, 'a', limits)).toBe(10)
  })

  it("doesn't refill twice for callers whose times are a little apart", () => {
    const { limiter } = setUp()
    const limits = perSecond(10, 1)
    const at = 1_800_000_000_000
    const slot = limiter.state('a', limits, at)
    expect(limiter.reserveSlot(slot, limits, 1, at)).toBe(true)
    let granted = 0
    for (let i = 0; i < 1000; i++) if (limiter.reserveSlot(slot, limits, 1, at + (i % 2) * 50)) granted += 1
    expect(granted).toBe(0)
    expect(limiter.reserveSlot(slot, limits, 1, at + 100)).toBe(true)
  })
})

describe('memory', () => {
  it('forgets full buckets as others come', async () => {
    const { clock, limiter } = setUp()
    const limits = perSecond(10)
    for (let i = 0; i < 5000; i++) limiter.reserve(`k${i}`, limits, 1)
    expect(limiter.size).toBe(5000)
    await clock.advance('1m')
    for (let i = 0; i < 6000; i++) limiter.reserve(`l${i}`, limits, 1)
    for (let i = 0; i < 5000; i++) expect(limiter.reserve(`k${i}`, limits, 10).granted).toBe(true)
    expect(limiter.size).toBeLessThanOrEqual(11_000)
    await clock.advance('1m')
    for (let i = 0; i < 100; i++) {
      limiter.reserve(`m${i}`, limits, 1)
      await clock.advance('1s')
      for (let k = 0; k < 200; k++) limiter.reserve(`n${i}-${k}`, limits, 1)
    }
    expect(limiter.size).toBeLessThan(1000)
  })

  it('never forgets one that is not full while there is room', async () => {
    const { clock, limiter } = setUp(20_000)
    const limits = perSecond(1)
    for (let i = 0; i < 100; i++) limiter.reserve(`kept${i}`, parseRateLimits('x', { limit: 1, per: '1d' }), 1)
    for (let i = 0; i < 50_000; i++) {
      limiter.reserve(`k${i}`, limits, 1)
      if (i % 5000 === 0) await clock.advance('1s')
    }
    for (let i = 0; i < 100; i++)
      expect(limiter.reserve(`kept${i}`, parseRateLimits('x', { limit: 1, per: '1d' }), 1).granted).toBe(false)
  })

  it('stays within its bound, forgetting those that are nearly full', () => {
    const { limiter } = setUp(100)
    const limits = perSecond(10)
    for (let i = 0; i < 100; i++) {
      if (i % 5 === 0) drainKey(limiter, `empty${i / 5}`, limits)
      else limiter.reserve(`first${i}`, limits, 1)
    }
    for (let i = 0; i < 1000; i++) {
      limiter.reserve(`k${i}`, limits, 1)
      expect(limiter.size).toBeLessThanOrEqual(100)
    }
    for (let i = 0; i < 20; i++) expect(limiter.reserve(`empty${i}`, limits, 1).granted).toBe(false)
    for (const maxKeys of [0, -1, 1.5, Number.NaN]) expect(() => setUp(maxKeys)).toThrow(InvalidInputError)
  })

  it('has one truth for a key, also for who holds a state that was forgotten', async () => {
    const { clock, limiter } = setUp(1)
    const limits = perSecond(10)
    const held = limiter.state('a', limits, clock.now())
    const memo = newMemo()
    limiter.reserve('a', limits, 1, memo)
    expect(memo.limiterSlot).toBe(held)
    // Another key takes the only place.
    limiter.reserve('b', limits, 1)
    expect(limiter.size).toBe(1)
    expect(limiter.reserveSlot(held, limits, 4, clock.now())).toBe(true)
    expect(limiter.reserve('a', limits, 4).granted).toBe(true)
    expect(limiter.reserve('a', limits, 4, memo).granted).toBe(false)
    limiter.reserve('b', limits, 1)
    // Forgotten, then made anew by its key: the held one must follow the new one.
    expect(limiter.reserve('a', limits, 8, newMemo()).granted).toBe(true)
    expect(limiter.reserveSlot(held, limits, 3, clock.now())).toBe(false)
    expect(limiter.retryAfter(held, limits, 3, clock.now())).toBe(100)
    expect(limiter.states(held, limits, clock.now())[0]?.remaining).toBe(2)
    limiter.giveBackSlot(held, limits, 8)
    expect(limiter.reserve('a', limits, 10).granted).toBe(true)
  })

  it("doesn't take another limiter's state for its own", () => {
    const memo = newMemo()
    const limits = perSecond(1)
    expect(setUp().limiter.reserve('a', limits, 1, memo).granted).toBe(true)
    expect(setUp().limiter.reserve('a', limits, 1, memo).granted).toBe(true)
    memo.limiterSlot = { live: true }
    expect(setUp().limiter.reserve('a', limits, 1, memo).granted).toBe(true)
  })
})

it('agrees with one bucket a key, whatever is forgotten, by every way in', () => {
  const limits = perSecond(5, 3)
  const step = fc.record({
    key: fc.constantFrom('a', 'b', 'c', 'd', 'e'),
    pause: fc.constantFrom(0, 0, 1, 50, 200, 1000),
    cost: fc.nat(4),
    way: fc.constantFrom('key', 'memo', 'slot'),
  })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      let now = 1_800_000_000_000
      const clock = { ...fakeClock(), now: () => now }
      const limiter = new LocalRateLimiter({ clock })
      const memos = new Map<string, LimitMemo>()
      const slots = new Map<string, ReturnType<LocalRateLimiter['state']>>()
      const used = new Map<string, { units: number; at: number }>()
      for (const { key, pause, cost, way } of steps) {
        now += pause
        const before = used.get(key) ?? { units: 0, at: now }
        // 200 ms a unit, in whole ms.
        const debt = Math.max(0, before.units - (now - before.at))
        const granted = cost === 0 || debt + cost * 200 <= 600
        used.set(key, { units: granted ? debt + cost * 200 : debt, at: now })
        const memo = memos.get(key) ?? newMemo()
        memos.set(key, memo)
        const slot = slots.get(key) ?? limiter.state(key, limits, now)
        slots.set(key, slot)
        const answer =
          way === 'slot'
            ? limiter.reserveSlot(slot, limits, cost, now)
            : limiter.reserve(key, limits, cost, way === 'memo' ? memo : undefined).granted
        expect(answer).toBe(granted)
      }
    }),
    { numRuns: 300 },
  )
})
