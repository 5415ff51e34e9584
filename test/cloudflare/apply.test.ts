import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type HealPlan, memoryState } from '../../src/cloudflare/index.ts'
import { addGrants } from '../../src/cloudflare/merge-policies.ts'
import { planHash } from '../../src/cloudflare/plan.ts'
import { idOf, REQUIRED, setUp } from './fixture.ts'

const CEILING = { ceiling: [...REQUIRED], autoHeal: true } as const
const CONDITION = { request_ip: { in: ['203.0.113.0/24'], not_in: ['203.0.113.99/32'] } }

describe('a plan', () => {
  it('is made by reads alone, is plain JSON, and holds before, after and what is added (C1)', async () => {
    const { healer, own, target, account, cloudflare } = await setUp()
    const plan = await healer().plan()
    expect(cloudflare.count('PUT')).toBe(0)
    expect(plan).toMatchObject({ type: 'heal', risk: 'high', selfEscalation: false, blocked: [], removed: [] })
    expect(plan.target).toEqual({ name: 'account', kind: 'account', accountId: account, tokenId: target.id })
    expect(plan.added.map(({ name }) => name)).toEqual(['D1 Write', 'Queues Write'])
    expect(plan.before).toEqual([
      {
        effect: 'allow',
        permission_groups: [{ id: idOf('Workers Scripts Write') }],
        resources: cloudflare.on(account),
      },
    ])
    expect(plan.after).toEqual([
      {
        effect: 'allow',
        permission_groups: ['Workers Scripts Write', 'D1 Write', 'Queues Write'].map((name) => ({ id: idOf(name) })),
        resources: cloudflare.on(account),
      },
    ])
    expect(JSON.parse(JSON.stringify(plan))).toEqual(plan)
    expect(JSON.stringify(plan)).not.toContain(own.value)
    expect(JSON.stringify(plan)).not.toContain(target.value)
    expect((await healer().plan()).planHash).toBe(plan.planHash)
  })

  it('adds to the policy of the very resource, else adds one; never widens another, never mixes scopes (D2)', async () => {
    const { healer, account, cloudflare } = await setUp({
      policies: (cloudflare, account) => {
        const second = cloudflare.addAccount()
        const zone = cloudflare.addZone(account)
        return [
          { groups: ['Workers Scripts Write'], resources: { ...cloudflare.on(account), ...cloudflare.on(second) } },
          { groups: ['DNS Read'], resources: cloudflare.onZone(zone) },
          { effect: 'deny', groups: ['Billing Read'], resources: cloudflare.on(account) },
        ]
      },
    })
    const one = healer({ required: ['D1 Write', { group: 'Zone Read', resource: 'zones' }] })
    const plan = await one.plan()
    expect(plan.after.slice(0, 3)).toEqual(plan.before)
    expect(plan.after.slice(3)).toEqual([
      { effect: 'allow', permission_groups: [{ id: idOf('D1 Write') }], resources: cloudflare.on(account) },
      {
        effect: 'allow',
        permission_groups: [{ id: idOf('Zone Read') }],
        resources: { [`com.cloudflare.api.account.${account}`]: { 'com.cloudflare.api.account.zone.*': '*' } },
      },
    ])
  })

  it('asks who the user is only where it must, and never guesses', async () => {
    const { cloudflare, healer, clientOf, clock } = await setUp()
    const own = cloudflare.addToken({ policies: [{ groups: ['API Tokens Write'], resources: cloudflare.onUser() }] })
    const account = cloudflare.addAccount()
    const target = cloudflare.addToken({ policies: [{ groups: ['D1 Read'], resources: cloudflare.on(account) }] })
    const options = { client: clientOf(own.value), required: ['User Details Read'] }
    const one = healer({ ...options, targets: [{ kind: 'user', tokenId: target.id }] })
    await expect(one.plan()).rejects.toThrow('Unauthorized')
    cloudflare.setPolicies(own.id, [
      { groups: ['API Tokens Write', 'User Details Read'], resources: cloudflare.onUser() },
    ])
    const plan = await one.plan()
    expect(plan.added[0]?.resource).toBe(`com.cloudflare.api.user.${cloudflare.user}`)
    const approval = { planHash: plan.planHash, by: 'ops', expiresAt: clock.now() + 60_000 }
    expect((await one.apply(plan, { approval })).outcome).toBe('healed')
  })
})

