import { describe, expect, it } from 'vitest'
import { type CloudflareRequest, UnknownPermissionGroupError, workersFullStack } from '../../src/cloudflare/index.ts'
import { REQUIRED, setUp } from './fixture.ts'

describe('a healthy token', () => {
  it('of an account is asked for under its account alone (A1), and costs two requests when the catalogue is known (E2)', async () => {
    const { healer, cloudflare } = await setUp({ groups: REQUIRED })
    const one = healer()
    const report = await one.check()
    expect(report).toMatchObject({ overall_health: 'healthy', requests: 3 })
    expect(report.targets[0]).toMatchObject({
      valid: true,
      verified: true,
      permissions: 'read',
      missing: [],
      excess: [],
    })
    expect((await one.check()).requests).toBe(2)
    expect(cloudflare.requests.filter(({ path }) => path.startsWith('/user'))).toEqual([])
    expect(cloudflare.requests.filter(({ auth }) => auth !== 'bearer')).toEqual([])
    expect(cloudflare.count('PUT')).toBe(0)
  })

  it('of a user is asked for under /user alone (A1)', async () => {
    const { cloudflare, healer, clientOf } = await setUp()
    const own = cloudflare.addToken({ policies: [{ groups: ['API Tokens Write'], resources: cloudflare.onUser() }] })
    const target = cloudflare.addToken({
      policies: [{ groups: ['User Details Read'], resources: cloudflare.onUser() }],
    })
    const one = healer({
      client: clientOf(own.value),
      targets: [{ token: target.value }],
      required: ['User Details Read'],
    })
    const report = await one.check()
    expect(report.targets[0]).toMatchObject({ kind: 'user', valid: true, missing: [] })
    expect(cloudflare.requests.map(({ path }) => path)).toEqual([
      '/user/tokens/verify',
      `/user/tokens/${target.id}`,
      '/user/tokens/permission_groups',
    ])
  })

  it('without its text is judged by its status, and not called verified', async () => {
    const { healer, account, target, cloudflare } = await setUp({ groups: REQUIRED })
    const one = healer({ targets: [{ kind: 'account', accountId: account, tokenId: target.id }] })
    expect((await one.check()).targets[0]).toMatchObject({ valid: true, verified: null, health: 'healthy' })
    expect(cloudflare.requests.some(({ path }) => path.endsWith('/verify'))).toBe(false)
  })
})

describe('the family of a token (A2)', () => {
  it('is told by its prefix', async () => {
    const { healer, account, target, cloudflare } = await setUp()
    const one = healer({ targets: [{ accountId: account, token: target.value }] })
    expect((await one.check()).targets[0]).toMatchObject({ kind: 'account', tokenId: target.id })
    expect(cloudflare.requests[0]?.path).toBe(`/accounts/${account}/tokens/verify`)
  })

  it('without a prefix is tried out once: user, then account on 401/1000; later checks know it', async () => {
    const { healer, account, cloudflare } = await setUp()
    const old = cloudflare.addToken({
      account,
      prefixed: false,
      policies: [{ groups: REQUIRED, resources: cloudflare.on(account) }],
    })
    const one = healer({ targets: [{ accountId: account, token: old.value }] })
    expect((await one.check()).targets[0]).toMatchObject({ kind: 'account', health: 'healthy' })
    expect(cloudflare.requests.map(({ path }) => path).slice(0, 2)).toEqual([
      '/user/tokens/verify',
      `/accounts/${account}/tokens/verify`,
    ])
    expect((await one.check()).requests).toBe(2)
  })

  it('isn’t tried out on 403', async () => {
    const { healer, account, cloudflare } = await setUp()
    const old = cloudflare.addToken({
      account,
      prefixed: false,
      policies: [{ groups: REQUIRED, resources: cloudflare.on(account) }],
    })
    cloudflare.fault({
      path: '/user/tokens/verify',
      fault: { type: 'error', status: 403, code: 9109, message: 'Valid user-level authentication not found' },
    })
    const one = healer({ targets: [{ accountId: account, token: old.value, tokenId: old.id }] })
    const report = await one.check()
    expect(cloudflare.requests.filter(({ path }) => path.endsWith('/verify'))).toHaveLength(1)
    expect(report.targets[0]?.reason).toBe('wrong_family')
  })
})

