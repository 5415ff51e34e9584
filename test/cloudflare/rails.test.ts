import Cloudflare from 'cloudflare'
import { describe, expect, it } from 'vitest'
import {
  CloudflareTokenHealer,
  type CloudflareTokenHealerOptions,
  createCloudflareClient,
  createScheduledHandler,
  d1State,
  defineTemplate,
  fromCloudflare,
  type HealPlan,
  OutsideCeilingError,
  SensitivePermissionError,
  tokenAdministration,
} from '../../src/cloudflare/index.ts'
import { InvalidInputError } from '../../src/kernel/errors.ts'
import { idOf, REQUIRED, setUp } from './fixture.ts'
import { sqliteD1 } from './sqlite-d1.ts'

const ID = 'a'.repeat(32)
const base: CloudflareTokenHealerOptions = {
  healerToken: 'h'.repeat(40),
  targets: [{ kind: 'account', accountId: ID, tokenId: 'b'.repeat(32) }],
  required: ['D1 Write'],
}
const make = (options: object) => () =>
  new CloudflareTokenHealer({ ...base, ...options } as CloudflareTokenHealerOptions)

describe('a healer is not made', () => {
  it.each<[string, object]>([
    ['of an unknown option', { requires: [] }],
    ['without a credential', { healerToken: undefined }],
    ['with two', { client: { send: async () => ({ status: 200, text: '' }) } }],
    ['of a token that is none', { healerToken: 'Bearer x' }],
    ['of a token with a line break', { healerToken: `${'h'.repeat(40)}\n` }],
    ['for http elsewhere', { baseURL: 'http://api.cloudflare.example/client/v4' }],
    ['for a URL with a user', { baseURL: 'https://a:b@api.cloudflare.com' }],
    ['without targets', { targets: [] }],
    ['of a malformed token id', { targets: [{ kind: 'account', accountId: ID, tokenId: 'x' }] }],
    [
      'of a kind that its text contradicts',
      { targets: [{ kind: 'account', accountId: ID, token: `cfut_${'a'.repeat(48)}` }] },
    ],
    ['of an id in capitals', { targets: [{ kind: 'account', accountId: ID.toUpperCase(), tokenId: ID }] }],
    ['of an id that climbs', { targets: [{ kind: 'account', accountId: '../../user/tokens', tokenId: ID }] }],
    ['of an account’s token without its account', { targets: [{ kind: 'account', tokenId: ID }] }],
    ['of a target that can’t be found', { targets: [{ kind: 'user' }] }],
    ['of a target of no kind', { targets: [{ tokenId: ID }] }],
    [
      'of the same target twice',
      {
        targets: [
          { kind: 'user', tokenId: ID },
          { kind: 'user', tokenId: ID },
        ],
      },
    ],
    [
      'of two of one name',
      {
        targets: [
          { kind: 'user', tokenId: ID, name: 'a' },
          { kind: 'user', tokenId: 'b'.repeat(32), name: 'a' },
        ],
      },
    ],
    ['for nothing required', { required: [] }],
    ['without saying what is required', { required: undefined }],
    ['for a kind without requirements', { required: { user: ['User Details Read'] } }],
    ['for an empty list of a kind', { required: { account: [] } }],
    ['for an id that is too short', { required: ['09b2857d1c31407795e75e3fed8617'] }],
    ['for an id in capitals', { required: ['09B2857D1C31407795E75E3FED8617A1'] }],
    ['for an empty name', { required: [''] }],
    ['for a name with space around', { required: [' D1 Write'] }],
    ['for a dotted name that nobody knows', { required: ['com.cloudflare.api.account.quux:edit'] }],
    ['for a scope that is none', { required: [{ group: 'D1 Write', scope: 'all' }] }],
    ['for a resource that is none', { required: [{ group: 'D1 Write', resource: 'everything' }] }],
    ['for a zone by its name', { required: [{ group: 'DNS Read', resource: { zone: 'example.com' } }] }],
    ['for two resources at once', { required: [{ group: 'DNS Read', resource: { zone: ID, account: ID } }] }],
    [
      'for a wildcard of buckets',
      { required: [{ group: 'Workers R2 Storage Bucket Item Read', resource: { bucket: '*' } }] },
    ],
    ['with autoHeal and no ceiling', { autoHeal: true }],
    ['with a truth that is none', { autoHeal: 'yes', ceiling: ['D1 Write'] }],
    ['with a callback that is none', { approve: true }],
    ['with a state that is none', { state: {} }],
    ['with a state that lacks a method', { state: { append: () => {}, lease: () => true } }],
    ['with events that are no emitter', { events: {} }],
    ['with a fetch that is none', { fetch: 'fetch' }],
    ['with seconds in place of milliseconds', { timeout: 30 }],
    ['with concurrency of a hundred', { concurrency: 100 }],
    ['with a budget of nothing', { maxRequests: 0 }],
    ['with implies that aren’t lists', { implies: { 'D1 Write': 'D1 Read' } }],
    ['with something that isn’t sensitive allowed', { allowSensitive: ['D1 Write'] }],
    ['with all sensitive ones allowed at once', { allowSensitive: ['*'] }],
  ])('%s', (_, options) => {
    expect(make(options)).toThrow(InvalidInputError)
  })

  it.each<[object]>([
    [{ ceiling: ['D1 Read'] }],
    [{ ceiling: [{ group: 'D1 Write', resource: { account: 'c'.repeat(32) } }] }],
    [
      {
        required: [{ group: 'DNS Read', resource: 'zones' }],
        ceiling: [{ group: 'DNS Read', resource: { zone: ID } }],
      },
    ],
    [{ required: { account: ['D1 Write'] }, ceiling: { user: ['User Details Read'] } }],
  ])('with requirements outside the ceiling (C2): %j', (options) => {
    expect(make(options)).toThrow(OutsideCeilingError)
  })

  it('but with those within it, in whatever spelling', () => {
    expect(make({ required: ['D1 Edit'], ceiling: ['09b2857d1c31407795e75e3fed8617a1'] })).not.toThrow()
    expect(make({ required: ['com.cloudflare.api.account.d1:edit'], ceiling: ['D1 Write'] })).not.toThrow()
    expect(
      make({
        required: [{ group: 'DNS Read', resource: { zone: ID } }],
        ceiling: [{ group: 'DNS Read', resource: 'zones' }],
      }),
    ).not.toThrow()
    expect(make({ required: ['D1 Write'], ceiling: [{ group: 'D1 Write', resource: 'accounts' }] })).not.toThrow()
  })

  it.each([
    'Account API Tokens Write',
    '5bc3f8b21c554832afc660159ab75fa4',
    'Billing Write',
    'Billing Edit',
    'Secrets Store Write',
    'Access: Apps and Policies Write',
    'Zero Trust Write',
    'SCIM Provisioning',
  ])('for %s, unless it is named by itself (C2)', (group) => {
    expect(make({ required: [group] })).toThrow(SensitivePermissionError)
    expect(make({ required: ['D1 Write'], ceiling: ['D1 Write', group] })).toThrow(SensitivePermissionError)
  })

  it('but for one that is named', () => {
    expect(make({ required: [tokenAdministration], allowSensitive: ['Account API Tokens Write'] })).not.toThrow()
    expect(make({ required: [tokenAdministration], allowSensitive: ['Billing Write'] })).toThrow(
      SensitivePermissionError,
    )
    expect(make({ required: [{ group: 'Access: Apps and Policies Read', scope: 'account' }] })).not.toThrow()
  })

  it('and a sensitive group by an id that only the catalogue knows is refused when that is known', async () => {
    const { healer, cloudflare } = await setUp()
    const id = cloudflare.groups.find(({ name }) => name === 'Access: Apps and Policies Write')?.id ?? ''
    const error = await healer({ required: [id] })
      .check()
      .catch((each: unknown) => each)
    expect(error).toBeInstanceOf(SensitivePermissionError)
    expect(cloudflare.count('PUT')).toBe(0)
  })

  it('over an official client with a global key in place of a token', () => {
    const client = new Cloudflare({ apiKey: 'k', apiEmail: 'a@b.c', apiToken: null })
    expect(() => fromCloudflare(client)).toThrow('apiToken')
    expect(() => fromCloudflare({} as never)).toThrow(InvalidInputError)
    const elsewhere = new Cloudflare({ apiToken: 'h'.repeat(40), baseURL: 'http://elsewhere.example' })
    expect(() => fromCloudflare(elsewhere)).toThrow('baseURL')
  })
})

