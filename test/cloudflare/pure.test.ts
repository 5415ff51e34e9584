import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { aftermathOf } from '../../src/cloudflare/aftermath.ts'
import { analyse } from '../../src/cloudflare/analytics.ts'
import { readEnvelope } from '../../src/cloudflare/answer.ts'
import { PermissionCatalogue } from '../../src/cloudflare/catalogue.ts'
import { compare } from '../../src/cloudflare/compare.ts'
import { expiryOf } from '../../src/cloudflare/expiry.ts'
import { faultOf, locationOf, waitOf } from '../../src/cloudflare/fault.ts'
import { inParallel } from '../../src/cloudflare/in-parallel.ts'
import { KNOWN_GROUPS } from '../../src/cloudflare/known-groups.ts'
import { holdOf, NO_MARK, noteChange, noteFound, noteGiven } from '../../src/cloudflare/mark.ts'
import { addGrants } from '../../src/cloudflare/merge-policies.ts'
import { coverers, mapOf, readResources } from '../../src/cloudflare/resources.ts'
import { bodyOf, contentOf, readToken } from '../../src/cloudflare/token-record.ts'
import { idOf } from './fixture.ts'

const ACCOUNT = 'a'.repeat(32)
const ON = { [`com.cloudflare.api.account.${ACCOUNT}`]: '*' }

describe('what an answer means (facts: the error table)', () => {
  const meaning = (status: number, code: number, message: string) =>
    faultOf(
      status,
      readEnvelope({
        status,
        text: JSON.stringify({ success: false, errors: [{ code, message }], messages: [], result: null }),
      }),
    )?.kind
  it.each<[number, number, string, string]>([
    [401, 1000, 'Invalid API Token', 'invalid_token'],
    [403, 9109, 'Valid user-level authentication not found', 'wrong_family'],
    [403, 9109, 'Unauthorized to access requested resource', 'forbidden'],
    [403, 9109, 'Cannot use the access token from location: 203.0.113.7', 'ip_restricted'],
    [403, 9109, 'Invalid access token', 'invalid_token'],
    [401, 10000, 'Authentication error', 'forbidden'],
    [403, 10000, 'Authentication error', 'forbidden'],
    [403, 10001, 'Unable to authenticate request', 'wrong_family'],
    [400, 1001, 'Failed common permission check against resources. (Permission group: "D1 Write")', 'cannot_grant'],
    [400, 1001, 'Unknown permission group', 'refused'],
    [400, 6003, 'Invalid request headers', 'unauthenticated'],
    [400, 9106, 'Missing X-Auth-Key, X-Auth-Email or Authorization headers', 'unauthenticated'],
    [404, 7003, 'No route for the URI', 'not_found'],
    [404, 1003, 'no such token', 'not_found'],
    [429, 10429, 'Rate limited', 'rate_limited'],
    [503, 1000, 'Invalid API Token', 'server'],
    [418, 4711, 'something new', 'refused'],
    [401, 4711, 'something new', 'unauthenticated'],
    [200, 1000, 'Invalid API Token', 'refused'],
    [302, 1, '', 'refused'],
  ])('%i %i %s: %s', (status, code, message, kind) => expect(meaning(status, code, message)).toBe(kind))

  it('of nothing readable is never good, whatever the status', () => {
    for (const text of ['', '<html>', '{"success":tr', '[]', 'null', '{"success":"yes"}', '{"result":[]}']) {
      expect(readEnvelope({ status: 200, text })).toBe(undefined)
      expect(faultOf(200, readEnvelope({ status: 200, text }))?.kind).toBe('unreadable')
    }
    fc.assert(
      fc.property(fc.integer({ min: 100, max: 599 }), fc.json(), (status, text) => {
        const envelope = readEnvelope({ status, text })
        if (faultOf(status, envelope) === undefined)
          expect(envelope?.success === true && status >= 200 && status < 300).toBe(true)
      }),
    )
  })

  it('a good one may carry the code that else stands for an error', () => {
    const text = JSON.stringify({
      success: true,
      errors: [],
      messages: [{ code: 10000, message: 'active' }],
      result: { id: 1 },
    })
    expect(faultOf(200, readEnvelope({ status: 200, text }))).toBe(undefined)
  })

  it('messages are short, and on one line; chains don’t nest without end', () => {
    const message = JSON.stringify(`a\r\nb\u001b[31m${'x'.repeat(5000)}`)
    const deep = `${'{"code":1,"message":"deep","error_chain":['.repeat(20_000)}${']}'.repeat(20_000)}`
    const text = `{"success":false,"errors":[{"code":6003,"message":${message},"error_chain":[{"code":6111}]},${deep}]}`
    const read = readEnvelope({ status: 400, text })?.errors
    expect(read?.map(({ code }) => code)).toEqual([6003, 6111, 1, 1])
    expect(read?.[0]?.message.length).toBeLessThan(301)
    for (const control of ['\r', '\n', '\u001b']) expect(read?.[0]?.message).not.toContain(control)
  })

  it('with half of a surrogate pair is none, for it has no canonical form', () => {
    const read = (name: string) => readEnvelope({ status: 200, text: `{"success":true,"result":{"name":"${name}"}}` })
    for (const half of ['\\ud83d', '\\udE00', 'a\\\\\\ud83d', '\\ud83d\\ud83d\\ude00']) {
      expect(read(half)).toBe(undefined)
    }
    expect(read('\\ud83d\\ude00')?.result).toEqual({ name: '😀' })
    expect(read('a\\\\ud83d')?.result).toEqual({ name: 'a\\ud83d' })
    expect(read('😀\\u0041\\n')?.result).toEqual({ name: '😀A\n' })
    const message = `${'a '.repeat(149)}a😀`
    const body = { success: false, errors: [{ code: 1, message }] }
    const cut = readEnvelope({ status: 400, text: JSON.stringify(body) })?.errors[0]?.message ?? ''
    expect(cut).toHaveLength(300)
    expect(cut.isWellFormed()).toBe(true)
  })

  it('addresses and waits are read out strictly', () => {
    expect(locationOf('Cannot use the access token from location: 203.0.113.7')).toBe('203.0.113.7')
    expect(locationOf('from location: 2001:db8::1 now')).toBe('2001:db8::1')
    expect(locationOf('from location: <script>')).toBe(undefined)
    const now = Date.UTC(2030, 0, 1)
    expect(waitOf('30', now)).toBe(30_000)
    expect(waitOf('Tue, 01 Jan 2030 00:01:00 GMT', now)).toBe(60_000)
    expect(waitOf('Tue, 01 Jan 2020 00:01:00 GMT', now)).toBe(0)
    for (const text of [undefined, '', 'soon', '-5', '1e9', '9'.repeat(30)]) expect(waitOf(text, now)).toBe(undefined)
  })
})

