import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { JournalEntry } from '../../src/index.ts'
import {
  defineScopes,
  generateSecret,
  InvalidInputError,
  KeyInUseError,
  KeyRingMismatchError,
  MemoryTokenStore,
  StoreUnavailableError,
  type TokenStore,
} from '../../src/index.ts'
import { recordEvents } from '../../src/testing/index.ts'
import { tokenKind } from '../../src/tokens/record.ts'
import { DAY, HOUR, START, setUp, spyOn } from './fixture.ts'

describe('proof first', () => {
  it('takes anything that a client can send, and answers', async () => {
    const { tokens } = setUp()
    const { token } = await tokens.generate({ service: 'A' })
    const odd: unknown[] = [
      undefined,
      null,
      '',
      0,
      1n,
      true,
      Symbol('x'),
      [],
      [token],
      {},
      { toString: () => token },
      () => token,
      Number.NaN,
    ]
    for (const presented of odd) {
      const answer = await tokens.verify(presented)
      expect(answer).toMatchObject({
        ok: false,
        code: presented === undefined || presented === null || presented === '' ? 'missing' : 'malformed',
        status: 401,
      })
    }
    const texts = [
      ` ${token}`,
      `${token}\n`,
      `${token}\u0000`,
      token.toLowerCase(),
      'x'.repeat(1 << 20),
      '\ud800'.repeat(10),
      '１２３',
      'a b',
      `Bearer ${token}`,
      '.',
      '..',
      'v1..',
      'eyJ.',
      'v1.a.b',
      'eyJh.b.c',
      '|',
      '1|',
      '%00',
      '__proto__',
      'constructor',
    ]
    for (const text of texts) expect((await tokens.verify(text)).ok, text.slice(0, 20)).toBe(false)
    expect((await tokens.verify(token)).ok).toBe(true)
  })

  it('never throws for any string (property)', async () => {
    const { tokens } = setUp({ formats: [{ prefix: 'sk_' }] })
    const { token } = await tokens.generate({ service: 'A', prefix: 'sk_' })
    const mutated = fc
      .tuple(fc.integer({ min: 0, max: token.length }), fc.string({ unit: 'binary', maxLength: 3 }))
      .map(([at, text]) => token.slice(0, at) + text + token.slice(at + 1))
    await fc.assert(
      fc.asyncProperty(fc.oneof(fc.string({ unit: 'binary', maxLength: 600 }), mutated), async (text) => {
        const answer = await tokens.verify(text)
        expect(answer.ok).toBe(text === token)
      }),
      { numRuns: 500 },
    )
  })

  it('refuses a typo under a listed prefix without a store call', async () => {
    const { proxy, calls } = spyOn(new MemoryTokenStore())
    const { tokens } = setUp({ store: proxy, formats: [{ prefix: 'my_company_' }] })
    const { token } = await tokens.generate({ service: 'A', prefix: 'my_company_' })
    await tokens.verify(token)
    calls.length = 0
    for (let i = 'my_company_'.length; i < token.length; i++) {
      const typo = token.slice(0, i) + (token[i] === 'a' ? 'b' : 'a') + token.slice(i + 1)
      expect(await tokens.verify(typo)).toMatchObject({ ok: false, code: 'malformed' })
    }
    expect(calls).toEqual([])
  })

  it('answers alike for an unknown token and a wrong one, with as many store calls', async () => {
    const { proxy, calls } = spyOn(new MemoryTokenStore())
    const { tokens } = setUp({ store: proxy })
    const { token } = await tokens.generate({ service: 'A', checksum: false })
    await tokens.verify(token)
    const ask = async (text: string) => {
      calls.length = 0
      const answer = await tokens.verify(text)
      return { answer: { ...answer }, calls: [...calls] }
    }
    const wrong = await ask(`${token.slice(0, -1)}${token.endsWith('x') ? 'y' : 'x'}`)
    const unknown = await ask('z'.repeat(64))
    expect(wrong).toEqual(unknown)
    expect(wrong.answer).toMatchObject({ code: 'unknown' })
  })

  it('tells the state of a token only to who has its secret', async () => {
    const { tokens } = setUp()
    const { token, record } = await tokens.generate({ service: 'A', checksum: false })
    await tokens.revoke('A')
    expect(await tokens.verify(token)).toMatchObject({ code: 'revoked' })
    expect(await tokens.verify(`${token.slice(0, -1)}?`)).toMatchObject({ code: 'unknown' })
    expect(await tokens.verify(record.id)).toMatchObject({ code: 'unknown' })
    expect(await tokens.verify(record.preview)).toMatchObject({ code: 'malformed' })
  })
})

