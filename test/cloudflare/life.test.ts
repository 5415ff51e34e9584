import { describe, expect, it } from 'vitest'
import type { Action } from '../../src/automation/action.ts'
import { makeRow } from '../../src/cloudflare/history.ts'
import {
  createScheduledHandler,
  d1State,
  formatReport,
  type Notice,
  notifyByWebhook,
  registerCloudflareActions,
  workersFullStack,
} from '../../src/cloudflare/index.ts'
import { generateSecret, MemoryTokenStore, publishToWebhook, Tokenwright, verifyWebhook } from '../../src/index.ts'
import { fakeClock } from '../../src/testing/index.ts'
import { REQUIRED, setUp } from './fixture.ts'
import { sqliteD1 } from './sqlite-d1.ts'

const CEILING = { ceiling: [...REQUIRED], autoHeal: true } as const
const FLAT = [
  ...['account_token_valid', 'account_token_has_all_perms', 'account_token_missing_perms', 'user_token_valid'],
  ...[
    'user_token_has_all_perms',
    'user_token_missing_perms',
    'overall_health',
    'auto_heal_attempted',
    'auto_heal_success',
  ],
  ...['error_code', 'error_message', 'planHash', 'duration', 'id', 'at', 'action', 'actor', 'targets'],
]

describe('the history (F3)', () => {
  it('has one row for each check and heal, with exactly the flat keys', async () => {
    const { healer, target, account } = await setUp()
    const one = healer(CEILING)
    await one.check({ actor: 'ada' })
    const report = await one.heal()
    const [heal, check, ...more] = await one.history()
    expect(more).toEqual([])
    expect(Object.keys(check ?? {}).sort()).toEqual([...FLAT].sort())
    expect(check).toMatchObject({
      ...{
        action: 'check',
        actor: 'ada',
        overall_health: 'degraded',
        account_token_valid: true,
        account_token_has_all_perms: false,
      },
      ...{
        account_token_missing_perms: 2,
        user_token_valid: null,
        user_token_has_all_perms: null,
        user_token_missing_perms: null,
      },
      ...{ auto_heal_attempted: false, auto_heal_success: null, error_code: null, error_message: null, planHash: null },
    })
    expect(heal).toMatchObject({
      ...{
        action: 'heal',
        actor: 'system',
        overall_health: 'healthy',
        account_token_has_all_perms: true,
        account_token_missing_perms: 0,
      },
      ...{ auto_heal_attempted: true, auto_heal_success: true, planHash: report.changes[0]?.planHash },
    })
    expect(heal?.targets[0]).toMatchObject({
      ...{
        kind: 'account',
        accountId: account,
        tokenId: target.id,
        missing: 0,
        missingGroups: ['D1 Write', 'Queues Write'],
      },
      change: { outcome: 'healed', snapshot: report.changes[0]?.snapshot, approvedBy: 'ceiling' },
    })
    expect(heal?.targets[0]?.change?.added).toHaveLength(2)
  })

  it('sums up the tokens of each kind: valid if all are, missing together, null where one isn’t known', async () => {
    const { healer, account, target, cloudflare, clientOf } = await setUp()
    const own = cloudflare.addToken({
      policies: [
        { groups: ['API Tokens Write'], resources: cloudflare.onUser() },
        { groups: ['Account API Tokens Write'], resources: cloudflare.on(account) },
      ],
    })
    const second = cloudflare.addToken({
      account,
      policies: [{ groups: ['D1 Write'], resources: cloudflare.on(account) }],
    })
    const user = cloudflare.addToken({ policies: [{ groups: ['Memberships Read'], resources: cloudflare.onUser() }] })
    const targets = [
      { kind: 'account', accountId: account, tokenId: target.id },
      { kind: 'account', accountId: account, tokenId: second.id },
      { kind: 'user', tokenId: user.id },
    ] as const
    const options = {
      client: clientOf(own.value),
      required: { account: REQUIRED, user: ['User Details Read'] },
      targets,
    }
    const one = healer(options)
    await one.check()
    expect((await one.history())[0]).toMatchObject({
      ...{ account_token_valid: true, account_token_has_all_perms: false, account_token_missing_perms: 4 },
      ...{ user_token_valid: true, user_token_has_all_perms: false, user_token_missing_perms: 1 },
    })
    cloudflare.fault({ path: second.id, times: 9, fault: { type: 'server' } })
    cloudflare.change(user.id, { status: 'disabled' })
    await one.check()
    const [row] = await one.history()
    expect(row).toMatchObject({
      ...{
        overall_health: 'unhealthy',
        account_token_valid: null,
        account_token_has_all_perms: false,
        account_token_missing_perms: null,
      },
      ...{ user_token_valid: false, user_token_missing_perms: 1 },
    })
    expect(row?.targets.map(({ name, missing }) => [name, missing])).toEqual([
      ['account', 2],
      ['account-2', null],
      ['user', 1],
    ])
  })

  it('answers status() without a request, pages, and lets go of what is old (F4)', async () => {
    const { healer, cloudflare, fake } = await setUp({ groups: REQUIRED })
    const one = healer({ retention: '2d' })
    expect(await one.status()).toEqual({ overall_health: 'unknown', at: null, row: null })
    expect(await one.health()).toMatchObject({ status: 'unknown' })
    for (let run = 0; run < 7; run++) {
      await one.check()
      await fake.advance('12h')
    }
    const sent = cloudflare.requests.length
    expect(await one.status()).toMatchObject({ overall_health: 'healthy', at: fake.now() - 12 * 3_600_000 })
    expect(await one.health()).toEqual({ status: 'healthy', reasons: [] })
    expect(cloudflare.requests).toHaveLength(sent)
    const rows = await one.history({ limit: 2 })
    const rest = await one.history({ limit: 100, before: rows.at(-1) })
    expect(rows.length + rest.length).toBe(5)
    expect(await one.history({ before: new Date(rest.at(-1)?.at ?? 0) })).toEqual([])
    for (const query of [
      { limit: 0 },
      { limit: 1001 },
      { before: { at: 'x' } },
      { before: Number.NaN },
      { after: 1 },
    ]) {
      await expect(one.history(query as never)).rejects.toMatchObject({ code: 'ERR_INVALID_INPUT' })
    }
    await fake.advance('2d')
    expect((await one.health()).status).toBe('unknown')
  })

  it('of checks once a day leaves the health known all the time', async () => {
    const { healer, fake } = await setUp({ groups: REQUIRED })
    const one = healer()
    await one.check()
    await fake.advance('24h')
    // The next check is under way.
    await fake.advance('5m')
    expect((await one.health()).status).toBe('healthy')
    await fake.advance('1h')
    expect(await one.health()).toEqual({ status: 'unknown', reasons: ['the last check was 25h ago'] })
  })

  it('is read no further than the status needs', async () => {
    const { healer, state, fake } = await setUp({ groups: REQUIRED })
    let read = 0
    const counted = new Proxy(state, {
      get: (inner, name) =>
        name === 'rows'
          ? async (query: never) => {
              const rows = await inner.rows(query)
              read += rows.length
              return rows
            }
          : (inner as never as { [name: string]: (...args: never[]) => unknown })[String(name)]?.bind(inner),
    })
    const one = healer({ state: counted })
    await one.check()
    await fake.advance('1h')
    const from = fake.now()
    for (let run = 0; run < 60; run++) await one.check()
    expect(await one.status()).toMatchObject({ overall_health: 'healthy', at: from })
    expect(read).toBeLessThan(10)
    // Changes have rows without a health, and the last check is behind them.
    for (let run = 0; run < 60; run++) await one.roll().then(() => fake.advance('1s'))
    expect(await one.status()).toMatchObject({ overall_health: 'healthy', at: from })
    expect(await one.health()).toMatchObject({ status: 'healthy' })
  })

  it('counts a rollback as no heal, whether or not it succeeded', async () => {
    const { healer, cloudflare, own, account, state } = await setUp()
    const one = healer({ ...CEILING, cooldown: 0 })
    const { changes } = await one.heal()
    await one.rollback(changes[0]?.snapshot ?? '')
    const [restored] = await state.rows({ limit: 1 })
    cloudflare.setPolicies(own.id, [{ groups: ['Account API Tokens Read'], resources: cloudflare.on(account) }])
    expect((await one.rollback(restored?.targets[0]?.change?.snapshot ?? '')).restored).toBe(false)
    const rows = await state.rows({ limit: 2 })
    expect(rows.map(({ targets }) => targets[0]?.change?.outcome)).toEqual(['rollback_failed', 'restored'])
    expect(rows.map((row) => [row.auto_heal_attempted, row.auto_heal_success])).toEqual([
      [false, null],
      [false, null],
    ])
    expect((await one.analytics({ since: '1d' })).heals).toMatchObject({ attempted: 1, succeeded: 1, failed: 0 })
  })

  it('tells what a narrowing took away, and names it where it failed', async () => {
    const { healer, cloudflare, state, clock, target, account } = await setUp({
      groups: [...REQUIRED, 'Images Write'],
    })
    const one = healer({ cooldown: 0 })
    const approve = async () => {
      const plan = await one.narrow()
      return one.apply(plan, { approval: { planHash: plan.planHash, by: 'ops', expiresAt: clock.now() + 60_000 } })
    }
    cloudflare.fault({ method: 'PUT', fault: { type: 'error', status: 400, code: 1004, message: 'no' } })
    expect((await approve()).error?.message).toMatch(/\(asked for: Images Write\)$/)
    cloudflare.staleReads = 6
    const unseen = await approve()
    expect(unseen).toMatchObject({ outcome: 'incomplete', error: { code: 'ERR_INCOMPLETE' } })
    expect(unseen.error?.message).toBe("Cloudflare said yes and didn't take away: Images Write")
    cloudflare.staleReads = 0
    const groups = [...REQUIRED, 'Images Write']
    cloudflare.setPolicies(target.id, [{ groups, resources: cloudflare.on(account) }])
    expect((await approve()).outcome).toBe('narrowed')
    expect((await state.rows({ limit: 1 }))[0]).toMatchObject({
      action: 'narrow',
      targets: [{ change: { removed: [expect.stringMatching(/^Images Write on com\.cloudflare/)] } }],
    })
  })

  it('has rows of a bounded size, whatever was done', () => {
    const added = Array.from({ length: 500 }, (_, n) => `Group ${n} on ${'r'.repeat(80)}`)
    const changes = Array.from({ length: 1000 }, (_, n) => ({
      name: `t${n}`,
      outcome: 'healed',
      added,
      removed: added,
    }))
    const facts = { id: 'a', at: 0, actor: 'x', duration: 1, overall: null } as const
    const row = makeRow({ ...facts, action: 'heal', reports: [], changes })
    expect(row.targets).toHaveLength(1000)
    expect(JSON.stringify(row).length).toBeLessThan(2_000_000)
    const one = makeRow({ ...facts, action: 'heal', reports: [], changes: changes.slice(0, 1) })
    expect(one.targets[0]?.change?.added?.slice(-2)).toEqual([added[49], '450 more'])
  })

  it('tells by analytics how they fared', async () => {
    const { healer, target, account, cloudflare, fake } = await setUp()
    const one = healer({ ...CEILING, cooldown: 0, circuitAfter: 100 })
    await one.check()
    await fake.advance('1h')
    await one.heal()
    cloudflare.setPolicies(target.id, [
      { groups: ['Workers Scripts Write', 'D1 Write'], resources: cloudflare.on(account) },
    ])
    cloudflare.ungrantable.add('Queues Write')
    await fake.advance('1h')
    await one.heal()
    const all = await one.analytics({ since: '1d' })
    expect(all).toMatchObject({
      checks: 3,
      heals: { attempted: 2, succeeded: 1, failed: 1, unknown: 0 },
      truncated: false,
    })
    expect(all.healthyShare).toBeCloseTo(1 / 3)
    expect(all.mostMissing).toEqual([
      { group: 'Queues Write', times: 3 },
      { group: 'D1 Write', times: 2 },
    ])
    expect((await one.analytics({ since: fake.now() - 60_000 })).checks).toBe(1)
    await expect(one.analytics({ since: 'yesterday' as never })).rejects.toMatchObject({ code: 'ERR_INVALID_INPUT' })
  })
})

