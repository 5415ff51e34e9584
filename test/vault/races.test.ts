import { describe, expect, it } from 'vitest'
import { appRoleLogin } from '../../src/vault/index.ts'
import { bench, LOOKUP } from './fixture.ts'

describe('while it starts', () => {
  it('ticks of the host don’t log in beside it', async () => {
    const { manage, appRole, clock, simulator } = bench()
    const login = appRoleLogin(await appRole({ token_ttl: '1h' }))
    const { manager, names } = await manage(undefined, { login, timers: false })
    simulator.fault({ kind: 'latency', ms: 500, path: 'auth/approle/login', times: 2 })
    const starting = manager.start()
    const ticking = [manager.tick()]
    await clock.advance('400ms')
    ticking.push(manager.tick())
    await clock.advance('1s')
    await starting
    await Promise.all(ticking)
    expect([simulator.count('auth/approle/login'), names()]).toEqual([1, ['started']])
    await manager.stop()
  })

  it('a failure is counted and told once, whoever ticks meanwhile', async () => {
    const { manage, token, clock, simulator } = bench()
    const { manager, all } = await manage(await token(), { timers: false, timeout: '1s' })
    simulator.fault({ kind: 'hang', path: LOOKUP })
    const starting = manager.start()
    for (let i = 0; i < 30; i++) {
      void manager.tick()
      await clock.advance('100ms')
    }
    await starting
    expect([all('renewalFailed').length, all('started').length, simulator.count(LOOKUP)]).toEqual([1, 1, 2])
    await manager.stop()
  })

  it('who asks for a renewal or a look-up is told that there is no token yet, and disturbs nothing', async () => {
    const { manage, token, clock, simulator } = bench()
    const { manager } = await manage(await token())
    simulator.fault({ kind: 'latency', ms: 500, path: LOOKUP })
    const starting = manager.start()
    const state = { code: 'ERR_VAULT_STATE', message: expect.stringContaining('no token yet') }
    await expect(manager.forceRenewal()).rejects.toMatchObject(state)
    await expect(manager.lookup()).rejects.toMatchObject(state)
    await clock.advance('1s')
    await starting
    expect(simulator.count(LOOKUP)).toBe(1)
    await manager.stop()
    expect(clock.pending()).toBe(0)
  })
})

describe('stop and start at once', () => {
  it('a start that follows a stop starts anew, though nobody waited for the stop', async () => {
    const { manage, token, clock, simulator } = bench()
    const { manager, names } = await manage(await token())
    await manager.start()
    const stopping = manager.stop({ revoke: false })
    expect(manager.status()).toMatchObject({ running: false, state: 'stopped' })
    await manager.start()
    await stopping
    expect(manager.status()).toMatchObject({ running: true, state: 'running' })
    expect(names()).toEqual(['started', 'stopped', 'started'])
    expect(simulator.count(LOOKUP)).toBe(2)
    await manager.stop()
    expect(clock.pending()).toBe(0)
  })

  it('the last word counts', async () => {
    const { manage, token, clock } = bench()
    const { manager } = await manage(await token())
    await manager.start()
    void manager.stop()
    const starting = manager.start().catch((error: unknown) => error)
    await manager.stop()
    expect(await starting).toMatchObject({ code: 'ERR_VAULT_STATE' })
    expect([manager.status().running, clock.pending()]).toEqual([false, 0])
    await manager.start()
    expect(manager.status().state).toBe('running')
    await manager.stop()
  })

  it('nothing is taken on once it stops', async () => {
    const { manage, token, clock, simulator } = bench()
    const { manager } = await manage(await token())
    await manager.start()
    simulator.fault({ kind: 'latency', ms: 500, path: 'auth/token/revoke-self' })
    const stopping = manager.stop({ revoke: true })
    await clock.advance('100ms')
    expect(() => manager.lease('a/b', { ttl: '1h' })).toThrow("isn't running")
    await clock.advance('1s')
    await stopping
    expect(manager.status().leases).toBe(0)
  })
})

