import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { InvalidInputError, MemoryTokenStore, StoreUnavailableError } from '../../src/index.ts'
import { learnNetworks } from '../../src/usage/known-networks.ts'
import { networkOf } from '../../src/usage/network.ts'
import { judgeRate, type RateState } from '../../src/usage/rate-change.ts'
import { countOne, recentCount, type SlidingCount } from '../../src/usage/sliding-count.ts'
import { DAY, START, setUp } from '../issuing/fixture.ts'

const MINUTE = 60_000
const told = (events: ReturnType<typeof setUp>['events']) =>
  events.events.filter(({ name }) => name.startsWith('security.')).map(({ name, payload }) => ({ name, ...payload }))

describe('the decisions', () => {
  it('a sliding count is exact within one stretch and never off by more than the stretch before', () => {
    const gaps = fc.array(fc.integer({ min: 0, max: 3000 }), { minLength: 1, maxLength: 100 })
    fc.assert(
      fc.property(gaps, (steps) => {
        let count: SlidingCount | undefined
        const times: number[] = []
        let now = 5000
        for (const step of steps) {
          now += step
          times.push(now)
          count = countOne(count, now, 1000)
          const start = now - (now % 1000)
          const current = times.filter((at) => at >= start).length
          const previous = times.filter((at) => at >= start - 1000 && at < start).length
          const recent = recentCount(count, now, 1000)
          expect(recent).toBeGreaterThanOrEqual(current)
          expect(recent).toBeLessThanOrEqual(current + previous)
        }
      }),
    )
    const back = countOne(countOne(undefined, 5000, 1000), 3000, 1000)
    expect(recentCount(back, 3000, 1000)).toBe(2)
  })

  it('a network has one text, however the address is written', () => {
    const texts = ['10.1.2.3', '::ffff:10.1.2.9', '2001:DB8:1:2::5', '2001:0db8:1::1', 'fe80::1%eth0', '10.1.2.300', '']
    expect(texts.map((ip) => networkOf(ip, 24, 48))).toEqual([
      ...['10.1.2.0/24', '10.1.2.0/24', '2001:db8:1::/48', '2001:db8:1::/48', 'fe80::/48', undefined, undefined],
    ])
    expect([networkOf('10.1.2.3', 32, 64), networkOf('2001:db8:1:2:3:4:5:6', 32, 64)]).toEqual([
      '10.1.2.3',
      '2001:db8:1:2::/64',
    ])
    expect(networkOf('255.255.255.255', 0, 0)).toBe('0.0.0.0/0')
  })

  it('a rate is learnt for half an hour, then a sudden rise or drop is told', () => {
    const settings = { factor: 10, minimum: 60 }
    const changeAfter = (...rates: number[]) => {
      let state: RateState | undefined
      let change: ReturnType<typeof judgeRate>['change']
      for (const calls of rates) ({ state, change } = { change: undefined, ...judgeRate(state, calls, 1, settings) })
      return change
    }
    const usual = (calls: number, minutes = 30) => new Array<number>(minutes).fill(calls)
    expect(changeAfter(...usual(10), 100)).toEqual({ direction: 'rise', calls: 100, usual: 10 })
    expect(changeAfter(...usual(10), 99)).toBeUndefined()
    expect(changeAfter(...usual(10, 29), 1000)).toBeUndefined()
    expect(changeAfter(...usual(0), 59)).toBeUndefined()
    expect(changeAfter(...usual(0), 60)).toEqual({ direction: 'rise', calls: 60, usual: 0 })
    expect(changeAfter(...usual(100), 10)).toEqual({ direction: 'drop', calls: 10, usual: 100 })
    expect(changeAfter(...usual(59), 0)).toBeUndefined()
    // What goes on becomes the rule.
    expect(changeAfter(...usual(10), ...usual(100, 120))).toBeUndefined()
    // Several minutes at once count as their mean.
    expect(judgeRate({ mean: 10, minutes: 60 }, 500, 10, settings).change).toBeUndefined()
    expect(judgeRate({ mean: 10, minutes: 60 }, 1000, 10, settings).change).toEqual({
      direction: 'rise',
      calls: 100,
      usual: 10,
    })
  })

  it('the mean of a rate stays between the least and the most that was seen', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(1000), fc.integer({ min: 1, max: 600 })), { minLength: 1 }), (turns) => {
        let state: RateState | undefined
        for (const [calls, minutes] of turns)
          state = judgeRate(state, calls * minutes, minutes, { factor: 2, minimum: 1 }).state
        const rates = turns.map(([calls]) => calls)
        expect(state?.mean).toBeGreaterThanOrEqual(Math.min(...rates) - 1e-6)
        expect(state?.mean).toBeLessThanOrEqual(Math.max(...rates) + 1e-6)
      }),
    )
  })

  it('the first networks are learnt without a word, later ones are told, and 32 are kept', () => {
    const first = learnNetworks(undefined, ['a', 'b'], START)
    expect(first).toEqual({
      fresh: [],
      record: {
        networks: [
          { network: 'a', at: START },
          { network: 'b', at: START },
        ],
        at: START,
      },
    })
    expect(learnNetworks(first.record, ['a'], START + DAY - 1)).toEqual({ fresh: [] })
    expect(learnNetworks(first.record, ['a'], START + DAY)).toMatchObject({ fresh: [], record: { at: START + DAY } })
    const many = Array.from({ length: 40 }, (_, i) => `n${i}`)
    const later = learnNetworks(first.record, many, START + 1)
    expect(later.fresh).toEqual(many)
    expect(later.record?.networks).toHaveLength(32)
  })
})