describe('what is told', () => {
  it('are events by short names, and by prefixed ones on a shared emitter', async () => {
    const { healer, target, account, cloudflare, fake, recorder } = await setUp()
    const tokens = new Tokenwright({ store: new MemoryTokenStore(), keys: generateSecret() })
    const shared: string[] = []
    tokens.events.onAny((name) => shared.push(name))
    const one = healer({ ...CEILING, events: tokens.events })
    const told = recorder(one)
    await one.check()
    await one.heal()
    await fake.advance('1d')
    await one.check()
    expect(told.names()).toEqual(['degraded', 'checked', 'planned', 'healed', 'checked', 'recovered', 'checked'])
    expect(shared).toEqual(told.names().map((name) => `cloudflare.${name}`))
    cloudflare.setPolicies(target.id, [{ groups: ['D1 Write'], resources: cloudflare.on(account) }])
    cloudflare.ungrantable.add('Queues Write')
    await one.heal()
    expect(told.names().slice(-3)).toEqual(['planned', 'healFailed', 'checked'])
    tokens.healthSource('cloudflare', () => one.health())
    expect((await tokens.health()).sources['cloudflare']).toMatchObject({ status: 'degraded' })
    await tokens.close()
  })

  it('a listener that throws hurts nobody', async () => {
    const { healer, recorder } = await setUp()
    const one = healer(CEILING)
    one.events.on('healed', () => {
      throw new Error('no')
    })
    const told = recorder(one)
    expect((await one.heal()).changes[0]?.outcome).toBe('healed')
    expect(told.names()).toContain('listenerError')
  })

  it('are notices, to a function and by signed webhook; one that fails or hangs hurts nobody', async () => {
    const { healer, clock, recorder } = await setUp()
    const notices: Notice[] = []
    const secret = `whsec_${Buffer.from('0123456789abcdef0123456789abcdef').toString('base64')}`
    const posted: unknown[] = []
    const send = notifyByWebhook({
      url: 'https://ops.example/hook',
      secret,
      clock,
      fetch: async (url, init) => {
        const body = String(init?.body)
        const checked = verifyWebhook({
          secret,
          headers: init?.headers as { [name: string]: string },
          body,
          now: clock.now(),
        })
        posted.push([String(url), checked.ok, (JSON.parse(body) as { type: string }).type])
        return new Response('no', { status: posted.length === 1 ? 200 : 500 })
      },
    })
    const one = healer({
      ...CEILING,
      notify: (notice) => {
        notices.push(notice)
        return send(notice)
      },
    })
    const told = recorder(one)
    await one.heal()
    expect(notices.map(({ type, target }) => [type, target])).toEqual([
      ['degraded', 'account'],
      ['healed', 'account'],
    ])
    expect(notices[0]?.text).toBe('Cloudflare token account is degraded: lacks 2 permissions')
    expect(notices[1]?.text).toContain("taken back by rollback('")
    expect(posted).toEqual([
      ['https://ops.example/hook', true, 'cloudflare.degraded'],
      ['https://ops.example/hook', true, 'cloudflare.healed'],
    ])
    expect(told.names().filter((name) => name === 'listenerError')).toHaveLength(1)
    expect(() => notifyByWebhook({ url: 'http://ops.example', secret })).toThrow('url')
    expect(() => notifyByWebhook({ url: 'https://ops.example', secret: 'x' })).toThrow('secret')
  })

  it('goes by webhook to the very URL, by an id of its own, and no connection outlives the wait', async () => {
    const secret = `whsec_${Buffer.from('0123456789abcdef0123456789abcdef').toString('base64')}`
    const clock = fakeClock()
    const sent: { readonly url: string; readonly id: string | undefined; readonly signal: AbortSignal | undefined }[] =
      []
    const senderTo = (url: string, answer: Promise<Response>) =>
      notifyByWebhook({
        ...{ url, secret, clock },
        fetch: (to, init) => {
          const headers = init?.headers as { readonly [name: string]: string }
          sent.push({ url: String(to), id: headers['webhook-id'], signal: init?.signal ?? undefined })
          return answer
        },
      })
    const notice: Notice = { type: 'recovered', at: clock.now(), target: 'app', text: 'well', detail: {} }
    const url = 'https://ops.example/hook/?key=1'
    await senderTo(url, Promise.resolve(new Response('')))(notice)
    await senderTo(url, Promise.resolve(new Response('')))(notice)
    expect(sent.map((each) => each.url)).toEqual([url, url])
    expect(new Set(sent.map(({ id }) => id)).size).toBe(2)
    const hanging = Promise.resolve(senderTo(url, new Promise(() => {}))(notice))
    const refused = expect(hanging).rejects.toMatchObject({ code: 'timeout' })
    await clock.advance('10s')
    await refused
    expect(sent[2]?.signal?.aborted).toBe(true)
    expect(() => notifyByWebhook({ url: 'https://a:b@ops.example', secret })).toThrow('url')
    expect(() => notifyByWebhook({ url: 'x', secret })).toThrow(/^(?!.*cloudflare\.com)/)
  })

  it('is a report for the console', async () => {
    const { healer, fake } = await setUp()
    const one = healer({ ...CEILING, required: [workersFullStack], ceiling: [workersFullStack] })
    const before = formatReport(await one.check())
    expect(before).toContain('Cloudflare tokens: degraded (1 looked at, 3 requests')
    expect(before).toContain('account [account] degraded')
    expect(before).toMatch(/valid: +yes \(active\)/)
    expect(before).toMatch(/missing: 13/)
    expect(before).toContain('- D1 Write on com.cloudflare.api.account.')
    expect(before).toContain('What to do:\n  - account: lacks 13 of its permissions')
    await fake.advance('1h')
    const after = formatReport(await one.heal())
    expect(after).toMatch(/missing: 0\n {2}added: {3}13 \(healed\)\n {4}\+ Workers KV Storage Write on/)
  })
})

