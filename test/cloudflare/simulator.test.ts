import Cloudflare, { APIError } from 'cloudflare'
import { describe, expect, it, onTestFinished } from 'vitest'
import { CloudflareSimulator, type CloudflareSimulatorOptions, fakeClock } from '../../src/testing/index.ts'
import { idOf } from './fixture.ts'
import { breaches, hasOpenApi } from './openapi.ts'

/** The official client at a simulator of its own. */
async function at(options: CloudflareSimulatorOptions = {}) {
  const clock = fakeClock()
  const cloudflare = new CloudflareSimulator({ clock, ...options })
  const account = cloudflare.addAccount()
  const baseURL = await cloudflare.listen()
  onTestFinished(async () => {
    await cloudflare.close()
    expect(cloudflare.requests.filter(({ faulty }) => !faulty).flatMap(breaches)).toEqual([])
  })
  const as = (value: string) =>
    new Cloudflare({ apiToken: value, baseURL, maxRetries: 0, apiKey: null, apiEmail: null, userServiceKey: null })
  const manager = cloudflare.addToken({
    account,
    policies: [{ groups: ['Account API Tokens Write'], resources: cloudflare.on(account) }],
  })
  const user = cloudflare.addToken({ policies: [{ groups: ['API Tokens Write'], resources: cloudflare.onUser() }] })
  return { clock, cloudflare, account, baseURL, as, manager, user, api: as(manager.value) }
}

/** Status and first code of a refusal. */
async function refusal(call: PromiseLike<unknown>): Promise<unknown> {
  try {
    await call
  } catch (error) {
    if (error instanceof APIError) return [error.status, (error.errors as { code: number }[] | undefined)?.[0]?.code]
    return error
  }
  return 'no refusal'
}

const policy = (resources: object, ...groups: string[]) => ({
  effect: 'allow' as const,
  permission_groups: groups.map((name) => ({ id: idOf(name) })),
  resources: resources as { [key: string]: string },
})

