import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { seededRandom } from '../../src/testing/index.ts'
import {
  appRoleLogin,
  kubernetesLogin,
  tokenFileLogin,
  VaultRequestError,
  VaultTokenManager,
} from '../../src/vault/index.ts'
import { bench, HOUR, LOOKUP, RENEW } from './fixture.ts'
import { until } from './worlds.ts'

describe('starting', () => {
  it('7: a server that is down: tried for startTimeout, then rejected, and nothing is left running', async () => {
    const { token, manage, clock, simulator } = bench()
    const given = await token()
    simulator.setDown(true)
    const { manager, all } = await manage(given, { startTimeout: '10s' })
    const started = manager.start().then(
      () => undefined,
      (error: VaultRequestError) => error,
    )
    await clock.advance('11s')
    const error = await started
    expect(error).toBeInstanceOf(VaultRequestError)
    expect([error?.kind, error?.networkCode, error?.retryable]).toEqual(['network', 'ECONNREFUSED', true])
    expect(all('renewalFailed').length).toBeGreaterThan(2)
    expect([clock.pending(), manager.status().state]).toEqual([0, 'idle'])
  })

  it('7: startTimeout 0 tries once; the real network’s refusal is told as such', async () => {
    const server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as { port: number }
    server.close()
    await once(server, 'close')
    const { createVaultClient } = await import('../../src/vault/index.ts')
    const client = await createVaultClient({ endpoint: `http://127.0.0.1:${port}`, token: 'x' })
    const error = await new VaultTokenManager({ client, startTimeout: 0 }).start().catch((reason: unknown) => reason)
    expect(error).toMatchObject({ kind: 'network', networkCode: 'ECONNREFUSED' })
  })

  it('7: in the background it resolves at once, goes on trying, and tells when it has started', async () => {
    const { token, manage, clock, simulator } = bench()
    const given = await token()
    simulator.setDown(true)
    const { manager, names } = await manage(given)
    await manager.start({ mode: 'background' })
    expect(manager.status()).toMatchObject({ running: true, state: 'starting', ttlMs: null })
    await clock.advance('1m')
    expect(manager.health()).toMatchObject({ status: 'degraded' })
    await expect(manager.withToken(() => 1)).rejects.toMatchObject({ code: 'ERR_VAULT_STATE' })
    expect(names()).not.toContain('started')
    simulator.setDown(false)
    await clock.advance('5m')
    expect(names().at(-1)).toBe('started')
    expect(manager.health()).toMatchObject({ status: 'healthy' })
    await manager.stop()
    expect(clock.pending()).toBe(0)
  })

  it('stop() while it starts rejects the start at once', async () => {
    const { token, manage, clock, simulator } = bench()
    const given = await token()
    simulator.fault({ kind: 'hang' })
    const { manager, told } = await manage(given)
    const started = manager.start().catch((error: unknown) => error)
    await clock.advance('1s')
    await manager.stop()
    expect(await started).toMatchObject({ code: 'ERR_VAULT_STATE' })
    expect(clock.pending()).toBe(0)
    const heard = told.length
    await clock.advance('1h')
    expect(told).toHaveLength(heard)
  })

  it('a token that is refused where there is a login: the login is taken', async () => {
    const { manage, appRole } = bench()
    const { manager, names } = await manage('s.unknown', { login: appRoleLogin(await appRole({ token_ttl: '1h' })) })
    await manager.start()
    expect(names()).toEqual(['started'])
    expect(manager.status().reauthCount).toBe(1)
    await manager.stop()
  })
})