describe('resources', () => {
  it('are read flat and nested, and written as they were', () => {
    expect(readResources(ON)).toEqual([`com.cloudflare.api.account.${ACCOUNT}`])
    const nested = { [`com.cloudflare.api.account.${ACCOUNT}`]: { 'com.cloudflare.api.account.zone.*': '*' } }
    const [atom = ''] = readResources(nested) ?? []
    expect(mapOf(atom)).toEqual(nested)
    expect(readResources({ a: { b: 1 } })).toBe(undefined)
    expect(readResources(['a'])).toBe(undefined)
  })

  it('cover themselves and what is within, and nothing else', () => {
    const zone = 'com.cloudflare.api.account.zone.z'
    expect(coverers(zone, undefined)).toContain('com.cloudflare.api.account.zone.*')
    expect(coverers(zone, ACCOUNT)).toContain(`com.cloudflare.api.account.${ACCOUNT}/com.cloudflare.api.account.zone.*`)
    expect(coverers(zone, undefined)).not.toContain('com.cloudflare.api.account.*')
    expect(coverers(`com.cloudflare.api.account.${ACCOUNT}`, ACCOUNT)).toEqual([
      `com.cloudflare.api.account.${ACCOUNT}`,
      'com.cloudflare.api.account.*',
    ])
    expect(coverers('com.cloudflare.edge.r2.bucket.x', ACCOUNT)).toEqual(['com.cloudflare.edge.r2.bucket.x'])
  })
})

