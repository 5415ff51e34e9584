import Cloudflare from 'cloudflare'
import { createClient } from 'cloudflare/tree-shakable'
import fc from 'fast-check'
import { afterEach, describe, expect, it } from 'vitest'
import {
  CloudflareApiError,
  CloudflareTokenHealer,
  createCloudflareClient,
  formatReport,
  fromCloudflare,
  type HealReport,
  memoryState,
} from '../../src/cloudflare/index.ts'
import { TokenwrightError } from '../../src/kernel/errors.ts'
import { Secret } from '../../src/kernel/secret.ts'
import { CloudflareSimulator } from '../../src/testing/index.ts'
import { REQUIRED, setUp } from './fixture.ts'

const CEILING = { ceiling: [...REQUIRED], autoHeal: true } as const

describe('reads', () => {
  it('are repeated where that may help, within bounds, and as late as Cloudflare asks', async () => {
    const { healer, cloudflare, fake } = await setUp({ groups: REQUIRED })
    const one = healer()
    await one.check()
    cloudflare.fault({ path: '/verify', fault: { type: 'rate_limited', retryAfter: '7' } })
    cloudflare.fault({ path: '/verify', fault: { type: 'server' } })
    const from = fake.monotonic()
    const report = await one.check()
    expect(report).toMatchObject({ overall_health: 'healthy', requests: 4 })
    expect(fake.monotonic() - from).toBeGreaterThanOrEqual(7000)
    expect(fake.monotonic() - from).toBeLessThan(20_000)
  })

  it.each(['Tue, 01 Jan 2030 00:00:05 GMT', undefined, 'soon'])('with a retry-after of %s too', async (retryAfter) => {
    const { healer, cloudflare, fake } = await setUp({ groups: REQUIRED })
    cloudflare.fault({
      path: '/verify',
      fault: { type: 'rate_limited', ...(retryAfter !== undefined && { retryAfter }) },
    })
    expect((await healer().check()).overall_health).toBe('healthy')
    expect(fake.monotonic()).toBeLessThan(10_000)
  })

  it('wait for no absurd time: it is told instead', async () => {
    const { healer, cloudflare, fake } = await setUp({ groups: REQUIRED })
    cloudflare.fault({ times: 9, fault: { type: 'rate_limited', retryAfter: '86400' } })
    const from = fake.monotonic()
    expect((await healer().check()).targets[0]?.reason).toBe('rate_limited')
    expect(fake.monotonic()).toBe(from)
    expect(cloudflare.requests).toHaveLength(1)
  })

  it('that are taken by none, however often, end the run: nobody asks on for the other tokens', async () => {
    const { healer, cloudflare, account } = await setUp()
    const policies = [{ groups: [REQUIRED[0]], resources: cloudflare.on(account) }]
    const targets = Array.from({ length: 30 }, () => {
      const { id } = cloudflare.addToken({ account, policies })
      return { kind: 'account', accountId: account, tokenId: id } as const
    })
    cloudflare.fault({ times: 9999, fault: { type: 'rate_limited' } })
    const report = await healer({ targets, concurrency: 2 }).check()
    expect(new Set(report.targets.map(({ reason }) => reason))).toEqual(new Set(['rate_limited']))
    expect(cloudflare.requests.length).toBeLessThanOrEqual(2 * 3)
  })

  it('of a refusal aren’t repeated', async () => {
    const { healer, cloudflare, target } = await setUp({ groups: REQUIRED })
    cloudflare.fault({
      path: target.id,
      times: 9,
      fault: { type: 'error', status: 403, code: 9109, message: 'Unauthorized to access requested resource' },
    })
    await healer().check()
    expect(cloudflare.requests.filter(({ path }) => path.endsWith(target.id))).toHaveLength(1)
  })

  it('by a client that answers with what is no answer are unreadable', async () => {
    const { healer } = await setUp({ described: false })
    for (const answer of [
      undefined,
      null,
      {},
      { status: 200 },
      { status: '200', text: '{}' },
      { status: 429, text: '', retryAfter: 1 },
    ]) {
      const one = healer({ client: { send: async () => answer as never } })
      expect((await one.check()).targets[0]).toMatchObject({ valid: null, fault: { kind: 'unreadable' } })
    }
  })

  it('of a body that never ends let go of it when they are aborted, though it was before', async () => {
    let cancelled: unknown
    const cancel = (reason: unknown): void => {
      cancelled = reason
    }
    const body = () => new ReadableStream({ cancel })
    const client = createCloudflareClient({ token: 'h'.repeat(40), fetch: async () => new Response(body()) })
    const signal = AbortSignal.abort(new Error('enough'))
    await expect(client.send({ method: 'GET', path: '/user', signal })).rejects.toThrow('enough')
    expect(cancelled).toMatchObject({ message: 'enough' })
  })

  it('that hang end in time', async () => {
    const { healer, cloudflare, fake } = await setUp({ groups: REQUIRED })
    cloudflare.fault({ path: '/verify', times: 9, fault: { type: 'hang' } })
    const checked = healer({ timeout: '5s', retries: 0 }).check()
    while (cloudflare.requests.length === 0) await new Promise((resolve) => setTimeout(resolve, 5))
    await fake.advance('5s')
    const report = await checked
    expect(report.targets[0]).toMatchObject({ valid: null, reason: 'unreachable', missing: [] })
  })
})