describe('bursts of failures', () => {
  it('are told once a while, by address and by token', async () => {
    const { tokens, events, clock } = setUp()
    const { token, record } = await tokens.generate({ service: 'A', scopes: ['a:b'] })
    for (let i = 0; i < 19; i++) await tokens.verify(`guess-${i}-0123456789`, { ip: '2001:db8::1' })
    expect(told(events)).toEqual([])
    // Another address of the same /64: the same guesser.
    for (let i = 0; i < 9; i++) await tokens.verify('guess-x-0123456789', { ip: '2001:db8::2' })
    const burst = {
      name: 'security.failuresBurst',
      at: START,
      by: 'ip',
      ip: '2001:db8::/64',
      failures: 20,
      perMs: MINUTE,
    }
    expect(told(events)).toEqual([{ ...burst, code: 'unknown' }])
    for (let i = 0; i < 25; i++) await tokens.verify(token, { scopes: ['c:d'] })
    expect(told(events)).toHaveLength(2)
    expect(told(events)[1]).toMatchObject({ by: 'token', id: record.id, service: 'A', code: 'insufficient_scope' })
    await clock.advance('61m')
    for (let i = 0; i < 20; i++) await tokens.verify('guess-x-0123456789', { ip: '2001:db8::1' })
    expect(told(events)).toHaveLength(3)
    await tokens.tick()
    expect((await tokens.usage.alerts.query()).items.map((alert) => alert.signal)).toEqual(
      new Array(3).fill('failuresBurst'),
    )
    const { items } = await tokens.usage.alerts.query({ token: record.id, signal: 'failuresBurst' })
    expect(items).toMatchObject([{ by: 'token', id: record.id, failures: 20 }])
    await tokens.close()
  })

  it('are no matter of slow failures, limits, outages or calls without a token', async () => {
    const { tokens, events, clock } = setUp()
    const { token } = await tokens.generate({ service: 'A', rateLimit: { limit: 1, per: '1h' } })
    for (let i = 0; i < 40; i++) {
      await tokens.verify(undefined, { ip: '10.0.0.1' })
      await tokens.verify(token, { ip: '10.0.0.1' })
      if (i % 3 === 0) await tokens.verify('guess-x-0123456789', { ip: '10.0.0.1' })
      await clock.advance(3100)
    }
    expect(told(events)).toEqual([])
    await tokens.close()
  })

  it('cost bounded memory and bounded alerts, whoever many addresses fail', async () => {
    const { tokens, events } = setUp({ usage: { signals: { failures: { count: 2 } } } })
    for (let i = 0; i < 30_000; i++) {
      const ip = `10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`
      await tokens.verify('guess-x-0123456789', { ip })
      await tokens.verify('guess-x-0123456789', { ip })
    }
    expect(told(events)).toHaveLength(100)
    expect(tokens.usage.stats().droppedAlerts).toBe(29_900)
    // A flood of one signal hides no other.
    const { token } = await tokens.generate({ service: 'A', canary: true })
    await tokens.verify(token)
    expect(told(events)).toHaveLength(101)
    await tokens.usage.flush()
    expect(events.events.filter(({ name }) => name === 'usage.dropped').map(({ payload }) => payload)).toMatchObject([
      { alerts: 29_900 },
    ])
    expect(await tokens.usage.health()).toMatchObject({ status: 'degraded' })
    await tokens.close()
  })
})