describe('the comparison', () => {
  const tokenOf = (count: number) => {
    const policies = Array.from({ length: count }, (_, n) => ({
      effect: 'allow',
      permission_groups: KNOWN_GROUPS.slice(n % 20, (n % 20) + 5).map(({ id }) => ({ id })),
      resources: { [`com.cloudflare.api.account.zone.${n.toString(16).padStart(32, '0')}`]: '*' },
    }))
    const record = readToken({ id: ACCOUNT, name: 'n', status: 'active', policies })
    if (typeof record === 'string') throw new Error(record)
    return record
  }
  const required = KNOWN_GROUPS.slice(0, 14).map(({ id, name, scope }) => ({
    group: id,
    name,
    scope,
    resource: `com.cloudflare.api.account.${ACCOUNT}`,
  }))
  const run = (policies: Parameters<typeof compare>[0]['policies']) =>
    compare({ policies, required, ceiling: required, account: ACCOUNT, impliedBy: new Map(), isKnown: () => true })

  it('of 10,000 policies takes under 20 ms, and is linear', () => {
    const least = (count: number, groups: number): number => {
      const policies = tokenOf(count).policies.map((each) => ({ ...each, groups: each.groups.slice(0, groups) }))
      // The processor's time: on a busy machine the clock on the wall counts others' work too.
      const times = Array.from({ length: 25 }, () => {
        const from = process.cpuUsage()
        expect(run(policies).missing).toHaveLength(14)
        const { user, system } = process.cpuUsage(from)
        return (user + system) / 1000
      })
      return Math.min(...times)
    }
    const [small, large, dense] = [least(2500, 1), least(10_000, 1), least(10_000, 5)]
    console.log(
      `comparison: 2,500 policies ${small.toFixed(1)} ms, 10,000 ${large.toFixed(1)} ms, of five groups each ${dense.toFixed(1)} ms`,
    )
    expect(large).toBeLessThan(20)
    // Four times as many take about four times as long; times this short are noisy.
    expect(large).toBeLessThan(Math.max(small * 16, 15))
  })

  it('finds exactly what no policy grants, for any policies', () => {
    const group = fc.constantFrom(...KNOWN_GROUPS.slice(0, 6))
    const policy = fc.record({
      effect: fc.constantFrom('allow' as const, 'deny' as const),
      groups: fc.uniqueArray(group, { minLength: 1, maxLength: 4 }),
      wide: fc.boolean(),
    })
    fc.assert(
      fc.property(fc.array(policy, { maxLength: 8 }), (policies) => {
        const read = policies.map(({ effect, groups, wide }) => ({
          policy: { effect, permission_groups: groups.map(({ id }) => ({ id })), resources: ON },
          groups: groups.map(({ id }) => ({ id })),
          resources: [wide ? 'com.cloudflare.api.account.*' : `com.cloudflare.api.account.${ACCOUNT}`],
        }))
        const { missing, blocked } = run(read)
        const has = (id: string, effect: string): boolean =>
          policies.some((each) => each.effect === effect && each.groups.some((each) => each.id === id))
        for (const grant of required) {
          const denied = has(grant.group, 'deny')
          expect(missing.includes(grant)).toBe(denied || !has(grant.group, 'allow'))
          expect(blocked.includes(grant)).toBe(denied)
        }
      }),
    )
  })
})

describe('adding grants', () => {
  it('adds exactly those, whatever is there, and leaves every other policy the same object', () => {
    const known = KNOWN_GROUPS.filter(({ scope }) => scope === 'com.cloudflare.api.account').slice(0, 6)
    const resource = fc.constantFrom(
      `com.cloudflare.api.account.${ACCOUNT}`,
      'com.cloudflare.api.account.*',
      `com.cloudflare.api.account.${'b'.repeat(32)}`,
    )
    const policy = fc.record({
      effect: fc.constantFrom('allow' as const, 'deny' as const),
      permission_groups: fc.uniqueArray(fc.constantFrom(...known.map(({ id }) => ({ id }))), {
        minLength: 1,
        maxLength: 3,
      }),
      resources: fc
        .array(resource, { minLength: 1, maxLength: 2 })
        .map((all) => Object.fromEntries(all.map((each) => [each, '*']))),
    })
    const grant = fc
      .record({ of: fc.constantFrom(...known), resource })
      .map(({ of, resource: on }) => ({ group: of.id, name: of.name, scope: of.scope, resource: on }))
    const effects = (
      policies: readonly { effect: string; permission_groups: readonly { id: string }[]; resources: object }[],
    ) =>
      new Set(
        policies.flatMap((each) =>
          Object.keys(each.resources).flatMap((on) =>
            each.permission_groups.map(({ id }) => `${each.effect} ${id} ${on}`),
          ),
        ),
      )
    fc.assert(
      fc.property(fc.array(policy, { maxLength: 6 }), fc.array(grant, { maxLength: 6 }), (policies, grants) => {
        const after = addGrants(policies, grants, (id) => [known.find((each) => each.id === id)?.scope ?? ''])
        const wanted = new Set([...effects(policies), ...grants.map((each) => `allow ${each.group} ${each.resource}`)])
        expect(effects(after)).toEqual(wanted)
        for (const [at, each] of policies.entries()) {
          if (each.effect === 'deny' || Object.keys(each.resources).length > 1) expect(after[at]).toBe(each)
        }
        expect(addGrants(after, grants, () => [known[0]?.scope ?? ''])).toEqual(after)
      }),
    )
  })
})