describe('an outage', () => {
  it('says nothing of the family of a token', async () => {
    for (const type of ['server', 'rate_limited', 'reset', 'html'] as const) {
      const { healer, cloudflare, account } = await setUp()
      const { id, value } = cloudflare.addToken({
        account,
        policies: [{ groups: REQUIRED, resources: cloudflare.on(account) }],
        prefixed: false,
      })
      cloudflare.fault({ path: '/user/tokens/verify', times: 99, fault: { type } })
      const one = healer({ targets: [{ accountId: account, tokenId: id, token: value }] })
      const report = (await one.check()).targets[0]
      expect(report).toMatchObject({ health: 'degraded', valid: null, permissions: 'unknown' })
      expect(report?.kind).toBe(undefined)
      expect(cloudflare.requests.filter(({ path }) => !path.endsWith('/verify'))).toEqual([])
    }
  })

  it('is an error of Cloudflare, where who a token is can’t be asked: the plan is not to blame, nor the configuration', async () => {
    const { healer, cloudflare, account, target, clock } = await setUp()
    const targets = [{ accountId: account, token: target.value }]
    const plan = await healer({ targets }).plan()
    const approval = { planHash: plan.planHash, by: 'ops', expiresAt: clock.now() + 600_000 }
    const calls = [
      () => healer({ targets }).apply(plan, { approval }),
      () => healer({ targets }).roll(),
      () => healer({ targets }).resetCircuit(),
    ]
    for (const call of calls) {
      cloudflare.fault({ path: '/verify', times: 3, fault: { type: 'server' } })
      await expect(call()).rejects.toMatchObject({ code: 'ERR_CLOUDFLARE_API', retryable: true })
    }
    cloudflare.deleteToken(target.id)
    for (const call of calls) {
      await expect(call()).rejects.toMatchObject({ code: 'ERR_TARGET_UNREADABLE', reason: 'invalid_token' })
    }
    expect(cloudflare.count('PUT')).toBe(0)
  })
})

describe('an unusable token', () => {
  it('unknown in both families: unhealthy, nothing read or written, nothing thrown (A3)', async () => {
    const { healer, account, cloudflare } = await setUp()
    const one = healer({ targets: [{ accountId: account, token: 'x'.repeat(40) }] })
    const { overall_health, targets } = await one.heal()
    expect(overall_health).toBe('unhealthy')
    expect(targets[0]).toMatchObject({ valid: false, verified: false, reason: 'invalid_token', missing: null })
    expect(targets[0]?.recommendations[0]).toContain('create or roll')
    expect(cloudflare.requests.map(({ path }) => path.split('/').at(-1))).toEqual(['verify', 'verify'])
  })

  it.each([
    ['disabled', { status: 'disabled' }],
    ['expired', { status: 'expired' }],
    ['expired', { expires_on: '2029-12-31T00:00:00Z' }],
    ['not_yet_valid', { not_before: '2030-06-01T00:00:00Z' }],
    ['unknown_status', { status: 'paused' }],
  ] as const)('%s: told as such, and never healed (A4)', async (reason, change) => {
    // The description knows fewer statuses than there are.
    const { healer, target, cloudflare } = await setUp({ described: reason !== 'unknown_status' })
    cloudflare.change(target.id, change)
    const one = healer({ ceiling: [...REQUIRED], autoHeal: true })
    const report = await one.heal()
    expect(report.targets[0]).toMatchObject({ health: 'unhealthy', valid: false, reason })
    expect(report.changes[0]?.outcome).toBe('unusable')
    expect(cloudflare.count('PUT')).toBe(0)
  })

  it('revoked by Cloudflare: told by its status where it is read, whatever the type says (A4)', async () => {
    const { healer, account, target, cloudflare } = await setUp({ described: false })
    cloudflare.change(target.id, { status: 'revoked (exposed)' })
    const one = healer({ targets: [{ kind: 'account', accountId: account, tokenId: target.id }] })
    expect((await one.check()).targets[0]).toMatchObject({
      valid: false,
      reason: 'revoked',
      status: 'revoked (exposed)',
    })
  })

  it('from the wrong address: not called invalid, and the address is named (A5)', async () => {
    const { healer, target, cloudflare } = await setUp({ groups: REQUIRED })
    cloudflare.change(target.id, { condition: { request_ip: { in: ['10.0.0.0/8'] } } })
    const [report] = (await healer().check()).targets
    expect(report).toMatchObject({
      valid: null,
      verified: null,
      reason: 'ip_restricted',
      health: 'degraded',
      missing: [],
    })
    expect(report?.recommendations[0]).toContain('203.0.113.7')
  })

  it('whose text and id are of two tokens', async () => {
    const { healer, account, target, own } = await setUp()
    const one = healer({ targets: [{ kind: 'account', accountId: account, tokenId: target.id, token: own.value }] })
    expect((await one.check()).targets[0]).toMatchObject({ health: 'unhealthy', reason: 'token_mismatch' })
  })

  it('that isn’t there', async () => {
    const { healer, account } = await setUp()
    const one = healer({ targets: [{ kind: 'account', accountId: account, tokenId: 'a'.repeat(32) }] })
    expect((await one.check()).targets[0]).toMatchObject({
      health: 'unhealthy',
      valid: false,
      reason: 'not_found',
      missing: null,
    })
  })
})