describe.each(['keep', 'clear'] as const)('apply, where what is left out is %s', (omission) => {
  it('gives every field back, adds what is missing and changes nothing else (D1)', async () => {
    const { healer, target, cloudflare } = await setUp({
      omission,
      policies: (cloudflare, account) => [
        { groups: ['Workers Scripts Write'], resources: cloudflare.on(account) },
        { groups: ['DNS Read'], resources: cloudflare.onZone(cloudflare.addZone(account)) },
        { effect: 'deny', groups: ['Billing Read'], resources: cloudflare.on(account) },
      ],
    })
    cloudflare.change(target.id, { condition: CONDITION, not_before: '2029-01-01T00:00:00Z' })
    const before = cloudflare.grants(target.id)
    const was = structuredClone(cloudflare.token(target.id))
    const report = await healer(CEILING).heal()
    expect(report.changes[0]).toMatchObject({ outcome: 'healed', approvedBy: 'ceiling', notGranted: [] })
    expect(report.overall_health).toBe('healthy')
    const put = cloudflare.requests.find(({ method }) => method === 'PUT')
    expect(put?.body).toMatchObject({
      name: 'app',
      status: 'active',
      condition: CONDITION,
      expires_on: '2031-01-01T00:00:00Z',
      not_before: '2029-01-01T00:00:00Z',
    })
    const { name, status, condition, expires_on, not_before } = cloudflare.token(target.id)
    expect({ name, status, condition, expires_on, not_before }).toEqual({
      ...{ name: was.name, status: was.status, condition: was.condition },
      ...{ expires_on: was.expires_on, not_before: was.not_before },
    })
    const after = cloudflare.grants(target.id)
    expect(after.filter((grant) => !before.includes(grant)).map((grant) => grant.split(' com.')[0])).toEqual([
      'allow D1 Write',
      'allow Queues Write',
    ])
    expect(before.every((grant) => after.includes(grant))).toBe(true)
  })

  it('never writes an empty condition, which would shut out every address', async () => {
    const { healer, target, cloudflare } = await setUp({ omission })
    cloudflare.change(target.id, { condition: { request_ip: { in: ['203.0.113.0/24'], not_in: [] } } })
    expect((await healer(CEILING).heal()).changes[0]?.outcome).toBe('healed')
    expect(cloudflare.requests.find(({ method }) => method === 'PUT')?.body).toMatchObject({
      condition: { request_ip: { in: ['203.0.113.0/24'] } },
    })
    expect(JSON.stringify(cloudflare.requests.find(({ method }) => method === 'PUT')?.body)).not.toContain('not_in')
  })

  it('a second heal has nothing to do, ten times over (D3)', async () => {
    const { healer, target, cloudflare, fake } = await setUp({ omission })
    const one = healer(CEILING)
    await one.heal()
    const count = cloudflare.token(target.id).policies.length
    for (let run = 0; run < 10; run++) {
      await fake.advance('6h')
      expect((await one.heal()).changes[0]?.outcome).toBe('nothing_missing')
    }
    expect(cloudflare.count('PUT')).toBe(1)
    expect(cloudflare.token(target.id).policies).toHaveLength(count)
  })

  it('puts back what it didn’t mean to change, by itself', async () => {
    const { healer, target, cloudflare, recorder, state } = await setUp({ omission })
    cloudflare.change(target.id, { condition: CONDITION })
    const before = cloudflare.grants(target.id)
    cloudflare.onUpdate = (token) => {
      token.condition = undefined
      cloudflare.onUpdate = undefined
    }
    const one = healer(CEILING)
    const told = recorder(one)
    const report = await one.heal()
    expect(report.changes[0]).toMatchObject({
      outcome: 'rolled_back',
      added: [],
      error: { code: 'ERR_UNINTENDED_CHANGE' },
    })
    expect(report.changes[0]?.error?.message).toContain('condition')
    expect(cloudflare.grants(target.id)).toEqual(before)
    expect(cloudflare.token(target.id).condition).toEqual(CONDITION)
    expect(told.names()).toContain('rolledBack')
    expect((await state.rows({ limit: 1 }))[0]).toMatchObject({ auto_heal_attempted: true, auto_heal_success: false })
  })

  it('doesn’t put back what somebody else changed right after', async () => {
    const { healer, target, cloudflare } = await setUp({ omission })
    cloudflare.onUpdate = (token) => {
      cloudflare.onUpdate = undefined
      cloudflare.change(token.id, { name: 'renamed' })
    }
    const report = await healer(CEILING).heal()
    expect(report.changes[0]).toMatchObject({ outcome: 'changed_elsewhere' })
    expect(cloudflare.token(target.id).name).toBe('renamed')
    expect(cloudflare.count('PUT')).toBe(1)
  })

  it('rollback puts the policies back, keeps the other fields, and stops healing until it is reset', async () => {
    const { healer, account, target, cloudflare, fake } = await setUp({ omission })
    cloudflare.change(target.id, { condition: CONDITION })
    const before = cloudflare.grants(target.id)
    const one = healer(CEILING)
    const { changes } = await one.heal()
    const snapshot = changes[0]?.snapshot ?? ''
    const { restored, undo } = await one.rollback(snapshot, { actor: 'ops' })
    expect(restored).toBe(true)
    expect(cloudflare.grants(target.id)).toEqual(before)
    expect(cloudflare.token(target.id).condition).toEqual(CONDITION)
    await fake.advance('2d')
    expect((await one.heal()).changes[0]).toMatchObject({ outcome: 'held', error: { code: 'ERR_HEAL_HELD' } })
    await expect(one.rollback(snapshot)).rejects.toMatchObject({ code: 'ERR_SNAPSHOT' })
    await one.rollback(undo)
    expect(cloudflare.grants(target.id)).not.toEqual(before)
    await expect(one.rollback('nothing')).rejects.toMatchObject({ code: 'ERR_SNAPSHOT' })
    cloudflare.setPolicies(target.id, [{ groups: ['D1 Write'], resources: cloudflare.on(account) }])
    await one.resetCircuit()
    expect((await one.heal()).changes[0]?.outcome).toBe('held')
    await fake.advance('1h')
    expect((await one.heal()).changes[0]?.outcome).toBe('healed')
  })
})