describe('a token', () => {
  const token = {
    id: ACCOUNT,
    name: 'n',
    status: 'active',
    policies: [
      { id: 'p', effect: 'allow', permission_groups: [{ id: idOf('D1 Write'), name: 'D1 Write' }], resources: ON },
    ],
  }

  it('that can’t be given back whole isn’t read', () => {
    expect(typeof readToken(token)).toBe('object')
    for (const wrong of [
      null,
      [],
      { ...token, id: 'x' },
      { ...token, name: '' },
      { ...token, status: undefined },
      { ...token, policies: null },
      { ...token, policies: [null] },
      { ...token, policies: [{ ...token.policies[0], effect: 'permit' }] },
      { ...token, policies: [{ ...token.policies[0], permission_groups: [{ name: 'D1 Write' }] }] },
      { ...token, policies: [{ ...token.policies[0], resources: { a: 1 } }] },
      { ...token, expires_on: 5 },
      { ...token, condition: 'none' },
    ]) {
      expect(typeof readToken(wrong)).toBe('string')
    }
    let deep: object = {}
    for (let n = 0; n < 10_000; n++) deep = { deep }
    expect(readToken({ ...token, condition: deep })).toContain('deep')
    fc.assert(fc.property(fc.anything(), (value) => void readToken(value)))
  })

  it('is the same in whatever order its policies and groups come', () => {
    const record = readToken(token)
    if (typeof record === 'string') throw new Error(record)
    const two = [
      ...record.fields.policies,
      { effect: 'deny' as const, permission_groups: [{ id: 'b' }, { id: 'a' }], resources: ON },
    ]
    const turned = [...two]
      .reverse()
      .map((each) => ({ ...each, permission_groups: [...each.permission_groups].reverse() }))
    expect(contentOf(record.fields, two)).toBe(contentOf(record.fields, turned))
    expect(contentOf({ ...record.fields, expires_on: '2030-01-01T00:00:00Z' })).toBe(
      contentOf({ ...record.fields, expires_on: '2030-01-01T00:00:00.000Z' }),
    )
    expect(contentOf({ ...record.fields, condition: {} })).toBe(contentOf(record.fields))
    expect(bodyOf({ ...record.fields, condition: { request_ip: { in: [], not_in: [] } } }, [])).not.toHaveProperty(
      'condition',
    )
  })

  it('after a change is told apart: as planned, as before, in part, different', () => {
    const record = readToken(token)
    if (typeof record === 'string') throw new Error(record)
    const added = ['D1 Read', 'Pages Read'].map((name) => ({
      group: idOf(name),
      name,
      scope: 'com.cloudflare.api.account',
      resource: Object.keys(ON)[0] ?? '',
    }))
    const planned = addGrants(record.fields.policies, added, () => ['com.cloudflare.api.account'])
    const becomes = (policies: readonly object[], more: object = {}) => {
      const got = readToken({ ...token, ...more, policies })
      if (typeof got === 'string') throw new Error(got)
      return aftermathOf(record.fields, planned, added, got)
    }
    expect(becomes(planned).state).toBe('as_planned')
    // Split in two by the server: the same grants all the same.
    expect(
      becomes([
        ...record.fields.policies,
        ...added.map(({ group }) => ({ effect: 'allow', permission_groups: [{ id: group }], resources: ON })),
      ]).state,
    ).toBe('as_planned')
    expect(becomes(token.policies).state).toBe('as_before')
    expect(
      becomes([...token.policies, { effect: 'allow', permission_groups: [{ id: idOf('D1 Read') }], resources: ON }]),
    ).toMatchObject({ state: 'incomplete', lacking: [{ name: 'Pages Read' }] })
    expect(
      becomes([{ effect: 'allow', permission_groups: added.map(({ group }) => ({ id: group })), resources: ON }]),
    ).toMatchObject({ state: 'different', what: ['permissions were lost'] })
    expect(becomes(planned, { status: 'disabled' })).toMatchObject({ state: 'different', what: ['status'] })
    expect(becomes(planned, { expires_on: '2040-01-01T00:00:00Z' })).toMatchObject({
      state: 'different',
      what: ['expires_on'],
    })
  })
})

describe('the end of a token (F1)', () => {
  it('is nearer and nearer, and the instant itself is past', () => {
    const now = Date.UTC(2030, 0, 1)
    const at = (ms: number) => expiryOf(new Date(now + ms).toISOString(), now).severity
    const DAY = 86_400_000
    expect([at(31 * DAY), at(30 * DAY), at(7 * DAY), at(DAY), at(1), at(0), at(-1)]).toEqual([
      'far',
      'notice',
      'warning',
      'critical',
      'critical',
      'expired',
      'expired',
    ])
    expect(expiryOf(undefined, now)).toEqual({ severity: 'none' })
    for (const text of ['', 'soon', '2030', '0', '2030-13-01T00:00:00Z', 'x'.repeat(9999)])
      expect(expiryOf(text, now)).toEqual({ severity: 'unreadable' })
  })
})