describe('the simulator, by the official client', () => {
  it('K1: knows each family at its own endpoint', async () => {
    const { account, as, manager, user } = await at()
    expect(await as(manager.value).accounts.tokens.verify({ account_id: account })).toEqual({
      id: manager.id,
      status: 'active',
    })
    expect(await as(user.value).user.tokens.verify()).toEqual({ id: user.id, status: 'active' })
    expect(await refusal(as(manager.value).user.tokens.verify())).toEqual([401, 1000])
    expect(await refusal(as(user.value).accounts.tokens.verify({ account_id: account }))).toEqual([401, 1000])
    expect(await refusal(as(manager.value).user.tokens.get(user.id))).toEqual([403, 9109])
  })

  it('K2: wants a bearer token that it knows', async () => {
    const { baseURL, as, account } = await at()
    const bare = async (headers: { [name: string]: string }) => {
      const response = await fetch(`${baseURL}/user/tokens/verify`, { headers })
      return [
        response.status,
        ((await response.json()) as { errors: { code: number; error_chain?: { code: number }[] }[] }).errors[0],
      ]
    }
    expect(await bare({})).toMatchObject([400, { code: 9106 }])
    expect(await bare({ authorization: 'Token x' })).toMatchObject([400, { code: 6003, error_chain: [{ code: 6111 }] }])
    expect(await refusal(as('x'.repeat(40)).user.tokens.verify())).toEqual([401, 1000])
    expect(await refusal(as('x'.repeat(40)).accounts.tokens.get('y', { account_id: account }))).toEqual([403, 9109])
  })

  it('K3: lets a caller do what its own policies say, now', async () => {
    const { cloudflare, account, as, manager, api } = await at()
    const reader = cloudflare.addToken({
      account,
      policies: [{ groups: ['Account API Tokens Read'], resources: cloudflare.on(account) }],
    })
    const read = as(reader.value)
    const body = { account_id: account, name: 'x', policies: [policy(cloudflare.on(account), 'D1 Read')] }
    expect((await read.accounts.tokens.get(manager.id, { account_id: account })).id).toBe(manager.id)
    expect(await refusal(read.accounts.tokens.update(reader.id, body as never))).toEqual([403, 9109])
    expect((await api.accounts.tokens.update(reader.id, body as never)).name).toBe('x')
    expect(await refusal(read.accounts.tokens.get(manager.id, { account_id: account }))).toEqual([403, 9109])
    const other = cloudflare.addAccount()
    expect(await refusal(api.accounts.tokens.get(manager.id, { account_id: other }))).toEqual([403, 9109])
    expect(await refusal(api.accounts.tokens.get('f'.repeat(32), { account_id: account }))).toEqual([404, 1003])
  })

  it('K4, K5: judges statuses, dates and addresses as of now', async () => {
    const { cloudflare, clock, account, as } = await at()
    const add = (more: object) =>
      cloudflare.addToken({
        account,
        policies: [{ groups: ['Account API Tokens Read'], resources: cloudflare.on(account) }],
        ...more,
      })
    const verify = (value: string) => as(value).accounts.tokens.verify({ account_id: account })
    const ending = add({ expires_on: '2030-01-02T00:00:00Z' })
    expect((await verify(ending.value))?.status).toBe('active')
    await clock.advance('1d')
    expect((await verify(ending.value))?.status).toBe('expired')
    expect(await refusal(as(ending.value).accounts.tokens.get(ending.id, { account_id: account }))).toEqual([403, 9109])
    expect((await verify(add({ status: 'disabled' }).value))?.status).toBe('disabled')
    expect(await refusal(verify(add({ status: 'revoked (exposed)' }).value))).toEqual([401, 1000])
    expect((await verify(add({ not_before: '2031-01-01T00:00:00Z' }).value))?.not_before).toBe('2031-01-01T00:00:00Z')
    for (const [condition, allowed] of [
      [{ request_ip: { in: ['203.0.113.0/24'] } }, true],
      [{ request_ip: { in: ['10.0.0.0/8'] } }, false],
      [{ request_ip: { not_in: ['203.0.113.7/32'] } }, false],
      [{}, false],
      [{ request_ip: { in: [] } }, false],
    ] as const) {
      const { value } = add({ condition })
      if (allowed) expect((await verify(value))?.status).toBe('active')
      else expect(await refusal(verify(value))).toEqual([403, 9109])
    }
  })

  it.each(['keep', 'clear'] as const)(
    'K6: an update replaces policies, gives them new ids and another order, and %ss what is left out',
    async (omission) => {
      const { cloudflare, account, api } = await at({ omission })
      const condition = { request_ip: { in: ['203.0.113.0/24'] } }
      const token = cloudflare.addToken({
        account,
        condition,
        expires_on: '2031-01-01T00:00:00Z',
        policies: [{ groups: ['D1 Read'], resources: cloudflare.on(account) }],
      })
      const before = structuredClone(cloudflare.token(token.id))
      const policies = [policy(cloudflare.on(account), 'Queues Write', 'D1 Read')]
      const after = await api.accounts.tokens.update(token.id, { account_id: account, name: 'new', policies } as never)
      expect(after.policies?.[0]?.id).not.toBe(before.policies[0]?.id)
      expect(after.policies?.[0]?.permission_groups?.map(({ name }) => name)).toEqual(['D1 Read', 'Queues Write'])
      expect(Date.parse(after.modified_on ?? '')).toBeGreaterThan(Date.parse(before.modified_on))
      expect(after.condition).toEqual(omission === 'keep' ? condition : undefined)
      expect(after.expires_on).toBe(omission === 'keep' ? '2031-01-01T00:00:00Z' : undefined)
      const put = (body: object) =>
        refusal(api.accounts.tokens.update(token.id, { account_id: account, ...body } as never))
      const wrong: object[] = [
        { policies },
        { name: 'x', policies: [] },
        { name: 'x'.repeat(121), policies },
        { name: 'x', policies, status: 'paused' },
        { name: 'x', policies: [{ ...policies[0], permission_groups: [{ name: 'D1 Read' }] }] },
        { name: 'x', policies: [policy(cloudflare.on(account), 'f'.repeat(32))] },
        { name: 'x', policies: [policy(cloudflare.on(account), 'DNS Read')] },
      ]
      const unchanged = structuredClone(cloudflare.token(token.id))
      const told = cloudflare.requests.length
      for (const body of wrong) expect(await put(body)).toEqual([400, 1001])
      expect(await put({ name: 'x', policies: [policy(cloudflare.on('f'.repeat(32)), 'D1 Read')] })).toEqual([
        403, 9109,
      ])
      expect(
        await put({
          name: 'x',
          policies: [policy({ 'com.cloudflare.edge.r2.bucket.*': '*' }, 'Workers R2 Storage Bucket Item Read')],
        }),
      ).toEqual([403, 9109])
      expect(cloudflare.token(token.id)).toEqual(unchanged)
      // Requests that are wrong on purpose aren't held against the description.
      cloudflare.requests.length = told
    },
  )

  it('K8: who may grant what', async () => {
    for (const [ceiling, outcome] of [
      ['owner', [400, 1001]],
      ['creator', [400, 1001]],
      ['silent-drop', 'no refusal'],
    ] as const) {
      const { cloudflare, account, api } = await at({ ceiling })
      if (ceiling !== 'creator') cloudflare.ungrantable.add('Queues Write')
      const token = cloudflare.addToken({
        account,
        policies: [{ groups: ['D1 Read'], resources: cloudflare.on(account) }],
      })
      const body = {
        account_id: account,
        name: 'x',
        policies: [policy(cloudflare.on(account), 'D1 Read', 'Queues Write')],
      }
      expect(await refusal(api.accounts.tokens.update(token.id, body as never))).toEqual(outcome)
      expect(cloudflare.grants(token.id)).toHaveLength(1)
    }
  })

  it('K9: the catalogue has twins, pages and filters', async () => {
    const { cloudflare, account, api, as, user } = await at()
    const list = async (query: object, options: object = {}) =>
      (await api.accounts.tokens.permissionGroups.list({ account_id: account, ...query }, options)).result
    expect(await list({})).toHaveLength(25)
    const all = await list({}, { query: { per_page: 1000 } })
    expect(all.length).toBeGreaterThan(50)
    expect(all.filter(({ name }) => name === 'Logs Read')).toHaveLength(2)
    expect(all.some(({ name }) => name === 'User Details Read')).toBe(false)
    expect(await list({ name: 'Logs Read', scope: 'com.cloudflare.api.account.zone' })).toHaveLength(1)
    expect(await list({ name: 'Logs%20Read' })).toHaveLength(0)
    expect((await as(user.value).user.tokens.permissionGroups.list({ name: 'User Details' })).result).toHaveLength(2)
    expect(new Set(cloudflare.groups.map(({ id }) => id)).size).toBe(cloudflare.groups.length)
    expect(cloudflare.groups.every(({ id }) => /^[0-9a-f]{32}$/.test(id))).toBe(true)
  })

  it('K12: a roll kills the old value at once, tells the new one once, and wants a body', async () => {
    const { cloudflare, account, api, as } = await at()
    const token = cloudflare.addToken({
      account,
      policies: [{ groups: ['Account API Tokens Read'], resources: cloudflare.on(account) }],
    })
    const value = await api.accounts.tokens.value.update(token.id, { account_id: account }, { body: {} })
    expect(value).toMatch(/^cfat_/)
    expect(await refusal(as(token.value).accounts.tokens.verify({ account_id: account }))).toEqual([401, 1000])
    expect((await as(value ?? '').accounts.tokens.verify({ account_id: account }))?.id).toBe(token.id)
    expect(JSON.stringify(await api.accounts.tokens.get(token.id, { account_id: account }))).not.toContain(value)
  })

  it('K11, K13: faults befall the request that they are for, and every request is kept', async () => {
    const { cloudflare, account, manager, api, baseURL } = await at()
    const verify = () => api.accounts.tokens.verify({ account_id: account })
    cloudflare.fault({ path: '/verify', after: 1, fault: { type: 'rate_limited', retryAfter: '3' } })
    cloudflare.fault({ path: '/verify', after: 1, fault: { type: 'reset' } })
    expect((await verify())?.id).toBe(manager.id)
    expect(await refusal(verify())).toEqual([429, 10429])
    expect(await refusal(verify())).toEqual([undefined, undefined])
    expect((await verify())?.id).toBe(manager.id)
    expect(cloudflare.requests.map(({ status, faulty, by }) => [status, faulty, by])).toEqual([
      [200, false, manager.id],
      [429, true, manager.id],
      [200, true, manager.id],
      [200, false, manager.id],
    ])
    const response = await fetch(`${baseURL}/accounts/${account}/tokens/verify`, {
      headers: { authorization: `Bearer ${manager.value}` },
    })
    expect(response.headers.get('ratelimit')).toContain('r=')
    expect((await fetch(`${baseURL.replace('/client/v4', '')}/elsewhere`)).status).toBe(404)
  })

  it('listens once, however often it is started, and takes a Request for one', async () => {
    const cloudflare = new CloudflareSimulator()
    const account = cloudflare.addAccount()
    const { id, value } = cloudflare.addToken({
      account,
      policies: [{ groups: ['Account API Tokens Write'], resources: cloudflare.on(account) }],
    })
    const urls = await Promise.all([cloudflare.listen(), cloudflare.listen()])
    expect(new Set(urls).size).toBe(1)
    await cloudflare.close()
    await expect(fetch(`${urls[0]}/user`)).rejects.toThrow('fetch failed')
    const body = JSON.stringify({ name: 'renamed', policies: cloudflare.token(id).policies })
    const request = new Request(`https://api.cloudflare.com/client/v4/accounts/${account}/tokens/${id}`, {
      ...{ method: 'PUT', body, headers: { authorization: `Bearer ${value}` } },
    })
    expect((await cloudflare.fetch(request)).status).toBe(200)
    expect(cloudflare.token(id).name).toBe('renamed')
  })

  it('answers without a socket as with one', async () => {
    const { cloudflare, account, manager } = await at()
    const api = new Cloudflare({ apiToken: manager.value, fetch: cloudflare.fetch, maxRetries: 0 })
    expect((await api.accounts.tokens.verify({ account_id: account }))?.id).toBe(manager.id)
    cloudflare.fault({ fault: { type: 'reset' } })
    expect(await refusal(api.accounts.tokens.verify({ account_id: account }))).toEqual([undefined, undefined])
  })
})