describe('a rollback', () => {
  it('is seen to have succeeded though the token is read as it was for a while', async () => {
    const { healer, target, cloudflare, recorder } = await setUp()
    const before = cloudflare.grants(target.id)
    const one = healer(CEILING)
    const told = recorder(one)
    const { changes } = await one.heal()
    cloudflare.staleReads = 2
    expect((await one.rollback(changes[0]?.snapshot ?? '')).restored).toBe(true)
    expect(cloudflare.grants(target.id)).toEqual(before)
    expect(told.names()).toContain('rolledBack')
  })

  it('by itself is seen to have succeeded, too', async () => {
    const { healer, target, cloudflare } = await setUp()
    cloudflare.change(target.id, { condition: CONDITION })
    cloudflare.onUpdate = (token) => {
      token.condition = undefined
      cloudflare.onUpdate = undefined
      cloudflare.staleReads = 1
    }
    expect((await healer(CEILING).heal()).changes[0]).toMatchObject({ outcome: 'rolled_back' })
    expect(cloudflare.token(target.id).condition).toEqual(CONDITION)
  })

  it('that Cloudflare refuses says so, and why', async () => {
    const { healer, cloudflare, own, account, state } = await setUp()
    const one = healer(CEILING)
    const { changes } = await one.heal()
    cloudflare.setPolicies(own.id, [{ groups: ['Account API Tokens Read'], resources: cloudflare.on(account) }])
    const answer = await one.rollback(changes[0]?.snapshot ?? '')
    expect(answer).toMatchObject({ restored: false, error: { code: 'ERR_CLOUDFLARE_API' } })
    expect(answer.error?.message).toContain('Unauthorized to access requested resource')
    expect((await state.rows({ limit: 1 }))[0]).toMatchObject({
      action: 'rollback',
      error_code: 'ERR_CLOUDFLARE_API',
      targets: [{ change: { outcome: 'rollback_failed' } }],
    })
  })

  it('that is aborted before sends nothing, and rejects', async () => {
    const { healer, cloudflare, state, target } = await setUp()
    const { changes } = await healer(CEILING).heal()
    const abort = new AbortController()
    const aborting = new Proxy(state, {
      get: (inner, name) =>
        name === 'saveSnapshot'
          ? async (snapshot: never) => {
              await inner.saveSnapshot(snapshot)
              abort.abort(new Error('enough'))
            }
          : (inner as never as { [name: string]: (...args: never[]) => unknown })[String(name)]?.bind(inner),
    })
    const one = healer({ ...CEILING, state: aborting })
    await expect(one.rollback(changes[0]?.snapshot ?? '', { signal: abort.signal })).rejects.toThrow('enough')
    expect(cloudflare.count('PUT')).toBe(1)
    expect((await state.mark(target.id))?.mark.circuitAt).toBe(undefined)
  })

  it('of another token of that name is refused', async () => {
    const { healer, cloudflare, account } = await setUp()
    const { changes } = await healer(CEILING).heal()
    const other = cloudflare.addToken({
      account,
      policies: [{ groups: [REQUIRED[0]], resources: cloudflare.on(account) }],
    })
    const another = healer({ targets: [{ name: 'account', accountId: account, token: other.value }] })
    await expect(another.rollback(changes[0]?.snapshot ?? '')).rejects.toMatchObject({ code: 'ERR_SNAPSHOT' })
    expect(cloudflare.count('PUT')).toBe(1)
  })
})