describe('use of what must not be used', () => {
  it('a revoked token, or version, is told once a while with the number of uses', async () => {
    const { tokens, events, clock } = setUp()
    const { token, record } = await tokens.generate({ service: 'A' })
    await tokens.rotate('A', { grace: 0 })
    for (let i = 0; i < 3; i++) await tokens.verify(token, { ip: '10.0.0.1', tool: 'ping', caller: 'eve' })
    const use = {
      name: 'security.revokedUsed',
      id: record.id,
      service: 'A',
      version: 1,
      ip: '10.0.0.1',
      tool: 'ping',
      caller: 'eve',
    }
    expect(told(events)).toEqual([{ ...use, at: START, uses: 1 }])
    await clock.advance('61m')
    await tokens.verify(token)
    expect(told(events)[1]).toMatchObject({ uses: 3 })
    await tokens.close()
  })

  it('a canary answers as an unknown string does, to the last detail, and raises an alarm', async () => {
    const { tokens, events, clock } = setUp()
    const { token, record } = await tokens.generate({ service: 'TRAP', canary: true, scopes: ['a:b'] })
    expect(record).toMatchObject({ canary: true, status: 'active' })
    const plain = (answer: unknown) => JSON.parse(JSON.stringify(answer))
    const context = { ip: '10.0.0.1', scopes: ['a:b'], explain: true }
    const unknown = await tokens.verify(
      token.replace(/.$/, (c) => (c === 'a' ? 'b' : 'a')),
      context,
    )
    expect(unknown).toMatchObject({ ok: false, code: 'unknown', status: 401 })
    const answer = await tokens.verify(token, context)
    expect(plain(answer)).toEqual(plain(unknown))
    expect(plain(await tokens.verify(token, context))).toEqual(plain(unknown))
    expect(told(events)).toMatchObject([
      { name: 'security.canaryUsed', id: record.id, service: 'TRAP', ip: '10.0.0.1', uses: 1 },
    ])
    await tokens.usage.flush()
    // Nor do counters and the request log say which it was.
    expect(await tokens.usage.query({ token: record.id })).toEqual([])
    await expect(tokens.rotate('TRAP')).rejects.toMatchObject({ code: 'ERR_TOKEN_STATE' })
    expect(await tokens.rotator.bulkRotate({ onRotated: () => {} })).toMatchObject({ rotated: 0 })
    expect(await tokens.registry.identify(token)).toMatchObject({ live: false, version: 1, token: { canary: true } })

    await tokens.disable('TRAP')
    await clock.advance('2h')
    expect(await tokens.verify(token)).toMatchObject({ code: 'unknown' })
    await tokens.revoke('TRAP')
    expect(await tokens.verify(token)).toMatchObject({ code: 'unknown' })
    expect(told(events)).toHaveLength(1)
    await tokens.close()
  })

  it('an imported text can be a trap too, and signals: false leaves the alarm on', async () => {
    const { tokens, events } = setUp({ usage: { signals: false } })
    const text = 'planted-in-a-repository-0123456789'
    await tokens.import({ service: 'TRAP', token: text, canary: true })
    expect(await tokens.verify(text)).toMatchObject({ ok: false, code: 'unknown' })
    for (let i = 0; i < 50; i++) await tokens.verify('guess-x-0123456789', { ip: '10.0.0.1' })
    expect(told(events)).toMatchObject([{ name: 'security.canaryUsed' }])
    await expect(tokens.generate({ service: 'B', canary: 'yes' as never })).rejects.toThrow(InvalidInputError)
    await tokens.close()
  })
})