describe('an index that is behind its record', () => {
  it('proves nothing: a text whose version is gone is not taken for the version that is left', async () => {
    // As on a file, where a key may be remembered while another process changes the record that it led to.
    const behind = new MemoryTokenStore()
    const look = behind.cell.bind(behind)
    const seen = new Map<string, ReturnType<typeof look>>()
    behind.cell = (kind, index, key) => {
      const cell = look(kind, index, key)
      if (cell !== undefined) seen.set(key, cell as ReturnType<typeof look>)
      return (cell ?? seen.get(key)) as typeof cell
    }
    const { tokens, store, keys, clock } = setUp({ store: behind })
    const { token: old } = await tokens.generate({ service: 'A' })
    expect((await tokens.verify(old)).ok).toBe(true)
    const { token: fresh } = await tokens.rotate('A', { grace: 0 })
    await clock.advance('31d')
    expect(await tokens.cleanup()).toMatchObject({ tidied: 1 })
    expect((await tokens.get('A'))?.versions).toHaveLength(1)
    const another = setUp({ store, keys }, clock).tokens
    expect(await another.verify(old)).toMatchObject({ code: 'unknown' })
    expect((await another.verify(fresh)).ok).toBe(true)
  })
})

describe('a remembered proof', () => {
  it('of a version whose digests were all replaced is proved anew, at the same call', async () => {
    const ring = (...ids: string[]) => ids.map((id) => ({ id, secret: `${id}-${'0123456789abcdefghij'.repeat(3)}` }))
    const { store, tokens: before, clock } = setUp({ keys: ring('a') })
    const { token } = await before.generate({ service: 'A', type: 'jwt' })
    const retiring = [...ring('b'), ...ring('a').map((key) => ({ ...key, retireAt: START + DAY }))]
    const { tokens } = setUp({ store, keys: retiring }, clock)
    expect((await tokens.verify(token)).ok).toBe(true)
    await clock.advance('1d')
    // The old key has retired: one change adds the new digest and takes the old one away.
    expect(await tokens.keys.rekey()).toMatchObject({ changed: 1 })
    expect((await tokens.verify(token)).ok).toBe(true)
  })

  it('is not held for another text that took its number', async () => {
    const { tokens, store } = setUp()
    const { token, record } = await tokens.generate({ service: 'A' })
    expect((await tokens.verify(token)).ok).toBe(true)
    const stored = await store.get(tokenKind, record.id)
    if (stored === undefined) throw new Error('it was made')
    // As a faulty writer, or a restore, could leave it: the same number, another text.
    const value = {
      ...stored.value,
      versions: stored.value.versions.map((v) => ({ ...v, digests: { [Object.keys(v.digests)[0] ?? '']: 'another' } })),
    }
    const facts = {
      id: 'x.0',
      at: START,
      actor: 'x',
      action: 'x',
      kind: 'token',
      subject: record.id,
      revision: 2,
      data: '',
    }
    const link = (_head: unknown, entries: readonly JournalEntry[]) =>
      entries.map((entry) => ({ ...entry, seq: 2, mac: 'x' }))
    await store.commit({
      id: 'x',
      expect: [{ kind: tokenKind, id: record.id, revision: 1 }],
      write: [{ kind: tokenKind, id: record.id, value }],
      journal: [{ ...facts, tag: '' }],
      link,
    })
    expect(await tokens.verify(token)).toMatchObject({ code: 'unknown' })
  })
})