describe('what can’t be read', () => {
  it('is unknown and degraded, never "all is missing", and isn’t healed (A6)', async () => {
    const { healer, own, account, cloudflare } = await setUp()
    cloudflare.setPolicies(own.id, [{ groups: ['D1 Read'], resources: cloudflare.on(account) }])
    const one = healer({ ceiling: [...REQUIRED], autoHeal: true })
    const report = await one.heal()
    expect(report.overall_health).toBe('degraded')
    expect(report.targets[0]).toMatchObject({
      valid: true,
      permissions: 'unknown',
      missing: null,
      excess: null,
      reason: 'permissions_unreadable',
    })
    expect(report.targets[0]?.recommendations[0]).toContain('Account API Tokens Write')
    expect(report.changes[0]?.outcome).toBe('unreadable')
    expect(cloudflare.count('PUT')).toBe(0)
  })

  it.each(['html', 'truncated', 'not_successful', 'oversized', 'server'] as const)(
    '%s for a verification: not valid, not invalid',
    async (type) => {
      const { healer, cloudflare } = await setUp({ groups: REQUIRED })
      cloudflare.fault({ path: '/verify', times: 9, fault: { type } })
      const [report] = (await healer().check()).targets
      expect(report).toMatchObject({ valid: null, verified: null, health: 'degraded' })
    },
  )

  it.each(['html', 'truncated', 'not_successful', 'oversized', 'server', 'reset'] as const)(
    '%s for the token: its counts are null',
    async (type) => {
      const { healer, target, cloudflare } = await setUp()
      cloudflare.fault({ path: target.id, times: 9, fault: { type } })
      const [report] = (await healer().check()).targets
      expect(report).toMatchObject({ health: 'degraded', permissions: 'unknown', missing: null, excessCount: null })
      expect(cloudflare.requests.length).toBeLessThan(6)
    },
  )

  it.each([
    { policies: undefined },
    { policies: [{ effect: 'allow', resources: {} }] },
    { policies: [{ effect: 'maybe', permission_groups: [], resources: {} }] },
    { policies: 'none' },
  ])('policies of another form are unknown: %j', async (change) => {
    const { healer, target, cloudflare } = await setUp({ described: false })
    cloudflare.change(target.id, change as never)
    expect((await healer().check()).targets[0]).toMatchObject({
      permissions: 'unknown',
      missing: null,
      health: 'degraded',
    })
  })

  it('in one token keeps no other from being healed: a name with half of a surrogate pair', async () => {
    const { healer, cloudflare, account, target } = await setUp()
    const policies = [{ groups: [REQUIRED[0]], resources: cloudflare.on(account) }]
    const second = cloudflare.addToken({ account, policies })
    cloudflare.change(target.id, { name: 'app \ud83d' })
    const targets = [target, second].map(({ id }) => ({ kind: 'account', accountId: account, tokenId: id }) as const)
    const report = await healer({ targets, ceiling: [...REQUIRED], autoHeal: true }).heal()
    expect(report.changes.map(({ outcome }) => outcome)).toEqual(['unreadable', 'healed'])
    expect(report.targets[0]).toMatchObject({ permissions: 'unknown', fault: { kind: 'unreadable' } })
  })

  it('a catalogue that came in part is no ground for a plan (B2)', async () => {
    const { healer, cloudflare } = await setUp()
    cloudflare.maxPage = 10
    const one = healer()
    expect((await one.check()).targets[0]).toMatchObject({ permissions: 'unknown', missing: null, health: 'degraded' })
    await expect(one.plan()).rejects.toMatchObject({ code: 'ERR_TARGET_UNREADABLE' })
  })

  it('an endless 429 ends the run, and what wasn’t asked for is unknown', async () => {
    const { healer, account, cloudflare } = await setUp()
    const tokens = Array.from({ length: 20 }, () =>
      cloudflare.addToken({ account, policies: [{ groups: REQUIRED, resources: cloudflare.on(account) }] }),
    )
    cloudflare.fault({ times: 999, fault: { type: 'rate_limited', retryAfter: '86400' } })
    const one = healer({
      concurrency: 1,
      targets: tokens.map(({ id }, n) => ({ kind: 'account', accountId: account, tokenId: id, name: `t${n}` })),
    })
    const report = await one.check()
    expect(report.requests).toBe(1)
    expect(report.targets.every(({ reason, missing }) => reason === 'rate_limited' && missing === null)).toBe(true)
  })
})