describe('new networks', () => {
  it('are told by the tick after the first use, once, over restarts and instances', async () => {
    const store = new MemoryTokenStore()
    const one = setUp({ store })
    const { token, record } = await one.tokens.generate({ service: 'A' })
    const use = async (it: typeof one, ip: string) => {
      expect((await it.tokens.verify(token, { ip })).ok).toBe(true)
      await it.clock.advance('10s')
      await it.tokens.tick()
    }
    await use(one, '10.0.0.1')
    await use(one, '::ffff:10.0.0.77')
    expect(told(one.events)).toEqual([])
    await use(one, '10.0.1.1')
    const seen = { name: 'security.newNetworkUsed', id: record.id, service: 'A' }
    expect(told(one.events)).toMatchObject([{ ...seen, network: '10.0.1.0/24' }])
    const two = setUp({ store, keys: one.keys }, one.clock)
    await use(two, '10.0.1.9')
    expect(told(two.events)).toEqual([])
    await use(two, '2001:db8::1')
    expect(told(two.events)).toMatchObject([{ ...seen, network: '2001:db8::/48' }])
    await use(one, '2001:db8::2')
    expect(told(one.events)).toHaveLength(1)
    // Refused calls teach nothing.
    await one.tokens.verify(token, { ip: '192.0.2.1', scopes: ['a:b'] })
    await one.clock.advance('10s')
    await one.tokens.tick()
    expect(told(one.events)).toHaveLength(1)
    await one.tokens.close()
  })

  it('wait for a store that is away', async () => {
    class Away extends MemoryTokenStore {
      away = false
      override commit(...args: Parameters<MemoryTokenStore['commit']>) {
        if (this.away) throw new StoreUnavailableError('away')
        return super.commit(...args)
      }
    }
    const store = new Away()
    const { tokens, events, clock } = setUp({ store })
    const { token } = await tokens.generate({ service: 'A' })
    const use = async (ip: string) => {
      await tokens.verify(token, { ip })
      await clock.advance('10s')
      await tokens.usage.tick()
    }
    await use('10.0.0.1')
    store.away = true
    await use('10.0.1.1')
    expect(events.names()).toContain('usage.flushFailed')
    expect(told(events)).toEqual([])
    store.away = false
    await clock.advance('10s')
    await tokens.usage.tick()
    expect(told(events)).toMatchObject([{ network: '10.0.1.0/24' }])
    await tokens.close()
  })

  it('that come while the store is asked are told too, and each alert is written once', async () => {
    let ask = () => {}
    class Slow extends MemoryTokenStore {
      slow = false
      override commit(...args: Parameters<MemoryTokenStore['commit']>): never {
        const done = super.commit(...args)
        if (!this.slow || args[0].write[0]?.kind.name !== 'networks') return done as never
        return new Promise((answer) => {
          ask = () => answer(done)
        }) as never
      }
    }
    const store = new Slow()
    const { tokens, events, clock } = setUp({ store })
    const { token } = await tokens.generate({ service: 'A' })
    await tokens.verify(token, { ip: '10.0.0.1' })
    await clock.advance('10s')
    await tokens.usage.tick()
    store.slow = true
    await tokens.verify(token, { ip: '10.0.1.1' })
    await clock.advance('10s')
    const ticking = tokens.usage.tick()
    await new Promise((passed) => setImmediate(passed))
    await tokens.verify(token, { ip: '10.0.2.1' })
    await tokens.usage.flush()
    store.slow = false
    ask()
    await ticking
    await clock.advance('10s')
    await Promise.all([tokens.usage.tick(), tokens.usage.flush(), tokens.usage.signals?.tick(clock.now())])
    expect(told(events)).toMatchObject([{ network: '10.0.1.0/24' }, { network: '10.0.2.0/24' }])
    await Promise.all([tokens.usage.flush(), tokens.usage.flush()])
    expect((await tokens.usage.alerts.query()).items).toHaveLength(2)
    await tokens.close()
  })

  it('can be turned off', async () => {
    const { tokens, events, clock } = setUp({ usage: { signals: { networks: false } } })
    const { token } = await tokens.generate({ service: 'A' })
    for (const ip of ['10.0.0.1', '10.0.1.1']) {
      await tokens.verify(token, { ip })
      await clock.advance('10s')
      await tokens.tick()
    }
    expect(told(events)).toEqual([])
    await tokens.close()
  })
})