describe.runIf(hasOpenApi)('the judge of the simulator', () => {
  it('sees what the description doesn’t allow', () => {
    const id = 'a'.repeat(32)
    const good = { success: true, errors: [], messages: [], result: { id, status: 'active' } }
    const seen = (path: string, method: string, body: unknown, status: number, answer: object) =>
      breaches({ path, method, body, status, answer: JSON.stringify(answer) }).length
    expect(seen('/user/tokens/verify', 'GET', undefined, 200, good)).toBe(0)
    expect(seen('/user/tokens/verify', 'GET', undefined, 200, { ...good, result: { id, status: 'paused' } })).toBe(1)
    expect(seen('/user/tokens/verify', 'GET', undefined, 200, { ...good, success: false })).toBe(1)
    expect(seen('/user/tokens/verify', 'GET', undefined, 200, { success: true })).toBe(2)
    expect(
      seen('/user/tokens/verify', 'GET', undefined, 403, {
        success: false,
        errors: [{ code: 1, message: 'x' }],
        messages: [],
        result: null,
      }),
    ).toBe(1)
    expect(seen(`/user/tokens/${id}`, 'PUT', { name: 'x' }, 200, { success: true, errors: [], messages: [] })).toBe(1)
    expect(
      seen(`/user/tokens/${id}`, 'PUT', { name: 'x', policies: [{ effect: 'allow' }] }, 200, {
        success: true,
        errors: [],
        messages: [],
      }),
    ).toBe(2)
    expect(
      seen(`/user/tokens/${id}`, 'PUT', { name: 'x', policies: [], colour: 'red' }, 200, {
        success: true,
        errors: [],
        messages: [],
      }),
    ).toBe(1)
  })
})