describe('the order of checks', () => {
  // Each state or lack, and the code that must win when it comes first in this list.
  const faults = [
    'revoked',
    'disabled',
    'expired',
    'ip_denied',
    'level_denied',
    'insufficient_scope',
    'tool_denied',
    'rate_limited',
    'quota_exceeded',
  ] as const

  const pairs = faults.flatMap((a, i) => faults.slice(i + 1).map((b) => [a, b] as const))
  it.each(pairs)('%s comes before %s', async (a, b) => {
    const { tokens, clock } = setUp()
    const has = (fault: (typeof faults)[number]) => a === fault || b === fault
    const { token } = await tokens.generate({
      service: 'A',
      scopes: ['orders:read'],
      tools: ['get_bill'],
      ipAllow: ['10.0.0.0/8'],
      level: 'standard',
      expiresIn: '1h',
      rateLimit: { limit: 2, per: '365d' },
      quota: { limit: 1, per: '365d' },
    })
    const good = { ip: '10.1.1.1', scopes: ['orders:read'], tool: 'get_bill', level: 'standard' as const }
    if (has('quota_exceeded')) expect((await tokens.verify(token, good)).ok).toBe(true)
    if (has('rate_limited')) {
      await tokens.update('A', { quota: null })
      expect((await tokens.verify(token, { ...good, cost: has('quota_exceeded') ? 1 : 2 })).ok).toBe(true)
      await tokens.update('A', { quota: { limit: 1, per: '365d' } })
    }
    if (has('disabled')) await tokens.disable('A')
    if (has('expired')) await clock.advance('1h')
    if (has('revoked')) await tokens.revoke('A')
    const answer = await tokens.verify(token, {
      ip: has('ip_denied') ? '11.1.1.1' : good.ip,
      scopes: has('insufficient_scope') ? ['orders:write'] : good.scopes,
      tool: has('tool_denied') ? 'drop_table' : good.tool,
      level: has('level_denied') ? 'admin' : good.level,
      explain: true,
    })
    expect(answer).toMatchObject({ ok: false, code: a })
    const failed = answer.explain?.findIndex((step) => step.result === 'fail') ?? -1
    expect(failed).toBeGreaterThan(0)
    expect(answer.explain?.slice(failed + 1).every((step) => step.result === 'skipped')).toBe(true)
    expect(answer.explain?.slice(0, failed).every((step) => step.result !== 'fail')).toBe(true)
  })

  it('explains a good answer too', async () => {
    const { tokens } = setUp()
    const { token } = await tokens.generate({ service: 'A', scopes: ['a:b'] })
    const answer = await tokens.verify(token, { scopes: ['a:b'], explain: true })
    expect(answer.explain?.map((step) => step.check)).toEqual([
      'form',
      'proof',
      'revoked',
      'disabled',
      'expired',
      'network',
      'level',
      'scope',
      'tool',
      'approval',
      'rate',
      'quota',
    ])
    expect(answer.explain?.filter((step) => step.result === 'pass').map((step) => step.check)).toEqual([
      'form',
      'proof',
      'revoked',
      'disabled',
      'expired',
      'scope',
    ])
    expect((await tokens.verify(token)).explain).toBeUndefined()
  })
})