describe('answers of another shape', () => {
  it.each(['html', 'empty'] as const)('32: %s: the token is kept, and renewed later', async (kind) => {
    const { token, manage, clock, simulator } = bench()
    const given = await token()
    const { manager, all, vault } = await manage(given)
    await manager.start()
    simulator.fault({ kind, path: RENEW, times: 2 })
    await clock.advance('1h')
    expect(all('renewalFailed')).toMatchObject([{ kind: 'protocol' }, { kind: 'protocol' }])
    expect(vault.token).toBe(given)
    expect(manager.status()).toMatchObject({ renewalCount: 1, consecutiveFailures: 0, state: 'running' })
    await manager.stop()
  })

  it('32: an answer without auth, with a time that is none, or with numbers out of all bounds', async () => {
    const { token, manage, clock, simulator } = bench()
    const { manager, all } = await manage(await token())
    await manager.start()
    const bodies: unknown[] = [
      {},
      { auth: null },
      { auth: { lease_duration: 'long' } },
      { auth: { lease_duration: 1e300 } },
      [],
      null,
      'text',
      7,
    ]
    for (const body of bodies) simulator.fault({ kind: 'answer', status: 200, body, path: RENEW })
    await clock.advance('59m')
    expect(all('renewalFailed').map(({ kind }) => kind)).toEqual(bodies.map(() => 'protocol'))
    expect(manager.status()).toMatchObject({ renewalCount: 1, state: 'running' })
    await manager.stop()
  })

  it('at the start: a page of a proxy is no token', async () => {
    const { token, manage, simulator } = bench()
    const given = await token()
    simulator.fault({ kind: 'html' })
    const { manager } = await manage(given)
    await expect(manager.start()).rejects.toMatchObject({ kind: 'protocol', status: undefined })
  })
})

describe('failures that pass', () => {
  it('429: Retry-After is honoured', async () => {
    const { token, manage, clock, simulator } = bench()
    const { manager, all } = await manage(await token())
    await manager.start()
    simulator.fault({ kind: 'answer', status: 429, headers: { 'retry-after': '60' }, path: RENEW })
    await clock.advance('50m')
    expect(all('renewalFailed')).toMatchObject([{ kind: 'rate_limited', status: 429 }])
    expect(all('renewalFailed')[0].retryInMs).toBeGreaterThanOrEqual(60_000)
    const times = simulator.calls.filter(({ path }) => path === RENEW).map(({ at }) => at)
    expect((times[1] ?? 0) - (times[0] ?? 0)).toBeGreaterThanOrEqual(60_000)
    expect(manager.status().renewalCount).toBe(1)
    await manager.stop()
  })

  it('412: a standby that is behind is asked again within a second', async () => {
    const { token, manage, clock, simulator } = bench()
    const { manager, all } = await manage(await token())
    await manager.start()
    const errors = ['required index state not present']
    simulator.fault({ kind: 'answer', status: 412, errors, path: RENEW, times: 2 })
    await clock.advance('50m')
    for (const { retryInMs } of all('renewalFailed')) expect(retryInMs).toBeLessThanOrEqual(1000)
    expect([all('renewalFailed').length, manager.status().renewalCount]).toEqual([2, 1])
    await manager.stop()
  })

  it('an answer that never comes is given up after the timeout, and the token renewed all the same', async () => {
    const { token, manage, clock, simulator } = bench()
    const { manager, all } = await manage(await token({ ttl: '60s' }), { timeout: '2s' })
    await manager.start()
    simulator.fault({ kind: 'hang', path: RENEW })
    await clock.advance('50s')
    expect(all('renewalFailed')).toMatchObject([{ kind: 'timeout' }])
    expect(manager.status().renewalCount).toBe(1)
    await manager.stop()
  })

  it('a renewal whose answer is lost is made again, and shortens nothing', async () => {
    const { token, manage, clock, simulator } = bench()
    const { manager, all } = await manage(await token({ ttl: '60s' }))
    await manager.start()
    simulator.fault({ kind: 'lost_response', path: RENEW })
    await clock.advance('50s')
    expect(all('renewalFailed')).toMatchObject([{ kind: 'network', code: 'ECONNRESET' }])
    expect(manager.status().renewalCount).toBe(1)
    await manager.stop()
  })

  it('a slow answer: the deadline counts from before the request', async () => {
    const { token, manage, clock, simulator } = bench()
    const { manager } = await manage(await token({ ttl: '60s' }))
    await manager.start()
    simulator.fault({ kind: 'latency', ms: 5000, path: RENEW })
    await clock.advance('50s')
    const { ttlMs } = manager.status()
    const sent = simulator.calls.filter(({ path }) => path === RENEW).map(({ at }) => at)
    // The answer came 5 s after the request went out.
    expect(ttlMs).toBe((sent[0] ?? 0) - 5000 + 60_000 - clock.now())
    await manager.stop()
  })

  it('a token lost while the server was away is found again, if it lives', async () => {
    const { token, manage, clock, simulator } = bench()
    // The server's clock stands while it is down: it grants the rest of the hour when it is back.
    const given = await token({ ttl: '100h' })
    const { manager, all, names } = await manage(given)
    const data = { ttl: 60, creation_ttl: 60, expire_time: '2030-01-01T00:01:00Z', renewable: true, type: 'service' }
    simulator.fault({ kind: 'answer', status: 200, body: { data }, path: LOOKUP })
    await manager.start()
    simulator.setDown(true)
    await clock.advance('2m')
    expect(manager.status().state).toBe('expired')
    simulator.setDown(false)
    await clock.advance('10m')
    expect(all('started').map(({ recovered }) => recovered)).toEqual([false, true])
    expect(names().filter((name) => name === 'expired')).toHaveLength(1)
    expect(manager.health().status).toBe('healthy')
    await manager.stop()
  })

  it('a dead token without a login is looked at every 5 minutes, no more', async () => {
    const { token, manage, clock, simulator } = bench()
    const given = await token()
    const { manager, all } = await manage(given)
    await manager.start()
    await simulator.call('POST', 'auth/token/revoke', { token: given })
    await clock.advance('1h')
    const before = simulator.count()
    await clock.advance('10h')
    expect(simulator.count() - before).toBeLessThanOrEqual(120)
    expect(all('expired')).toHaveLength(1)
    await manager.stop()
  })
})