describe('what a token needs', () => {
  it('is found by name, id and the dashboard’s spelling, with a word to that (B1, B2)', async () => {
    const { healer } = await setUp({ groups: REQUIRED })
    const one = healer({ required: ['D1 Edit', '366f57075ffc42689627bcf8242a1b6d', 'Workers Scripts Write'] })
    const [report] = (await one.check()).targets
    expect(report).toMatchObject({ missing: [], health: 'healthy' })
    expect(report?.warnings).toEqual(["'D1 Edit' is the dashboard's name; the API's is 'D1 Write'"])
  })

  it('is found by dotted names that don’t exist, with the real name', async () => {
    const { healer } = await setUp()
    const one = healer({
      required: ['com.cloudflare.api.account.d1:edit', 'com.cloudflare.api.account.workers.analytics_engine:edit'],
    })
    const [report] = (await one.check()).targets
    expect(report?.missing?.map(({ name }) => name)).toEqual(['D1 Write', 'Account Analytics Read'])
    expect(report?.warnings[0]).toContain("the permission group is 'D1 Write'")
  })

  it('of an unknown name is an error with what is near, and nothing else (B2)', async () => {
    const { healer, cloudflare, state } = await setUp()
    const error = await healer({ required: ['Worker Script Write'] })
      .check()
      .catch((each: unknown) => each)
    expect(error).toBeInstanceOf(UnknownPermissionGroupError)
    expect((error as UnknownPermissionGroupError).nearest).toContain('Workers Scripts Write')
    expect(cloudflare.count('PUT')).toBe(0)
    expect((await state.rows({ limit: 1 }))[0]).toMatchObject({
      error_code: 'ERR_UNKNOWN_PERMISSION_GROUP',
      overall_health: null,
      account_token_valid: null,
    })
  })

  it('a part of a name matches nothing', async () => {
    const { healer } = await setUp()
    await expect(healer({ required: ['AI'] }).check()).rejects.toThrow(UnknownPermissionGroupError)
  })

  it('a group of two scopes is told by its scope: the zone’s twin doesn’t satisfy the account’s (B1)', async () => {
    const { healer, account, cloudflare } = await setUp({
      policies: (cloudflare, account) => [
        { groups: ['Logs Read'], resources: cloudflare.onZone(cloudflare.addZone(account)) },
      ],
    })
    const [report] = (await healer({ required: [{ group: 'Logs Read', scope: 'account' }] }).check()).targets
    expect(report?.missing).toMatchObject([{ name: 'Logs Read', scope: 'com.cloudflare.api.account' }])
    const [zones] = (await healer({ required: [{ group: 'Logs Read', resource: 'zones' }] }).check()).targets
    expect(zones?.missing?.[0]?.resource).toBe(
      `com.cloudflare.api.account.${account}/com.cloudflare.api.account.zone.*`,
    )
    expect(cloudflare.groups.filter(({ name }) => name === 'Logs Read')).toHaveLength(2)
  })

  it('on one zone doesn’t do for all, a wildcard does for one account (B3)', async () => {
    const { healer, account, target, cloudflare } = await setUp()
    const zone = cloudflare.addZone(account)
    cloudflare.setPolicies(target.id, [{ groups: ['DNS Read'], resources: cloudflare.onZone(zone) }])
    const all = healer({ required: [{ group: 'DNS Read', resource: 'zones' }] })
    expect((await all.check()).targets[0]?.missing).toHaveLength(1)
    const one = healer({ required: [{ group: 'DNS Read', resource: { zone } }] })
    expect((await one.check()).targets[0]?.missing).toEqual([])
    cloudflare.setPolicies(target.id, [{ groups: ['D1 Read'], resources: { 'com.cloudflare.api.account.*': '*' } }])
    expect((await healer({ required: ['D1 Read'] }).check()).targets[0]).toMatchObject({ missing: [], excess: [] })
  })

  it('is not implied by more, save where the host says so (B1)', async () => {
    const { healer } = await setUp({ groups: ['D1 Write'] })
    expect((await healer({ required: ['D1 Read'] }).check()).targets[0]?.missing).toHaveLength(1)
    const one = healer({ required: ['D1 Read'], implies: { 'D1 Write': ['D1 Read'] } })
    expect((await one.check()).targets[0]).toMatchObject({ missing: [], excess: [] })
  })

  it('the template of 14 groups resolves by the catalogue, and says what it leaves out', async () => {
    const { healer } = await setUp({
      groups: [] as string[],
      policies: (cloudflare, account) => [{ groups: ['D1 Read'], resources: cloudflare.on(account) }],
    })
    const [report] = (await healer({ required: [workersFullStack] }).check()).targets
    expect(report?.missing).toHaveLength(14)
    expect(report?.missing?.map(({ name }) => name)).toContain('Account Analytics Read')
    expect(report?.warnings[0]).toContain('Account API Tokens Write')
  })
})