describe('an abort', () => {
  it('ends a wait and a request at once, and nothing more is sent (E2)', async () => {
    const world = await setUp()
    for (const type of ['hang', 'rate_limited'] as const) {
      world.cloudflare.requests.length = 0
      world.cloudflare.fault({
        path: '/verify',
        times: 9,
        fault: type === 'hang' ? { type } : { type, retryAfter: '20' },
      })
      const abort = new AbortController()
      // The fake clock stands still: a wait that isn't ended never ends.
      const one = world.healer({ ...CEILING, clock: world.fake })
      const healed = one.heal({ signal: abort.signal }).catch((error: unknown) => error)
      while (world.cloudflare.requests.length === 0) await new Promise((resolve) => setTimeout(resolve, 5))
      await new Promise((resolve) => setTimeout(resolve, 20))
      const from = performance.now()
      abort.abort(new Error('enough'))
      expect(await healed).toMatchObject({ message: 'enough' })
      // It is a few; the bound leaves room for a machine that is busy.
      expect(performance.now() - from).toBeLessThan(500)
      world.cloudflare.clearFaults()
    }
    expect(world.cloudflare.count('PUT')).toBe(0)
    await expect(world.healer().check({ signal: AbortSignal.abort(new Error('never')) })).rejects.toThrow('never')
  })

  it('while the change is under way leaves it not known, and says so', async () => {
    const { healer, cloudflare, state, target } = await setUp()
    const abort = new AbortController()
    cloudflare.onUpdate = () => abort.abort(new Error('enough'))
    await expect(healer(CEILING).heal({ signal: abort.signal })).rejects.toThrow('enough')
    expect((await state.rows({ limit: 1 }))[0]).toMatchObject({
      action: 'heal',
      auto_heal_success: null,
      error_code: 'Error',
    })
    expect(await state.lease(`token:${target.id}`, 'next', 9e15, Date.UTC(2030, 0, 1))).toBe(true)
  })

  it('after a change leaves its row with what was done, and what takes it back', async () => {
    const { healer, cloudflare, account, target, state } = await setUp()
    const second = cloudflare.addToken({
      account,
      policies: [{ groups: [REQUIRED[0]], resources: cloudflare.on(account) }],
    })
    const targets = [target, second].map(({ id }) => ({ kind: 'account', accountId: account, tokenId: id }) as const)
    const abort = new AbortController()
    const one = healer({ ...CEILING, targets })
    one.events.on('healed', () => abort.abort(new Error('enough')))
    await expect(one.heal({ signal: abort.signal })).rejects.toThrow('enough')
    expect(cloudflare.count('PUT')).toBe(1)
    const [row] = await state.rows({ limit: 1 })
    expect(row).toMatchObject({
      action: 'heal',
      auto_heal_attempted: true,
      auto_heal_success: true,
      error_code: 'Error',
    })
    expect(row?.targets).toMatchObject([{ name: 'account', change: { outcome: 'healed' } }])
    expect((await one.rollback(row?.targets[0]?.change?.snapshot ?? '')).restored).toBe(true)
  })
})