describe('a changed rate', () => {
  it('is told by the minute, with the name of the token', async () => {
    const { tokens, events, clock } = setUp({ usage: { signals: { networks: false } } })
    const { token, record } = await tokens.generate({ service: 'A' })
    const minute = async (calls: number) => {
      for (let i = 0; i < calls; i++) await tokens.verify(token)
      await clock.advance('1m')
      await tokens.tick()
    }
    for (let i = 0; i < 40; i++) await minute(7)
    expect(told(events)).toEqual([])
    await minute(80)
    expect(told(events)).toMatchObject([
      { name: 'security.rateChanged', id: record.id, service: 'A', direction: 'rise', calls: 80, usual: 7 },
    ])
    await tokens.usage.flush()
    expect((await tokens.usage.alerts.query({ signal: 'rateChanged' })).items).toHaveLength(1)
    await tokens.close()
  })
})

describe('alerts', () => {
  it('are kept for their retention and read newest first, in pages', async () => {
    const { tokens, clock } = setUp({ usage: { alerts: { retention: '2d', quiet: '1s' } } })
    const { token } = await tokens.generate({ service: 'TRAP', canary: true })
    for (let i = 0; i < 5; i++) {
      await tokens.verify(token)
      await clock.advance('1h')
      await tokens.tick()
    }
    const { alerts } = tokens.usage
    const first = await alerts.query({ limit: 2 })
    expect(first.items.map(({ at }) => at - START)).toEqual([4 * 3_600_000, 3 * 3_600_000])
    const rest = await alerts.query({ limit: 10, cursor: first.cursor })
    expect(rest.items).toHaveLength(3)
    expect((await alerts.query({ since: START + 3 * 3_600_000 })).items).toHaveLength(2)
    await expect(alerts.query({ signal: 'fire' as never })).rejects.toThrow(InvalidInputError)
    await expect(alerts.query({ limit: 0 })).rejects.toThrow(InvalidInputError)
    await clock.advance('3d')
    await tokens.tick()
    expect((await alerts.query()).items).toEqual([])
    await tokens.close()
  })

  it('need settings that can be meant', () => {
    for (const usage of [
      { signals: true },
      { signals: { burst: {} } },
      { signals: { failures: { count: 1 } } },
      { signals: { failures: { per: 5 } } },
      { signals: { rate: { factor: 1 } } },
      { signals: { rate: { minimum: 0 } } },
      { signals: { networks: 1 } },
      { alerts: { quiet: 1 } },
      { alerts: { retain: '1d' } },
    ])
      expect(() => setUp({ usage: usage as never })).toThrow(InvalidInputError)
  })
})