describe('drift', () => {
  it('is told both ways: missing, excess, deprecated, denied, changed', async () => {
    const { healer, target, cloudflare } = await setUp({
      policies: (cloudflare, account) => [
        { groups: ['Workers Scripts Write', 'D1 Write', 'Billing Read'], resources: cloudflare.on(account) },
        { effect: 'deny', groups: ['D1 Write'], resources: cloudflare.on(account) },
      ],
    })
    const one = healer()
    const [first] = (await one.check()).targets
    expect(first?.missing?.map(({ name }) => name)).toEqual(['D1 Write', 'Queues Write'])
    expect(first?.blocked?.map(({ name }) => name)).toEqual(['D1 Write'])
    expect(first?.excess).toMatchObject([{ name: 'Billing Read' }])
    expect(first?.changed).toEqual([])

    const policies = cloudflare.token(target.id).policies.map((policy) => ({
      ...policy,
      permission_groups: policy.permission_groups.map((group) => ({
        ...group,
        meta: { deprecated: 'true', eol_at: '2030-12-31' },
      })),
    }))
    cloudflare.change(target.id, {
      policies,
      condition: { request_ip: { in: ['203.0.113.0/24'] } },
      expires_on: '2032-01-01T00:00:00Z',
    })
    const [second] = (await one.check()).targets
    expect(second?.changed).toEqual(['condition', 'expires_on'])
    expect(second?.deprecated).toHaveLength(3)
    expect(second?.recommendations.join('\n')).toContain('changed since the last check')
  })

  it('excess degrades only where the host is strict', async () => {
    const { healer } = await setUp({ groups: [...REQUIRED, 'Billing Read'] })
    expect((await healer().check()).overall_health).toBe('healthy')
    expect((await healer({ strict: true }).check()).overall_health).toBe('degraded')
    expect((await healer({ strict: true, ceiling: [...REQUIRED, 'Billing Read'] }).check()).overall_health).toBe(
      'healthy',
    )
  })

  it('ends that come near are told once each, in order (F1)', async () => {
    const { healer, target, cloudflare, fake, recorder } = await setUp({ groups: REQUIRED })
    cloudflare.change(target.id, { expires_on: '2030-03-01T00:00:00Z' })
    const one = healer()
    const told = recorder(one)
    const seen: unknown[] = []
    for (let day = 0; day < 60; day++) {
      const [report] = (await one.check()).targets
      if (seen.at(-1) !== report?.expiry?.severity) seen.push(report?.expiry?.severity)
      await fake.advance('1d')
    }
    expect(seen).toEqual(['far', 'notice', 'warning', 'critical', 'expired'])
    const days = told.events
      .filter(({ name }) => name === ('expiringSoon' as never))
      .map(({ payload }) => (payload as { days?: number }).days)
    expect(days).toEqual([30, 7, 1])
  })

  it('no end is worth a word, and a date that is none isn’t 1970 (F1)', async () => {
    const { healer, target, cloudflare } = await setUp({ groups: REQUIRED })
    cloudflare.change(target.id, { expires_on: undefined })
    expect((await healer().check()).targets[0]?.recommendations[0]).toContain('has no expiry')
    cloudflare.change(target.id, { expires_on: 'soon' })
    expect((await healer().check()).targets[0]).toMatchObject({
      health: 'degraded',
      reason: 'expiry_unreadable',
      expiry: { severity: 'unreadable' },
    })
  })
})

