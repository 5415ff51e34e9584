import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { LimiterFailMode } from '../../src/access/limits.ts'
import { LocalRateLimiter } from '../../src/access/local-rate-limiter.ts'
import { quotaKind } from '../../src/access/quota.ts'
import type { RateLimiter, Reservation } from '../../src/access/rate-limiter.ts'
import { MemoryTokenStore, type TokenStore, type VerifyContext } from '../../src/index.ts'
import { type FakeClock, fakeClock } from '../../src/testing/index.ts'
import { HOUR, START, setUp } from '../issuing/fixture.ts'

/** A limiter that is elsewhere: its answers come later, it can be away, and what it is asked is written down. */
class Elsewhere implements RateLimiter {
  readonly asked: string[] = []
  away = false
  /** While set, answers wait for it, after they were worked out. */
  gate: Promise<void> | undefined
  readonly #inner: LocalRateLimiter

  constructor(clock: FakeClock) {
    this.#inner = new LocalRateLimiter({ clock })
  }

  reserve(...[key, limits, cost]: Parameters<RateLimiter['reserve']>): Promise<Reservation> {
    return this.#answer('reserve', () => this.#inner.reserve(key, limits, cost))
  }

  check(...[key, limits, cost]: Parameters<RateLimiter['check']>): Promise<Reservation> {
    return this.#answer('check', () => this.#inner.check(key, limits, cost))
  }

  giveBack(reservation: Reservation): Promise<void> {
    return this.#answer('giveBack', () => this.#inner.giveBack(reservation))
  }

  async #answer<T>(what: string, work: () => T): Promise<T> {
    this.asked.push(what)
    if (this.away) throw new Error('away')
    const answer = work()
    await this.gate
    return answer
  }
}

/** A store whose quotas can fail. */
function withQuotas(inner: MemoryTokenStore) {
  const state = { away: false, reads: 0 }
  const store: TokenStore = new Proxy(inner as TokenStore, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name, target)
      if (typeof value !== 'function') return value
      if (name !== 'get') return value.bind(target) as unknown
      return async (...args: unknown[]) => {
        if (args[0] === quotaKind) {
          state.reads += 1
          if (state.away) throw new Error('away')
        }
        return value.apply(target, args) as unknown
      }
    },
  })
  return { store, state }
}

function world(failMode: LimiterFailMode = 'local') {
  const clock = fakeClock({ now: START })
  const limiter = new Elsewhere(clock)
  const { store, state: quotas } = withQuotas(new MemoryTokenStore({ clock }))
  const { tokens, events } = setUp({ store, limiter, failMode: { limiter: failMode } }, clock)
  const codeOf = async (token: string, context?: VerifyContext) => {
    const answer = await tokens.verify(token, context)
    return answer.ok ? 'ok' : answer.code
  }
  return { clock, limiter, quotas, tokens, events, codeOf }
}

const LIMIT = { limit: 3, per: '1h' } as const