describe('what a look-up tells', () => {
  it('that the token is dead: it is lost at once, and replaced where there is a login', async () => {
    const { manage, token, clock, simulator, appRole } = bench()
    const login = appRoleLogin(await appRole({ token_ttl: '1h' }))
    for (const options of [{}, { login }]) {
      const given = await token()
      const { manager, names } = await manage(given, options)
      await manager.start()
      await simulator.call('POST', 'auth/token/revoke', { token: given })
      await expect(manager.lookup()).rejects.toMatchObject({ kind: 'auth', status: 403 })
      await clock.advance('1s')
      expect(names()).toEqual(['started', 'expired', ...('login' in options ? ['reauthenticated'] : [])])
      await manager.stop()
    }
    expect(clock.pending()).toBe(0)
  })

  it('that a token that was taken for lost lives: that is told, whoever looked it up', async () => {
    const data = { ttl: 60, creation_ttl: 60, expire_time: '2030-01-01T00:01:00Z', renewable: true, type: 'service' }
    for (const ask of ['lookup', 'withToken'] as const) {
      const { manage, token, clock, simulator } = bench()
      const { manager, vault, all } = await manage(await token({ ttl: '100h' }))
      simulator.fault({ kind: 'answer', status: 200, body: { data }, path: LOOKUP })
      await manager.start()
      simulator.setDown(true)
      await clock.advance('61s')
      expect(manager.status().state).toBe('expired')
      simulator.setDown(false)
      if (ask === 'lookup') await manager.lookup()
      else await manager.withToken(() => vault.read('secret/data/none')).catch(() => {})
      expect(all('started').map(({ recovered }) => recovered)).toEqual([false, true])
      expect(manager.status().state).toBe('running')
      await manager.stop()
    }
  })

  it('that one use is left: that it won’t be renewed is told', async () => {
    const { manage, token } = bench()
    const { manager, all } = await manage(await token({ num_uses: 3 }))
    await manager.start()
    await manager.lookup()
    expect(manager.status()).toMatchObject({ usesLeft: 1, renewable: false })
    expect(all('nonRenewable')).toMatchObject([{ reason: 'uses' }])
    await manager.stop()
  })

  it('one whose answer comes after that of a later renewal changes nothing', async () => {
    const { manage, token, clock, simulator } = bench()
    const { manager, names } = await manage(await token({ ttl: '100s' }))
    await manager.start()
    await clock.advance('69s')
    // Answered as of when it was sent.
    const data = { ttl: 5, creation_ttl: 100, renewable: true, type: 'service', expire_time: 'x' }
    const fetched = manager.client.read.bind(manager.client)
    let answer = (_: unknown): void => {}
    manager.client.read = (path, options) =>
      path === LOOKUP
        ? new Promise((resolve) => {
            answer = resolve
          })
        : fetched(path, options)
    const looking = manager.lookup()
    await clock.advance('5s')
    expect(manager.status().renewalCount).toBe(1)
    answer({ data })
    expect((await looking).ttlMs).toBe(5000)
    await clock.advance('10s')
    expect(manager.status()).toMatchObject({ renewalCount: 1, ttlMs: expect.any(Number) })
    expect(manager.status().ttlMs).toBeGreaterThan(80_000)
    expect(names()).toEqual(['started', 'renewed'])
    expect(simulator.count()).toBe(2)
    await manager.stop()
  })
})

it('a 403 that comes while a dead token is being replaced needs no look-up of its own', async () => {
  const { manage, appRole, clock, simulator } = bench()
  const login = appRoleLogin(await appRole({ token_ttl: '1h' }))
  const { manager, vault } = await manage(undefined, { login })
  await manager.start()
  await simulator.call('POST', 'auth/token/revoke', { token: vault.token })
  simulator.fault({ kind: 'latency', ms: 2000, path: 'auth/approle/login' })
  const use = () => manager.withToken((token) => vault.read(LOOKUP).then(() => token))
  const uses = [use()]
  for (let i = 0; i < 5; i++) {
    await clock.advance('100ms')
    uses.push(use())
  }
  await clock.advance('2s')
  expect(await Promise.all(uses)).toEqual(uses.map(() => vault.token))
  // Six that are refused, the one look-up, and six that aren't.
  expect([simulator.count(LOOKUP), simulator.count('auth/approle/login')]).toEqual([13, 2])
  await manager.stop()
})

it('a token that is lost has no time left, whatever it was granted', async () => {
  const { manage, token, clock, simulator } = bench()
  const given = await token()
  const { manager, all } = await manage(given)
  await manager.start()
  await clock.advance('10m')
  await simulator.call('POST', 'auth/token/revoke', { token: given })
  await expect(manager.forceRenewal()).rejects.toMatchObject({ kind: 'auth' })
  expect(all('expired')).toMatchObject([{ ttlMs: 0, reason: 'revoked_or_invalid' }])
  const lost = clock.now()
  await clock.advance('1m')
  expect(manager.status()).toMatchObject({ state: 'expired', ttlMs: 0, expiresAt: lost, needsRenewal: false })
  expect(manager.metrics()).toContain('tokenwright_vault_ttl_seconds{name="default"} 0\n')
  await manager.stop()
})

describe('a lease', () => {
  it('whose renewal finds the token dead: the token is lost at once, and replaced', async () => {
    const { manage, clock, simulator, appRole } = bench()
    const login = appRoleLogin(await appRole({ token_ttl: '10h' }))
    const { manager, vault, names } = await manage(undefined, { login })
    await manager.start()
    const first = vault.token
    const lease = manager.lease('database/creds/r/x', { ttl: '60s' })
    await simulator.call('POST', 'auth/token/revoke', { token: first })
    await clock.advance('50s')
    expect(names()).toEqual(['started', 'leaseEnded', 'expired', 'reauthenticated'])
    expect(await lease.ended).toBe('token_replaced')
    expect(vault.token).not.toBe(first)
    await manager.stop()
    expect(clock.pending()).toBe(0)
  })

  it('that was let go while its failure was looked into is told no more of', async () => {
    const { manage, token, clock, simulator } = bench()
    const { manager, names } = await manage(await token({ ttl: '10h' }))
    await manager.start()
    const lease = manager.lease('database/creds/r/x', { ttl: '60s' })
    simulator.fault({ kind: 'answer', status: 403, errors: ['permission denied'], path: 'sys/leases/renew' })
    simulator.fault({ kind: 'hang', path: LOOKUP })
    await clock.advance('45s')
    lease.release()
    await clock.advance('30s')
    expect(names()).toEqual(['started', 'leaseEnded'])
    await manager.stop()
  })
})