describe('a refusal', () => {
  it.each(['owner', 'creator'] as const)(
    'of what may not be granted (%s) names the group, and nothing changes (D4)',
    async (ceiling) => {
      const { healer, target, cloudflare } = await setUp({ ceiling })
      if (ceiling === 'owner') cloudflare.ungrantable.add('D1 Write')
      const before = structuredClone(cloudflare.token(target.id))
      const report = await healer(CEILING).heal()
      expect(report.changes[0]).toMatchObject({ outcome: 'failed', added: [] })
      expect(report.changes[0]?.error?.message).toContain(ceiling === 'owner' ? 'D1 Write' : 'permission check')
      expect(cloudflare.token(target.id)).toEqual({ ...before, last_used_on: cloudflare.token(target.id).last_used_on })
      expect(report.targets[0]?.missing).toHaveLength(2)
      expect(cloudflare.count('PUT')).toBe(1)
    },
  )

  it('that is silent, a yes without the grant, is incomplete and no success (D5)', async () => {
    const { healer, cloudflare, state, target } = await setUp({ ceiling: 'silent-drop' })
    cloudflare.ungrantable.add('D1 Write')
    const one = healer(CEILING)
    const before = cloudflare.grants(target.id)
    const report = await one.heal()
    expect(report.changes[0]).toMatchObject({
      outcome: 'incomplete',
      added: [{ name: 'Queues Write' }],
      notGranted: [{ name: 'D1 Write' }],
    })
    expect(report.targets[0]?.missing).toMatchObject([{ name: 'D1 Write' }])
    expect((await state.rows({ limit: 1 }))[0]).toMatchObject({
      auto_heal_success: false,
      account_token_missing_perms: 1,
    })
    expect((await one.rollback(report.changes[0]?.snapshot ?? '')).restored).toBe(true)
    expect(cloudflare.grants(target.id)).toEqual(before)
  })

  it('for want of the group for writing tokens names it (C6)', async () => {
    const { healer, own, account, cloudflare } = await setUp()
    cloudflare.setPolicies(own.id, [{ groups: ['Account API Tokens Read'], resources: cloudflare.on(account) }])
    const report = await healer(CEILING).heal()
    expect(report.changes[0]).toMatchObject({ outcome: 'failed' })
    expect(report.changes[0]?.error?.message).toContain('Unauthorized to access requested resource')
    expect(report.changes[0]?.error?.message).toContain('Account API Tokens Write')
  })

  it('of a group that went from the catalogue meanwhile', async () => {
    const { healer, cloudflare } = await setUp()
    const one = healer(CEILING)
    await one.check()
    cloudflare.groups.splice(
      cloudflare.groups.findIndex(({ name }) => name === 'D1 Write'),
      1,
    )
    expect((await one.heal()).changes[0]).toMatchObject({ outcome: 'failed' })
  })
})