it('what Cloudflare calls things is on one line, without control characters, wherever it is told', async () => {
  const { healer, cloudflare, target, account } = await setUp({ described: false })
  const name = 'Odd\u001b[31m\nGroup Write'
  cloudflare.groups.push({ id: 'e'.repeat(32), name, scopes: ['com.cloudflare.api.account'], category: 'other' })
  cloudflare.setPolicies(target.id, [{ groups: [name], resources: cloudflare.on(account) }])
  const [policy] = cloudflare.token(target.id).policies
  const groups = policy?.permission_groups.map((group) => ({
    ...group,
    meta: { deprecated: 'true', eol_at: '\u001b[2J' },
  }))
  cloudflare.change(target.id, {
    policies: [{ ...policy, permission_groups: groups } as never],
    status: 'odd\u001b[31m',
  })
  const report = await healer({ required: ['e'.repeat(32), ...REQUIRED] }).check()
  const told = `${formatReport(report)} ${report.targets[0]?.excess?.[0]?.name} ${report.targets[0]?.missing?.[0]?.name}`
  expect(told).toContain('Odd [31m Group Write')
  // biome-ignore lint/suspicious/noControlCharactersInRegex: those are what must not reach a console
  expect(told.replaceAll('\n', '')).not.toMatch(/[\x00-\x1f]/)
})

