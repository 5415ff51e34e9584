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