describe('an answer that is lost', () => {
  it('after the change was made: read back, and one PUT (K11)', async () => {
    const { healer, cloudflare, target } = await setUp()
    cloudflare.fault({ method: 'PUT', fault: { type: 'reset_after' } })
    const report = await healer(CEILING).heal()
    expect(report.changes[0]).toMatchObject({ outcome: 'healed' })
    expect(cloudflare.count('PUT')).toBe(1)
    expect(cloudflare.grants(target.id)).toHaveLength(3)
  })

  it.each(['reset', 'server', 'not_successful', 'html'] as const)(
    'and no change made (%s): failed, one PUT',
    async (type) => {
      const { healer, cloudflare } = await setUp()
      cloudflare.fault({ method: 'PUT', fault: { type } })
      const report = await healer(CEILING).heal()
      expect(report.changes[0]).toMatchObject({ outcome: 'failed', added: [] })
      expect(cloudflare.count('PUT')).toBe(1)
    },
  )

  it('and nothing that can be read: not known, and said so', async () => {
    const { healer, cloudflare, target, state } = await setUp()
    cloudflare.fault({ method: 'PUT', fault: { type: 'reset_after' } })
    cloudflare.fault({ method: 'GET', path: target.id, after: 2, times: 99, fault: { type: 'server' } })
    const report = await healer(CEILING).heal()
    expect(report.changes[0]).toMatchObject({ outcome: 'unknown' })
    expect(report.targets[0]).toMatchObject({ missing: null, health: 'degraded' })
    expect((await state.rows({ limit: 1 }))[0]).toMatchObject({
      auto_heal_attempted: true,
      auto_heal_success: null,
      account_token_missing_perms: null,
    })
    expect(cloudflare.count('PUT')).toBe(1)
  })

  it('and a change that somebody else made meanwhile: theirs stands', async () => {
    const { healer, cloudflare, target, client } = await setUp()
    cloudflare.fault({ method: 'PUT', fault: { type: 'reset' } })
    const meanwhile: typeof client = {
      send: (request) =>
        client.send(request).finally(() => {
          if (request.method === 'PUT') cloudflare.change(target.id, { name: 'renamed' })
        }),
    }
    const report = await healer({ ...CEILING, client: meanwhile }).heal()
    expect(report.changes[0]).toMatchObject({ outcome: 'changed_elsewhere', added: [] })
    expect(cloudflare.token(target.id).name).toBe('renamed')
    expect(cloudflare.count('PUT')).toBe(1)
  })

  it('of a 429 isn’t repeated either', async () => {
    const { healer, cloudflare } = await setUp()
    cloudflare.fault({ method: 'PUT', fault: { type: 'rate_limited', retryAfter: '1' } })
    expect((await healer(CEILING).heal()).changes[0]).toMatchObject({ outcome: 'failed' })
    expect(cloudflare.count('PUT')).toBe(1)
  })
})