describe('what is refused elsewhere', () => {
  it.each<[string, () => unknown]>([
    ['a client with a fetch that is none', () => createCloudflareClient({ token: 'h'.repeat(40), fetch: 1 as never })],
    ['a template of nothing', () => defineTemplate('deploy', undefined as never)],
    ['a template with a misspelt list', () => defineTemplate('deploy', { accounts: ['D1 Write'] } as never)],
    ['a template with a text for a list', () => defineTemplate('deploy', { account: 'D1 Write' as never })],
    [
      'a template with a note that is none',
      () => defineTemplate('deploy', { account: ['D1 Write'], notes: [1] as never }),
    ],
    ['options of D1 that are none', () => d1State(undefined as never)],
    ['a misspelt option of D1', () => d1State({ database: sqliteD1(), prefx: 'a' } as never)],
  ])('%s', (_, act) => {
    expect(act).toThrow(InvalidInputError)
  })

  it.each<[string, (healer: CloudflareTokenHealer) => Promise<unknown>]>([
    ['a position of null', (healer) => healer.history({ before: null as never })],
    ['a beginning of null', (healer) => healer.analytics({ since: null as never })],
    ['no options', (healer) => healer.check(null as never)],
    ['a misspelt option', (healer) => healer.heal({ singal: undefined } as never)],
    ['a signal that is none', (healer) => healer.check({ signal: 'now' as never })],
    ['a plan with a misspelt option', (healer) => healer.plan('account', { actr: 'x' } as never)],
    ['a roll with a misspelt option', (healer) => healer.roll('account', { publsh: () => 'ok' } as never)],
    ['a roll without options', (healer) => healer.roll('account', null as never)],
    ['an approval that is none', (healer) => healer.apply({} as never, { approvl: 1 } as never)],
  ])('%s', async (_, act) => {
    const healer = new CloudflareTokenHealer({ ...base, fetch: () => Promise.reject(new Error('no')) })
    await expect(act(healer)).rejects.toMatchObject({ code: 'ERR_INVALID_INPUT' })
  })
})