describe('use-limited tokens', () => {
  it('are renewed while uses are left, and the last isn’t spent', async () => {
    const { token, manage, clock, simulator } = bench()
    const given = await token({ ttl: '60s', num_uses: 4 })
    const { manager, all } = await manage(given)
    await manager.start()
    expect(manager.status().usesLeft).toBe(3)
    await clock.advance('2m')
    expect(simulator.count(RENEW)).toBe(2)
    expect(all('nonRenewable')).toMatchObject([{ reason: 'uses' }])
    expect(await simulator.call('GET', LOOKUP, {}, given)).toMatchObject({ data: { num_uses: -1 } })
    await manager.stop()
  })

  it('one whose look-up was its last use is no token to start with', async () => {
    const { token, manage } = bench()
    const { manager } = await manage(await token({ num_uses: 1 }))
    await expect(manager.start()).rejects.toMatchObject({
      kind: 'auth',
      messages: ['that was the last use of the token'],
    })
  })
})

describe('logins', () => {
  it('are one at a time, however many ask', async () => {
    const { manage, clock, appRole, simulator } = bench()
    const { manager, vault } = await manage(undefined, { login: appRoleLogin(await appRole({ token_ttl: '1h' })) })
    await manager.start()
    const first = vault.token
    await simulator.call('POST', 'auth/token/revoke', { token: first })
    simulator.fault({ kind: 'latency', ms: 2000, path: 'auth/approle/login' })
    const uses = Promise.all(Array.from({ length: 50 }, () => manager.withToken(() => vault.read(LOOKUP))))
    await clock.advance('3s')
    await uses
    expect(simulator.count('auth/approle/login')).toBe(2)
    await manager.stop()
  })

  it('callers in a loop with a dead token don’t make logins in a loop', async () => {
    const { manage, clock, appRole, simulator } = bench()
    const { manager, vault, all } = await manage(undefined, { login: appRoleLogin(await appRole({ token_ttl: '1h' })) })
    await manager.start()
    await simulator.call('POST', 'auth/token/revoke', { token: vault.token })
    simulator.fault({ kind: 'answer', status: 400, path: 'auth/approle', times: Number.POSITIVE_INFINITY })
    for (let i = 0; i < 200; i++) {
      await expect(manager.withToken(() => vault.read(LOOKUP))).rejects.toMatchObject({ status: 403 })
      await clock.advance('100ms')
    }
    expect(simulator.count('auth/approle/login')).toBeLessThan(20)
    expect(all('expired')).toHaveLength(1)
    await manager.stop()
  })

  it('back off to 5 minutes, and succeed when the credentials are mended', async () => {
    const { manage, clock, appRole, simulator } = bench()
    const ids = await appRole({ token_ttl: '60s', token_max_ttl: '60s' })
    let secretId = ids.secretId
    const login = appRoleLogin({ roleId: ids.roleId, secretId: () => secretId })
    const { manager, all, told } = await manage(undefined, { login, random: seededRandom('mended') })
    await manager.start()
    secretId = 'wrong'
    await clock.advance('3h')
    const failed = all('reauthFailed')
    expect(failed.length).toBeGreaterThan(30)
    expect(failed.length).toBeLessThan(120)
    expect(failed.at(-1).failures).toBe(failed.length)
    expect(Math.max(...failed.map(({ retryInMs }) => retryInMs))).toBeLessThanOrEqual(300_000)
    secretId = ids.secretId
    await clock.advance('5m')
    expect(told.at(-1)?.name === 'reauthenticated' || all('reauthenticated').length > 0).toBe(true)
    expect(manager.health().status).toBe('healthy')
    expect(simulator.tokenCount).toBeLessThanOrEqual(3)
    await manager.stop()
  })

  it('a login that throws anything, or never answers, is a failed login', async () => {
    const { manage, clock, simulator } = bench()
    let answer: () => unknown = () => {
      throw new Error('s.secretsecretsecretsecret')
    }
    const { manager, all } = await manage(undefined, { login: () => answer(), loginTimeout: '5s', startTimeout: 0 })
    await expect(manager.start()).rejects.toMatchObject({ kind: 'protocol', operation: 'login' })
    for (const wrong of ['', 'two words', 7, {}, { auth: {} }, undefined]) {
      answer = () => wrong
      await expect(manager.start()).rejects.toBeInstanceOf(VaultRequestError)
    }
    answer = () => new Promise(() => {})
    const hanging = manager.start().catch((error: unknown) => error)
    await clock.advance('6s')
    expect(await hanging).toMatchObject({ kind: 'timeout', operation: 'login' })
    answer = () => simulator.rootToken
    await manager.start()
    expect(manager.status().state).toBe('static')
    expect(JSON.stringify(all('reauthFailed'))).not.toContain('secretsecret')
    await manager.stop()
  })

  it('Kubernetes: the service account’s file is read anew at each login', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'tokenwright-vault-'))
    const jwtFile = join(folder, 'jwt')
    const { manage, clock, simulator } = bench()
    const jwt = (expSeconds: number) =>
      ['{"alg":"RS256"}', JSON.stringify({ sub: 'system:serviceaccount:a:b', exp: expSeconds }), 'x']
        .map((part) => Buffer.from(part).toString('base64url'))
        .join('.')
    const now = Math.floor(clock.now() / 1000)
    await simulator.call('POST', 'sys/auth/kubernetes', { type: 'kubernetes' })
    await simulator.call('POST', 'auth/kubernetes/role/app', { token_ttl: '60s', token_max_ttl: '60s' })
    writeFileSync(jwtFile, `${jwt(now + 30)}\n`)
    const { manager, all } = await manage(undefined, { login: kubernetesLogin({ role: 'app', jwtFile }) })
    await manager.start()
    // The old one is over by now: only a new one can be taken.
    await clock.advance('48s')
    await until(() => all('reauthFailed').length > 0)
    expect(all('reauthFailed')[0]).toMatchObject({ kind: 'credentials', method: 'kubernetes' })
    writeFileSync(jwtFile, jwt(now + 3600))
    for (let i = 0; i < 20 && all('reauthenticated').length === 0; i++) {
      await clock.advance('500ms')
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
    expect(all('reauthenticated')).toMatchObject([{ method: 'kubernetes' }])
    await manager.stop()
    rmSync(folder, { recursive: true })
  })

  it('a token file that holds the same token again is no new one, until it is', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'tokenwright-vault-'))
    const file = join(folder, 'token')
    const { manage, token, clock } = bench()
    const first = await token({ ttl: '60s', renewable: false })
    writeFileSync(file, first)
    const { manager, all, vault } = await manage(undefined, { login: tokenFileLogin({ file }) })
    await manager.start()
    await clock.advance('45s')
    await until(() => all('reauthFailed').length > 0)
    expect(all('reauthFailed')[0]).toMatchObject({ kind: 'credentials' })
    const second = await token({ ttl: '1h' })
    writeFileSync(file, second)
    for (let i = 0; i < 40 && vault.token !== second; i++) {
      await clock.advance('250ms')
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
    expect(vault.token).toBe(second)
    await manager.stop()
    rmSync(folder, { recursive: true })
  })

  it('a renewal that fails to the last is replaced before the end', async () => {
    const { manage, token, clock, appRole, simulator } = bench()
    const { manager, names, all } = await manage(await token(), {
      login: appRoleLogin(await appRole({ token_ttl: '1h' })),
    })
    await manager.start()
    simulator.fault({ kind: 'answer', status: 404, path: RENEW, times: Number.POSITIVE_INFINITY })
    await clock.advance('1h')
    expect(names()).not.toContain('expired')
    expect(all('reauthenticated')).toMatchObject([{ late: false }])
    await manager.stop()
  })
})