describe('a token that tells its id itself', () => {
  it('is told as degraded in each outage, and as recovered after it, by a healer made anew each time', async () => {
    const { healer, target, account, cloudflare, recorder } = await setUp({ groups: REQUIRED })
    const run = async () => {
      const one = healer({ targets: [{ name: 'app', accountId: account, token: target.value }] })
      const told = recorder(one)
      await one.check()
      return told.names().filter((name) => name !== ('checked' as never))
    }
    expect(await run()).toEqual([])
    for (let outage = 0; outage < 2; outage++) {
      cloudflare.fault({ path: '/verify', times: 6, fault: { type: 'server' } })
      expect(await run()).toEqual(['degraded'])
      expect(await run()).toEqual([])
      expect(await run()).toEqual(['recovered'])
      expect(await run()).toEqual([])
    }
  })
})

describe('a cron', () => {
  it('that meets another at midnight runs once, whatever isolate it is in', async () => {
    const { healer, state } = await setUp({ groups: REQUIRED })
    const database = sqliteD1()
    const handler = createScheduledHandler((env: { state: ReturnType<typeof d1State> }) => healer({ state: env.state }))
    const midnight = Date.UTC(2030, 0, 2)
    const env = () => ({ state: d1State({ database }) })
    await Promise.all([
      handler({ scheduledTime: midnight, cron: '0 */6 * * *' }, env()),
      handler({ scheduledTime: midnight, cron: '0 0 * * *' }, env()),
    ])
    await handler({ scheduledTime: midnight + 6 * 3_600_000, cron: '0 */6 * * *' }, env())
    const rows = await d1State({ database }).rows({ limit: 10 })
    expect(rows.map(({ action }) => action)).toEqual(['heal', 'heal'])
    expect(rows.every(({ actor }) => actor.startsWith('cron:'))).toBe(true)
    expect(await state.rows({ limit: 1 })).toEqual([])
    expect(() => createScheduledHandler(healer(), { action: 'both' as never })).toThrow('action')
  })

  it('that checks doesn’t take the instant from one that heals', async () => {
    const { healer } = await setUp()
    const one = healer(CEILING)
    const at = Date.UTC(2030, 0, 1)
    await createScheduledHandler(one, { action: 'check' })({ scheduledTime: at, cron: '0 */6 * * *' }, {})
    await createScheduledHandler(one)({ scheduledTime: at, cron: '0 0 * * *' }, {})
    await createScheduledHandler(one)({ scheduledTime: at, cron: '0 */12 * * *' }, {})
    expect((await one.history()).map(({ action }) => action)).toEqual(['heal', 'check'])
  })

  it('only checks where it is told to', async () => {
    const { healer, cloudflare } = await setUp()
    const one = healer(CEILING)
    await createScheduledHandler(one, { action: 'check' })(
      { scheduledTime: Date.UTC(2030, 0, 2), cron: '0 0 * * *' },
      {},
    )
    expect(cloudflare.count('PUT')).toBe(0)
    expect((await one.history())[0]?.action).toBe('check')
  })
})

