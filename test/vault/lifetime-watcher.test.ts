import { describe, expect, it } from 'vitest'
import { seededRandom } from '../../src/testing/index.ts'
import { VaultTokenManager } from '../../src/vault/index.ts'
import { bench, LOOKUP, RENEW } from './fixture.ts'

/**
 * The published cases of the reference watcher (OpenBao's api/renewer_test.go, api/lifetime_watcher_test.go and
 * external_tests/api/renewer_integration_test.go, and the regressions of its later fixes), as behaviours of the manager.
 */
describe('the cases of the reference LifetimeWatcher', () => {
  it('nil input, missing secret: a typed error before any effect', async () => {
    expect(() => new VaultTokenManager(undefined as never)).toThrow('options must be an object')
    expect(() => new VaultTokenManager({ client: undefined as never })).toThrow('client is not a Vault client')
    const { client } = bench()
    const vault = await client()
    expect(() => new VaultTokenManager({ client: vault })).toThrow('client.token is empty')
  })

  it('no error: lease 60, increment 60 renews without an error', async () => {
    const { token, manage, clock } = bench()
    const { manager, all } = await manage(await token({ ttl: '60s' }), { increment: '60s' })
    await manager.start()
    await clock.advance('44s')
    expect(all('renewed')).toHaveLength(1)
    expect(all('renewalFailed')).toEqual([])
  })

  it('short increment: lease 60, increment 10 renews, and doesn’t shorten', async () => {
    const { token, manage, clock } = bench()
    const { manager, all } = await manage(await token({ ttl: '60s' }), { increment: '10s' })
    await manager.start()
    await clock.advance('44s')
    expect(all('renewed')[0]).toMatchObject({ shortened: false })
    expect(all('renewed')[0].requestedMs).toBeGreaterThanOrEqual(16_000)
    await clock.advance('60s')
    expect(manager.status().state).toBe('running')
  })

  it('one error: the renewal comes within 5 s of it', async () => {
    const { token, manage, clock, simulator } = bench()
    const { manager, all, told } = await manage(await token({ ttl: '60s' }))
    await manager.start()
    simulator.fault({ kind: 'answer', status: 500, errors: ['internal error'], path: RENEW })
    await clock.advance('50s')
    expect(all('renewalFailed')).toHaveLength(1)
    const at = (name: string) => told.find((each) => each.name === name)?.at ?? 0
    expect(at('renewed') - at('renewalFailed')).toBeLessThan(5000)
  })

  it('many errors: three failures within a lease of 15 s, and still renewed', async () => {
    const { token, manage, clock, simulator } = bench()
    const { manager, all } = await manage(await token({ ttl: '15s' }))
    await manager.start()
    simulator.fault({ kind: 'answer', status: 500, path: RENEW, times: 3 })
    await clock.advance('15s')
    expect([all('renewalFailed').length, all('renewed').length, all('expired').length]).toEqual([3, 1, 0])
  })

  it('only errors: no renewal, an end in time, and the error told', async () => {
    const { token, manage, clock, simulator } = bench()
    const { manager, all } = await manage(await token({ ttl: '15s' }))
    await manager.start()
    simulator.fault({ kind: 'answer', status: 500, path: RENEW, times: Number.POSITIVE_INFINITY })
    await clock.advance('15s')
    expect(all('renewed')).toEqual([])
    expect(all('expired')).toMatchObject([{ reason: 'ttl' }])
    expect(all('renewalFailed').at(-1)).toMatchObject({ kind: 'unavailable', status: 500 })
  })

  it('negative lease: a token whose look-up tells nothing good is no crash, and no hot loop', async () => {
    const { token, manage, clock, simulator } = bench()
    const given = await token()
    const data = { ttl: -15, creation_ttl: 60, expire_time: '2030-01-01T00:00:00Z', renewable: true, type: 'service' }
    simulator.fault({ kind: 'answer', status: 200, body: { data }, path: LOOKUP })
    const { manager, names } = await manage(given)
    await manager.start()
    await clock.advance('6m')
    // The server took it, so it is alive: renewed at once, and then each minute, as the look-up told.
    expect(names().slice(0, 3)).toEqual(['started', 'expiringSoon', 'renewed'])
    expect(names()).not.toContain('expired')
    expect(simulator.count()).toBeLessThanOrEqual(11)
  })

  it('a secret of KV has no lease to renew', async () => {
    const { token, manage } = bench()
    const { manager } = await manage(await token())
    await manager.start()
    expect(() => manager.lease({ lease_id: '', lease_duration: 2_764_800 })).toThrow('is no id of a lease')
  })

  it('auth token, TTL 5 s, maximum 10 s: renewed, each grant at most 5 s, an end without errors within 10 s', async () => {
    const { token, manage, clock } = bench()
    const { manager, all, told } = await manage(await token({ ttl: '5s', explicit_max_ttl: '10s' }))
    await manager.start()
    await clock.advance('12s')
    expect(all('renewed').length).toBeGreaterThan(0)
    for (const { ttlMs } of all('renewed')) expect(ttlMs).toBeLessThanOrEqual(5000)
    expect(all('renewalFailed')).toEqual([])
    expect(told.find(({ name }) => name === 'expired')?.at).toBeLessThanOrEqual(11_000)
  })

  it('two failed attempts are at least the least backoff apart (vault#20645, #26382, openbao#3747)', async () => {
    const { token, manage, clock, simulator } = bench()
    const { manager } = await manage(await token({ ttl: '1h' }), { random: seededRandom('apart') })
    await manager.start()
    simulator.fault({ kind: 'answer', status: 503, path: RENEW, times: Number.POSITIVE_INFINITY })
    await clock.advance('2h')
    const times = simulator.calls.filter(({ path }) => path === RENEW).map(({ at }) => at)
    expect(times.length).toBeGreaterThan(5)
    expect(times.length).toBeLessThan(80)
    for (const [index, at] of times.slice(1).entries()) expect(at - (times[index] ?? 0)).toBeGreaterThanOrEqual(500)
  })

  it('no permission to renew makes two requests, not hundreds (TestAgent_TokenRenewal, vault#26844)', async () => {
    const { token, manage, clock, simulator } = bench()
    await simulator.call('PUT', 'sys/policies/acl/look', {
      policy: `path "${LOOKUP}" { capabilities = ["read"] }`,
    })
    const { manager, all } = await manage(await token({ policies: ['look'], no_default_policy: true }))
    await manager.start()
    await clock.advance('1h')
    expect([simulator.count(RENEW), simulator.count(LOOKUP)]).toEqual([1, 2])
    expect(all('nonRenewable')).toMatchObject([{ reason: 'policy' }])
  })

  it('the error surfaces when the lease runs out under failure that lasts (vault#28611)', async () => {
    const { token, manage, clock, simulator } = bench()
    const failures: unknown[] = []
    const { manager } = await manage(await token({ ttl: '60s' }), { onFailure: (error) => failures.push(error.kind) })
    await manager.start()
    simulator.setDown(true)
    await clock.advance('61s')
    expect(new Set(failures)).toEqual(new Set(['network']))
    expect(manager.status()).toMatchObject({ state: 'expired' })
    expect(manager.health()).toMatchObject({ status: 'unhealthy' })
  })
})