describe('sinks', () => {
  it('get the first token and each new one; one that fails is tried again, and told', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'tokenwright-vault-'))
    const { manage, clock, appRole } = bench()
    const got: string[] = []
    let broken = false
    const sink = ({ token, ttlMs, accessor }: { token: string; ttlMs: number; accessor: string }) => {
      if (broken) throw Object.assign(new Error('disk'), { code: 'ENOSPC' })
      expect([ttlMs > 30_000, ttlMs <= 60_000, accessor.length]).toEqual([true, true, 24])
      got.push(token)
    }
    const ids = await appRole({ token_ttl: '60s', token_max_ttl: '60s' })
    const file = join(folder, 'token')
    const { manager, all, vault } = await manage(undefined, { login: appRoleLogin(ids), sinks: [sink, { file }] })
    await manager.start()
    expect(got).toEqual([vault.token])
    expect(readFileSync(file, 'utf8')).toBe(vault.token)
    broken = true
    await clock.advance('48s')
    await until(() => all('sinkFailed').length > 0)
    expect(all('sinkFailed')[0]).toMatchObject({ sink: 0, code: 'ENOSPC', failures: 1 })
    expect(manager.health()).toMatchObject({ status: 'degraded', reasons: [expect.stringMatching(/^sinks without/)] })
    await until(() => readFileSync(file, 'utf8') === vault.token)
    broken = false
    // The file is written in real time, and the next attempt is begun after it.
    for (let i = 0; i < 400 && got.length < 2; i++) {
      await clock.advance('100ms')
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
    expect(got).toEqual([got[0], vault.token])
    await until(() => manager.health().status === 'healthy')
    await manager.stop()
    rmSync(folder, { recursive: true })
  })
})