describe('rules', () => {
  it('run the actions cloudflare.check and cloudflare.heal', async () => {
    const { healer, fake } = await setUp()
    const one = healer(CEILING)
    const tokens = new Tokenwright({
      store: new MemoryTokenStore({ clock: fake }),
      keys: generateSecret(),
      clock: fake,
    })
    registerCloudflareActions(tokens.rules, one)
    await tokens.rules.create({ name: 'look', action: 'cloudflare.check', schedule: 'daily' })
    await tokens.rules.create({
      name: 'mend',
      action: 'cloudflare.heal',
      schedule: { cron: '0 */6 * * *', timezone: 'UTC' },
    })
    expect(await tokens.rules.execute('look')).toMatchObject({
      outcome: 'ok',
      counts: { targets: 1, healthy: 0, degraded: 1, unhealthy: 0 },
    })
    expect(await tokens.rules.execute('mend')).toMatchObject({
      outcome: 'ok',
      counts: { targets: 1, healthy: 1, healed: 1, failed: 0 },
    })
    expect((await one.history())[0]).toMatchObject({ actor: 'rule:mend', auto_heal_success: true })
    await expect(
      tokens.rules.create({ name: 'wrong', action: 'cloudflare.heal', schedule: 'daily', params: { force: true } }),
    ).rejects.toMatchObject({ code: 'ERR_INVALID_INPUT' })
    await tokens.close()
  })
})

