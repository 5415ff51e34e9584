import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inspect } from 'node:util'
import NodeVault from 'node-vault'
import { expect } from 'vitest'
import { fakeClock, seededRandom } from '../../src/testing/index.ts'
import {
  appRoleLogin,
  jwtLogin,
  kubernetesLogin,
  publishToVaultKv,
  tokenFileLogin,
  userpassLogin,
  VaultRequestError,
  VaultShorteningError,
  VaultTokenManager,
  wrappedTokenLogin,
} from '../../src/vault/index.ts'
import { manage, type SentRequest, sentTo, until, type World } from './worlds.ts'

/** What a manager does, on any server. Numbers are those of the list of acceptance behaviours. */
export interface Behaviour {
  readonly name: string
  /** Whether it seals, kills or otherwise disturbs the server. */
  readonly own?: true
  /** Whether a real server needs a PostgreSQL, at 127.0.0.1:5432, to make secrets in. */
  readonly postgres?: true
  /** Whether the server's root token must be the one of its initialisation. */
  readonly initialRoot?: true
  /** Whether the server is to be a standby, which forwards to the active one. */
  readonly standby?: true
  run(world: World): Promise<void>
}

const LOOKUP = 'auth/token/lookup-self'
const RENEW = 'auth/token/renew-self'
const HOUR = 3_600_000

/** A mount of AppRole with a role, and a login by it. */
async function appRole(world: World, settings: object) {
  const mount = `approle-${world.unique}`
  await world.raw('POST', `sys/auth/${mount}`, { body: { type: 'approle' } })
  await world.raw('POST', `auth/${mount}/role/app`, { body: { token_policies: ['default'], ...settings } })
  const roleId: string = (await world.raw('GET', `auth/${mount}/role/app/role-id`)).body.data.role_id
  const secretId: string = (await world.raw('POST', `auth/${mount}/role/app/secret-id`, { body: {} })).body.data
    .secret_id
  return { mount, roleId, secretId, login: appRoleLogin({ mount, roleId, secretId }) }
}

/** Times between the requests for a path, ms. */
function gaps(sent: readonly SentRequest[], path: string): number[] {
  const times = sent.filter((request) => request.path === path).map(({ at }) => at)
  return times.slice(1).map((at, index) => at - (times[index] as number))
}

async function failureOf(promise: Promise<unknown>): Promise<VaultRequestError> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  expect(error).toBeInstanceOf(VaultRequestError)
  return error as VaultRequestError
}

/** A JWT of ES256 for `vault`, good for an hour. */
function jwtOf(world: World, key: KeyObject, sub: string, more: object = {}): string {
  const at = Math.floor(world.clock.now() / 1000)
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url')
  const claims = { iss: 'test', sub, aud: ['vault'], iat: at, nbf: at - 60, exp: at + 3600, ...more }
  const body = `${part({ alg: 'ES256', typ: 'JWT' })}.${part(claims)}`
  const signature = sign('sha256', Buffer.from(body), { key, dsaEncoding: 'ieee-p1363' })
  return `${body}.${signature.toString('base64url')}`
}

/** The display name of a token. */
async function nameOf(world: World, token: string | undefined): Promise<string> {
  return (await world.raw('GET', LOOKUP, { token: token ?? '' })).body.data.display_name
}

/** A folder of this behaviour's own, gone when it ends. */
async function inFolder(run: (folder: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'tokenwright-vault-'))
  await run(folder).finally(() => rmSync(folder, { recursive: true, force: true }))
}