describe('time', () => {
  it('refuses from the very instant of expiry on, and gives the same code each time', async () => {
    const { tokens, clock } = setUp()
    const { token } = await tokens.generate({ service: 'A', expiresAt: START + 1000 })
    await clock.advance(999)
    expect((await tokens.verify(token)).ok).toBe(true)
    await clock.advance(1)
    for (let i = 0; i < 3; i++) expect(await tokens.verify(token)).toMatchObject({ code: 'expired' })
    await clock.advance('29d')
    expect(await tokens.verify(token)).toMatchObject({ code: 'expired' })
    expect(await tokens.get({ id: (await tokens.list({ status: 'expired' })).items[0]?.id ?? '' })).toMatchObject({
      status: 'expired',
    })
  })

  it('remembers an end that it saw, even if the clock is set back by hours', async () => {
    const { tokens, clock } = setUp()
    const { token } = await tokens.generate({ service: 'A', expiresIn: '1h' })
    const other = await tokens.generate({ service: 'B', expiresIn: '1h' })
    await clock.advance('1h')
    expect(await tokens.verify(token)).toMatchObject({ code: 'expired' })
    await clock.set(START + 60_000)
    expect(await tokens.verify(token)).toMatchObject({ code: 'expired' })
    // Nobody saw this one end.
    expect((await tokens.verify(other.token)).ok).toBe(true)
    // The record changed: what it says now counts.
    await tokens.update('A', { expiresIn: '2h' })
    expect((await tokens.verify(token)).ok).toBe(true)
  })
})

describe('scopes, levels, tools and networks', () => {
  it('names the scopes that are missing', async () => {
    const { tokens } = setUp()
    const { token } = await tokens.generate({ service: 'A', scopes: ['docs:*', 'orders:read'] })
    expect((await tokens.verify(token, { scopes: ['docs:write', 'docs:a:b', 'orders:read'] })).ok).toBe(true)
    expect(await tokens.verify(token, { scopes: ['orders:read', 'orders:write', 'docsx:read'] })).toMatchObject({
      code: 'insufficient_scope',
      missingScopes: ['orders:write', 'docsx:read'],
    })
  })

  it('orders levels, and lets none imply a scope', async () => {
    const { tokens } = setUp()
    const { token } = await tokens.generate({ service: 'A', level: 'admin' })
    for (const level of ['read_only', 'standard', 'admin'] as const)
      expect((await tokens.verify(token, { level })).ok).toBe(true)
    expect(await tokens.verify(token, { scopes: ['a:b'] })).toMatchObject({ code: 'insufficient_scope' })
    const low = await tokens.generate({ service: 'B', level: 'read_only' })
    expect(await tokens.verify(low.token, { level: 'standard' })).toMatchObject({ code: 'level_denied', status: 403 })
  })

  it('holds a token to its tools, and refuses it where no tool is named', async () => {
    const { tokens } = setUp()
    const { token } = await tokens.generate({
      service: 'A',
      tools: ['ping', { name: 'restart', args: { container: ['web', 'db'] } }],
    })
    expect((await tokens.verify(token, { tool: 'ping' })).ok).toBe(true)
    expect((await tokens.verify(token, { tool: 'restart', args: { container: 'web', force: true } })).ok).toBe(true)
    for (const context of [
      { tool: 'restart', args: { container: 'other' } },
      { tool: 'restart' },
      { tool: 'rm' },
      {},
    ]) {
      expect(await tokens.verify(token, context)).toMatchObject({ code: 'tool_denied' })
    }
  })

  it('with a catalogue, a tool needs a scope that grants it', async () => {
    const scopes = defineScopes({
      scopes: {
        'file:read': { risk: 'moderate', tools: ['read_file'] },
        'sys:admin': { risk: 'critical', tools: ['reboot'] },
      },
      meta: { readonly: ['file:read'] },
    })
    const { tokens } = setUp({ scopes })
    const { token } = await tokens.generate({ service: 'A', scopes: ['readonly'] })
    expect((await tokens.verify(token, { tool: 'read_file', scopes: ['file:read'] })).ok).toBe(true)
    expect(await tokens.verify(token, { tool: 'reboot' })).toMatchObject({
      code: 'insufficient_scope',
      missingScopes: ['sys:admin'],
    })
    expect(await tokens.verify(token, { tool: 'unheard_of' })).toMatchObject({ code: 'tool_denied' })
    await expect(tokens.generate({ service: 'B', scopes: ['file:write'] })).rejects.toThrow(InvalidInputError)
  })

  it('takes an address in any of its forms, and refuses an unknown one where there is a rule', async () => {
    const { tokens } = setUp()
    const { token } = await tokens.generate({ service: 'A', ipAllow: ['10.0.0.0/8', '2001:db8::/32'] })
    for (const ip of ['10.255.0.1', '::ffff:10.0.0.1', '::ffff:a00:1', '2001:db8::1', '2001:0DB8:0:0::1%eth0'])
      expect((await tokens.verify(token, { ip })).ok, ip).toBe(true)
    for (const ip of ['11.0.0.1', '010.0.0.1', '10.0.0.1, 1.2.3.4', '', 'localhost', '::1', '2001:db9::1', undefined]) {
      expect(await tokens.verify(token, { ip })).toMatchObject({ code: 'ip_denied', status: 403 })
    }
    const free = await tokens.generate({ service: 'B' })
    expect((await tokens.verify(free.token, {})).ok).toBe(true)
  })
})