it('all zones of an account as a ceiling don’t hold a zone that a user’s token reaches elsewhere', async () => {
  const { healer, cloudflare, clientOf, account } = await setUp()
  const own = cloudflare.addToken({ policies: [{ groups: ['API Tokens Write'], resources: cloudflare.onUser() }] })
  const zone = cloudflare.addZone(cloudflare.addAccount())
  const target = cloudflare.addToken({ policies: [{ groups: ['D1 Read'], resources: cloudflare.on(account) }] })
  const one = healer({
    ...{ client: clientOf(own.value), targets: [{ kind: 'user', accountId: account, tokenId: target.id }] },
    ...{ required: [{ group: 'DNS Read', resource: { zone } }], ceiling: [{ group: 'DNS Read', resource: 'zones' }] },
    autoHeal: true,
  })
  await expect(one.heal()).rejects.toThrow(OutsideCeilingError)
  expect(cloudflare.count('PUT')).toBe(0)
})

describe('by default', () => {
  it('it only reports, with the plan, from a cron too (C3)', async () => {
    const { healer, cloudflare, state } = await setUp()
    const one = healer()
    const report = await one.heal()
    expect(report.changes[0]).toMatchObject({ outcome: 'report_only', added: [] })
    expect(report.changes[0]?.plan?.added).toHaveLength(2)
    await createScheduledHandler(one)({ scheduledTime: Date.UTC(2030, 0, 1), cron: '0 */6 * * *' }, {})
    await expect(one.apply(await one.plan())).rejects.toMatchObject({ code: 'ERR_APPROVAL', reason: 'missing' })
    expect(cloudflare.count('PUT')).toBe(0)
    const rows = await state.rows({ limit: 10 })
    expect(
      rows.map(({ action, auto_heal_attempted, auto_heal_success }) => [
        action,
        auto_heal_attempted,
        auto_heal_success,
      ]),
    ).toEqual([
      ['apply', false, null],
      ['heal', false, null],
      ['heal', false, null],
    ])
  })
})