export const BEHAVIOURS: readonly Behaviour[] = [
  {
    name: '1: a start is one look-up',
    async run(world) {
      const { token } = await world.token({ ttl: '1h' })
      const { manager, sent, told } = await manage(world, token)
      expect(manager.status()).toMatchObject({ running: false, state: 'idle', ttlMs: null })
      await manager.start()
      expect(sent.map(({ path }) => path)).toEqual([LOOKUP])
      const status = manager.status()
      expect(status).toMatchObject({
        running: true,
        state: 'running',
        renewable: true,
        type: 'service',
        needsRenewal: false,
        renewalCount: 0,
        failureCount: 0,
        consecutiveFailures: 0,
        lastRenewalAt: null,
      })
      expect(status.ttlMs).toBeGreaterThan(3_597_000)
      expect(status.ttlMs).toBeLessThanOrEqual(3_600_000)
      expect(told).toMatchObject([{ name: 'started', payload: { type: 'service', renewable: true, recovered: false } }])
      expect(manager.health()).toEqual({ status: 'healthy', reasons: [] })
      await manager.stop()
      expect(manager.status()).toMatchObject({ running: false, state: 'stopped' })
    },
  },
  {
    name: '2: a root token has no end, is healthy, and is never renewed',
    async run(world) {
      const { manager, sent } = await manage(world, world.rootToken)
      await manager.start()
      const state = { state: 'static', ttlMs: null, expiresAt: null, needsRenewal: false, nextRenewalAt: null }
      expect(manager.status()).toMatchObject(state)
      expect(manager.health().status).toBe('healthy')
      expect(await manager.forceRenewal()).toMatchObject({ skipped: 'non_expiring', requestedMs: 0, expiresAt: null })
      expect(sentTo(sent, RENEW)).toBe(0)
      expect(manager.metrics()).toContain('tokenwright_vault_ttl_seconds{name="default"} +Inf')
      await manager.stop()
    },
  },
  {
    name: '3: so has the root token of the initialisation, which doesn’t say whether it is renewable',
    own: true,
    initialRoot: true,
    async run(world) {
      const raw = await world.raw('GET', LOOKUP)
      expect(Object.keys(raw.body.data)).not.toContain('renewable')
      const refused = await world.raw('POST', RENEW, { body: {} })
      expect([refused.status, refused.body.errors]).toEqual([400, ['invalid lease ID']])
      const { manager, sent } = await manage(world, world.rootToken)
      await manager.start()
      expect(manager.status()).toMatchObject({ state: 'static', renewable: false })
      expect(await manager.forceRenewal()).toMatchObject({ skipped: 'non_expiring' })
      expect(sentTo(sent, RENEW)).toBe(0)
      await manager.stop()
    },
  },
  {
    name: '4: a token that can’t be renewed runs out, with its warnings',
    async run(world) {
      const made = world.clock.monotonic()
      const { token } = await world.token({ ttl: '8s', renewable: false })
      const { manager, sent, told, names } = await manage(world, token)
      await manager.start()
      expect(told.at(-1)).toMatchObject({ name: 'nonRenewable', payload: { reason: 'token', replaceable: false } })
      expect(await manager.forceRenewal()).toMatchObject({ skipped: 'non_renewable' })
      await world.pass(9500)
      expect(names()).toEqual(['started', 'nonRenewable', 'expiringSoon', 'expired'])
      expect(told.at(-1)?.payload).toMatchObject({ reason: 'ttl', ttlMs: 0 })
      const lived = (told.at(-1)?.at ?? 0) - made
      expect(lived).toBeGreaterThan(6900)
      expect(lived).toBeLessThan(9200)
      expect(sentTo(sent, RENEW)).toBe(0)
      expect(manager.status()).toMatchObject({ state: 'expired', ttlMs: 0 })
      expect(manager.health().status).toBe('unhealthy')
      await manager.stop()
    },
  },
  {
    name: '4: with a login it is replaced when 70 to 73 % have passed',
    async run(world) {
      const { login } = await appRole(world, { token_ttl: '1h' })
      const made = world.clock.monotonic()
      const { token } = await world.token({ ttl: '8s', renewable: false })
      const { manager, vault, told, names } = await manage(world, token, { login })
      await manager.start()
      await world.pass(7500)
      expect(names()).toEqual(['started', 'nonRenewable', 'reauthenticated'])
      expect(told.at(-1)?.payload).toMatchObject({ method: 'approle', late: false })
      const waited = (told.at(-1)?.at ?? 0) - made
      expect(waited).toBeGreaterThan(4500)
      expect(waited).toBeLessThan(7200)
      expect(vault.token).not.toBe(token)
      await manager.stop()
    },
  },
  {
    name: '5: batch tokens; stopping with a revocation does no harm',
    async run(world) {
      const { token } = await world.token({ ttl: '8s', type: 'batch' })
      const { manager, sent, told } = await manage(world, token)
      await manager.start()
      expect(manager.status()).toMatchObject({ type: 'batch', renewable: false, accessor: null })
      expect(told.at(-1)).toMatchObject({ name: 'nonRenewable', payload: { reason: 'batch' } })
      await manager.stop({ revoke: true })
      expect(sentTo(sent, RENEW)).toBe(0)
      expect(told.at(-1)).toMatchObject({ name: 'stopped', payload: { revoked: false } })
    },
  },
  {
    name: '6: a token that is none is told at once',
    async run(world) {
      const { manager, sent } = await manage(world, 'nope')
      const error = await failureOf(manager.start())
      expect([error.kind, error.status, error.code]).toEqual(['auth', 403, 'ERR_VAULT_REQUEST'])
      expect(sent).toHaveLength(1)
      expect(manager.status()).toMatchObject({ running: false, state: 'idle' })
      // Once it is mended, it starts.
      manager.client.token = (await world.token({ ttl: '1h' })).token
      await manager.start()
      expect(manager.status().state).toBe('running')
      await manager.stop()
    },
  },
  {
    name: 'a token of whose life less than a second is left, which servers tell as 0, is renewed at once',
    async run(world) {
      // Not while all the others start.
      await world.pass(4000)
      const { token } = await world.token({ ttl: '4s' })
      await world.pass(3550)
      expect((await world.raw('GET', LOOKUP, { token })).body.data.ttl).toBe(0)
      const { manager, names } = await manage(world, token)
      await manager.start()
      await world.pass(1000)
      expect(names()).toEqual(['started', 'renewed'])
      expect(manager.status().ttlMs).toBeGreaterThan(2000)
      await manager.stop()
    },
  },
  {
    name: '8: only requests cost a use; status, health and metrics don’t',
    async run(world) {
      const { token, accessor } = await world.token({ ttl: '1h', num_uses: 5 })
      const { manager, sent } = await manage(world, token)
      await manager.start()
      expect(manager.status().usesLeft).toBe(4)
      for (let i = 0; i < 20; i++) [manager.status(), manager.health(), manager.metrics(), await manager.tick()]
      expect(sent).toHaveLength(1)
      const found = await world.raw('POST', 'auth/token/lookup-accessor', { body: { accessor } })
      expect(found.body.data.num_uses).toBe(4)
      await manager.forceRenewal()
      expect(manager.status().usesLeft).toBe(3)
      expect((await manager.lookup()).usesLeft).toBe(2)
      await manager.stop()
    },
  },
  {
    name: '9: a token of 10 s lives on by renewals 7.0 to 7.3 s apart',
    async run(world) {
      const { token } = await world.token({ ttl: '10s' })
      const renewals: number[] = []
      const { manager, sent } = await manage(world, token, { onRenewal: (ttlMs) => renewals.push(ttlMs) })
      await manager.start()
      await world.pass(31_500)
      expect(manager.status().renewalCount).toBe(4)
      for (const gap of gaps(sent, RENEW)) {
        expect(gap).toBeGreaterThan(6950)
        expect(gap).toBeLessThan(8000)
      }
      expect(renewals).toEqual([10_000, 10_000, 10_000, 10_000])
      expect((await world.raw('GET', LOOKUP, { token })).status).toBe(200)
      await manager.stop()
    },
  },
  {
    name: '10: a periodic token lives for ever, whatever is asked for',
    async run(world) {
      const { token } = await world.token({ period: '6s' })
      const { manager, told } = await manage(world, token, { increment: '1h' })
      await manager.start()
      expect((await manager.lookup()).periodMs).toBe(6000)
      await world.pass(20_000)
      const renewed = told.filter(({ name }) => name === 'renewed')
      expect(renewed.length).toBeGreaterThanOrEqual(4)
      for (const { payload } of renewed) expect(payload).toMatchObject({ ttlMs: 6000, extended: true, capped: false })
      expect((await world.raw('GET', LOOKUP, { token })).status).toBe(200)
      await manager.stop()
    },
  },
  {
    name: '11: increments count from now; shortening is refused unless told',
    async run(world) {
      const { token } = await world.token({ ttl: '1h' })
      const { manager, sent } = await manage(world, token)
      await manager.start()
      expect(await manager.forceRenewal({ increment: '2h' })).toMatchObject({ ttlMs: 7_200_000, extended: true })
      const before = sent.length
      await expect(manager.forceRenewal({ increment: '60s' })).rejects.toThrow(VaultShorteningError)
      expect(sent).toHaveLength(before)
      const short = await manager.forceRenewal({ increment: '60s', allowShorten: true })
      expect(short).toMatchObject({ ttlMs: 60_000, shortened: true, extended: false })
      // What was granted last doesn't stick: the next one asks for the whole again.
      expect(await manager.forceRenewal()).toMatchObject({ ttlMs: 3_600_000, extended: true })
      await manager.stop()
    },
  },
  {
    name: '13: a maximum is noticed, told once, and the end comes when it must',
    async run(world) {
      const made = world.clock.monotonic()
      const { token } = await world.token({ ttl: '5s', explicit_max_ttl: '12s' })
      const { manager, sent, told, names } = await manage(world, token)
      await manager.start()
      await world.pass(14_500)
      expect(names().filter((name) => name === 'maxTtlApproaching')).toHaveLength(1)
      expect(names().filter((name) => name === 'expired')).toHaveLength(1)
      const lived = (told.find(({ name }) => name === 'expired')?.at ?? 0) - made
      expect(lived).toBeGreaterThan(9900)
      expect(lived).toBeLessThan(13_500)
      expect(told.filter(({ payload }) => payload.capped === true).length).toBeGreaterThan(0)
      expect(sentTo(sent, RENEW)).toBeLessThanOrEqual(8)
      await manager.stop()
    },
  },
  {
    name: '18: a threshold over the lease is told once and tamed',
    async run(world) {
      const { token } = await world.token({ ttl: '20s' })
      const { manager, sent, names, told } = await manage(world, token, { renewThreshold: '2h' })
      await manager.start()
      await world.pass(29_000)
      expect(names().filter((name) => name === 'configWarning')).toHaveLength(1)
      expect(told.find(({ name }) => name === 'configWarning')?.payload).toMatchObject({ option: 'renewThreshold' })
      expect(sentTo(sent, RENEW)).toBe(2)
      for (const gap of gaps(sent, RENEW)) expect(gap).toBeGreaterThan(13_000)
      await manager.stop()
    },
  },
  {
    name: '19: an interval longer than the lease loses nothing',
    async run(world) {
      const { token } = await world.token({ ttl: '6s' })
      const { manager, names } = await manage(world, token, { checkInterval: '300s' })
      await manager.start()
      await world.pass(20_000)
      expect(names()).not.toContain('expired')
      expect((await world.raw('GET', LOOKUP, { token })).status).toBe(200)
      await manager.stop()
    },
  },
  {
    name: '20: fifty who renew at once cause one request',
    async run(world) {
      const { token } = await world.token({ ttl: '1h' })
      const { manager, sent } = await manage(world, token)
      await manager.start()
      const results = await Promise.all(Array.from({ length: 50 }, () => manager.forceRenewal()))
      expect(sentTo(sent, RENEW)).toBe(1)
      expect(new Set(results).size).toBe(1)
      expect(manager.status().renewalCount).toBe(1)
      await manager.stop()
    },
  },
  {
    name: '21: who gives up waiting disturbs nobody',
    async run(world) {
      const { token } = await world.token({ ttl: '1h' })
      const { manager, sent } = await manage(world, token)
      await manager.start()
      const aborted = manager.forceRenewal({ signal: AbortSignal.abort() })
      await expect(aborted).rejects.toMatchObject({ name: 'AbortError' })
      expect(sentTo(sent, RENEW)).toBe(0)
      const controller = new AbortController()
      const given = manager.forceRenewal({ signal: controller.signal })
      const other = manager.forceRenewal()
      controller.abort()
      await expect(given).rejects.toMatchObject({ name: 'AbortError' })
      expect(await other).toMatchObject({ extended: expect.any(Boolean), ttlMs: 3_600_000 })
      expect([sentTo(sent, RENEW), manager.status().failureCount]).toEqual([1, 0])
      await manager.stop()
    },
  },
  {
    name: '22: start and stop, twice and again; counters go on',
    async run(world) {
      const { token } = await world.token({ ttl: '1h' })
      const { manager, sent } = await manage(world, token)
      expect(manager.start()).toBe(manager.start())
      await manager.start()
      expect(sentTo(sent, LOOKUP)).toBe(1)
      await manager.forceRenewal()
      await Promise.all([manager.stop(), manager.stop()])
      await manager.stop()
      await expect(manager.forceRenewal()).rejects.toMatchObject({ code: 'ERR_VAULT_STATE' })
      await manager.start()
      expect(manager.status()).toMatchObject({ state: 'running', renewalCount: 1 })
      await manager.stop()
    },
  },
  {
    name: '23: stopping during a renewal is at once, and no event follows',
    async run(world) {
      const { token } = await world.token({ ttl: '1h' })
      const { manager, told } = await manage(world, token)
      await manager.start()
      const renewal = manager.forceRenewal()
      const from = performance.now()
      await manager.stop()
      expect(performance.now() - from).toBeLessThan(1000)
      await renewal.catch(() => {})
      const heard = told.length
      await world.pass(200)
      expect(told.slice(heard)).toEqual([])
      expect(told.at(-1)?.name).toBe('stopped')
    },
  },
  {
    name: '24: listeners and callbacks that throw hurt nobody',
    async run(world) {
      const { token } = await world.token({ ttl: '4s' })
      const throws = () => {
        throw new Error('mine')
      }
      const { manager, told } = await manage(world, token, { onRenewal: throws })
      const heard: number[] = []
      manager.events.on('renewed', throws)
      manager.events.on('renewed', async () => throws())
      manager.events.on('renewed', ({ ttlMs }) => heard.push(ttlMs))
      await manager.start()
      await world.pass(6500)
      expect(heard).toEqual([4000, 4000])
      const failed = told.filter(({ name }) => name === 'listenerError').map(({ payload }) => payload.event)
      expect(failed.toSorted()).toEqual(['onRenewal', 'onRenewal', 'renewed', 'renewed', 'renewed', 'renewed'])
      await manager.stop()
    },
  },
  {
    name: '25: no output holds the token or a secret_id',
    async run(world) {
      const { token } = await world.token({ ttl: '1h' })
      const { login, secretId } = await appRole(world, { token_ttl: '1h' })
      const { manager, told, vault } = await manage(world, token, { login })
      await manager.start()
      await manager.forceRenewal()
      const wrong = await manage(world, undefined, {
        login: appRoleLogin({ roleId: 'nobody', secretId: secretId }),
        startTimeout: 0,
      })
      const error = await failureOf(wrong.manager.start())
      expect(error.kind).toBe('credentials')
      const bad = await manage(world, `${token}x`)
      const refused = await failureOf(bad.manager.start())
      const shown = [manager.status(), told, wrong.told, error, refused, manager, vault.request, await manager.lookup()]
      const text = `${inspect(shown, { depth: 8, showHidden: true })} ${JSON.stringify(shown.slice(0, 5))} ${manager.metrics()} ${error.stack}`
      expect(text).not.toContain(token)
      expect(text).not.toContain(secretId)
      await manager.stop()
    },
  },
  {
    name: '26: a seal of some seconds costs failures, not the token',
    own: true,
    async run(world) {
      const { token } = await world.token({ ttl: '20s' })
      const { manager, sent, told } = await manage(world, token, { random: seededRandom('seal') })
      await manager.start()
      await world.pass(12_000)
      await world.seal()
      await world.pass(3500)
      const failed = told.filter(({ name }) => name === 'renewalFailed')
      expect(failed.length).toBeGreaterThan(0)
      for (const { payload } of failed) expect(payload).toMatchObject({ kind: 'sealed', status: 503 })
      expect(manager.status().consecutiveFailures).toBe(failed.length)
      expect(manager.health().status).toBe('degraded')
      await world.unseal()
      await world.pass(3000)
      expect(told.map(({ name }) => name)).not.toContain('expired')
      expect(manager.status()).toMatchObject({ consecutiveFailures: 0, renewalCount: 1, state: 'running' })
      expect(manager.health().status).toBe('healthy')
      expect(sentTo(sent, RENEW)).toBeLessThanOrEqual(8)
      await manager.stop()
    },
  },
  {
    name: '27: a server that is gone: told once at the deadline, few requests, none in a hurry',
    own: true,
    async run(world) {
      const made = world.clock.monotonic()
      const { token } = await world.token({ ttl: '6s' })
      const { manager, sent, told, names } = await manage(world, token, { random: seededRandom('gone') })
      await manager.start()
      await world.kill()
      await world.pass(10_000)
      expect(names().filter((name) => name === 'expired')).toHaveLength(1)
      const lived = (told.find(({ name }) => name === 'expired')?.at ?? 0) - made
      expect(lived).toBeGreaterThan(4900)
      expect(lived).toBeLessThan(7200)
      expect(told.find(({ name }) => name === 'renewalFailed')?.payload).toMatchObject({
        kind: 'network',
        code: 'ECONNREFUSED',
      })
      expect(manager.health().status).toBe('unhealthy')
      expect(sentTo(sent, RENEW)).toBeGreaterThan(0)
      expect(sentTo(sent, RENEW)).toBeLessThanOrEqual(4)
      for (const gap of gaps(sent, RENEW)) expect(gap).toBeGreaterThanOrEqual(490)
      await manager.stop()
    },
  },
  {
    name: '28: a token that was revoked is told by one renewal and one look-up',
    async run(world) {
      const { token, accessor } = await world.token({ ttl: '8s' })
      const { manager, sent, told, names } = await manage(world, token)
      await manager.start()
      await world.raw('POST', 'auth/token/revoke-accessor', { body: { accessor } })
      const before = sent.length
      await world.pass(7500)
      expect(names().filter((name) => name === 'expired')).toHaveLength(1)
      expect(told.at(-1)).toMatchObject({ name: 'expired', payload: { reason: 'revoked_or_invalid' } })
      expect(sent.slice(before).map(({ path, status }) => [path, status])).toEqual([
        [RENEW, 403],
        [LOOKUP, 403],
      ])
      await manager.stop()
    },
  },
  {
    name: 'a policy without renew-self: one refusal, one look-up, then no more (vault#22575)',
    async run(world) {
      const policy = `look-${world.unique}`
      const body = { policy: 'path "auth/token/lookup-self" { capabilities = ["read"] }' }
      await world.raw('PUT', `sys/policies/acl/${policy}`, { body })
      const { token } = await world.token({ ttl: '8s', policies: [policy], no_default_policy: true })
      const { manager, sent, told } = await manage(world, token)
      await manager.start()
      await world.pass(7000)
      expect(told.map(({ name }) => name).filter((name) => name === 'nonRenewable')).toHaveLength(1)
      expect(told.find(({ name }) => name === 'nonRenewable')?.payload).toMatchObject({ reason: 'policy' })
      expect([sentTo(sent, RENEW), sentTo(sent, LOOKUP)]).toEqual([1, 2])
      expect(manager.status().failureCount).toBe(0)
      await manager.stop()
    },
  },
  {
    name: 'a role that is gone: 500, and the token is replaced while it lasts',
    async run(world) {
      const role = `gone-${world.unique}`
      await world.raw('POST', `auth/token/roles/${role}`, { body: { allowed_policies: ['default'], renewable: true } })
      const made = await world.raw('POST', `auth/token/create/${role}`, { body: { ttl: '8s' } })
      await world.raw('DELETE', `auth/token/roles/${role}`)
      const { login } = await appRole(world, { token_ttl: '1h' })
      const { manager, told } = await manage(world, made.body.auth.client_token, { login })
      await manager.start()
      await world.pass(7000)
      expect(told.map(({ name }) => name)).toEqual(['started', 'renewalFailed', 'reauthenticated'])
      expect(told[1]?.payload).toMatchObject({ kind: 'refused', status: 500 })
      expect(told[2]?.payload).toMatchObject({ late: false })
      await manager.stop()
    },
  },
  {
    name: '32: what a proxy answers in the server’s place is no renewal: the token is kept, and renewed later',
    async run(world) {
      const { token } = await world.token({ ttl: '12s' })
      const page = { status: 200, headers: { 'content-type': 'text/html' } }
      const wrong = [
        () => new Response('<html><body>Please sign in</body></html>', page),
        () => new Response(null, { status: 204 }),
        () => Response.json({ request_id: 'x', lease_id: '', data: null }),
      ]
      const { manager, vault, sent, told } = await manage(
        world,
        token,
        { random: seededRandom('proxy') },
        (path, on) => {
          const answer = path === RENEW ? wrong.shift() : undefined
          return answer === undefined ? on() : Promise.resolve(answer())
        },
      )
      await manager.start()
      await world.pass(11_700)
      const failed = told.filter(({ name }) => name === 'renewalFailed').map(({ payload }) => payload.kind)
      expect(failed).toEqual(['protocol', 'protocol', 'protocol'])
      expect(manager.status()).toMatchObject({ renewalCount: 1, consecutiveFailures: 0, state: 'running' })
      expect(vault.token).toBe(token)
      expect(sentTo(sent, RENEW)).toBe(4)
      await world.pass(2000)
      expect((await world.raw('GET', LOOKUP, { token })).status).toBe(200)
      await manager.stop()
    },
  },
  {
    name: '35: AppRole with a maximum: new tokens in time, and not one 403 for who reads all the while',
    async run(world) {
      const { login } = await appRole(world, { token_ttl: '4s', token_max_ttl: '10s' })
      const { manager, vault, told } = await manage(world, undefined, { login, revokeOld: '1s' })
      await manager.start()
      const tokens = new Set<string>()
      let reads = 0
      const failures: unknown[] = []
      for (let passed = 0; passed < 30_000; passed += 200) {
        tokens.add(vault.token)
        await vault.read(LOOKUP).then(
          () => {
            reads += 1
          },
          (error: unknown) => failures.push(error),
        )
        await world.pass(200)
      }
      expect(failures).toEqual([])
      expect(reads).toBe(150)
      expect(tokens.size).toBeGreaterThanOrEqual(3)
      expect(tokens.size).toBeLessThanOrEqual(5)
      expect(told.filter(({ name }) => name === 'reauthenticated')).toHaveLength(tokens.size - 1)
      expect(told.map(({ name }) => name)).not.toContain('expired')
      // The old ones were ours to revoke, the newest lives.
      for (const token of tokens) {
        const { status } = await world.raw('GET', LOOKUP, { token })
        expect(status).toBe(token === vault.token ? 200 : 403)
      }
      await manager.stop({ revoke: true })
      expect((await world.raw('GET', LOOKUP, { token: vault.token })).status).toBe(403)
    },
  },
  {
    name: '35: a token that somebody else made isn’t revoked when it is replaced',
    async run(world) {
      const { login } = await appRole(world, { token_ttl: '1h' })
      const { token } = await world.token({ ttl: '10s', renewable: false })
      const { manager, vault, told } = await manage(world, token, { login, revokeOld: 0 })
      await manager.start()
      await world.pass(7800)
      expect(told.map(({ name }) => name)).toContain('reauthenticated')
      expect(vault.token).not.toBe(token)
      expect((await world.raw('GET', LOOKUP, { token })).status).toBe(200)
      await manager.stop()
    },
  },
  {
    name: '35: nor is one that a login only named',
    async run(world) {
      const first = (await world.token({ ttl: '10s', renewable: false })).token
      const second = (await world.token({ ttl: '1h' })).token
      let given = first
      const { manager, vault, told } = await manage(world, undefined, { login: () => given, revokeOld: 0 })
      await manager.start()
      given = second
      await world.pass(7800)
      expect(told.map(({ name }) => name)).toContain('reauthenticated')
      expect(vault.token).toBe(second)
      expect((await world.raw('GET', LOOKUP, { token: first })).status).toBe(200)
      await manager.stop()
    },
  },
  {
    name: '36: a secret_id that is used up: told, tried with backoff, and the old token used to its end',
    async run(world) {
      const { login } = await appRole(world, { token_ttl: '3s', token_max_ttl: '6s', secret_id_num_uses: 1 })
      const { manager, sent, told, names } = await manage(world, undefined, { login, random: seededRandom('used up') })
      await manager.start()
      await world.pass(13_000)
      const failed = told.filter(({ name }) => name === 'reauthFailed')
      expect(failed.length).toBeGreaterThanOrEqual(2)
      for (const { payload } of failed)
        expect(payload).toMatchObject({ kind: 'credentials', status: 400, method: 'approle' })
      const logins = gaps(sent, sent[0]?.path ?? '').slice(1)
      for (const gap of logins) expect(gap).toBeGreaterThanOrEqual(490)
      expect(failed.length).toBeLessThanOrEqual(8)
      expect(names().filter((name) => name === 'expired')).toHaveLength(1)
      const first = failed[0]?.at ?? 0
      expect(told.find(({ name }) => name === 'expired')?.at).toBeGreaterThan(first)
      await manager.stop()
    },
  },
  {
    name: '37: withToken: many 403s of a dead token are one look-up and one login, and each call is made once more',
    async run(world) {
      const { login, mount } = await appRole(world, { token_ttl: '1h' })
      const { manager, vault, sent } = await manage(world, undefined, { login })
      await manager.start()
      const first = vault.token
      await world.raw('POST', 'auth/token/revoke', { body: { token: first } })
      sent.length = 0
      let calls = 0
      const use = () =>
        manager.withToken(async (token) => {
          calls += 1
          await vault.read(LOOKUP)
          return token
        })
      const tokens = await Promise.all(Array.from({ length: 20 }, use))
      expect(new Set(tokens)).toEqual(new Set([vault.token]))
      expect(calls).toBe(40)
      expect(sentTo(sent, `auth/${mount}/login`)).toBe(1)
      // Twenty reads, one confirming look-up, twenty reads.
      expect(sentTo(sent, LOOKUP)).toBe(41)
      await manager.stop()
    },
  },
  {
    name: '37: withToken: a 403 of a policy is thrown as it came, and costs no login',
    async run(world) {
      const { login, mount } = await appRole(world, { token_ttl: '1h' })
      const { manager, vault, sent } = await manage(world, undefined, { login })
      await manager.start()
      sent.length = 0
      const error = await failureOf(manager.withToken(() => vault.read('secret/data/forbidden')))
      expect(error.status).toBe(403)
      await expect(manager.withToken(() => vault.read('secret/data/forbidden'))).rejects.toThrow(VaultRequestError)
      expect(sentTo(sent, `auth/${mount}/login`)).toBe(0)
      expect(sentTo(sent, LOOKUP)).toBe(1)
      await expect(manager.withToken(() => Promise.reject(new Error('mine')))).rejects.toThrow('mine')
      expect(sentTo(sent, LOOKUP)).toBe(1)
      await manager.stop()
    },
  },
  {
    name: '39: a node-vault of the host’s own, made with headers, sends the new token after a swap',
    async run(world) {
      const endpoint = await world.listen()
      const { login } = await appRole(world, { token_ttl: '1h' })
      const first = (await world.token({ ttl: '1h' })).token
      const made = () =>
        NodeVault({ endpoint, token: first, requestOptions: { headers: { 'X-Request-Source': 'shop' } } })

      // The bug, as it is without us: the first token stays in the headers.
      const pinned = made()
      await pinned.tokenLookupSelf()
      pinned.token = world.rootToken
      expect((await pinned.tokenLookupSelf()).data.id).toBe(first)

      const vault = made()
      await vault.tokenLookupSelf()
      const manager = new VaultTokenManager({ client: vault, clock: world.clock, login, revokeOld: 0 })
      await manager.start()
      for (const dead of [first, '']) {
        // The second time round it is one that the manager logged in for.
        const old = dead === '' ? vault.token : dead
        await world.raw('POST', 'auth/token/revoke', { body: { token: old } })
        expect((await manager.withToken(() => vault.tokenLookupSelf())).data.id).toBe(vault.token)
        expect(vault.token).not.toBe(old)
        expect((await vault.read(LOOKUP)).data.id).toBe(vault.token)
      }
      await manager.stop()
    },
  },
  {
    name: '40: after a suspend the token is looked up and renewed at once, and a clock set back changes nothing',
    async run(world) {
      const { token } = await world.token({ ttl: '30s' })
      // The manager's process sleeps: its clock stands still while the server's goes on.
      const clock = fakeClock({ now: world.clock.now() })
      const { manager, sent, names } = await manage(world, token, { clock })
      await manager.start()
      const planned = manager.status().nextRenewalAt
      await clock.set(clock.now() - 2 * HOUR)
      expect(sent).toHaveLength(1)
      expect(manager.status().ttlMs).toBeGreaterThan(26_000)
      await clock.set(clock.now() + 2 * HOUR)
      expect(manager.status().nextRenewalAt).toBe(planned)

      await world.pass(22_000)
      await clock.set(clock.now() + 2 * HOUR)
      // Less than a third is left, so it is renewed within a tenth of that.
      await until(() => names().includes('renewed'), clock)
      expect(sent.map(({ path }) => path).slice(-2)).toEqual([LOOKUP, RENEW])
      expect(sentTo(sent, RENEW)).toBe(1)
      expect(names()).not.toContain('expired')
      await world.pass(9000)
      expect((await world.raw('GET', LOOKUP, { token })).status).toBe(200)
      await manager.stop()
    },
  },
  {
    name: '40: after a suspend beyond its end the token is found dead and replaced, late',
    async run(world) {
      const { login } = await appRole(world, { token_ttl: '1h' })
      const { token } = await world.token({ ttl: '3s' })
      const clock = fakeClock({ now: world.clock.now() })
      const { manager, sent, told, names } = await manage(world, token, { clock, login })
      await manager.start()
      await world.pass(4500)
      await clock.set(clock.now() + 2 * HOUR)
      await until(() => names().includes('reauthenticated'))
      expect(names()).toEqual(['started', 'expired', 'reauthenticated'])
      expect(told.at(-2)?.payload).toMatchObject({ reason: 'revoked_or_invalid' })
      expect(told.at(-1)?.payload).toMatchObject({ late: true })
      expect(sentTo(sent, RENEW)).toBe(0)
      await manager.stop()
    },
  },
  {
    name: '41: a period of 768 h: one renewal in the first 563 h, and no timer that overflows',
    async run(world) {
      const warnings: string[] = []
      const onWarning = ({ name }: Error) => warnings.push(name)
      process.on('warning', onWarning)
      const { token } = await world.token({ period: '768h' })
      // The manager's clock runs ahead of the server's, which grants the whole period at any time.
      const clock = fakeClock({ now: world.clock.now() })
      const { manager, sent, names, told } = await manage(world, token, { clock })
      await manager.start()
      const begun = clock.now()
      await clock.advance((manager.status().nextRenewalAt ?? 0) - begun - 1)
      expect(clock.now() - begun).toBeGreaterThan(537 * HOUR)
      expect(clock.now() - begun).toBeLessThan(561 * HOUR)
      expect(sent).toHaveLength(1)
      await clock.advance(1)
      await until(() => names().includes('renewed'))
      await clock.advance(begun + 563 * HOUR - clock.now())
      expect(sent.map(({ path }) => path)).toEqual([LOOKUP, RENEW])
      expect(told.at(-1)?.payload).toMatchObject({ ttlMs: 768 * HOUR, extended: true })
      await manager.stop()
      process.off('warning', onWarning)
      expect(warnings.filter((name) => name.startsWith('Timeout'))).toEqual([])
    },
  },
  {
    name: '43: one failure with most of the life left is degraded, and the next success healthy',
    own: true,
    async run(world) {
      const { token } = await world.token({ ttl: '1h' })
      const { manager } = await manage(world, token)
      await manager.start()
      expect(manager.health()).toEqual({ status: 'healthy', reasons: [] })
      await world.seal()
      expect((await failureOf(manager.forceRenewal())).kind).toBe('sealed')
      expect(await manager.serverHealth()).toMatchObject({ status: 'sealed' })
      expect(manager.status().ttlMs).toBeGreaterThan(0.9 * HOUR)
      expect(manager.health()).toMatchObject({
        status: 'degraded',
        reasons: [expect.stringMatching(/^1 failures in a row \(sealed\), 3\d{3} s left$/)],
      })
      await world.unseal()
      // A server that was just unsealed takes a moment.
      for (let i = 0; i < 40 && (await manager.serverHealth()).status !== 'active'; i++) await world.pass(50)
      await manager.forceRenewal()
      expect(manager.health()).toEqual({ status: 'healthy', reasons: [] })
      await manager.stop()
      await world.kill()
      expect(await manager.serverHealth()).toEqual({ status: 'unreachable' })
    },
  },
  {
    name: '43: a standby answers 429 for its health and is well; tokens are kept alive through it',
    own: true,
    standby: true,
    async run(world) {
      expect((await world.raw('GET', 'sys/health', { token: '' })).status).toBe(429)
      const { token } = await world.token({ ttl: '6s' })
      const { manager, names } = await manage(world, token)
      await manager.start()
      expect(await manager.serverHealth()).toMatchObject({ status: 'standby', version: '2.7.2' })
      await world.pass(5500)
      expect(names()).toEqual(['started', 'renewed'])
      expect(manager.health()).toEqual({ status: 'healthy', reasons: [] })
      const root = await manage(world, world.rootToken)
      await root.manager.start()
      expect(root.manager.health()).toEqual({ status: 'healthy', reasons: [] })
      await Promise.all([manager.stop(), root.manager.stop()])
    },
  },
  {
    name: '43: sys/health is asked without a token and costs no use',
    async run(world) {
      const { token } = await world.token({ ttl: '1h', num_uses: 5 })
      const { manager } = await manage(world, token)
      await manager.start()
      expect(await manager.serverHealth()).toMatchObject({ status: 'active', version: '2.7.2' })
      expect(Math.abs((await manager.serverHealth()).clockAheadMs ?? 99_999)).toBeLessThan(5000)
      expect((await manager.lookup()).usesLeft).toBe(3)
      await manager.stop()
    },
  },
  {
    name: '44: a lease that can’t be renewed is given up in time; all are let go with their token',
    async run(world) {
      const mount = `pki-${world.unique}`
      await world.raw('POST', `sys/mounts/${mount}`, { body: { type: 'pki' } })
      await world.raw('POST', `${mount}/root/generate/internal`, {
        body: { common_name: 'x.example', ttl: '24h', key_type: 'ec', key_bits: 256 },
      })
      const role = { allow_any_name: true, generate_lease: true, ttl: '8s', key_type: 'ec', key_bits: 256 }
      await world.raw('POST', `${mount}/roles/r`, { body: role })
      const issue = () => world.raw('POST', `${mount}/issue/r`, { body: { common_name: 'a.b' } })
      const { token } = await world.token({ ttl: '1h' })
      const { manager, sent, told } = await manage(world, token)
      await manager.start()
      const first = manager.lease((await issue()).body)
      expect(first.status()).toMatchObject({ renewable: false, ended: null })
      expect(manager.status().leases).toBe(1)
      await world.pass(6500)
      expect(await first.ended).toBe('not_renewable')
      const ended = told.find(({ name }) => name === 'leaseEnded')
      expect(ended?.payload).toMatchObject({ leaseId: first.leaseId, reason: 'not_renewable' })
      expect(ended?.payload.ttlMs).toBeGreaterThan(500)
      const second = manager.lease((await issue()).body)
      second.release()
      expect(await second.ended).toBe('released')
      expect(sentTo(sent, 'sys/leases/renew')).toBe(0)
      await manager.stop()
    },
  },
  {
    name: '44: the lease of a secret of a database is kept alive, up to its maximum',
    postgres: true,
    async run(world) {
      const mount = `database-${world.unique}`
      await world.raw('POST', `sys/mounts/${mount}`, { body: { type: 'database' } })
      const connection = {
        plugin_name: 'postgresql-database-plugin',
        allowed_roles: '*',
        connection_url: 'postgresql://postgres@127.0.0.1:5432/test?sslmode=disable',
        username: 'postgres',
        password: 'any',
      }
      expect((await world.raw('POST', `${mount}/config/pg`, { body: connection })).status).toBe(204)
      const statement = `CREATE ROLE "{{name}}" LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}';`
      const role = { db_name: 'pg', creation_statements: [statement], default_ttl: '5s', max_ttl: '14s' }
      await world.raw('POST', `${mount}/roles/r`, { body: role })
      const policy = `db-${world.unique}`
      const body = { policy: `path "${mount}/creds/r" { capabilities = ["read"] }` }
      await world.raw('PUT', `sys/policies/acl/${policy}`, { body })
      const { token } = await world.token({ ttl: '1h', policies: ['default', policy] })
      const { manager, vault, sent, told } = await manage(world, token)
      await manager.start()
      const secret = (await vault.read(`${mount}/creds/r`)) as { lease_id: string; lease_duration: number }
      expect(secret).toMatchObject({ lease_duration: 5, renewable: true })
      const lease = manager.lease(secret)
      await world.pass(6500)
      // Without renewals it would be over.
      const looked = await world.raw('PUT', 'sys/leases/lookup', { body: { lease_id: secret.lease_id } })
      expect(looked.body.data.renewable).toBe(true)
      await world.pass(7000)
      expect(await lease.ended).toBe('not_renewable')
      const renewed = told.filter(({ name }) => name === 'leaseRenewed')
      expect(renewed.length).toBeGreaterThanOrEqual(2)
      expect(renewed.at(-1)?.payload.capped).toBe(true)
      expect(sentTo(sent, 'sys/leases/renew')).toBe(renewed.length)
      // Ends the user in the database too.
      await manager.stop({ revoke: true })
    },
  },
  {
    name: '44: a lease that the server doesn’t know is given up at once',
    async run(world) {
      const { token } = await world.token({ ttl: '1h' })
      const { manager, sent } = await manage(world, token)
      await manager.start()
      // Due after 4.2 to 4.4 s, and long enough for a busy machine.
      const lease = manager.lease('database/creds/none/abc', { ttl: '6s' })
      await world.pass(4600)
      expect(await lease.ended).toBe('gone')
      expect(sentTo(sent, 'sys/leases/renew')).toBe(1)
      await manager.stop()
    },
  },
  {
    name: 'logins: userpass, a token file, a wrapped token, a wrapped secret_id',
    async run(world) {
      const mount = `userpass-${world.unique}`
      await world.raw('POST', `sys/auth/${mount}`, { body: { type: 'userpass' } })
      const body = { password: 'pass-1234', token_ttl: '1h', token_policies: ['default'] }
      await world.raw('POST', `auth/${mount}/users/a.b-c`, { body })
      const byName = await manage(world, undefined, {
        login: userpassLogin({ mount, username: 'a.b-c', password: 'pass-1234' }),
      })
      await byName.manager.start()
      expect((await byName.manager.lookup()).path).toContain(`auth/${mount}/login/`)
      expect(await nameOf(world, byName.manager.client.token)).toBe(`${mount}-a.b-c`)
      await byName.manager.stop()

      const wrapped = await world.raw('POST', 'auth/token/create', {
        body: { ttl: '1h', policies: ['default'] },
        headers: { 'X-Vault-Wrap-TTL': '60s' },
      })
      const wrappingToken: string = wrapped.body.wrap_info.token
      const elsewhere = wrappedTokenLogin({ wrappingToken, creationPath: 'auth/approle/login' })
      const refused = await manage(world, undefined, { login: elsewhere, startTimeout: 0 })
      expect((await failureOf(refused.manager.start())).kind).toBe('credentials')
      // It was only looked at, so it is still good.
      const login = wrappedTokenLogin({ wrappingToken, creationPath: 'auth/token/create' })
      const unwrapping = await manage(world, undefined, { login })
      await unwrapping.manager.start()
      expect(unwrapping.manager.status().state).toBe('running')
      await unwrapping.manager.stop()

      const role = await appRole(world, { token_ttl: '1h' })
      const secret = await world.raw('POST', `auth/${role.mount}/role/app/secret-id`, {
        body: {},
        headers: { 'X-Vault-Wrap-TTL': '60s' },
      })
      const byWrapped = await manage(world, undefined, {
        login: appRoleLogin({
          mount: role.mount,
          roleId: role.roleId,
          role: 'app',
          secretId: secret.body.wrap_info.token,
          wrapped: true,
        }),
      })
      await byWrapped.manager.start()
      expect(byWrapped.manager.status().state).toBe('running')
      expect(await nameOf(world, byWrapped.manager.client.token)).toBe(role.mount)
      await byWrapped.manager.stop()

      // What is in it was granted when it was wrapped.
      const aged = await world.raw('POST', 'auth/token/create', {
        body: { ttl: '30s', policies: ['default'] },
        headers: { 'X-Vault-Wrap-TTL': '60s' },
      })
      await world.pass(5000)
      const late = wrappedTokenLogin({ wrappingToken: aged.body.wrap_info.token })
      const handed = await manage(world, undefined, { login: late })
      await handed.manager.start()
      expect(handed.manager.status().ttlMs).toBeLessThan(26_000)
      await handed.manager.stop()

      await inFolder(async (folder) => {
        const file = join(folder, 'token')
        writeFileSync(file, `${(await world.token({ ttl: '1h' })).token}\n`)
        const sink = join(folder, 'sink')
        const byFile = await manage(world, undefined, { login: tokenFileLogin({ file }), sinks: [{ file: sink }] })
        await byFile.manager.start()
        expect(byFile.manager.status().state).toBe('running')
        await until(() => readFileSync(sink, 'utf8') === byFile.vault.token)
        expect(statSync(sink).mode & 0o777).toBe(0o600)
        await byFile.manager.stop()
      })
    },
  },
  {
    name: 'logins: a JWT, out of a file that is read anew',
    async run(world) {
      const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
      const other = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
      const mount = `jwt-${world.unique}`
      await world.raw('POST', `sys/auth/${mount}`, { body: { type: 'jwt' } })
      const pem = publicKey.export({ type: 'spki', format: 'pem' })
      const config = { jwt_validation_pubkeys: [pem], jwt_supported_algs: ['ES256'] }
      expect((await world.raw('POST', `auth/${mount}/config`, { body: config })).status).toBeLessThan(300)
      const role = { role_type: 'jwt', user_claim: 'sub', bound_audiences: ['vault'], token_policies: ['default'] }
      const settings = { ...role, token_ttl: '4s', token_max_ttl: '4s' }
      expect((await world.raw('POST', `auth/${mount}/role/app`, { body: settings })).status).toBeLessThan(300)
      await inFolder(async (folder) => {
        const file = join(folder, 'jwt')
        const login = jwtLogin({ mount, role: 'app', jwt: { file } })
        writeFileSync(file, jwtOf(world, other, 'one'))
        const forged = await manage(world, undefined, { login, startTimeout: 0 })
        expect((await failureOf(forged.manager.start())).kind).toBe('credentials')

        writeFileSync(file, `${jwtOf(world, privateKey, 'one')}\n`)
        const { manager, names } = await manage(world, undefined, { login })
        await manager.start()
        expect((await manager.lookup()).path).toBe(`auth/${mount}/login`)
        expect(await nameOf(world, manager.client.token)).toBe(`${mount}-one`)
        writeFileSync(file, jwtOf(world, privateKey, 'two'))
        await world.pass(4100)
        await until(() => names().includes('reauthenticated'))
        expect(await nameOf(world, manager.client.token)).toBe(`${mount}-two`)
        await manager.stop()
      })
    },
  },
  {
    name: 'logins: the service account of a pod, as its cluster tells',
    async run(world) {
      const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
      const review = {
        authenticated: true,
        audiences: ['vault'],
        user: { username: 'system:serviceaccount:shop:app', uid: 'u-1' },
      }
      const asked: string[] = []
      const cluster = createServer((request, response) => {
        asked.push(request.url ?? '')
        response.writeHead(201, { 'content-type': 'application/json' })
        response.end(JSON.stringify({ kind: 'TokenReview', apiVersion: 'authentication.k8s.io/v1', status: review }))
      })
      await once(cluster.listen(0, '127.0.0.1'), 'listening')
      const { port } = cluster.address() as AddressInfo
      const mount = `kubernetes-${world.unique}`
      await world.raw('POST', `sys/auth/${mount}`, { body: { type: 'kubernetes' } })
      const host = `http://127.0.0.1:${port}`
      // By http, no certificate is looked at.
      const config = { kubernetes_host: host, kubernetes_ca_cert: 'none', disable_local_ca_jwt: true }
      expect((await world.raw('POST', `auth/${mount}/config`, { body: config })).status).toBeLessThan(300)
      const bound = { bound_service_account_names: ['app'], bound_service_account_namespaces: ['shop'] }
      const settings = { ...bound, token_policies: ['default'], token_ttl: '1h' }
      expect((await world.raw('POST', `auth/${mount}/role/app`, { body: settings })).status).toBeLessThan(300)
      await inFolder(async (folder) => {
        const jwtFile = join(folder, 'token')
        const account = { namespace: 'shop', serviceaccount: { name: 'app', uid: 'u-1' } }
        const subject = 'system:serviceaccount:shop:app'
        writeFileSync(jwtFile, jwtOf(world, privateKey, subject, { 'kubernetes.io': account }))
        const login = kubernetesLogin({ mount, role: 'app', jwtFile })
        const { manager } = await manage(world, undefined, { login })
        await manager.start()
        expect((await manager.lookup()).path).toBe(`auth/${mount}/login`)
        expect(manager.status()).toMatchObject({ state: 'running', renewable: true })
        expect(await nameOf(world, manager.client.token)).toBe(`${mount}-shop-app`)
        await manager.stop()
      })
      // The simulated cluster knows all tokens, and isn't asked.
      expect(asked).toEqual(world.name === 'simulator' ? [] : ['/apis/authentication.k8s.io/v1/tokenreviews'])
      cluster.close()
    },
  },
  {
    name: '7: a server that is down at the start is told as the network’s failure, and nothing is left running',
    own: true,
    async run(world) {
      const { token } = await world.token({ ttl: '1h' })
      await world.kill()
      const { manager, names } = await manage(world, token, { startTimeout: 0 })
      const failure = await failureOf(manager.start())
      expect(failure.kind).toBe('network')
      expect(manager.status()).toMatchObject({ running: false, state: 'idle' })
      expect(names()).not.toContain('started')
    },
  },
  {
    name: '7: a start in the background waits for the server, and tells when it has come',
    own: true,
    async run(world) {
      await world.kill()
      const { manager, names, told } = await manage(world, world.rootToken, { random: seededRandom('background') })
      await manager.start({ mode: 'background' })
      await world.pass(2500)
      expect(manager.status()).toMatchObject({ running: true, state: 'starting' })
      expect(manager.health().status).toBe('degraded')
      expect(names()).not.toContain('started')
      await world.revive()
      await world.pass(8000)
      expect(told.at(-1)).toMatchObject({ name: 'started', payload: { type: 'service' } })
      expect(manager.health()).toEqual({ status: 'healthy', reasons: [] })
      await manager.stop()
    },
  },
  {
    name: '45: what is counted is in the metrics',
    async run(world) {
      const { token } = await world.token({ ttl: '1h' })
      const { manager } = await manage(world, token)
      await manager.start()
      await manager.forceRenewal()
      await manager.forceRenewal()
      const sample = (metric: string): number =>
        Number(new RegExp(`^tokenwright_vault_${metric}\\{[^}]*\\} (\\S+)$`, 'm').exec(manager.metrics())?.[1])
      expect(sample('renewals_total')).toBe(2)
      expect(sample('failures_total')).toBe(0)
      expect(sample('ttl_seconds')).toBeGreaterThan(3590)
      expect(sample('ttl_seconds')).toBeLessThanOrEqual(3600)
      expect(sample('last_success_timestamp_seconds')).toBeCloseTo(world.clock.now() / 1000, -1)
      expect(manager.metrics()).not.toContain(token)
      await manager.stop()
    },
  },
  {
    name: 'a new value is published to KV version 2 by check-and-set',
    async run(world) {
      const path = `apps/${world.unique}`
      const vault = await world.client(world.rootToken)
      const publish = publishToVaultKv({ vault, path })
      const value = { token: 'value-one', signal: new AbortController().signal } as Parameters<typeof publish>[0]
      const read = async () => (await world.raw('GET', `secret/data/${path}`)).body.data
      expect(await publish(value)).toBe('ok')
      expect(await read()).toMatchObject({ data: { token: 'value-one' }, metadata: { version: 1 } })
      await world.raw('POST', `secret/data/${path}`, { body: { data: { token: 'x', other: 'kept' } } })
      expect(await publish(value)).toBe('ok')
      // Again: it is there already.
      expect(await publish(value)).toBe('ok')
      expect(await read()).toMatchObject({ data: { token: 'value-one', other: 'kept' }, metadata: { version: 3 } })
      await world.raw('DELETE', `secret/data/${path}`)
      expect(await publish({ ...value, token: 'value-two' })).toBe('ok')
      expect(await read()).toMatchObject({ data: { token: 'value-two' }, metadata: { version: 4 } })
    },
  },
]