describe('a quota before a shared limiter', () => {
  it('asks the limiter once for each call, and gives nothing back over there', async () => {
    const { limiter, tokens, codeOf } = world()
    const { token } = await tokens.generate({ service: 'A', rateLimit: LIMIT, quota: { limit: 2 } })
    expect(await codeOf(token)).toBe('ok')
    expect(await codeOf(token)).toBe('ok')
    expect(await codeOf(token)).toBe('quota_exceeded')
    expect(limiter.asked).toEqual(['reserve', 'reserve', 'check'])
  })

  it('a call that both would refuse is rate_limited', async () => {
    const { clock, tokens, codeOf } = world()
    const { token } = await tokens.generate({ service: 'A', rateLimit: LIMIT, quota: { limit: 3 } })
    for (let n = 0; n < 3; n++) expect(await codeOf(token)).toBe('ok')
    expect(await tokens.verify(token)).toMatchObject({ code: 'rate_limited', retryAfterMs: HOUR / 3 })
    await clock.advance(HOUR / 3)
    expect(await codeOf(token)).toBe('quota_exceeded')
    // The check took nothing: what came back over time is still there.
    await tokens.update('A', { quota: null })
    expect(await codeOf(token)).toBe('ok')
    expect(await codeOf(token)).toBe('rate_limited')
  })

  it('what a limit refuses goes back to the block, without the store', async () => {
    const { quotas, tokens, codeOf } = world()
    const { token } = await tokens.generate({ service: 'A', rateLimit: LIMIT, quota: { limit: 1000 } })
    for (let n = 0; n < 3; n++) expect(await codeOf(token)).toBe('ok')
    const { reads } = quotas
    for (let n = 0; n < 50; n++) expect(await codeOf(token)).toBe('rate_limited')
    expect(quotas.reads).toBe(reads)
    const answer = await tokens.verify(token, { cost: 0 })
    expect(answer.limits?.map(({ name, remaining }) => [name, remaining])).toEqual([
      ['default', 0],
      ['quota', 997],
    ])
  })

  it('a crowd that a limit refuses piles up no blocks here: the others may have them', async () => {
    const clock = fakeClock({ now: START })
    const limiter = new Elsewhere(clock)
    const { store, state } = withQuotas(new MemoryTokenStore({ clock }))
    const keys = 'a secret for two instances 0123456789 abcdef'
    const open = () => setUp({ store, keys, limiter }, clock).tokens
    const [here, there] = [open(), open()]
    const { token } = await here.generate({
      service: 'A',
      rateLimit: { limit: 1, per: '1s' },
      quota: { limit: 50, per: '1d' },
    })
    const crowd = await Promise.all(Array.from({ length: 60 }, () => here.verify(token)))
    expect(crowd.filter((answer) => answer.ok)).toHaveLength(1)
    expect(crowd.filter((answer) => !answer.ok && answer.code === 'rate_limited')).toHaveLength(59)
    expect(state.reads).toBeLessThan(5)
    let passed = 0
    for (let n = 0; n < 60; n++) {
      await clock.advance('1s')
      if ((await there.verify(token)).ok) passed += 1
    }
    // All but what was used over here, and the unit that was fetched ahead.
    expect(passed).toBeGreaterThanOrEqual(48)
  })

  it('a block that can’t be fetched gives the limiter its units back', async () => {
    const { limiter, quotas, tokens, codeOf } = world()
    const { token } = await tokens.generate({ service: 'A', rateLimit: LIMIT, quota: { limit: 30 } })
    quotas.away = true
    expect(await codeOf(token)).toBe('unavailable')
    expect(limiter.asked).toEqual(['reserve', 'giveBack'])
    quotas.away = false
    for (let n = 0; n < 3; n++) expect(await codeOf(token)).toBe('ok')
    expect(await codeOf(token)).toBe('rate_limited')
  })

  it('units of a window that ended while the limiter was asked are not given to the next', async () => {
    const { clock, limiter, tokens, codeOf } = world()
    const { token } = await tokens.generate({ service: 'A', rateLimit: LIMIT, quota: { limit: 4, per: '1d' } })
    for (let n = 0; n < 3; n++) expect(await codeOf(token)).toBe('ok')
    let open = () => {}
    limiter.gate = new Promise((resolve) => {
      open = resolve
    })
    const late = codeOf(token)
    while (limiter.asked.length < 4) await new Promise((resolve) => setImmediate(resolve))
    limiter.gate = undefined
    await clock.advance('1d')
    // The next window begins, and one of its four units is used.
    expect(await codeOf(token)).toBe('ok')
    open()
    expect(await late).toBe('rate_limited')
    await tokens.update('A', { rateLimit: null })
    for (let n = 0; n < 3; n++) expect(await codeOf(token)).toBe('ok')
    expect(await codeOf(token)).toBe('quota_exceeded')
  })

  it('a call that is doomed by the quota doesn’t stand in the way of one that isn’t', async () => {
    const { limiter, tokens, codeOf } = world()
    const { token } = await tokens.generate({ service: 'A', rateLimit: LIMIT, quota: { limit: 2 } })
    expect(await codeOf(token)).toBe('ok')
    let open = () => {}
    limiter.gate = new Promise((resolve) => {
      open = resolve
    })
    const calls = [codeOf(token, { cost: 2 }), codeOf(token)]
    while (limiter.asked.length < 3) await new Promise((resolve) => setImmediate(resolve))
    open()
    expect(await Promise.all(calls)).toEqual(['quota_exceeded', 'ok'])
  })

  it.each([
    ['closed', 'unavailable', 'unavailable'],
    ['local', 'ok', 'quota_exceeded'],
    ['open', 'ok', 'quota_exceeded'],
  ] as const)('a limiter that is away, mode %s: %s while the quota lasts, then %s', async (mode, first, then) => {
    const { limiter, tokens, events, codeOf } = world(mode)
    const { token } = await tokens.generate({ service: 'A', rateLimit: LIMIT, quota: { limit: 2 } })
    limiter.away = true
    expect([await codeOf(token), await codeOf(token)]).toEqual([first, first])
    if (first === 'ok') expect(await codeOf(token)).toBe(then)
    expect(events.names()).toContain('limiter.failed')
    limiter.away = false
    // What was refused for want of the limiter took nothing of the quota.
    expect(await codeOf(token)).toBe(first === 'ok' ? 'quota_exceeded' : 'ok')
  })

  it('a limiter that is away, mode local: the limit of this process comes before the quota', async () => {
    const { limiter, tokens, codeOf } = world('local')
    const { token } = await tokens.generate({ service: 'A', rateLimit: LIMIT, quota: { limit: 3 } })
    limiter.away = true
    for (let n = 0; n < 3; n++) expect(await codeOf(token)).toBe('ok')
    expect(await codeOf(token)).toBe('rate_limited')
  })

  it('a store of quotas that is away: unavailable, unless a limit would refuse before; nothing is taken', async () => {
    const { clock, limiter, quotas, tokens, events, codeOf } = world()
    const { token } = await tokens.generate({ service: 'A', rateLimit: LIMIT, quota: { limit: 30, per: '1d' } })
    quotas.away = true
    for (let n = 0; n < 5; n++) expect(await codeOf(token)).toBe('unavailable')
    expect(events.names()).toContain('store.failed')
    limiter.away = true
    expect(await codeOf(token)).toBe('unavailable')
    limiter.away = false
    quotas.away = false
    for (let n = 0; n < 3; n++) expect(await codeOf(token)).toBe('ok')
    await clock.advance('1ms')
    expect(await codeOf(token)).toBe('rate_limited')
    // The quota's block is of one unit: the next call would need the store.
    quotas.away = true
    expect(await codeOf(token)).toBe('rate_limited')
  })

  it('whatever fails in between, what passes is what is spent, and the first reason is the one told (model)', async () => {
    const command = fc.record({
      cost: fc.integer({ min: 1, max: 4 }),
      limiterAway: fc.boolean(),
      quotasAway: fc.boolean(),
    })
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom<LimiterFailMode>('closed', 'open'),
        fc.integer({ min: 1, max: 12 }),
        fc.integer({ min: 1, max: 12 }),
        fc.array(command, { maxLength: 20 }),
        async (mode, limit, quota, commands) => {
          const { limiter, quotas, tokens, codeOf } = world(mode)
          const { token } = await tokens.generate({
            service: 'A',
            rateLimit: { limit, per: '366d' },
            quota: { limit: quota },
          })
          let [rate, left] = [limit, quota]
          for (const { cost, limiterAway, quotasAway } of commands) {
            limiter.away = limiterAway
            quotas.away = quotasAway
            const code = await codeOf(token, { cost })
            if (limiterAway && mode === 'closed') expect(code).toBe('unavailable')
            else if (!limiterAway && cost > rate) expect(code).toBe('rate_limited')
            else if (code === 'unavailable') expect(quotasAway).toBe(true)
            else if (cost > left) expect(code).toBe('quota_exceeded')
            else expect(code).toBe('ok')
            if (code !== 'ok') continue
            left -= cost
            if (!limiterAway) rate -= cost
          }
          limiter.away = false
          quotas.away = false
          const answer = await tokens.verify(token, { cost: 0 })
          expect(answer.limits?.find(({ name }) => name === 'default')?.remaining).toBe(rate)
          let spent = 0
          await tokens.update('A', { rateLimit: null })
          while ((await codeOf(token)) === 'ok') spent += 1
          expect(spent).toBe(left)
        },
      ),
      { numRuns: 150 },
    )
  })
})