describe('an approval (C4)', () => {
  const never = () => new Promise<boolean>(() => {})
  it.each<[string, (plan: HealPlan, now: number) => unknown, string]>([
    ['that is a no', () => false, 'rejected'],
    ['that is nothing', () => undefined, 'rejected'],
    ['that is a word', () => 'yes', 'rejected'],
    ['that throws', () => Promise.reject(new Error('no')), 'failed'],
    ['of another plan', (_, now) => ({ planHash: 'f'.repeat(64), by: 'ops', expiresAt: now + 1e6 }), 'other_plan'],
    ['that is over', (plan, now) => ({ planHash: plan.planHash, by: 'ops', expiresAt: now }), 'expired'],
    ['of no form', (plan) => ({ planHash: plan.planHash }), 'failed'],
  ])('%s sends nothing, and stands in the history', async (_, answer, reason) => {
    const { healer, cloudflare, clock, state } = await setUp()
    const one = healer({ approve: (plan) => answer(plan, clock.now()) as boolean })
    const plan = await one.plan()
    await expect(one.apply(plan)).rejects.toMatchObject({ code: 'ERR_APPROVAL', reason })
    expect(cloudflare.count('PUT')).toBe(0)
    const [row] = await state.rows({ limit: 1 })
    expect(row).toMatchObject({
      action: 'apply',
      error_code: 'ERR_APPROVAL',
      planHash: plan.planHash,
      auto_heal_attempted: false,
    })
    expect(row?.targets[0]?.change?.outcome).toBe('not_approved')
    expect((await one.heal()).changes[0]?.outcome).toBe('not_approved')
  })

  it('is for the plan as it was: what is changed in it meanwhile, by callback or caller, is not applied', async () => {
    const { healer, cloudflare, target, account, clock } = await setUp()
    const more = {
      effect: 'allow',
      permission_groups: [{ id: idOf('Billing Write') }],
      resources: cloudflare.on(account),
    }
    const one = healer({
      cooldown: 0,
      approve: (plan) => {
        ;(plan.after as unknown[]).push(more)
        return true
      },
    })
    expect((await one.heal()).changes[0]).toMatchObject({ outcome: 'healed' })
    expect(cloudflare.grants(target.id)).toHaveLength(3)
    cloudflare.setPolicies(target.id, [{ groups: [REQUIRED[0]], resources: cloudflare.on(account) }])
    const plan = await one.plan()
    const approval = { planHash: plan.planHash, by: 'ops', expiresAt: clock.now() + 60_000 }
    const applied = one.apply(plan, { approval })
    ;(plan.after as unknown[]).push(more)
    expect((await applied).outcome).toBe('healed')
    expect(cloudflare.grants(target.id)).toHaveLength(3)
    await expect(one.apply({ ...plan, warnings: [() => {}] } as never, { approval })).rejects.toMatchObject({
      code: 'ERR_PLAN_INVALID',
    })
  })

  it('that never comes ends in time', async () => {
    const { healer, cloudflare, fake } = await setUp()
    const one = healer({ approve: never, approvalTimeout: '1m' })
    const plan = await one.plan()
    const applied = one.apply(plan).catch((error: unknown) => error)
    while (fake.pending() === 0) await new Promise((resolve) => setTimeout(resolve, 5))
    await new Promise((resolve) => setTimeout(resolve, 20))
    await fake.advance('1m')
    expect(await applied).toMatchObject({ code: 'ERR_APPROVAL', reason: 'timeout' })
    expect(cloudflare.count('PUT')).toBe(0)
  })

  it('holds for its plan, and is asked for beside the ceiling', async () => {
    const { healer, cloudflare, clock } = await setUp()
    const asked: string[] = []
    const one = healer({
      ceiling: [...REQUIRED],
      autoHeal: true,
      approve: (plan) => {
        asked.push(plan.planHash)
        return { planHash: plan.planHash, by: 'ada', expiresAt: clock.now() + 60_000 }
      },
    })
    const report = await one.heal()
    expect(report.changes[0]).toMatchObject({ outcome: 'healed', approvedBy: 'ada' })
    expect(asked).toEqual([report.changes[0]?.planHash])
    expect(cloudflare.count('PUT')).toBe(1)
  })

  it('of plan A doesn’t do for plan B', async () => {
    const { healer, cloudflare, clock } = await setUp()
    const one = healer()
    const a = await one.plan()
    const approval = { planHash: a.planHash, by: 'ada', expiresAt: clock.now() + 60_000 }
    cloudflare.setPolicies(a.target.tokenId, [
      { groups: ['D1 Write'], resources: cloudflare.on(a.target.accountId ?? '') },
    ])
    const b = await one.plan()
    await expect(one.apply(b, { approval })).rejects.toMatchObject({ reason: 'other_plan' })
    await expect(one.apply(a, { approval })).rejects.toMatchObject({ code: 'ERR_PLAN_STALE' })
    await expect(one.apply(b, { approval: { planHash: 1 } as never })).rejects.toThrow(InvalidInputError)
    expect(cloudflare.count('PUT')).toBe(0)
    expect((await one.apply(b, { approval: { ...approval, planHash: b.planHash } })).approvedBy).toBe('ada')
  })
})

