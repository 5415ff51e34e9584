import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { appRoleLogin } from '../../src/vault/index.ts'
import { checkSinks } from '../../src/vault/sink.ts'
import { bench } from './fixture.ts'

const NEVER = () => new Promise<never>(() => {})

/** A sink whose answers a test gives. */
function slowSink() {
  const calls: { readonly token: string; readonly signal: AbortSignal; done(): void; fail(): void }[] = []
  const sink = ({ token }: { token: string }, signal: AbortSignal) =>
    new Promise<void>((resolve, reject) => {
      calls.push({ token, signal, done: resolve, fail: () => reject(new Error('no')) })
    })
  return { calls, sink }
}

describe('a sink', () => {
  it('that never answers holds up no other, nor the start for longer than its time limit', async () => {
    const { manage, token, clock } = bench()
    const got: string[] = []
    const sinks = [NEVER, NEVER, ({ token: text }: { token: string }) => got.push(text)]
    const given = await token()
    const { manager, all } = await manage(given, { sinks })
    let started = false
    const starting = manager.start().then(() => {
      started = true
    })
    await clock.advance('9s')
    expect([got, started]).toEqual([[given], false])
    expect(manager.health()).toMatchObject({ status: 'degraded', reasons: ['sinks without the newest token: 2'] })
    await clock.advance('1s')
    await starting
    expect(all('sinkFailed').map(({ sink, code }) => [sink, code])).toEqual([
      [0, 'timeout'],
      [1, 'timeout'],
    ])
    await manager.stop()
    expect(clock.pending()).toBe(0)
  })

  it('that never answers costs no token', async () => {
    const { manage, token, clock } = bench()
    const { manager, names } = await manage(await token({ ttl: '8s' }), { sinks: [NEVER] })
    const starting = manager.start()
    await clock.advance('1m')
    await starting
    expect(names()).not.toContain('expired')
    expect(manager.status().renewalCount).toBeGreaterThanOrEqual(9)
    await manager.stop()
    expect(clock.pending()).toBe(0)
  })

  it('that never answers delays no swap: the new token is used and told at once', async () => {
    const { manage, clock, appRole, simulator } = bench()
    let sink: () => unknown = () => {}
    const login = appRoleLogin(await appRole({ token_ttl: '1h' }))
    const { manager, vault, names } = await manage(undefined, { login, sinks: [() => sink()] })
    await manager.start()
    sink = NEVER
    const first = vault.token
    await simulator.call('POST', 'auth/token/revoke', { token: first })
    expect(await manager.withToken((used) => vault.read('auth/token/lookup-self').then(() => used))).toBe(vault.token)
    expect(vault.token).not.toBe(first)
    expect(names()).toEqual(['started', 'expired', 'reauthenticated'])
    await manager.stop()
    expect(clock.pending()).toBe(0)
  })

  it('gets one token after the other: a newer one when the older is done, and only the newest', async () => {
    const { manage, clock, appRole } = bench()
    const { calls, sink } = slowSink()
    const login = appRoleLogin(await appRole({ token_ttl: '2s', token_max_ttl: '2s' }))
    const { manager, vault, all } = await manage(undefined, { login, sinks: [sink] })
    const starting = manager.start()
    await clock.advance('5s')
    expect(all('reauthenticated').length).toBeGreaterThanOrEqual(2)
    expect(calls).toHaveLength(1)
    calls[0]?.done()
    await clock.advance(1)
    expect(calls.map(({ token }) => token)).toEqual([calls[0]?.token, vault.token])
    expect(manager.health().reasons).toEqual(['sinks without the newest token: 1'])
    calls[1]?.done()
    await starting
    await clock.advance(1)
    expect(manager.health().status).toBe('healthy')
    await manager.stop()
  })

  it('that was given up and wrote an older token after the newer one gets the newer one again', async () => {
    const { manage, clock, appRole } = bench()
    const { calls, sink } = slowSink()
    const login = appRoleLogin(await appRole({ token_ttl: '60s', token_max_ttl: '60s' }))
    const { manager, vault } = await manage(undefined, { login, sinks: [sink] })
    const starting = manager.start()
    const answer = async (call: number) => {
      calls[call]?.done()
      await clock.advance(1)
    }
    await clock.advance('12s')
    await starting
    const first = vault.token
    expect(calls.map(({ token, signal }) => [token, signal.aborted])).toEqual([
      [first, true],
      [first, false],
    ])
    await answer(1)
    await clock.advance('35s')
    await answer(2)
    expect(manager.health().status).toBe('healthy')
    expect(calls.map(({ token }) => token)).toEqual([first, first, vault.token])
    // The first one ends at last, and its token is the older one.
    await answer(0)
    expect(manager.health().reasons).toEqual(['sinks without the newest token: 1'])
    expect(calls.map(({ token }) => token)).toEqual([first, first, vault.token, vault.token])
    expect(vault.token).not.toBe(first)
    await answer(3)
    expect(manager.health().status).toBe('healthy')
    await manager.stop()
    expect(clock.pending()).toBe(0)
  })

  it('that was given up and ends while the newer one is on its way gets the newer one again too', async () => {
    const { manage, clock, appRole } = bench()
    const { calls, sink } = slowSink()
    const login = appRoleLogin(await appRole({ token_ttl: '60s', token_max_ttl: '60s' }))
    const { manager, vault } = await manage(undefined, { login, sinks: [sink] })
    const starting = manager.start()
    await clock.advance('12s')
    await starting
    const first = vault.token
    calls[1]?.done()
    await clock.advance('35s')
    calls[0]?.done()
    await clock.advance(1)
    calls[2]?.done()
    await clock.advance(1)
    expect(calls.map(({ token }) => token)).toEqual([first, first, vault.token, vault.token])
    calls[3]?.done()
    await clock.advance(1)
    expect(manager.health().status).toBe('healthy')
    await manager.stop()
  })

  it('is told what the token has left now, when it is tried again', async () => {
    const { manage, token, clock } = bench()
    const left: number[] = []
    const sink = ({ ttlMs }: { ttlMs: number }) => {
      left.push(ttlMs)
      if (left.length < 4) throw new Error('not yet')
    }
    const { manager, all } = await manage(await token({ ttl: '1h' }), { sinks: [sink] })
    await manager.start()
    await clock.advance('30s')
    expect(left).toHaveLength(4)
    expect(left[0]).toBe(3_600_000)
    expect(left.at(-1)).toBeLessThan(3_599_000)
    expect(all('sinkFailed').map(({ ttlMs, failures }) => [ttlMs, failures])).toEqual([
      [left[0], 1],
      [left[1], 2],
      [left[2], 3],
    ])
    await manager.stop()
  })

  it('is ended at once by stop(), also while it holds up the start, and nothing is told after', async () => {
    const { manage, token, clock } = bench()
    const { calls, sink } = slowSink()
    const { manager, told, names } = await manage(await token(), { sinks: [sink] })
    const starting = manager.start().catch((error: unknown) => error)
    await clock.advance('1s')
    await manager.stop()
    expect(await starting).toMatchObject({ code: 'ERR_VAULT_STATE' })
    expect(calls[0]?.signal.aborted).toBe(true)
    expect(names().at(-1)).toBe('stopped')
    const heard = told.length
    calls[0]?.fail()
    await clock.advance('1h')
    expect([told.length, calls.length, clock.pending()]).toEqual([heard, 1, 0])
  })

  it('that is a file isn’t written any more once it was given up', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'tokenwright-vault-'))
    const file = join(folder, 'token')
    const [write] = checkSinks([{ file }])
    const controller = new AbortController()
    const writing = write?.({ token: 'older', ttlMs: 1, accessor: '' }, controller.signal)
    controller.abort(new Error('given up'))
    await expect(writing).rejects.toThrow('given up')
    expect(existsSync(file)).toBe(false)
    rmSync(folder, { recursive: true })
  })
})