describe('a quota among clocks that are an hour apart', () => {
  /** Two instances on one store, whose clock is a third one. */
  function worlds(hereIs: number, thereIs: number) {
    const clock = fakeClock({ now: START })
    const store = new MemoryTokenStore({ clock })
    const clocks = [fakeClock({ now: START + hereIs }), fakeClock({ now: START + thereIs })] as const
    const [here, there] = clocks.map((own) =>
      setUp({ store, keys: 'a secret for two clocks 0123456789 abcdef' }, own),
    ) as [ReturnType<typeof setUp>, ReturnType<typeof setUp>]
    const advance = async (ms: number) => {
      for (const each of [clock, ...clocks]) await each.advance(ms)
    }
    return { here: here.tokens, there: there.tokens, advance }
  }

  it.each([
    [0, HOUR],
    [0, -HOUR],
    [HOUR, -HOUR],
  ])('grants each window once, by the store’s clock (%i and %i ms off)', async (hereIs, thereIs) => {
    const { here, there, advance } = worlds(hereIs, thereIs)
    const { token } = await here.generate({ service: 'A', quota: { limit: 10, per: '1h' } })
    const passed = async () => {
      let count = 0
      for (let n = 0; n < 40; n++) if ((await (n % 2 ? here : there).verify(token)).ok) count += 1
      return count
    }
    const early = await passed()
    await advance(HOUR / 2)
    const late = await passed()
    // The windows count from the token's creation, by the clock of the instance that made it.
    expect([early, late]).toEqual([10, 0])
    await advance(HOUR / 2)
    expect(await passed()).toBe(10)
    const refused = await there.verify(token)
    expect(refused).toMatchObject({ code: 'quota_exceeded', retryAfterMs: HOUR })
  })

  it('a block that is held is of use until the window ends, and not beyond', async () => {
    const { here, there, advance } = worlds(0, HOUR)
    const { token } = await here.generate({ service: 'A', quota: { limit: 1000, per: '1h' } })
    for (let n = 0; n < 25; n++) expect((await there.verify(token)).ok).toBe(true)
    const left = async () => (await there.verify(token, { cost: 0 })).limits?.[0]?.remaining
    expect(await left()).toBe(975)
    await advance(HOUR)
    expect((await there.verify(token)).ok).toBe(true)
    expect(await left()).toBe(999)
  })
})

it('a call that costs more than a whole quota is told no time to come again: there is none', async () => {
  const { tokens, codeOf } = world()
  const { token } = await tokens.generate({ service: 'A', quota: { limit: 10, per: '1h' } })
  const never = await tokens.verify(token, { cost: 11 })
  expect(never).toMatchObject({ code: 'quota_exceeded' })
  expect(never).not.toHaveProperty('retryAfterMs')
  expect(await codeOf(token, { cost: 10 })).toBe('ok')
  expect(await tokens.verify(token)).toMatchObject({ code: 'quota_exceeded', retryAfterMs: HOUR })
})
