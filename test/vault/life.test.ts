import { describe, expect, it } from 'vitest'
import { seededRandom } from '../../src/testing/index.ts'
import { appRoleLogin } from '../../src/vault/index.ts'
import { bench, HOUR, LOOKUP, RENEW } from './fixture.ts'

const DAY = 24 * HOUR

describe('what a token costs', () => {
  it('41: a token of 768 h: one look-up and one renewal in its first 563 h, and no timer that overflows', async () => {
    const warnings: string[] = []
    const onWarning = (warning: Error) => warnings.push(warning.name)
    process.on('warning', onWarning)
    const { token, manage, clock, simulator } = bench()
    const { manager, all } = await manage(await token({ ttl: undefined, period: '768h' }))
    await manager.start()
    await clock.advance('537h')
    expect(simulator.count()).toBe(1)
    await clock.advance('26h')
    expect([simulator.count(LOOKUP), simulator.count(RENEW), simulator.count()]).toEqual([1, 1, 2])
    expect(all('renewed')).toMatchObject([{ ttlMs: 768 * HOUR, extended: true }])
    await manager.stop()
    process.off('warning', onWarning)
    expect(warnings).toEqual([])
  })

  it('a token of 60 s: at most two renewals a minute, whatever the threshold', async () => {
    for (const renewThreshold of [undefined, '5s', '20s', '59s', '2h'] as const) {
      const { token, manage, clock, simulator } = bench()
      const { manager } = await manage(await token({ ttl: '60s' }), { renewThreshold })
      await manager.start()
      for (let minute = 0; minute < 60; minute++) {
        const before = simulator.count(RENEW)
        await clock.advance('60s')
        expect(simulator.count(RENEW) - before).toBeLessThanOrEqual(2)
      }
      expect(manager.status().state).toBe('running')
      expect(simulator.count(LOOKUP)).toBe(1)
      await manager.stop()
    }
  })

  it('a dead server: no more requests than the backoff allows', async () => {
    const { token, manage, clock, simulator } = bench()
    const { manager } = await manage(await token({ ttl: '768h' }), { random: seededRandom('dead') })
    await manager.start()
    await clock.advance('500h')
    simulator.setDown(true)
    const before = manager.status().failureCount
    await clock.advance('100h')
    const failures = manager.status().failureCount - before
    // At least 37 h of trying: full jitter up to 5 min is one in 2.5 min on average, and bounded by one in 0.5 s.
    expect(failures).toBeGreaterThan(37 * 12)
    expect(failures).toBeLessThan(63 * 12 * 3.5)
    simulator.setDown(false)
    await clock.advance('10m')
    expect(manager.status()).toMatchObject({ state: 'running', consecutiveFailures: 0 })
    await manager.stop()
  })

  it('200 managers that start together spread their renewals', async () => {
    const { clock, manage, token, simulator } = bench()
    const managers = await Promise.all(
      Array.from({ length: 200 }, async () => (await manage(await token({ ttl: '1h' }))).manager),
    )
    await Promise.all(managers.map((manager) => manager.start()))
    expect(simulator.count(RENEW)).toBe(0)
    await clock.advance('1h')
    const times = simulator.calls.filter(({ path }) => path === RENEW).map(({ at }) => at)
    expect(times).toHaveLength(200)
    // 3 % of an hour is 108 s: in no second of it more than a few come together.
    expect(Math.max(...times) - Math.min(...times)).toBeGreaterThan(90_000)
    const bySecond = Map.groupBy(times, (at) => Math.floor(at / 1000))
    expect(Math.max(...[...bySecond.values()].map((each) => each.length))).toBeLessThanOrEqual(12)
    await Promise.all(managers.map((manager) => manager.stop()))
  })

  it('an hour of AppRole with a maximum: the tokens that it replaced are gone, the requests few', async () => {
    const { clock, manage, appRole, simulator } = bench()
    const ids = await appRole({ token_ttl: '60s', token_max_ttl: '180s' })
    const { manager, names } = await manage(undefined, { login: appRoleLogin(ids) })
    await manager.start()
    await clock.advance('1h')
    expect(names()).not.toContain('expired')
    expect(names()).not.toContain('renewalFailed')
    // The root's, ours, and at most one that drains.
    expect(simulator.tokenCount).toBeLessThanOrEqual(3)
    expect(simulator.count()).toBeLessThan(150)
    await manager.stop()
  })
})

