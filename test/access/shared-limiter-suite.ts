import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { LocalRateLimiter } from '../../src/access/local-rate-limiter.ts'
import type { RateLimiter, Reservation } from '../../src/access/rate-limiter.ts'
import { parseRateLimits } from '../../src/access/rate-limits.ts'
import { generateSecret, InvalidInputError, MemoryTokenStore } from '../../src/index.ts'
import { fakeClock } from '../../src/testing/index.ts'
import { setUp } from '../issuing/fixture.ts'

/** A server that keeps limits. */
export interface LimiterWorld {
  /** A limiter of another instance each time, on the same server. */
  open(): RateLimiter
  /** Sets the server's clock, where a test can. */
  setTime?(now: number): Promise<void>
}

let keys = 0
/** A key that no other test uses. */
export function freshKey(): string {
  keys += 1
  return `tokenwright-test-${process.pid}-${keys}`
}

/** What every limiter that instances share has to do, whatever keeps its levels. */
export function sharedLimiterSuite(world: () => LimiterWorld): void {
  const left = async (limiter: RateLimiter, key: string, limits: Parameters<RateLimiter['reserve']>[1]) =>
    (await limiter.check(key, limits, 0)).states().map((state) => state.remaining)

  it('lets exactly 10 of 400 parallel calls of two instances through a limit of 10', async () => {
    const limits = parseRateLimits('rateLimit', { limit: 10, per: '1h' })
    const [a, b] = [world().open(), world().open()]
    const key = freshKey()
    const answers = await Promise.all(Array.from({ length: 400 }, (_, i) => (i % 2 ? a : b).reserve(key, limits, 1)))
    expect(answers.filter((answer) => answer.granted)).toHaveLength(10)
    const refused = answers.find((answer) => !answer.granted)
    expect(refused?.retryAfterMs).toBeGreaterThan(350_000)
    expect(refused?.retryAfterMs).toBeLessThanOrEqual(360_000)
    expect(refused?.states()).toMatchObject([
      { name: 'default', kind: 'rate', limit: 10, per: 3_600_000, remaining: 0 },
    ])
  })

  it('takes from all limits or from none, and gives back once', async () => {
    const limits = parseRateLimits('rateLimit', [
      { limit: 5, per: '1h', name: 'hour' },
      { limit: 8, per: '1d', name: 'day' },
    ])
    const limiter = world().open()
    const key = freshKey()
    const taken = await limiter.reserve(key, limits, 3)
    expect(taken.granted).toBe(true)
    expect((await limiter.reserve(key, limits, 3)).granted).toBe(false)
    expect(await left(limiter, key, limits)).toEqual([2, 5])
    await limiter.giveBack(taken)
    await limiter.giveBack(taken)
    expect(await left(limiter, key, limits)).toEqual([5, 8])
    const never = await limiter.reserve(key, limits, 6)
    expect(never).toMatchObject({ granted: false, retryAfterMs: undefined })
    await limiter.giveBack(never)
    expect(await left(limiter, key, limits)).toEqual([5, 8])
  })

  it('a check answers as a reservation would, and takes nothing', async () => {
    const limits = parseRateLimits('rateLimit', { limit: 3, per: '1d' })
    const limiter = world().open()
    const key = freshKey()
    for (let n = 0; n < 3; n++) expect((await limiter.check(key, limits, 3)).granted).toBe(true)
    const checked = await limiter.check(key, limits, 2)
    await limiter.giveBack(checked)
    expect((await limiter.reserve(key, limits, 2)).granted).toBe(true)
    await limiter.giveBack(checked)
    const refused = await limiter.check(key, limits, 2)
    expect(refused.granted).toBe(false)
    expect(refused.retryAfterMs).toBeGreaterThan(28_000_000)
    expect((await limiter.check(key, limits, 1)).granted).toBe(true)
    expect(await left(limiter, key, limits)).toEqual([1])
  })

  it('a cost of 0 is granted when nothing is left; what is no cost is refused', async () => {
    const limits = parseRateLimits('rateLimit', { limit: 1, per: '1d' })
    const limiter = world().open()
    const key = freshKey()
    await limiter.reserve(key, limits, 1)
    expect((await limiter.reserve(key, limits, 0)).granted).toBe(true)
    for (const cost of [-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY]) {
      await expect(limiter.reserve(key, limits, cost)).rejects.toThrow(InvalidInputError)
      await expect(limiter.check(key, limits, cost)).rejects.toThrow(InvalidInputError)
    }
  })

  it('keeps the used share when a limit changes, and a limit that isn’t named until it is full again', async () => {
    const limiter = world().open()
    const key = freshKey()
    await limiter.reserve(key, parseRateLimits('rateLimit', { limit: 10, per: '1d' }), 5)
    expect(await left(limiter, key, parseRateLimits('rateLimit', { limit: 100, per: '1d' }))).toEqual([50])
    const day = { limit: 10, per: '1d', name: 'day' } as const
    const both = parseRateLimits('rateLimit', [{ limit: 100, per: '1s', name: 'second' }, day])
    await limiter.reserve(key, both, 4)
    // An instance that doesn't know of the day yet.
    await limiter.reserve(key, parseRateLimits('rateLimit', { limit: 100, per: '1s', name: 'second' }), 1)
    expect((await left(limiter, key, both))[1]).toBe(6)
    expect(await left(limiter, key, parseRateLimits('rateLimit', [day, { limit: 9, per: '1d', name: 'new' }]))).toEqual(
      [6, 9],
    )
  })

  it('holds the largest and the smallest limits there are', async () => {
    const limiter = world().open()
    const huge = parseRateLimits('rateLimit', { limit: 999_999_937, per: '366d', burst: 1_000_000_000 })
    const slow = parseRateLimits('rateLimit', { limit: 1, per: '366d', burst: 1_000_000_000 })
    for (const limits of [huge, slow]) {
      const key = freshKey()
      expect((await limiter.reserve(key, limits, 1_000_000_000)).granted).toBe(true)
      expect((await limiter.reserve(key, limits, 1_000)).granted).toBe(false)
      expect((await left(limiter, key, limits))[0]).toBeLessThan(1000)
    }
  })

  it('answers as the local limiter does, whatever is asked (model)', async () => {
    const limit = fc.record({ limit: fc.integer({ min: 1, max: 1000 }), burst: fc.integer({ min: 1, max: 50 }) })
    const command = fc.record({
      what: fc.constantFrom('reserve', 'reserve', 'reserve', 'check', 'giveBack'),
      cost: fc.integer({ min: 0, max: 20 }),
      ms: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 5000 })),
    })
    const { setTime } = world()
    let now = Date.UTC(2027, 0, 1)
    await fc.assert(
      fc.asyncProperty(
        fc.array(limit, { minLength: 1, maxLength: 3 }),
        fc.array(command, { maxLength: 15 }),
        async (inputs, commands) => {
          // Where the server's clock can't be set: a window so long that nothing refills while the test runs.
          const per = setTime === undefined ? '366d' : '1m'
          const limits = parseRateLimits(
            'rateLimit',
            inputs.map(({ limit, burst }, i) => ({ limit, burst, per, name: `l${i}` })),
          )
          const clock = fakeClock({ now })
          const there = world().open()
          const here = new LocalRateLimiter({ clock })
          const key = freshKey()
          const given: [Reservation, Reservation][] = []
          for (const { what, cost, ms } of commands) {
            if (setTime !== undefined) {
              await clock.advance(ms)
              now += ms
              await setTime(now)
            }
            if (what === 'giveBack') {
              const last = given.pop()
              if (last === undefined) continue
              await there.giveBack(last[0])
              here.giveBack(last[1])
              continue
            }
            const shared = await there[what](key, limits, cost)
            const local = here[what](key, limits, cost)
            if (what === 'reserve') given.push([shared, local])
            expect([shared.granted, shared.states().map(({ remaining }) => remaining)]).toEqual([
              local.granted,
              local.states().map(({ remaining }) => remaining),
            ])
            if (setTime === undefined) continue
            expect([shared.retryAfterMs, shared.states()]).toEqual([local.retryAfterMs, local.states()])
          }
        },
      ),
      { numRuns: 60 },
    )
  })

  describe('behind two front doors', () => {
    const doors = () => {
      const shared = { store: new MemoryTokenStore(), keys: generateSecret() }
      return [setUp({ ...shared, limiter: world().open() }), setUp({ ...shared, limiter: world().open() })] as const
    }

    it('100 calls, a limit of 10, a quota of 8: exactly 8, and the limit keeps the rest', async () => {
      const [{ tokens: a }, { tokens: b }] = doors()
      const { token } = await a.generate({ service: 'A', rateLimit: { limit: 10, per: '1d' }, quota: { limit: 8 } })
      const answers = await Promise.all(Array.from({ length: 100 }, (_, i) => (i % 2 ? a : b).verify(token)))
      expect(answers.filter((answer) => answer.ok)).toHaveLength(8)
      // What the limiter gets back, when a block that had to be fetched wasn't there, is on its way.
      const rate = async () =>
        (await b.verify(token, { cost: 0 })).limits?.find(({ name }) => name === 'default')?.remaining
      await expect.poll(rate).toBe(2)
      await a.update('A', { quota: null })
      const rest = await Promise.all(Array.from({ length: 20 }, () => b.verify(token)))
      expect(rest.filter((answer) => answer.ok)).toHaveLength(2)
    })

    it('100 calls, a limit of 8, a quota of 10: exactly 8, and the quota keeps the rest', async () => {
      const [{ tokens: a }, { tokens: b }] = doors()
      const { token } = await a.generate({ service: 'A', rateLimit: { limit: 8, per: '1d' }, quota: { limit: 10 } })
      const answers = await Promise.all(Array.from({ length: 100 }, (_, i) => (i % 2 ? a : b).verify(token)))
      expect(answers.filter((answer) => answer.ok)).toHaveLength(8)
      await a.update('A', { rateLimit: null })
      const rest = await Promise.all(Array.from({ length: 20 }, (_, i) => (i % 2 ? a : b).verify(token)))
      expect(rest.filter((answer) => answer.ok)).toHaveLength(2)
    })
  })
}