describe('what is remembered of a token', () => {
  const grant = { group: 'g', name: 'D1 Write', scope: 's', resource: 'r' }
  const guard = { cooldownMs: 1000, dailyCap: 2, circuitAfter: 2 }

  it('counts a removal once, until the grant is given again', () => {
    let mark = noteGiven(NO_MARK, [grant], 0)
    for (let n = 0; n < 5; n++) mark = noteFound(mark, new Set(['g@r']), n, guard).mark
    expect(mark.given['g@r']).toMatchObject({ removed: 1, held: false })
    mark = noteGiven(mark, [grant], 9)
    const { opened, mark: last } = noteFound(mark, new Set(['g@r']), 10, guard)
    expect([opened, last.circuitAt]).toEqual([['D1 Write'], 10])
    expect(noteFound(last, new Set(['g@r']), 11, guard).opened).toEqual([])
    expect(holdOf(last, 99, guard)).toEqual({ reason: 'circuit' })
  })

  it('holds a token back for a while, and for the rest of the day', () => {
    const once = noteChange(NO_MARK, 5000)
    expect(holdOf(once, 5999, guard)).toEqual({ reason: 'cooldown', until: 6000 })
    expect(holdOf(once, 6000, guard)).toBe(undefined)
    const twice = noteChange(once, 7000)
    expect(holdOf(twice, 9000, guard)).toEqual({ reason: 'daily_cap', until: 5000 + 86_400_000 })
    expect(holdOf(twice, 5001 + 86_400_000, guard)).toBe(undefined)
  })

  it('doesn’t grow without end', () => {
    let mark = NO_MARK
    for (let n = 0; n < 700; n++) mark = noteGiven(noteChange(mark, n), [{ ...grant, resource: `r${n}` }], n)
    expect(Object.keys(mark.given)).toHaveLength(500)
    expect(mark.changes).toHaveLength(100)
  })
})

describe('the catalogue', () => {
  const rows = KNOWN_GROUPS.map(({ id, name, scope }) => ({ id, name, scopes: [scope] }))

  it('that is short, empty or no list is none', () => {
    for (const [given, total] of [
      [rows, rows.length + 1],
      [[], 0],
      ['rows', undefined],
      [[{ id: 'x', name: 'D1' }], undefined],
    ] as const) {
      expect(() => new PermissionCatalogue(given, total)).toThrow('ERR_CATALOGUE_INCOMPLETE')
    }
    expect(new PermissionCatalogue([...rows, null, { name: 'x' }], rows.length).byId(idOf('D1 Write'))?.name).toBe(
      'D1 Write',
    )
  })

  it('has scopes that nobody here knows yet, and takes no part of a name for one', () => {
    const catalogue = new PermissionCatalogue(
      [...rows, { id: 'f'.repeat(32), name: 'Script Write', scopes: ['com.cloudflare.edge.worker.script'] }],
      undefined,
    )
    expect(catalogue.find('Script Write', undefined, 'account').scope).toBe('com.cloudflare.edge.worker.script')
    expect(() => catalogue.find('AI', undefined, 'account')).toThrow('ERR_UNKNOWN_PERMISSION_GROUP')
    expect(() => catalogue.find('Workers Scripts Wirte', undefined, 'account')).toThrow('Workers Scripts Write')
    expect(() => catalogue.find('Workers Everything Write', undefined, 'account')).toThrow('perhaps Workers')
    expect(() => catalogue.find('DNS Write', 'com.cloudflare.api.account', 'account')).toThrow(
      'ERR_UNKNOWN_PERMISSION_GROUP',
    )
  })
})

it('parallel work keeps its order and its bound, and stops at a failure', async () => {
  expect(await inParallel([3, 1, 2], 2, async (n) => n * 2)).toEqual([6, 2, 4])
  const begun: number[] = []
  await expect(
    inParallel([1, 2, 3, 4, 5], 1, async (n) => {
      begun.push(n)
      if (n === 2) throw new Error('no')
      return n
    }),
  ).rejects.toThrow('no')
  expect(begun).toEqual([1, 2])
})

it('nothing to sum up is no share', () => {
  expect(analyse([], 0, 1, false)).toMatchObject({
    checks: 0,
    healthyShare: null,
    heals: { attempted: 0 },
    mostMissing: [],
  })
})