describe('leases of secrets', () => {
  it('44: are renewed by the same schedule, capped at their maximum, and let go in time', async () => {
    const { manage, token, clock, simulator } = bench()
    await simulator.call('POST', 'sys/mounts/database', { type: 'database' })
    await simulator.call('POST', 'database/roles/r', { default_ttl: '60s', max_ttl: '200s' })
    const policy = 'path "database/creds/r" { capabilities = ["read"] }'
    await simulator.call('PUT', 'sys/policies/acl/db', { policy })
    const { manager, vault, all } = await manage(await token({ policies: ['default', 'db'] }))
    await manager.start()
    const lease = manager.lease(await vault.read('database/creds/r'))
    expect(lease.status()).toMatchObject({ ttlMs: 60_000, renewable: true })
    await clock.advance('190s')
    expect(await lease.ended).toBe('not_renewable')
    expect(all('leaseRenewed').length).toBeGreaterThanOrEqual(3)
    expect(all('leaseRenewed').length).toBeLessThanOrEqual(6)
    expect(all('leaseEnded')).toMatchObject([{ reason: 'not_renewable', leaseId: lease.leaseId }])
    expect(manager.metrics()).toContain(
      `tokenwright_vault_lease_renewals_total{name="default"} ${all('leaseRenewed').length}`,
    )
    expect(() => manager.lease('x')).toThrow('ttl is missing')
    await manager.stop()
  })

  it('44: survive failures, end with the token that they hang on, and aren’t renewed after it (vault#25712)', async () => {
    const { manage, token, clock, simulator, appRole } = bench()
    await simulator.call('POST', 'sys/mounts/database', { type: 'database' })
    await simulator.call('POST', 'database/roles/r', { default_ttl: '60s', max_ttl: '24h' })
    await simulator.call('PUT', 'sys/policies/acl/db', {
      policy: 'path "database/creds/r" { capabilities = ["read"] }',
    })
    const given = await token({ ttl: '10m', policies: ['default', 'db'], renewable: false })
    const { manager, vault, all } = await manage(given, { login: appRoleLogin(await appRole({ token_ttl: '1h' })) })
    await manager.start()
    const lease = manager.lease(await vault.read('database/creds/r'))
    simulator.fault({ kind: 'answer', status: 503, path: 'sys/leases/renew', times: 3 })
    await clock.advance('5m')
    expect(all('leaseFailed')).toHaveLength(3)
    expect(lease.status()).toMatchObject({ consecutiveFailures: 0, ended: null })
    await clock.advance('3m')
    expect(all('reauthenticated')).toHaveLength(1)
    expect(await lease.ended).toBe('token_replaced')
    const before = simulator.count('sys/leases/renew')
    await clock.advance('1h')
    expect(simulator.count('sys/leases/renew')).toBe(before)
    await manager.stop()
  })

  it('stop() lets them go', async () => {
    const { manage, token } = bench()
    const { manager } = await manage(await token())
    await manager.start()
    const lease = manager.lease('a/b', { ttl: '1h' })
    expect(() => manager.lease('a/b', { ttl: '1h' })).toThrow('looked after already')
    await manager.stop()
    expect(await lease.ended).toBe('released')
    expect(() => manager.lease('a/b', { ttl: '1h' })).toThrow("isn't running")
  })
})

