import { describe, expect, it } from 'vitest'
import type { HealthSource } from '../../src/kernel/health.ts'
import { Counters } from '../../src/vault/counters.ts'
import { healthOf } from '../../src/vault/health-of.ts'
import { metricsText } from '../../src/vault/metrics-text.ts'
import { serverHealthOf } from '../../src/vault/server-health.ts'
import type { VaultStatus } from '../../src/vault/status.ts'
import { bench, RENEW } from './fixture.ts'

const STATUS: VaultStatus = {
  running: true,
  state: 'running',
  ttlMs: 3_600_000,
  expiresAt: 3_600_000,
  needsRenewal: false,
  renewalCount: 0,
  failureCount: 0,
  consecutiveFailures: 0,
  lastCheckAt: 1000,
  lastRenewalAt: null,
  nextRenewalAt: 2_520_000,
  nextLoginAt: null,
  fullTtlMs: 3_600_000,
  type: 'service',
  renewable: true,
  capped: false,
  usesLeft: null,
  accessor: 'abcdef…',
  policies: ['default'],
  reauthCount: 0,
  leases: 0,
}

describe('health', () => {
  const health = (change: Partial<VaultStatus>, replaceable = false, failingSinks = 0): HealthSource['status'] =>
    healthOf({ status: { ...STATUS, ...change }, replaceable, lastFailure: 'network', failingSinks }).status

  it('43: by parts of the lease, with what fails', () => {
    expect(health({})).toBe('healthy')
    expect(health({ ttlMs: 10_000, fullTtlMs: 10_000 })).toBe('healthy')
    expect(health({ consecutiveFailures: 1, ttlMs: 3_240_000 })).toBe('degraded')
    expect(health({ consecutiveFailures: 9, ttlMs: 359_000 })).toBe('unhealthy')
    expect(health({ failureCount: 1000, renewalCount: 1 })).toBe('healthy')
    expect(health({ state: 'static', ttlMs: null, fullTtlMs: null, renewable: false })).toBe('healthy')
    expect(health({ state: 'expired', ttlMs: 0 })).toBe('unhealthy')
    expect(health({ state: 'idle' })).toBe('unhealthy')
    expect(health({ state: 'stopped' })).toBe('unhealthy')
    expect(health({ state: 'starting', ttlMs: null })).toBe('degraded')
    expect(health({ renewable: false, ttlMs: 1_000_000 })).toBe('degraded')
    expect(health({ renewable: false, ttlMs: 100_000 })).toBe('unhealthy')
    expect(health({ renewable: false, ttlMs: 100_000 }, true)).toBe('healthy')
    expect(health({}, false, 1)).toBe('degraded')
  })

  it('43: recovers with the next success', async () => {
    const { manage, token, clock, simulator } = bench()
    const { manager } = await manage(await token())
    await manager.start()
    simulator.fault({ kind: 'answer', status: 503, errors: ['Vault is sealed'], path: RENEW, times: 2 })
    await clock.advance('44m')
    expect(manager.health()).toMatchObject({ status: 'healthy' })
    expect(manager.status().failureCount).toBe(2)
    simulator.setDown(true)
    await manager.forceRenewal().catch(() => {})
    expect(manager.health()).toMatchObject({
      status: 'degraded',
      reasons: [expect.stringMatching(/^1 failures in a row \(network\), \d+ s left$/)],
    })
    simulator.setDown(false)
    await clock.advance('1m')
    await manager.forceRenewal()
    expect(manager.health().status).toBe('healthy')
    await manager.stop()
    expect(manager.health().reasons).toEqual(['the manager is stopped'])
  })

  it('43: a standby is well; what can’t be told is unknown', async () => {
    const body = { initialized: true, sealed: false, standby: true, version: '2.7.2', server_time_utc: 100 }
    expect(serverHealthOf(body, 99_500)).toEqual({ status: 'standby', version: '2.7.2', clockAheadMs: 1000 })
    expect(serverHealthOf({ ...body, sealed: true }, 0).status).toBe('sealed')
    expect(serverHealthOf({ ...body, initialized: false }, 0).status).toBe('uninitialized')
    for (const other of ['<html>', null, {}, { sealed: 1 }])
      expect(serverHealthOf(other, 0)).toEqual({ status: 'unknown' })
    const { manage, simulator } = bench()
    const { manager } = await manage(simulator.rootToken)
    simulator.setStandby(true)
    expect(await manager.serverHealth()).toMatchObject({ status: 'standby' })
    simulator.seal()
    expect(await manager.serverHealth()).toMatchObject({ status: 'sealed' })
    simulator.setDown(true)
    expect(await manager.serverHealth()).toEqual({ status: 'unreachable' })
  })
})