describe('a year', () => {
  it('on a periodic token, with outages of each kind, is never without one (fake clock)', async () => {
    const { token, manage, clock, simulator } = bench()
    const { manager, all, names } = await manage(await token({ ttl: undefined, period: '24h' }), {
      random: seededRandom('a year'),
    })
    await manager.start()
    const outages = [
      () => simulator.fault({ kind: 'answer', status: 503, errors: ['Vault is sealed'], times: 20 }),
      () => simulator.fault({ kind: 'reset', times: 20 }),
      () => simulator.fault({ kind: 'html', times: 5 }),
      () => simulator.fault({ kind: 'lost_response', times: 3 }),
      () => simulator.fault({ kind: 'answer', status: 429, headers: { 'retry-after': '30' }, times: 10 }),
      () => simulator.fault({ kind: 'hang', times: 2 }),
    ]
    for (let day = 0; day < 365; day++) {
      if (day % 30 === 7) outages[Math.floor(day / 30) % outages.length]?.()
      await clock.advance('1d')
      if (manager.status().state !== 'running') throw new Error(`lost on day ${day}`)
    }
    expect(names()).not.toContain('expired')
    // 24 h * 0.715 = 17.2 h apart.
    expect(all('renewed').length).toBeGreaterThan(490)
    expect(all('renewed').length).toBeLessThan(530)
    expect(all('renewalFailed').length).toBeGreaterThan(100)
    expect(simulator.count()).toBeLessThan(900)
    expect(clock.pending()).toBe(1)
    await manager.stop()
    expect(clock.pending()).toBe(0)
  }, 60_000)

  it('on tokens of AppRole that last 32 days at most', async () => {
    const { manage, clock, appRole, simulator } = bench()
    const ids = await appRole({ token_ttl: '24h', token_max_ttl: '768h' })
    const { manager, all, names, vault } = await manage(undefined, { login: appRoleLogin(ids), checkInterval: '1h' })
    await manager.start()
    const seen = new Set<string>()
    for (let day = 0; day < 365; day++) {
      await clock.advance('1d')
      seen.add(vault.token)
    }
    expect(names()).not.toContain('expired')
    expect(all('reauthenticated').length).toBe(seen.size - 1)
    expect(seen.size).toBeGreaterThanOrEqual(12)
    expect(seen.size).toBeLessThanOrEqual(13)
    expect(simulator.tokenCount).toBe(2)
    await manager.stop()
  }, 60_000)
})

describe('clocks', () => {
  it('40: after a suspend the token is looked up and renewed within one tick', async () => {
    const { token, manage, clock, simulator } = bench()
    const { manager, names } = await manage(await token({ ttl: '4h' }))
    await manager.start()
    await clock.advance('1h')
    // Monotonic time stood still for two hours and a half.
    await clock.set(new Date(clock.now() + 2.5 * HOUR))
    expect([simulator.count(LOOKUP), simulator.count(RENEW)]).toEqual([2, 1])
    expect(names()).toEqual(['started', 'renewed'])
    expect(manager.status().ttlMs).toBeGreaterThan(3.99 * HOUR)
    await manager.stop()
  })

  it('40: after one beyond its end it is found dead and replaced, late', async () => {
    const { token, manage, clock, appRole, simulator } = bench()
    const ids = await appRole({ token_ttl: '1h' })
    const { manager, all, names } = await manage(await token({ ttl: '1h' }), { login: appRoleLogin(ids) })
    await manager.start()
    await clock.set(new Date(clock.now() + 5 * HOUR))
    expect(names()).toEqual(['started', 'expired', 'reauthenticated'])
    expect(all('expired')).toMatchObject([{ reason: 'revoked_or_invalid' }])
    expect(all('reauthenticated')).toMatchObject([{ late: true }])
    expect(simulator.count(RENEW)).toBe(0)
    await manager.stop()
  })

  it('40: a clock that is set back changes nothing', async () => {
    const { token, manage, clock, simulator } = bench()
    const { manager } = await manage(await token({ ttl: '4h' }))
    await manager.start()
    const before = manager.status()
    await clock.set(new Date(clock.now() - 2 * HOUR))
    expect(manager.status().ttlMs).toBe(before.ttlMs)
    await clock.advance('2h')
    expect(simulator.count()).toBe(1)
    // The simulator's clock was set back too, so its token lives longer; ours is renewed as if nothing had happened.
    await clock.advance('1h')
    expect(simulator.count(RENEW)).toBe(1)
    await manager.stop()
  })

  it('a clock that was only set forward costs one look-up, not the token', async () => {
    const { manage, clock, simulator } = bench()
    const { manager, names } = await manage(simulator.rootToken)
    await manager.start()
    await clock.set(new Date(clock.now() + 30 * DAY))
    expect([simulator.count(), names()]).toEqual([1, ['started']])
    await manager.stop()
  })
})

describe('without timers of ours', () => {
  it('tick() does what is due, and else nothing', async () => {
    const { token, manage, clock, simulator } = bench()
    const { manager } = await manage(await token({ ttl: '60s' }), { timers: false })
    await manager.start()
    expect(clock.pending()).toBe(0)
    for (let second = 0; second < 600; second++) {
      await clock.advance('1s')
      await manager.tick()
    }
    expect(clock.pending()).toBe(0)
    expect(simulator.count(RENEW)).toBeGreaterThanOrEqual(13)
    expect(simulator.count(RENEW)).toBeLessThanOrEqual(14)
    expect(manager.status().state).toBe('running')
    await manager.stop()
    await manager.tick()
  })

  it('ticks at once are one', async () => {
    const { token, manage, clock, simulator } = bench()
    const { manager } = await manage(await token({ ttl: '60s' }), { timers: false })
    await manager.start()
    await clock.advance('50s')
    await Promise.all(Array.from({ length: 20 }, () => manager.tick()))
    expect(simulator.count(RENEW)).toBe(1)
    await manager.stop()
  })
})