describe('many tokens', () => {
  it('a hundred cost one catalogue and never more than eight at once', async () => {
    const { healer, account, cloudflare, client } = await setUp()
    const tokens = Array.from({ length: 100 }, () =>
      cloudflare.addToken({ account, policies: [{ groups: REQUIRED, resources: cloudflare.on(account) }] }),
    )
    let open = 0
    let most = 0
    const counted = {
      send: async (request: CloudflareRequest) => {
        open += 1
        most = Math.max(most, open)
        try {
          return await client.send(request)
        } finally {
          open -= 1
        }
      },
    }
    const one = healer({
      client: counted,
      targets: tokens.map(({ id, value }, n) => ({
        kind: 'account',
        accountId: account,
        tokenId: id,
        token: value,
        name: `t${n}`,
      })),
    })
    const report = await one.check()
    expect(report).toMatchObject({ overall_health: 'healthy', requests: 201 })
    expect(most).toBe(8)
    expect(cloudflare.requests.filter(({ path }) => path.endsWith('/permission_groups'))).toHaveLength(1)
  })

  it('over several accounts share the catalogue and the budget', async () => {
    const { healer, account, target, cloudflare } = await setUp({ groups: REQUIRED })
    const second = cloudflare.addAccount()
    const other = cloudflare.addToken({
      account: second,
      policies: [{ groups: REQUIRED, resources: cloudflare.on(second) }],
    })
    const targets = [
      { kind: 'account', accountId: account, tokenId: target.id, name: 'first' },
      { kind: 'account', accountId: second, tokenId: other.id, name: 'second' },
    ] as const
    const report = await healer({ targets }).check()
    // The healer's credential is the first account's: what it may not read is unknown.
    expect(report.targets.map(({ permissions }) => permissions)).toEqual(['read', 'unknown'])
    const tight = await healer({ targets, maxRequests: 2, concurrency: 1 }).check()
    expect(tight.targets.map(({ reason }) => reason)).toEqual([undefined, 'budget'])
    expect(tight.requests).toBe(2)
  })
})