describe('several runs of one healer', () => {
  it('wait for who it is together, and none is ended by the abort of another', async () => {
    const { healer, client } = await setUp()
    const [asked, reads] = [Promise.withResolvers<void>(), { left: 2, all: Promise.withResolvers<void>() }]
    const answers = Promise.withResolvers<void>()
    const held: typeof client = {
      send: async (request) => {
        const own = request.path.endsWith('/verify') && request.token === undefined
        if (own) asked.resolve()
        if (own) await answers.promise
        const answer = await client.send(request)
        if (/tokens\/[0-9a-f]{32}$/.test(request.path) && --reads.left === 0) reads.all.resolve()
        return answer
      },
    }
    const one = healer({ client: held })
    const abort = new AbortController()
    const first = one.plan('account', { signal: abort.signal }).catch((error: unknown) => error)
    const second = one.plan('account')
    await Promise.all([asked.promise, reads.all.promise])
    for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve))
    abort.abort(new Error('enough'))
    expect(await first).toMatchObject({ message: 'enough' })
    answers.resolve()
    expect((await second).added).toHaveLength(2)
  })
})

describe('a block that is told after a change', () => {
  it('ends the run: the next token is asked nothing', async () => {
    const { healer, cloudflare, account, target, fake } = await setUp()
    const policies = [{ groups: [REQUIRED[0]], resources: cloudflare.on(account) }]
    const second = cloudflare.addToken({ account, policies })
    const targets = [target, second].map(({ id }) => ({ kind: 'account', accountId: account, tokenId: id }) as const)
    const blocked = { type: 'rate_limited', retryAfter: '300' } as const
    cloudflare.fault({ method: 'GET', path: target.id, after: 2, times: 99, fault: blocked })
    const from = fake.now()
    const report = await healer({ ...CEILING, targets }).heal()
    expect(report.changes.map(({ outcome }) => outcome)).toEqual(['unknown', 'not_sent'])
    expect(cloudflare.requests.at(-1)).toMatchObject({ method: 'GET', status: 429 })
    expect(cloudflare.requests.filter(({ status }) => status === 429)).toHaveLength(1)
    // Nor is anything waited for that can't come.
    expect(fake.now() - from).toBeLessThan(10_000)
  })
})

describe('the credential', () => {
  const names = [
    'CLOUDFLARE_API_KEY',
    'CLOUDFLARE_EMAIL',
    'CLOUDFLARE_API_TOKEN',
    'CLOUDFLARE_BASE_URL',
    'CLOUDFLARE_API_USER_SERVICE_KEY',
  ]
  afterEach(() => {
    for (const name of names) delete process.env[name]
  })

  it('is the only one that is sent, whatever the environment holds, and to the one host (A8)', async () => {
    for (const name of names) process.env[name] = 'http://127.0.0.1:1/leak'
    const { healer, cloudflare, own, target, account, url } = await setUp({ groups: REQUIRED })
    const official = fromCloudflare(new Cloudflare({ apiToken: own.value, baseURL: url }))
    const shaken = fromCloudflare(createClient({ apiToken: own.value, baseURL: url, resources: [] }))
    const minimal = createCloudflareClient({ token: new Secret(own.value), baseURL: `${url}/` })
    for (const client of [official, shaken, minimal]) {
      cloudflare.requests.length = 0
      const report = await healer({ client }).check()
      expect(report.overall_health).toBe('healthy')
      expect(cloudflare.requests.map(({ auth, by }) => [auth, by])).toEqual([
        ['bearer', target.id],
        ['bearer', own.id],
        ['bearer', own.id],
      ])
    }
    const report = await new CloudflareTokenHealer({
      ...{ healerToken: own.value, baseURL: url, required: [...REQUIRED] },
      targets: [{ kind: 'account', accountId: account, tokenId: target.id }],
    }).check()
    expect(report.overall_health).toBe('healthy')
  })

  it('follows no redirection', async () => {
    const leaked: string[] = []
    const elsewhere = new CloudflareSimulator()
    const target = await elsewhere.listen()
    for (const make of ['official', 'own'] as const) {
      const fetch: typeof globalThis.fetch = async (url, init) => {
        leaked.push(`${init?.redirect} ${String(url).slice(0, 22)}`)
        return new Response(null, { status: 302, headers: { location: target } })
      }
      const token = 'h'.repeat(40)
      const client =
        make === 'own'
          ? createCloudflareClient({ token, fetch })
          : fromCloudflare(new Cloudflare({ apiToken: token, fetch, baseURL: 'https://api.cloudflare.com/client/v4' }))
      const answer = await client.send({ method: 'GET', path: '/user/tokens/verify' })
      expect(answer.status).toBe(302)
    }
    expect(leaked).toEqual(['manual https://api.cloudflare', 'manual https://api.cloudflare'])
    expect(elsewhere.requests).toEqual([])
    await elsewhere.close()
  })

  it('that isn’t known is an error of the healer, not of its tokens', async () => {
    const { healer, clientOf, cloudflare } = await setUp()
    const one = healer({ client: clientOf('w'.repeat(40)), ...CEILING })
    const report = await one.heal()
    expect(report.targets[0]).toMatchObject({ valid: true, permissions: 'unknown', missing: null, health: 'degraded' })
    await expect(one.plan()).rejects.toMatchObject({ code: 'ERR_TARGET_UNREADABLE' })
    expect(cloudflare.count('PUT')).toBe(0)
  })

  it('of a server that says it back isn’t told', async () => {
    const { healer, target, cloudflare } = await setUp()
    cloudflare.fault({
      path: '/verify',
      fault: { type: 'error', status: 403, code: 9109, message: `bad token ${target.value}` },
    })
    const report = await healer().check()
    expect(JSON.stringify(report)).not.toContain(target.value)
    expect(report.targets[0]?.fault?.message).toBe('bad token […]')
  })
})