describe('its own credential', () => {
  const itself = (world: Awaited<ReturnType<typeof setUp>>) => ({
    targets: [{ kind: 'account', accountId: world.account, tokenId: world.own.id }] as const,
  })

  it('is flagged, of the highest risk, and only changed where the host says so', async () => {
    const world = await setUp()
    const one = world.healer({ ...itself(world), ceiling: [...REQUIRED], autoHeal: true })
    expect(await one.plan()).toMatchObject({ selfEscalation: true, risk: 'critical' })
    expect((await one.plan()).warnings[0]).toContain('its own credential')
    expect((await one.heal()).changes[0]).toMatchObject({ outcome: 'held', error: { code: 'ERR_HEAL_HELD' } })
    expect(world.cloudflare.count('PUT')).toBe(0)
    const bold = world.healer({ ...itself(world), ceiling: [...REQUIRED], autoHeal: true, allowSelfEscalation: true })
    expect((await bold.heal()).changes[0]?.outcome).toBe('healed')
  })

  it('never loses the group for writing tokens (lock-out)', async () => {
    const world = await setUp()
    world.cloudflare.setPolicies(world.own.id, [
      {
        groups: ['Account API Tokens Write', 'D1 Write', 'Billing Read'],
        resources: world.cloudflare.on(world.account),
      },
    ])
    const one = world.healer({ ...itself(world), required: ['D1 Write'], allowSelfEscalation: true })
    const plan = await one.narrow()
    expect(plan.removed.map(({ name }) => name).sort()).toEqual(['Account API Tokens Write', 'Billing Read'])
    const approval = { planHash: plan.planHash, by: 'ada', expiresAt: world.clock.now() + 60_000 }
    await expect(one.apply(plan, { approval })).rejects.toMatchObject({ code: 'ERR_LOCK_OUT' })
    expect(world.cloudflare.count('PUT')).toBe(0)
  })

  it('isn’t rolled', async () => {
    const world = await setUp()
    await expect(world.healer(itself(world)).roll()).rejects.toMatchObject({ code: 'ERR_LOCK_OUT' })
    expect(world.cloudflare.count('PUT')).toBe(0)
  })
})

describe('narrow', () => {
  it('plans to take away what nothing asks for, and is never applied by the ceiling alone', async () => {
    const { healer, target, cloudflare, clock } = await setUp({
      policies: (cloudflare, account) => [
        { groups: ['Workers Scripts Write', 'Billing Read'], resources: cloudflare.on(account) },
        { groups: ['DNS Read'], resources: cloudflare.onZone(cloudflare.addZone(account)) },
        { effect: 'deny', groups: ['Pages Read'], resources: cloudflare.on(account) },
      ],
    })
    const one = healer({ ceiling: [...REQUIRED], autoHeal: true })
    const plan = await one.narrow()
    expect(plan).toMatchObject({ type: 'narrow', added: [], risk: 'high' })
    expect(plan.removed.map(({ name }) => name).sort()).toEqual(['Billing Read', 'DNS Read'])
    await expect(one.apply(plan)).rejects.toMatchObject({ code: 'ERR_APPROVAL' })
    const approval = { planHash: plan.planHash, by: 'ada', expiresAt: clock.now() + 60_000 }
    const result = await one.apply(plan, { approval })
    expect(result).toMatchObject({ outcome: 'narrowed', removed: 2 })
    expect(cloudflare.grants(target.id).map((grant) => grant.split(' com.')[0])).toEqual([
      'allow Workers Scripts Write',
      'deny Pages Read',
    ])
    expect((await one.narrow()).removed).toEqual([])
  })

  it('leaves at least something', async () => {
    const { healer } = await setUp({ groups: ['Billing Read'] })
    await expect(healer().narrow()).rejects.toMatchObject({ code: 'ERR_LOCK_OUT' })
  })
})