describe('the context', () => {
  it.each<[string, object]>([
    ['a misspelt field', { scope: ['a:b'] }],
    ['scopes as text', { scopes: 'a:b' }],
    ['scopes of numbers', { scopes: [1] }],
    ['an unknown level', { level: 'root' }],
    ['an inherited level', { level: 'constructor' }],
    ['an address that is no text', { ip: 7 }],
    ['an empty tool', { tool: '' }],
    ['a tool that is no text', { tool: {} }],
    ['arguments as text', { args: 'x' }],
    ['a caller that is no text', { caller: 1 }],
  ])('refuses %s, which would ask for less than it seems to', async (_, context) => {
    const { tokens } = setUp()
    const { token } = await tokens.generate({ service: 'A' })
    await expect(tokens.verify(token, context)).rejects.toThrow(InvalidInputError)
  })
})

describe('limits', () => {
  it('lets exactly 10 of 100 parallel calls through a limit of 10', async () => {
    const { tokens } = setUp()
    const { token } = await tokens.generate({ service: 'A', rateLimit: { limit: 10, per: '1h' } })
    const answers = await Promise.all(Array.from({ length: 100 }, () => tokens.verify(token)))
    expect(answers.filter((answer) => answer.ok)).toHaveLength(10)
    expect(
      answers.filter((answer) => !answer.ok && answer.code === 'rate_limited' && (answer.retryAfterMs ?? 0) > 0),
    ).toHaveLength(90)
  })

  it.each([1, 10, 1000])('lets exactly the quota of %i through, of more parallel calls', async (limit) => {
    const { tokens } = setUp()
    const { token } = await tokens.generate({ service: 'A', quota: { limit } })
    const answers = await Promise.all(Array.from({ length: limit + 90 }, () => tokens.verify(token)))
    expect(answers.filter((answer) => answer.ok)).toHaveLength(limit)
    expect(answers.at(-1)).toMatchObject({ code: 'quota_exceeded', status: 429 })
    expect(answers.at(-1)?.limits).toEqual([{ name: 'quota', kind: 'quota', limit, remaining: 0 }])
  })

  it('shares one quota among processes, and never grants a unit twice', async () => {
    const clock = setUp().clock
    const store = new MemoryTokenStore({ clock })
    const keys = generateSecret()
    const a = setUp({ store, keys }, clock).tokens
    const b = setUp({ store, keys }, clock).tokens
    const { token } = await a.generate({ service: 'A', quota: { limit: 250 } })
    const answers = await Promise.all(Array.from({ length: 400 }, (_, i) => (i % 2 ? a : b).verify(token)))
    const passed = answers.filter((answer) => answer.ok).length
    expect(passed).toBeLessThanOrEqual(250)
    // Each process may hold the rest of one block of two.
    expect(passed).toBeGreaterThanOrEqual(248)
  })

  it('loses at most the rest of a block in a crash, and grants nothing twice', async () => {
    const clock = setUp().clock
    const store = new MemoryTokenStore({ clock })
    const keys = generateSecret()
    const before = setUp({ store, keys }, clock).tokens
    const { token } = await before.generate({ service: 'A', quota: { limit: 1000 } })
    let passed = 0
    for (let i = 0; i < 333; i++) if ((await before.verify(token)).ok) passed += 1
    const after = setUp({ store, keys }, clock).tokens
    for (let i = 0; i < 1000; i++) if ((await after.verify(token)).ok) passed += 1
    expect(passed).toBeLessThanOrEqual(1000)
    expect(passed).toBeGreaterThanOrEqual(1000 - 20)
  })

  it('refills a quota by windows from the creation on', async () => {
    const { tokens, clock } = setUp()
    const { token } = await tokens.generate({ service: 'A', quota: { limit: 2, per: '1h' } })
    await tokens.verify(token, { cost: 2 })
    await clock.advance('30m')
    expect(await tokens.verify(token)).toMatchObject({ code: 'quota_exceeded', retryAfterMs: HOUR / 2 })
    await clock.advance('30m')
    expect((await tokens.verify(token, { cost: 2 })).ok).toBe(true)
  })

  it('a refused call costs nothing, whichever check refuses it', async () => {
    const { tokens } = setUp()
    const { token } = await tokens.generate({
      service: 'A',
      rateLimit: [
        { limit: 5, per: '1h', name: 'hour' },
        { limit: 8, per: '1d', name: 'day' },
      ],
      quota: { limit: 4 },
      ipAllow: ['10.0.0.1'],
    })
    const ip = '10.0.0.1'
    for (let i = 0; i < 20; i++) await tokens.verify(token, { ip: '10.0.0.2' })
    for (let i = 0; i < 20; i++) expect((await tokens.verify(token, { ip, cost: 6 })).ok).toBe(false)
    for (let i = 0; i < 20; i++)
      expect(await tokens.verify(token, { ip, cost: 5 })).toMatchObject({ code: 'quota_exceeded' })
    const answer = await tokens.verify(token, { ip })
    expect(answer.ok && answer.limits.map((limit) => [limit.name, limit.remaining])).toEqual([
      ['hour', 4],
      ['day', 7],
      ['quota', 3],
    ])
  })

  it('takes a cost of 0 when nothing is left, and refuses costs that are none', async () => {
    const { tokens } = setUp()
    const { token } = await tokens.generate({ service: 'A', rateLimit: { limit: 1, per: '1h' }, quota: { limit: 1 } })
    await tokens.verify(token)
    expect((await tokens.verify(token, { cost: 0 })).ok).toBe(true)
    for (const cost of [
      -1,
      0.5,
      Number.NaN,
      Number.POSITIVE_INFINITY,
      Number.MAX_SAFE_INTEGER + 1,
      '1' as unknown as number,
    ]) {
      await expect(tokens.verify(token, { cost })).rejects.toThrow(InvalidInputError)
    }
  })

  it('shares limits among the versions of a token, and keeps them when the policy changes', async () => {
    const { tokens } = setUp()
    const { token } = await tokens.generate({ service: 'A', rateLimit: { limit: 4, per: '1h' } })
    const rotated = await tokens.rotate('A')
    await tokens.verify(token)
    await tokens.verify(rotated.token)
    await tokens.update('A', { description: 'still the same' })
    const answer = await tokens.verify(rotated.token)
    expect(answer.ok && answer.limits[0]?.remaining).toBe(1)
  })
})

