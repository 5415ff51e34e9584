import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { appRoleLogin, tokenFileLogin } from '../../src/vault/index.ts'
import { bench } from './fixture.ts'
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

  it('and is gone already is no failure', async () => {
    const { manage, clock, appRole, simulator } = bench()
    const login = appRoleLogin(await appRole({ token_ttl: '60s', token_max_ttl: '60s' }))
    const { manager, vault, all } = await manage(undefined, { login, revokeOld: '30s' })
    await manager.start()
    const first = vault.token
    await clock.advance('44s')
    expect(all('reauthenticated')).toHaveLength(1)
    await simulator.call('POST', 'auth/token/revoke', { token: first })
    await clock.advance('40s')
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
