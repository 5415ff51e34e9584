import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { appRoleLogin, tokenFileLogin, wrappedTokenLogin } from '../../src/vault/index.ts'
import { bench, LOOKUP, RENEW } from './fixture.ts'
import { until } from './worlds.ts'

const REVOKE = 'auth/token/revoke-self'

describe('a token that was replaced', () => {
  it('isn’t tried to be revoked where it is a batch token, which can’t be', async () => {
    const { manage, clock, appRole, simulator } = bench()
    const ids = await appRole({ token_ttl: '60s', token_type: 'batch' })
    const { manager, all } = await manage(undefined, { login: appRoleLogin(ids), revokeOld: '1s' })
    await manager.start()
    await clock.advance('10m')
    expect(all('reauthenticated').length).toBeGreaterThan(10)
    expect([simulator.count(REVOKE), all('revocationFailed')]).toEqual([0, []])
    await manager.stop()
  })

  it('and may not revoke itself is told of once, and left to its end', async () => {
    const { manage, clock, appRole, simulator } = bench()
    const paths = ['auth/token/lookup-self', 'auth/token/renew-self']
    const policy = paths.map((path) => `path "${path}" { capabilities = ["read", "update"] }`).join(' ')
    await simulator.call('PUT', 'sys/policies/acl/some', { policy })
    const settings = { token_ttl: '60s', token_max_ttl: '60s', token_policies: ['some'], token_no_default_policy: true }
    const login = appRoleLogin(await appRole(settings))
    const { manager, all } = await manage(undefined, { login, revokeOld: '1s' })
    await manager.start()
    await clock.advance('50s')
    expect(all('reauthenticated')).toHaveLength(1)
    await clock.advance('30s')
    expect(all('revocationFailed')).toMatchObject([{ kind: 'auth', attempts: 1 }])
    expect(simulator.count(REVOKE)).toBe(1)
    await manager.stop()
  })

  it('and that a login only named, out of a file or by its text, is somebody else’s: it isn’t revoked', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'tokenwright-vault-'))
    const file = join(folder, 'token')
    for (const login of [tokenFileLogin({ file }), () => readFileSync(file, 'utf8')]) {
      const { manage, token, clock, simulator } = bench()
      const first = await token({ ttl: '60s', renewable: false })
      writeFileSync(file, first)
      const { manager, all, vault } = await manage(undefined, { login, revokeOld: '1s' })
      await manager.start()
      expect(manager.status().reauthCount).toBe(1)
      writeFileSync(file, await token({ ttl: '1h' }))
      await clock.advance('45s')
      await until(() => all('reauthenticated').length > 0, clock)
      await clock.advance('5s')
      expect(vault.token).not.toBe(first)
      expect(simulator.count(REVOKE)).toBe(0)
      expect(await simulator.call('GET', LOOKUP, {}, first)).toMatchObject({ data: { id: first } })
      await manager.stop()
    }
    rmSync(folder, { recursive: true })
  })

  it('and is gone already is no failure', async () => {
    const { manage, clock, appRole, simulator } = bench()
    const login = appRoleLogin(await appRole({ token_ttl: '60s', token_max_ttl: '60s' }))
    const { manager, vault, all } = await manage(undefined, { login, revokeOld: '30s' })
    await manager.start()
    const first = vault.token
    await clock.advance('46s')
    expect(all('reauthenticated')).toHaveLength(1)
    await simulator.call('POST', 'auth/token/revoke', { token: first })
    await clock.advance('35s')
    expect([simulator.count(REVOKE), all('revocationFailed')]).toEqual([1, []])
    await manager.stop()
  })
})

describe('a login that names a token', () => {
  it('that the server refuses: its credentials are wrong', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'tokenwright-vault-'))
    const file = join(folder, 'token')
    writeFileSync(file, 's.unknown')
    const { manage, clock } = bench()
    const { manager, all } = await manage(undefined, { login: tokenFileLogin({ file }), startTimeout: 0 })
    await expect(manager.start()).rejects.toMatchObject({ operation: 'login', kind: 'credentials', status: 403 })
    await manager.start({ mode: 'background' })
    await until(() => all('reauthFailed').length > 0)
    expect(all('reauthFailed')).toMatchObject([{ kind: 'credentials', method: 'token_file' }])
    expect(all('renewalFailed')).toEqual([])
    await manager.stop()
    expect(clock.pending()).toBe(0)
    rmSync(folder, { recursive: true })
  })

  it('whose last use was its look-up: it is no token to live on', async () => {
    const { manage, token } = bench()
    const given = await token({ num_uses: 1 })
    const { manager, vault } = await manage(undefined, { login: () => given, startTimeout: 0 })
    await expect(manager.start()).rejects.toMatchObject({
      operation: 'login',
      kind: 'credentials',
      messages: ['that was the last use of the token'],
    })
    expect(vault.token).toBe('')
  })

  it('whose server is away: the network’s failure is the login’s', async () => {
    const { manage, token, simulator } = bench()
    const given = await token()
    simulator.setDown(true)
    const { manager, all } = await manage(undefined, { login: () => given })
    await manager.start({ mode: 'background' })
    await until(() => all('reauthFailed').length > 0)
    expect(all('reauthFailed')[0]).toMatchObject({ kind: 'network', code: 'ECONNREFUSED' })
    expect(all('renewalFailed')).toEqual([])
    await manager.stop()
  })
})