it('an error of the API has the pair that Cloudflare said, and what to do', async () => {
  const { healer, own, account, cloudflare } = await setUp()
  cloudflare.setPolicies(own.id, [{ groups: ['D1 Read'], resources: cloudflare.on(account) }])
  const one = healer({
    targets: [{ kind: 'account', accountId: account, token: (await setUp()).target.value, tokenId: own.id, name: 'x' }],
  })
  const error = await one.roll('x').catch((each: unknown) => each)
  expect(error).toMatchObject({ code: 'ERR_LOCK_OUT' })
  const other = cloudflare.addToken({ account, policies: [{ groups: ['D1 Read'], resources: cloudflare.on(account) }] })
  const refused = await healer({ targets: [{ kind: 'account', accountId: account, tokenId: other.id }] })
    .roll()
    .catch((each: unknown) => each)
  expect(refused).toBeInstanceOf(CloudflareApiError)
  expect(refused).toMatchObject({ fault: { kind: 'forbidden', status: 403, code: 9109 }, retryable: false })
  expect((refused as CloudflareApiError).help).toContain('Account API Tokens Write')
})

it('whatever an answer holds in place of what it should, nothing is thrown but errors of ours, and nothing granted but what is required', async () => {
  const world = await setUp({ described: false })
  const values: unknown[] = [
    null,
    '',
    [],
    {},
    0,
    -1,
    true,
    'x'.repeat(500),
    [[]],
    { __proto__: null, id: {} },
    '\u001b[31m',
    '__proto__',
    'constructor',
  ]
  const keys = ['__proto__', 'constructor', 'toString', 'id', 'name', 'policies', 'com.cloudflare.api.account.*']
  const places = (value: unknown): [object, string][] =>
    typeof value !== 'object' || value === null
      ? []
      : Object.keys(value).flatMap((key) => [[value, key], ...places((value as never)[key])] as [object, string][])
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 0, max: 7 }), fc.nat(), fc.nat(), fc.boolean(), async (at, where, what, add) => {
      let sent = 0
      const client = {
        send: async (request: Parameters<typeof world.client.send>[0]) => {
          const answer = await world.client.send(request)
          if (sent++ !== at) return answer
          const body = JSON.parse(answer.text) as object
          const all = places(body)
          const [object, key] = all[where % all.length] as [object, string]
          const name = add ? keys[what % keys.length] : key
          Object.defineProperty(object, name as string, {
            value: values[what % values.length],
            enumerable: true,
            configurable: true,
            writable: true,
          })
          return { ...answer, text: JSON.stringify(body) }
        },
      }
      const one = world.healer({ client, state: memoryState(), ...CEILING })
      const result = await one.heal().catch((error: unknown) => error)
      if (result instanceof Error) expect(result).toBeInstanceOf(TokenwrightError)
      else formatReport(result as HealReport)
      const grants = world.cloudflare.grants(world.target.id).map((grant) => grant.replace(/^allow | com\..*$/g, ''))
      expect(grants.filter((name) => !REQUIRED.includes(name as never))).toEqual([])
      world.cloudflare.setPolicies(world.target.id, [
        { groups: [REQUIRED[0]], resources: world.cloudflare.on(world.account) },
      ])
      world.cloudflare.requests.length = 0
    }),
    { numRuns: 200 },
  )
}, 60_000)