describe('propagation (K10)', () => {
  it('is waited for with the token itself, within seven requests', async () => {
    const { healer, cloudflare } = await setUp()
    cloudflare.propagation = 3
    const report = await healer(CEILING).heal()
    expect(report.changes[0]).toMatchObject({ outcome: 'healed', propagated: true })
    const put = cloudflare.requests.findIndex(({ method }) => method === 'PUT')
    expect(cloudflare.requests.length - put - 1).toBeLessThanOrEqual(7)
  })

  it('isn’t waited for before what was given is remembered: whoever dies in the wait must not forget it', async () => {
    const { healer, cloudflare, client, state, target } = await setUp()
    cloudflare.propagation = 2
    const remembered: number[] = []
    const watched: typeof client = {
      send: async (request) => {
        if (request.path.endsWith('/d1/database') || request.path.endsWith('/queues')) {
          remembered.push(Object.keys((await state.mark(target.id))?.mark.given ?? {}).length)
        }
        return client.send(request)
      },
    }
    expect((await healer({ ...CEILING, client: watched }).heal()).changes[0]).toMatchObject({ propagated: true })
    expect(remembered).toEqual([2, 2, 2])
  })

  it('that takes too long leaves the heal a success, not in force yet', async () => {
    const { healer, cloudflare } = await setUp()
    cloudflare.propagation = 99
    const report = await healer(CEILING).heal()
    expect(report.changes[0]).toMatchObject({ outcome: 'healed', propagated: false })
    const put = cloudflare.requests.findIndex(({ method }) => method === 'PUT')
    expect(cloudflare.requests.length - put - 1).toBeLessThanOrEqual(7)
  })

  it('a token that is read as it was for a while is read again', async () => {
    const { healer, cloudflare } = await setUp()
    cloudflare.staleReads = 2
    expect((await healer(CEILING).heal()).changes[0]).toMatchObject({ outcome: 'healed' })
    expect(cloudflare.count('PUT')).toBe(1)
  })

  it('a heal costs one PUT, and all requests around it stay within ten', async () => {
    const { healer, cloudflare } = await setUp()
    const one = healer(CEILING)
    await one.check()
    const before = cloudflare.requests.length
    const { requests } = await one.heal()
    expect(requests).toBe(cloudflare.requests.length - before)
    expect(cloudflare.count('PUT')).toBe(1)
    // verify, read, who am I, fresh read, PUT, read back, probe
    expect(
      cloudflare.requests.slice(before).map(
        ({ method, path }) =>
          `${method} ${path
            .split('/')
            .slice(3)
            .join('/')
            .replaceAll(/[0-9a-f]{32}/g, ':id')}`,
      ),
    ).toEqual([
      ...[
        'GET tokens/verify',
        'GET tokens/:id',
        'GET tokens/verify',
        'GET tokens/:id',
        'PUT tokens/:id',
        'GET tokens/:id',
      ],
      'GET d1/database',
    ])
  })
})

describe('two at once', () => {
  it('make one PUT; the other is told that it is busy or stale (D9)', async () => {
    const { healer, cloudflare } = await setUp()
    const [a, b] = [healer(CEILING), healer(CEILING)]
    const reports = await Promise.all([a.heal(), b.heal()])
    const outcomes = reports.map(({ changes }) => changes[0]?.outcome)
    expect(outcomes).toContain('healed')
    expect(outcomes.filter((outcome) => outcome === 'healed')).toHaveLength(1)
    expect(outcomes.some((outcome) => outcome === 'held' || outcome === 'stale')).toBe(true)
    expect(cloudflare.count('PUT')).toBe(1)
  })

  it('on one healer too', async () => {
    const { healer, cloudflare } = await setUp()
    const one = healer(CEILING)
    await Promise.all([one.heal(), one.heal(), one.heal()])
    expect(cloudflare.count('PUT')).toBe(1)
  })

  it('a lease whose holder died is over in time', async () => {
    const { healer, target, state, fake, clock } = await setUp()
    await state.lease(`token:${target.id}`, 'dead', clock.now() + 600_000, clock.now())
    const one = healer(CEILING)
    expect((await one.heal()).changes[0]).toMatchObject({ outcome: 'held' })
    await fake.advance('11m')
    expect((await one.heal()).changes[0]).toMatchObject({ outcome: 'healed' })
  })
})