describe('stores that fail', () => {
  const failing = (inner: TokenStore, withCells: boolean) => {
    const state = { down: false }
    const fail = () => {
      if (state.down) throw new StoreUnavailableError('the store is away', 'ECONNREFUSED')
    }
    const store = new Proxy(inner, {
      get(target, name) {
        if (name === 'cell' && !withCells) return undefined
        const value: unknown = Reflect.get(target, name, target)
        if (typeof value !== 'function') return value
        return (...args: unknown[]) => {
          fail()
          const result: unknown = value.apply(target, args)
          if (name === 'cell' && result !== undefined) {
            const cell = result as { current: unknown; memo: object | undefined }
            return {
              get current() {
                fail()
                return cell.current
              },
              get memo() {
                return cell.memo
              },
              set memo(memo) {
                cell.memo = memo
              },
            }
          }
          return withCells ? result : Promise.resolve(result)
        }
      },
    })
    return { store, state }
  }

  it.each([true, false])('closed: refuses with 503 and an event (cells: %s)', async (withCells) => {
    const { store, state } = failing(new MemoryTokenStore(), withCells)
    const { tokens, events } = setUp({ store, maxStaleness: 0 })
    const { token } = await tokens.generate({ service: 'A' })
    expect((await tokens.verify(token)).ok).toBe(true)
    state.down = true
    for (const text of [token, 'never-seen-before-by-anybody']) {
      expect(await tokens.verify(text)).toMatchObject({
        ok: false,
        code: 'unavailable',
        status: 503,
        retryAfterMs: 1000,
      })
    }
    expect(events.names()).toContain('store.failed')
    state.down = false
    expect((await tokens.verify(token)).ok).toBe(true)
  })

  it.each([true, false])(
    'stale: answers for strings proved before, for a while, deadlines honoured (cells: %s)',
    async (withCells) => {
      const { store, state } = failing(new MemoryTokenStore(), withCells)
      const { tokens, clock, events } = setUp({ store, failMode: { store: 'stale', staleIfError: '10m' } })
      const { token } = await tokens.generate({ service: 'A' })
      const short = await tokens.generate({ service: 'B', expiresIn: '5m' })
      await tokens.verify(token)
      await tokens.verify(short.token)
      const unseen = await tokens.generate({ service: 'C' })
      state.down = true
      expect((await tokens.verify(token)).ok).toBe(true)
      expect(await tokens.verify(unseen.token)).toMatchObject({ code: 'unavailable' })
      await clock.advance('5m')
      expect(await tokens.verify(short.token)).toMatchObject({ code: 'expired' })
      expect((await tokens.verify(token)).ok).toBe(true)
      await clock.advance('5m')
      expect((await tokens.verify(token)).ok).toBe(true)
      await clock.advance(1)
      expect(await tokens.verify(token)).toMatchObject({ code: 'unavailable' })
      const told = events.events
        .filter((event) => event.name === 'store.failed')
        .map((event) => (event.payload as { stale: boolean }).stale)
      expect(told).toContain(true)
      expect(told).toContain(false)
    },
  )

  it('checks as well on a store without cells: what was changed holds at the next call', async () => {
    const { store } = failing(new MemoryTokenStore(), false)
    const { tokens } = setUp({ store })
    const { token } = await tokens.generate({ service: 'A', rateLimit: { limit: 3, per: '1h' } })
    expect((await tokens.verify(token)).ok).toBe(true)
    await tokens.disable('A')
    expect(await tokens.verify(token)).toMatchObject({ code: 'disabled' })
    await tokens.enable('A')
    expect((await tokens.verify(token)).ok).toBe(true)
    const { token: next } = await tokens.rotate('A')
    expect((await tokens.verify(next)).ok).toBe(true)
    expect(await tokens.verify(next)).toMatchObject({ code: 'rate_limited' })
    await tokens.revoke('A')
    expect(await tokens.verify(next)).toMatchObject({ code: 'revoked' })
  })

  it('a shared limiter that fails: closed refuses, local limits here, open lets through; each with an event', async () => {
    for (const [mode, passed] of [
      ['closed', 0],
      ['local', 2],
      ['open', 5],
    ] as const) {
      const limiter = {
        reserve: () => Promise.reject(new Error('away')),
        check: () => Promise.reject(new Error('away')),
        giveBack: () => {},
      }
      const { tokens, events } = setUp({ limiter, failMode: { limiter: mode } })
      const { token } = await tokens.generate({ service: 'A', rateLimit: { limit: 2, per: '1h' } })
      let good = 0
      for (let i = 0; i < 5; i++) if ((await tokens.verify(token)).ok) good += 1
      expect(good, mode).toBe(passed)
      expect(events.events.find((event) => event.name === 'limiter.failed')?.payload).toMatchObject({ mode })
    }
  })
})