describe('what a host asks at any time', () => {
  it('serverHealth() never rejects, though the manager is stopped meanwhile', async () => {
    const { manage, token, clock, simulator } = bench()
    const { manager } = await manage(await token())
    await manager.start()
    simulator.fault({ kind: 'latency', ms: 500, path: 'sys/health' })
    const asked = manager.serverHealth()
    await manager.stop()
    await clock.advance('1s')
    expect(await asked).toMatchObject({ status: 'active' })
    expect(clock.pending()).toBe(0)
  })

  it('a callback that answers any thenable hurts nobody', async () => {
    const { manage, token, clock } = bench()
    // biome-ignore lint/suspicious/noThenProperty: what some libraries answer in place of a promise
    const onRenewal = () => ({ then: (_: unknown, reject: (error: Error) => void) => reject(new Error('mine')) })
    const { manager, all } = await manage(await token(), { onRenewal })
    await manager.start()
    await manager.forceRenewal()
    await clock.advance(1)
    expect(all('listenerError')).toMatchObject([{ event: 'onRenewal' }])
    await manager.stop()
  })
})

describe('metrics', () => {
  /** Reads the text form as its description says; throws at the first line that isn't of it. */
  function parse(text: string): Map<string, number> {
    const samples = new Map<string, number>()
    const types = new Map<string, string>()
    let last = ''
    expect(text.endsWith('\n')).toBe(true)
    for (const line of text.slice(0, -1).split('\n')) {
      const comment = /^# (HELP|TYPE) ([a-z_:][a-z0-9_:]*) (.+)$/.exec(line)
      if (comment !== null) {
        if (comment[1] !== 'TYPE') continue
        last = comment[2] as string
        types.set(last, comment[3] as string)
        continue
      }
      const sample = /^([a-z_]+)\{((?:[a-z]+="(?:[^"\\\n]|\\["\\n])*",?)+)\} (\+Inf|[-+.e\d]+)$/.exec(line)
      if (sample === null) throw new Error(`no sample: ${line}`)
      expect(sample[1]).toBe(last)
      if (types.get(last) === 'counter') expect(last).toMatch(/_total$/)
      const value = sample[3] === '+Inf' ? Number.POSITIVE_INFINITY : Number(sample[3])
      expect(Number.isNaN(value)).toBe(false)
      expect(samples.has(`${sample[1]}{${sample[2]}}`)).toBe(false)
      samples.set(`${sample[1]}{${sample[2]}}`, value)
    }
    return samples
  }

  it('45: are of Prometheus’ form, and counters only grow', async () => {
    const { manage, token, clock, simulator } = bench()
    const { manager } = await manage(await token({ ttl: '60s' }), { name: 'billing "a"\\b\n' })
    parse(manager.metrics())
    await manager.start()
    let before = parse(manager.metrics())
    for (let minute = 0; minute < 20; minute++) {
      if (minute % 5 === 0) simulator.fault({ kind: 'answer', status: 503, path: RENEW, times: 2 })
      await clock.advance('30s')
      const now = parse(manager.metrics())
      for (const [name, value] of before)
        if (name.includes('_total')) expect(now.get(name)).toBeGreaterThanOrEqual(value)
      before = now
    }
    const of = (metric: string) => [...before].find(([name]) => name.startsWith(`tokenwright_vault_${metric}{`))?.[1]
    expect(of('renewals_total')).toBe(manager.status().renewalCount)
    expect(of('failures_total')).toBe(manager.status().failureCount)
    expect(of('failures_total')).toBeGreaterThan(0)
    expect(of('ttl_seconds')).toBeLessThanOrEqual(60)
    expect(of('last_success_timestamp_seconds')).toBeGreaterThan(1.8e9)
    expect(of('health')).toBe(0)
    await manager.stop()
    expect(parse(manager.metrics()).size).toBeGreaterThan(10)
  })

  it('45: +Inf for a token without an end', () => {
    const text = metricsText(
      'x',
      { ...STATUS, state: 'static', ttlMs: null },
      { status: 'healthy', reasons: [] },
      new Counters(),
    )
    expect(text).toContain('tokenwright_vault_ttl_seconds{name="x"} +Inf\n')
    expect(text).toContain('tokenwright_vault_state{name="x",state="static"} 1\n')
  })
})