describe('a plan that isn’t good any more', () => {
  const approved = (plan: HealPlan, now: number) => ({
    approval: { planHash: plan.planHash, by: 'ops', expiresAt: now + 60_000 },
  })

  it('since the token changed is refused, nothing sent', async () => {
    const { healer, target, clock, cloudflare } = await setUp()
    const one = healer()
    const plan = await one.plan()
    cloudflare.change(target.id, { name: 'renamed' })
    await expect(one.apply(plan, approved(plan, clock.now()))).rejects.toMatchObject({ code: 'ERR_PLAN_STALE' })
    expect(cloudflare.count('PUT')).toBe(0)
  })

  it('since somebody changed it in the plan itself is refused', async () => {
    const { healer, clock, cloudflare } = await setUp()
    const one = healer()
    const plan = await one.plan()
    const by = approved(plan, clock.now())
    await expect(one.apply({ ...plan, after: [] }, by)).rejects.toMatchObject({ code: 'ERR_PLAN_INVALID' })
    await expect(one.apply({ ...plan, target: { ...plan.target, name: 'other' } }, by)).rejects.toMatchObject({
      code: 'ERR_PLAN_INVALID',
    })
    await expect(one.apply('plan' as never)).rejects.toMatchObject({ code: 'ERR_INVALID_INPUT' })
    expect(cloudflare.count('PUT')).toBe(0)
  })

  it('since it deceives, though its hash is right, is refused: its risk, its names, what the token was', async () => {
    const { healer, clock, cloudflare, target } = await setUp({ groups: ['Workers Scripts Write', 'Pages Read'] })
    const one = healer()
    const plan = await one.plan()
    const forged = async (change: Partial<HealPlan>) => {
      const { planHash: _, createdAt, warnings, ...body } = { ...plan, ...change }
      const made = { ...body, createdAt, warnings, planHash: await planHash(body) }
      return one.apply(made, approved(made, clock.now())).catch((error: { code?: string }) => error.code)
    }
    const [first] = plan.added
    if (first === undefined) throw new Error('something is missing')
    expect(await forged({ risk: 'low' })).toBe('ERR_PLAN_INVALID')
    expect(await forged({ added: [{ ...first, name: 'D1 Read' }, ...plan.added.slice(1)] })).toBe('ERR_PLAN_INVALID')
    expect(await forged({ selfEscalation: true, risk: 'critical' })).toBe('ERR_PLAN_INVALID')
    for (const wrong of [
      { before: 'none' },
      { after: [null] },
      { added: [1] },
      { removed: 'none' },
      { type: 'widen' },
    ]) {
      expect(['ERR_PLAN_INVALID', 'ERR_INVALID_INPUT']).toContain(await forged(wrong as never))
    }
    // A policy that the token has is left out of both sides, so that writing the plan would drop it.
    const before = plan.before.map((policy) => ({ ...policy, permission_groups: policy.permission_groups.slice(0, 1) }))
    const after = addGrants(before, plan.added, (id) => cloudflare.groups.find((group) => group.id === id)?.scopes)
    expect(await forged({ before, after })).toBe('ERR_PLAN_STALE')
    expect(cloudflare.count('PUT')).toBe(0)
    expect(cloudflare.grants(target.id)).toHaveLength(2)
    expect(await forged({})).toMatchObject({ outcome: 'healed' })
  })

  it('since it is for more than is required here, though its hash is right, is refused', async () => {
    const { healer, clock, cloudflare } = await setUp()
    const wide = await healer({ required: [...REQUIRED, 'Stream Write'] }).plan()
    await expect(healer().apply(wide, approved(wide, clock.now()))).rejects.toMatchObject({ code: 'ERR_PLAN_INVALID' })
    expect(cloudflare.count('PUT')).toBe(0)
  })
})