it('an action counts every change that was sent and didn’t come out as it should', async () => {
  const { healer, cloudflare } = await setUp()
  const actions = new Map<string, Action>()
  registerCloudflareActions({ action: (name, handler) => void actions.set(name, handler) }, healer(CEILING))
  cloudflare.onUpdate = (token) => {
    cloudflare.onUpdate = undefined
    cloudflare.change(token.id, { name: 'renamed' })
  }
  const context = { actor: 'rule:1', signal: new AbortController().signal } as never
  expect(await actions.get('cloudflare.heal')?.run(context)).toMatchObject({ counts: { healed: 0, failed: 1 } })
})

describe('roll', () => {
  it('once, straight to the consumers by a publish hook; the old value is dead, the new one verifies', async () => {
    const { healer, target, cloudflare } = await setUp({ groups: REQUIRED })
    const one = healer()
    const seen: unknown[] = []
    const result = await one.roll('account', {
      service: 'SHOP',
      actor: 'ada',
      publish: ({ token, service, record, attempt, signal: _ }) => {
        seen.push([service, record.id, attempt, token.length])
        return attempt === 1 ? 'unknown' : 'ok'
      },
    })
    expect(result).toMatchObject({ target: 'account', tokenId: target.id, published: 'ok' })
    expect(seen).toEqual([
      ['SHOP', target.id, 1, result.token.length],
      ['SHOP', target.id, 2, result.token.length],
    ])
    const put = cloudflare.requests.filter(({ method }) => method === 'PUT')
    expect(put).toHaveLength(1)
    expect(put[0]).toMatchObject({ path: expect.stringMatching(/\/value$/), body: {} })
    expect(result.token).not.toBe(target.value)
    expect((await one.check()).targets[0]).toMatchObject({ verified: true, health: 'healthy' })
    expect(JSON.stringify(await one.history())).not.toContain(result.token)
    expect((await one.history())[1]).toMatchObject({ action: 'roll', actor: 'ada' })
  })

  it('of two at once one is held back, and one that is aborted before sends nothing', async () => {
    const { healer, cloudflare } = await setUp()
    const one = healer()
    const both = await Promise.allSettled([one.roll('account'), one.roll('account')])
    expect(both.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected'])
    expect(both.find(({ status }) => status === 'rejected')).toMatchObject({
      reason: { code: 'ERR_HEAL_HELD', reason: 'busy' },
    })
    expect(cloudflare.count('PUT')).toBe(1)
    await expect(one.roll('account', { signal: AbortSignal.abort(new Error('no')) })).rejects.toThrow('no')
    expect(cloudflare.count('PUT')).toBe(1)
  })

  it('twice in quick succession leaves the healer with the value that is alive', async () => {
    const { healer, cloudflare, account, client } = await setUp()
    const { value } = cloudflare.addToken({
      account,
      policies: [{ groups: REQUIRED, resources: cloudflare.on(account) }],
      prefixed: false,
    })
    const rolled = Promise.withResolvers<void>()
    let verified = 0
    const held: typeof client = {
      send: async (request) => {
        const answer = await client.send(request)
        const whose = request.token !== undefined && answer.status === 200 && request.path.endsWith('/verify')
        if (whose && ++verified === 2) await rolled.promise
        return answer
      },
    }
    const one = healer({ client: held, targets: [{ accountId: account, token: value }] })
    const both = [one.roll(), one.roll()]
    await Promise.race(both)
    rolled.resolve()
    await Promise.all(both)
    expect(cloudflare.count('PUT')).toBe(2)
    expect((await one.check()).targets[0]).toMatchObject({ verified: true, health: 'healthy' })
  })

  it('is never repeated, and a lost answer is told as such', async () => {
    for (const type of ['reset_after', 'server', 'html', 'truncated'] as const) {
      const { healer, cloudflare } = await setUp()
      cloudflare.fault({ method: 'PUT', fault: { type } })
      await expect(healer().roll()).rejects.toMatchObject({ code: 'ERR_ROLL_UNKNOWN', retryable: false })
      expect(cloudflare.count('PUT')).toBe(1)
    }
  })

  it('takes the ready-made hooks of rotations, and tells when they fail', async () => {
    const { healer, clock, recorder } = await setUp()
    const secret = `whsec_${Buffer.from('0123456789abcdef0123456789abcdef').toString('base64')}`
    const bodies: string[] = []
    const publish = publishToWebhook({
      url: 'https://consumer.example',
      secret,
      clock,
      fetch: async (_, init) => {
        bodies.push(String(init?.body))
        return new Response('', { status: bodies.length < 3 ? 503 : 200 })
      },
    })
    const one = healer()
    const told = recorder(one)
    const { published, token } = await one.roll('account', { publish })
    expect(published).toBe('ok')
    expect(JSON.parse(bodies[2] ?? '')).toMatchObject({ service: 'account', token })
    expect(told.names().filter((name) => name === 'listenerError')).toHaveLength(2)
    expect((await one.roll('account', { publish: () => 'rejected' })).published).toBe('rejected')
    expect((await one.roll('account')).published).toBe('none')
    await expect(one.roll('account', { publish: 'x' as never })).rejects.toMatchObject({ code: 'ERR_INVALID_INPUT' })
    await expect(one.roll('nobody')).rejects.toMatchObject({ code: 'ERR_INVALID_INPUT' })
  })
})