describe('keys', () => {
  const ring = (...ids: string[]) => ids.map((id) => ({ id, secret: `${id}-${'0123456789abcdefghij'.repeat(3)}` }))

  it('a token made under an old key verifies, earns a digest under the new one, and survives the old one', async () => {
    const { store, tokens: old, clock } = setUp({ keys: ring('a') })
    const { token } = await old.generate({ service: 'A' })
    const unused = await old.generate({ service: 'B' })
    const both = setUp({ store, keys: ring('b', 'a') }, clock).tokens
    const told = recordEvents(both.events)
    expect((await both.verify(token)).ok).toBe(true)
    expect((await both.keys.status()).keys).toMatchObject([
      { id: 'b', active: true, versions: 0 },
      { id: 'a', active: false, versions: 2, only: 2 },
    ])
    await both.tick()
    expect(told.names()).toContain('token.redigested')
    expect((await both.keys.status()).keys).toMatchObject([
      { id: 'b', versions: 1, only: 0 },
      { id: 'a', versions: 2, only: 1 },
    ])
    // B was never used under the new ring: taking the old key away would strand it.
    const early = setUp({ store, keys: ring('b') }, clock).tokens
    await expect(early.verify(token)).rejects.toThrow(KeyInUseError)
    expect((await both.verify(unused.token)).ok).toBe(true)
    await both.tick()
    const late = setUp({ store, keys: ring('b') }, clock).tokens
    expect((await late.verify(token)).ok).toBe(true)
    expect((await late.verify(unused.token)).ok).toBe(true)
  })

  it('warns of a retirement that would strand live versions, and refuses after it', async () => {
    const { store, tokens: old, clock } = setUp({ keys: ring('a') })
    const { token } = await old.generate({ service: 'A' })
    const retiring = [...ring('b'), ...ring('a').map((key) => ({ ...key, retireAt: START + DAY }))]
    const both = setUp({ store, keys: retiring }, clock).tokens
    expect((await both.keys.status()).warnings).toHaveLength(1)
    await clock.advance('1d')
    expect(await both.verify(token)).toMatchObject({ code: 'unknown' })
  })

  it('a ring that the store does not know is a mismatch, before anything is written', async () => {
    const { store, tokens, clock } = setUp({ keys: ring('a') })
    const { token } = await tokens.generate({ service: 'A' })
    const head = await store.journalHead()
    const strange = setUp({ store, keys: ring('x') }, clock).tokens
    await expect(strange.verify(token)).rejects.toThrow(KeyRingMismatchError)
    await expect(strange.generate({ service: 'B' })).rejects.toThrow(KeyRingMismatchError)
    const renamed = setUp(
      { store, keys: [{ id: 'a', secret: 'another secret of the same name 0123456789' }] },
      clock,
    ).tokens
    await expect(renamed.verify(token)).rejects.toThrow(KeyRingMismatchError)
    expect(await store.journalHead()).toEqual(head)
  })

  it('rekey seals anew, adds digests and lets go of what has retired', async () => {
    const { store, tokens: old, clock } = setUp({ keys: ring('a') })
    const { token } = await old.generate({ service: 'A', type: 'jwt' })
    const retiring = [...ring('b'), ...ring('a').map((key) => ({ ...key, retireAt: START + DAY }))]
    const both = setUp({ store, keys: retiring }, clock).tokens
    expect(await both.keys.rekey({ actor: 'ops' })).toEqual({ checked: 1, changed: 1 })
    expect(await both.keys.rekey()).toEqual({ checked: 1, changed: 0 })
    await clock.advance('2d')
    expect(await both.keys.rekey()).toEqual({ checked: 1, changed: 1 })
    const late = setUp({ store, keys: ring('b') }, clock).tokens
    expect((await late.verify(token)).ok).toBe(true)
    expect(await late.rotator.reveal('A')).toBe(token)
    expect((await late.keys.status()).keys.find((key) => key.id === 'a')).toMatchObject({
      inRing: false,
      versions: 0,
      sealed: 0,
    })
  })
})