describe('warnings', () => {
  it('expiringSoon: once for each crossing, at a tenth or 24 h, armed again by an extension', async () => {
    const { manage, token, clock, simulator } = bench()
    const { manager, all } = await manage(await token({ ttl: '100m' }))
    await manager.start()
    simulator.setDown(true)
    await clock.advance('95m')
    expect(all('expiringSoon')).toHaveLength(1)
    expect(all('expiringSoon')[0].ttlMs).toBeLessThanOrEqual(10 * 60_000)
    expect(all('expiringSoon')[0].ttlMs).toBeGreaterThan(9.9 * 60_000)
    simulator.setDown(false)
    await clock.advance('4m')
    expect(manager.status().renewalCount).toBe(1)
    simulator.setDown(true)
    await clock.advance('95m')
    expect(all('expiringSoon')).toHaveLength(2)
    await manager.stop()
  })

  it('expiringSoon: looking the token up doesn’t arm it', async () => {
    const { manage, token, clock } = bench()
    const { manager, all } = await manage(await token({ ttl: '100m', renewable: false }))
    await manager.start()
    await clock.advance('91m')
    for (let i = 0; i < 3; i++) {
      await manager.lookup()
      await clock.advance('1m')
    }
    expect(all('expiringSoon')).toHaveLength(1)
    await manager.stop()
  })

  it('a plain token of 768 h can’t be extended, and that is told after its first renewal (vault#2459)', async () => {
    const { manage, token, clock, simulator } = bench()
    const { manager, all } = await manage(await token({ ttl: undefined }))
    await manager.start()
    await clock.advance('565h')
    expect(all('renewed')).toMatchObject([{ extended: false, capped: true }])
    expect(all('maxTtlApproaching')).toMatchObject([{ replaceable: false }])
    expect(manager.status().capped).toBe(true)
    await clock.advance('204h')
    expect(all('expired')).toMatchObject([{ reason: 'ttl' }])
    expect(simulator.count(RENEW)).toBeLessThanOrEqual(4)
    expect(all('maxTtlApproaching')).toHaveLength(1)
    expect(all('expiringSoon')[0].ttlMs / HOUR).toBeCloseTo(24, 1)
    await manager.stop()
  })
})