it('for any policies and any requirement, apply adds exactly the missing grants and changes nothing else', {
  timeout: 60_000,
}, async () => {
  const names = ['Workers Scripts Write', 'D1 Write', 'D1 Read', 'Queues Write', 'Pages Read', 'Images Write']
  const zoneNames = ['Zone Read', 'DNS Read', 'Workers Routes Write']
  const { healer, account, cloudflare, clock } = await setUp()
  const second = cloudflare.addAccount()
  const zones = [cloudflare.addZone(account), cloudflare.addZone(account)]
  const onAccounts = fc.constantFrom(
    cloudflare.on(account),
    { ...cloudflare.on(account), ...cloudflare.on(second) },
    cloudflare.on(second),
    { 'com.cloudflare.api.account.*': '*' },
  )
  const onZones = fc.constantFrom(cloudflare.onZone(zones[0] ?? ''), cloudflare.onZone(zones[1] ?? ''), {
    [`com.cloudflare.api.account.${account}`]: { 'com.cloudflare.api.account.zone.*': '*' },
  })
  const effect = fc.constantFrom('allow' as const, 'allow' as const, 'allow' as const, 'deny' as const)
  const policy = fc.oneof(
    fc.record({
      effect,
      groups: fc.uniqueArray(fc.constantFrom(...names), { minLength: 1, maxLength: 4 }),
      resources: onAccounts,
    }),
    fc.record({
      effect,
      groups: fc.uniqueArray(fc.constantFrom(...zoneNames), { minLength: 1, maxLength: 3 }),
      resources: onZones,
    }),
  )
  const requirement = fc.oneof(
    fc.constantFrom(...names).map((group) => ({ group })),
    fc.record({
      group: fc.constantFrom(...zoneNames),
      resource: fc.constantFrom('zones' as const, { zone: zones[0] ?? '' }),
    }),
  )
  await fc.assert(
    fc.asyncProperty(
      fc.array(policy, { minLength: 1, maxLength: 6 }),
      fc.array(requirement, { minLength: 1, maxLength: 6 }),
      fc.constantFrom(undefined, CONDITION),
      async (policies, required, condition) => {
        const token = cloudflare.addToken({ account, policies, condition, expires_on: '2033-01-01T00:00:00Z' })
        const one = healer({
          ...{ required, ceiling: required, autoHeal: true, state: memoryState(), clock },
          targets: [{ kind: 'account', accountId: account, tokenId: token.id }],
        })
        const before = cloudflare.grants(token.id)
        const was = structuredClone(cloudflare.token(token.id))
        const puts = cloudflare.count('PUT')
        const found = (await one.check()).targets[0]
        const { changes, targets } = await one.heal()
        const after = cloudflare.grants(token.id)
        const healable = found?.missing?.filter((grant) => found.blocked?.includes(grant) !== true) ?? []
        const wanted = healable.map(({ name, resource }) => `allow ${name} ${resource}`)
        expect([...new Set(after)]).toEqual([...new Set([...before, ...wanted])].sort())
        const { policies: _, modified_on: __, ...fields } = cloudflare.token(token.id)
        const { policies: ___, modified_on: ____, ...kept } = was
        expect(fields).toEqual(kept)
        expect(targets[0]?.missing).toEqual(found?.blocked)
        expect(cloudflare.count('PUT') - puts).toBe(wanted.length > 0 ? 1 : 0)
        expect(changes[0]?.outcome).toBe(
          wanted.length > 0 ? 'healed' : (found?.missing?.length ?? 0) > 0 ? 'blocked' : 'nothing_missing',
        )
        // Policies that deny, and those on other resources, stand as they were.
        const denied = was.policies.filter((each) => each.effect === 'deny').length
        expect(cloudflare.token(token.id).policies.filter((each) => each.effect === 'deny')).toHaveLength(denied)
      },
    ),
    { numRuns: 60 },
  )
})