it('a file for a credential is read no further than it may be long', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'tokenwright-vault-'))
  const file = join(folder, 'token')
  writeFileSync(file, '')
  // Without blocks on the disk, and longer than any text can be.
  truncateSync(file, 600 * 1024 * 1024)
  const { manage } = bench()
  const { manager } = await manage(undefined, { login: tokenFileLogin({ file }), startTimeout: 0 })
  await expect(manager.start()).rejects.toMatchObject({ messages: ['the file for token is longer than 64 kB'] })
  rmSync(folder, { recursive: true })
})

it('failed logins are forgotten with the next renewal that succeeds', async () => {
  const { manage, clock, appRole, simulator } = bench()
  const login = appRoleLogin(await appRole({ token_ttl: '1h', token_max_ttl: '24h' }))
  const { manager, all } = await manage(undefined, { login })
  await manager.start()
  const endless = { times: Number.POSITIVE_INFINITY } as const
  simulator.fault({ kind: 'answer', status: 503, path: RENEW, ...endless })
  simulator.fault({
    kind: 'answer',
    status: 400,
    errors: ['invalid role or secret ID'],
    path: 'auth/approle',
    ...endless,
  })
  await clock.advance('56m')
  expect(all('reauthFailed').length).toBeGreaterThan(0)
  simulator.clearFaults()
  simulator.fault({
    kind: 'answer',
    status: 400,
    errors: ['invalid role or secret ID'],
    path: 'auth/approle',
    ...endless,
  })
  await clock.advance('3m')
  expect(manager.status()).toMatchObject({ renewalCount: 1, reauthCount: 1, consecutiveFailures: 0 })
  expect(manager.health()).toEqual({ status: 'healthy', reasons: [] })
  await manager.stop()
})

describe('limited uses', () => {
  it('are spent by the renewals of leases too: the last isn’t, and the leases are given up in time', async () => {
    const { manage, token, clock, simulator } = bench()
    await simulator.call('POST', 'sys/mounts/database', { type: 'database' })
    await simulator.call('POST', 'database/roles/r', { default_ttl: '60s', max_ttl: '24h' })
    const given = await token({ ttl: '10h', num_uses: 4 })
    const { manager, all } = await manage(given)
    await manager.start()
    const lease = manager.lease(await simulator.call('GET', 'database/creds/r'))
    await clock.advance('50s')
    expect([simulator.count('sys/leases/renew'), manager.status().usesLeft]).toEqual([1, 2])
    await clock.advance('40s')
    expect([simulator.count('sys/leases/renew'), manager.status().usesLeft]).toEqual([2, 1])
    expect(all('nonRenewable')).toMatchObject([{ reason: 'uses' }])
    await clock.advance('50s')
    expect(await lease.ended).toBe('not_renewable')
    expect(all('leaseEnded')[0].ttlMs).toBeGreaterThan(10_000)
    expect(simulator.count('sys/leases/renew')).toBe(2)
    expect(await simulator.call('GET', LOOKUP, {}, given)).toMatchObject({ data: { num_uses: -1 } })
    await manager.stop()
  })

  it('are spent by refused renewals too: the last isn’t', async () => {
    const { manage, token, clock, simulator } = bench()
    const given = await token({ ttl: '1h', num_uses: 4 })
    const { manager, all } = await manage(given)
    await manager.start()
    // Refused by the server itself, which counted the use.
    simulator.fault({ kind: 'answer', status: 404, path: RENEW, times: Number.POSITIVE_INFINITY })
    await clock.advance('59m')
    expect([simulator.count(RENEW), manager.status().usesLeft]).toEqual([2, 1])
    expect(all('nonRenewable')).toMatchObject([{ reason: 'uses' }])
    await manager.stop()
  })
})

it('a wrapped token that is good for one use isn’t looked up, which would use it up', async () => {
  const { manage, client, simulator } = bench()
  const root = await client(simulator.rootToken)
  const options = { headers: { 'X-Vault-Wrap-TTL': '60s' } }
  const made = (await root.write('auth/token/create', { ttl: '1h', num_uses: 1 }, options)) as {
    wrap_info: { token: string }
  }
  const { manager, vault } = await manage(undefined, {
    login: wrappedTokenLogin({ wrappingToken: made.wrap_info.token }),
  })
  await manager.start()
  expect(manager.status().usesLeft).toBe(1)
  expect(simulator.count(LOOKUP)).toBe(0)
  await manager.withToken(() => vault.write('cubbyhole/mine', { x: 1 }))
  await manager.stop()
})