describe('thrashing', () => {
  const CEILING = { ceiling: [...REQUIRED], autoHeal: true } as const

  it('is kept off by a cooldown and a cap a day', async () => {
    const { healer, target, account, cloudflare, fake } = await setUp()
    const one = healer({ ...CEILING, circuitAfter: 100 })
    const take = () =>
      cloudflare.setPolicies(target.id, [{ groups: ['Workers Scripts Write'], resources: cloudflare.on(account) }])
    const outcomes: unknown[] = []
    for (let run = 0; run < 5; run++) {
      const { changes } = await one.heal()
      outcomes.push(
        changes[0]?.error === undefined ? changes[0]?.outcome : changes[0].error.message.match(/\((\w+)\)/)?.[1],
      )
      take()
      await fake.advance(run === 0 ? '30m' : '1h')
    }
    expect(outcomes).toEqual(['healed', 'cooldown', 'healed', 'healed', 'daily_cap'])
    await fake.advance('1d')
    expect((await one.heal()).changes[0]?.outcome).toBe('healed')
  })

  it('ends when a grant is taken away again and again: the circuit opens, until it is reset (D10)', async () => {
    const { healer, target, account, cloudflare, fake, recorder } = await setUp()
    const one = healer({ ...CEILING, cooldown: 0, maxHealsPerDay: 100 })
    const told = recorder(one)
    for (let run = 0; run < 4; run++) {
      await one.heal()
      cloudflare.setPolicies(target.id, [
        { groups: ['Workers Scripts Write', 'Queues Write'], resources: cloudflare.on(account) },
      ])
      await fake.advance('6h')
    }
    expect(cloudflare.count('PUT')).toBe(2)
    const report = await one.heal()
    expect(report.targets[0]).toMatchObject({ health: 'degraded', reason: 'removed_repeatedly' })
    expect(report.changes[0]).toMatchObject({ outcome: 'held' })
    const opened = told.events.filter(({ name }) => name === ('circuitOpened' as never)).map(({ payload }) => payload)
    expect(opened).toMatchObject([{ groups: ['D1 Write'] }])
    await one.resetCircuit()
    expect((await one.heal()).changes[0]?.outcome).toBe('healed')
  })

  it('of a user’s own grants is seen too, though the last of them goes', async () => {
    const { healer, cloudflare, clientOf, fake, recorder } = await setUp()
    const account = cloudflare.addAccount()
    const policies = [{ groups: ['D1 Read'], resources: cloudflare.on(account) }]
    const own = cloudflare.addToken({
      policies: [{ groups: ['API Tokens Write', 'User Details Read'], resources: cloudflare.onUser() }],
    })
    const target = cloudflare.addToken({ policies })
    const one = healer({
      ...{ client: clientOf(own.value), targets: [{ kind: 'user', tokenId: target.id }] },
      ...{ required: ['User Details Read'], ceiling: ['User Details Read'], autoHeal: true },
      ...{ cooldown: 0, maxHealsPerDay: 100 },
    })
    const told = recorder(one)
    for (let run = 0; run < 4; run++) {
      await one.heal()
      cloudflare.setPolicies(target.id, policies)
      await fake.advance('6h')
    }
    expect(cloudflare.count('PUT')).toBe(2)
    expect(told.names()).toContain('circuitOpened')
  })

  it('is kept off for as long as the cooldown says, be it days', async () => {
    const { healer, target, account, cloudflare, fake } = await setUp()
    const one = healer({ ...CEILING, cooldown: '3d', circuitAfter: 100 })
    await one.heal()
    cloudflare.setPolicies(target.id, [{ groups: ['Workers Scripts Write'], resources: cloudflare.on(account) }])
    await fake.advance('2d')
    expect((await one.heal()).changes[0]).toMatchObject({ outcome: 'held' })
    await fake.advance('1d')
    expect((await one.heal()).changes[0]).toMatchObject({ outcome: 'healed' })
  })

  it('isn’t seen in what Cloudflare refuses', async () => {
    const { healer, cloudflare, fake } = await setUp()
    cloudflare.ungrantable.add('D1 Write')
    const one = healer({ ...CEILING, cooldown: 0, maxHealsPerDay: 100 })
    for (let run = 0; run < 4; run++) {
      expect((await one.heal()).changes[0]?.outcome).toBe('failed')
      await fake.advance('6h')
    }
  })
})