describe('leases', () => {
  const add = (manager: { lease(id: string, options: object): unknown }, path: string, count: number, ttl = '60s') => {
    for (let i = 0; i < count; i++) manager.lease(`${path}/${i}`, { ttl })
  }

  it('whose renewals hang cost no token', async () => {
    const { manage, token, clock, simulator } = bench()
    const { manager, names } = await manage(await token({ ttl: '60s' }))
    await manager.start()
    add(manager, 'database/creds/r', 100)
    simulator.fault({ kind: 'hang', path: 'sys/leases/renew', times: Number.POSITIVE_INFINITY })
    await clock.advance('5m')
    expect(names()).not.toContain('expired')
    expect(manager.status()).toMatchObject({ state: 'running', consecutiveFailures: 0 })
    await manager.stop()
    expect(clock.pending()).toBe(0)
  })

  it('are renewed side by side: some that hang don’t let the others run out', async () => {
    const { manage, token, clock, simulator } = bench()
    await simulator.call('POST', 'sys/mounts/database', { type: 'database' })
    await simulator.call('POST', 'database/roles/r', { default_ttl: '60s', max_ttl: '24h' })
    const { manager, all } = await manage(await token({ ttl: '1h' }))
    await manager.start()
    simulator.fault({ kind: 'hang', path: 'sys/leases/renew', times: 20 })
    add(manager, 'database/creds/hanging', 20)
    const made = await simulator.call('GET', 'database/creds/r')
    const lease = manager.lease(made)
    await clock.advance('59s')
    expect(lease.status()).toMatchObject({ renewalCount: 1, ended: null })
    expect(all('leaseRenewed')).toHaveLength(1)
    await manager.stop()
    expect(clock.pending()).toBe(0)
  })
})

it('revocations that hang hold nothing up, and stop({ revoke }) no longer than one request may take', async () => {
  const { manage, clock, appRole, simulator } = bench()
  const login = appRoleLogin(await appRole({ token_ttl: '4s', token_max_ttl: '8s' }))
  const { manager, names } = await manage(undefined, { login, revokeOld: '1s' })
  await manager.start()
  simulator.fault({ kind: 'hang', path: 'auth/token/revoke-self', times: Number.POSITIVE_INFINITY })
  await clock.advance('1m')
  expect(names()).not.toContain('expired')
  let stopped = false
  const stopping = manager.stop({ revoke: true }).then(() => {
    stopped = true
  })
  await clock.advance('10s')
  expect(stopped).toBe(true)
  await stopping
  expect(clock.pending()).toBe(0)
})