describe('what a 403 means', () => {
  const setPolicy = (simulator: ReturnType<typeof bench>['simulator'], paths: readonly string[]) =>
    simulator.call('PUT', 'sys/policies/acl/some', {
      policy: paths.map((path) => `path "${path}" { capabilities = ["read", "update"] }`).join(' '),
    })

  it('a token that may not even look at itself is known: no login for each refusal, and none lost', async () => {
    const { manage, appRole, clock, simulator } = bench()
    await setPolicy(simulator, ['secret/data/mine'])
    const ids = await appRole({ token_ttl: '1h', token_policies: ['some'], token_no_default_policy: true })
    const { manager, vault, all } = await manage(undefined, { login: appRoleLogin(ids) })
    await manager.start()
    for (let i = 0; i < 10; i++) {
      await expect(manager.withToken(() => vault.read('secret/data/other'))).rejects.toMatchObject({ status: 403 })
      await clock.advance('5s')
    }
    expect(simulator.count('auth/approle/login')).toBe(1)
    await clock.advance('50m')
    // Its renewal is refused too: a new one, in time.
    expect(all('nonRenewable')).toMatchObject([{ reason: 'policy' }])
    expect(all('expired')).toEqual([])
    expect(all('reauthenticated')).toMatchObject([{ late: false }])
    await manager.stop()
  })

  it('a token revoked a moment after it was looked up isn’t taken for one without the policy', async () => {
    const { manage, token, clock, simulator } = bench()
    const given = await token()
    const { manager, vault, all } = await manage(given)
    await manager.start()
    await expect(manager.withToken(() => vault.read('secret/data/other'))).rejects.toMatchObject({ status: 403 })
    await simulator.call('POST', 'auth/token/revoke', { token: given })
    await expect(manager.forceRenewal()).rejects.toMatchObject({ kind: 'auth' })
    expect(all('nonRenewable')).toEqual([])
    expect(all('expired')).toMatchObject([{ reason: 'revoked_or_invalid' }])
    await manager.stop()
    expect(clock.pending()).toBe(0)
  })

  it('once the policy is mended, a renewal that is asked for takes it up again', async () => {
    const { manage, token, clock, simulator } = bench()
    await setPolicy(simulator, [LOOKUP])
    const { manager, all } = await manage(await token({ policies: ['some'], no_default_policy: true }))
    await manager.start()
    await clock.advance('45m')
    expect(all('nonRenewable')).toMatchObject([{ reason: 'policy' }])
    await setPolicy(simulator, [LOOKUP, RENEW])
    expect(await manager.forceRenewal()).toMatchObject({ extended: true })
    await clock.advance('10h')
    expect(manager.status()).toMatchObject({ state: 'running', renewable: true })
    await manager.stop()
  })

  it('a wrapping token, given as the token, is told by its refusal', async () => {
    const { manage, client, simulator } = bench()
    const root = await client(simulator.rootToken)
    const headers = { 'X-Vault-Wrap-TTL': '60s' }
    const wrapped = (await root.write('auth/token/create', { ttl: '1h' }, { headers })) as {
      wrap_info: { token: string }
    }
    const { manager } = await manage(wrapped.wrap_info.token)
    await expect(manager.start()).rejects.toMatchObject({
      kind: 'auth',
      messages: [expect.anything(), expect.stringContaining('wrapping token')],
    })
  })
})

it('failures of the network cost no uses', async () => {
  const { manage, token, clock, simulator } = bench()
  const { manager } = await manage(await token({ ttl: '1h', num_uses: 5 }))
  await manager.start()
  simulator.setDown(true)
  await clock.advance('50m')
  expect(manager.status().failureCount).toBeGreaterThan(5)
  expect(manager.status().usesLeft).toBe(4)
  simulator.setDown(false)
  await clock.advance('5m')
  expect(manager.status()).toMatchObject({ state: 'running', usesLeft: 3 })
  await manager.stop()
})
