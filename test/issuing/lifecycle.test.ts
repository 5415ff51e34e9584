import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import {
  FormatClashError,
  type GenerateInput,
  InvalidInputError,
  ServiceExistsError,
  TokenExistsError,
  TokenNotFoundError,
  TokenRevokedError,
  TokenStateError,
  type TokenView,
} from '../../src/index.ts'
import { DAY, HOUR, START, setUp } from './fixture.ts'

describe('generate', () => {
  it('gives the text once, and a record without it', async () => {
    const { tokens, store } = setUp()
    const { token, record } = await tokens.generate({
      service: 'MY_API',
      type: 'api_key',
      prefix: 'sk_live_',
      length: 64,
      charset: 'alphanumeric',
      level: 'standard',
      scopes: ['orders:read'],
      tools: ['get_bill'],
      ipAllow: ['10.0.0.0/8'],
      rateLimit: { limit: 1000, per: '1h', burst: 50 },
      quota: { limit: 1e6, per: '30d' },
      expiresIn: '30d',
      retrievable: false,
      owner: 'team-a',
      description: 'billing',
      tags: ['b', 'a', 'b'],
      metadata: { plan: 'pro' },
      actor: 'alice',
      reason: 'onboarding',
    })
    expect(token).toMatch(/^sk_live_[0-9A-Za-z]{64}$/)
    expect(JSON.stringify(record)).not.toContain(token.slice(20))
    expect(record).toMatchObject({
      service: 'MY_API',
      preview: `${token.slice(0, 14)}…`,
      status: 'active',
      owner: 'team-a',
      tags: ['a', 'b'],
      metadata: { plan: 'pro' },
      createdAt: START,
      expiresIn: 30 * DAY,
      grace: DAY,
      revision: 1,
    })
    expect(Object.isFrozen(record)).toBe(true)
    const [entry] = await store.journal({ limit: 10 })
    expect(entry).toMatchObject({
      seq: 1,
      action: 'token.generated',
      actor: 'alice',
      reason: 'onboarding',
      subject: record.id,
      revision: 1,
    })
  })

  it('has every type', async () => {
    const { tokens } = setUp()
    const forms = {
      api_key: /^[0-9A-Za-z]{64}$/,
      github: /^ghp_[0-9A-Za-z]{36}$/,
      oauth: /^[\w-]{64}$/,
      jwt: /^[\w-]{86}$/,
    } as const
    for (const [type, form] of Object.entries(forms)) {
      const { token, record } = await tokens.generate({ service: type, type: type as keyof typeof forms })
      expect(token).toMatch(form)
      expect((await tokens.verify(token)).ok).toBe(true)
      expect(record.retrievable).toBe(type === 'jwt')
    }
  })

  it('takes the defaults of the host', async () => {
    const { tokens } = setUp({
      defaults: {
        prefix: 'acme_',
        expiresIn: '7d',
        level: 'read_only',
        grace: '1h',
        rateLimit: { limit: 5, per: '1m' },
      },
    })
    const { token, record } = await tokens.generate({ service: 'A' })
    expect(token).toMatch(/^acme_/)
    expect(record).toMatchObject({ expiresIn: 7 * DAY, level: 'read_only', grace: HOUR, rateLimits: [{ limit: 5 }] })
    expect((await tokens.generate({ service: 'B', rateLimit: null, expiresIn: null })).record).not.toHaveProperty(
      'rateLimits',
    )
    expect(() => setUp({ defaults: { expiresIn: 5 } })).toThrow(InvalidInputError)
    expect(() => setUp({ defaults: { service: 'x' } as object })).toThrow(InvalidInputError)
  })

  it('gives a name to one live token at a time', async () => {
    const { tokens, clock } = setUp()
    const first = await tokens.generate({ service: 'A', expiresIn: '1d' })
    await expect(tokens.generate({ service: 'A' })).rejects.toThrow(/ERR_SERVICE_EXISTS.*rotate it/)
    await tokens.disable('A')
    await expect(tokens.generate({ service: 'A' })).rejects.toThrow(/disabled.*enable it/)
    await clock.advance('1d')
    const second = await tokens.generate({ service: 'A' })
    expect(second.record.id).not.toBe(first.record.id)
    expect(await tokens.get('A')).toMatchObject({ id: second.record.id })
    expect(await tokens.get({ id: first.record.id })).toMatchObject({ status: 'expired' })
    // Its name is another's now: no later end may bring it back.
    await expect(tokens.update({ id: first.record.id }, { expiresIn: '9d' })).rejects.toThrow(TokenStateError)
    await expect(tokens.enable({ id: first.record.id })).rejects.toThrow(TokenStateError)
    await tokens.revoke('A')
    const third = await tokens.generate({ service: 'A' })
    expect(await tokens.get('A')).toMatchObject({ id: third.record.id })
    expect(await tokens.get({ id: second.record.id })).toMatchObject({ status: 'revoked' })
  })

  it('of 50 racing calls for one name, one wins', async () => {
    const { tokens } = setUp()
    const results = await Promise.allSettled(Array.from({ length: 50 }, () => tokens.generate({ service: 'A' })))
    expect(results.filter((result) => result.status === 'fulfilled')).toHaveLength(1)
    for (const result of results)
      if (result.status === 'rejected') expect(result.reason).toBeInstanceOf(ServiceExistsError)
  })

  const bad: [string, Partial<Record<keyof GenerateInput | 'extra', unknown>>][] = [
    ['an empty name', { service: '' }],
    ['a name of 10,000 characters', { service: 'x'.repeat(10_000) }],
    ['a name that is no text', { service: 7 }],
    ['a control character', { service: 'a\u0000b' }],
    ['a line break', { service: 'a\nb' }],
    ['a direction mark', { service: 'a\u202eb' }],
    ['a lone surrogate', { service: 'a\ud800' }],
    ['spaces around', { service: ' a ' }],
    ['a misspelt option', { extra: 1 }],
    ['a level', { level: 'god' }],
    ['scopes as text', { scopes: 'a:b' }],
    ['a scope without action', { scopes: ['orders'] }],
    ['a lone star', { scopes: ['*'] }],
    ['a star in the middle', { scopes: ['a:*:b'] }],
    ['half a star', { scopes: ['a:b*'] }],
    ['257 scopes', { scopes: Array.from({ length: 257 }, (_, i) => `a:s${i}`) }],
    ['no tools', { tools: [] }],
    ['no addresses', { ipAllow: [] }],
    ['host bits', { ipAllow: ['10.0.0.1/8'] }],
    ['33 bits', { ipAllow: ['10.0.0.0/33'] }],
    ['an octal address', { ipAllow: ['010.0.0.1'] }],
    ['a zone', { ipAllow: ['fe80::1%eth0'] }],
    ['a host name', { ipAllow: ['localhost'] }],
    ['a limit of 0', { rateLimit: { limit: 0, per: '1h' } }],
    ['half a limit', { rateLimit: { limit: 0.5, per: '1h' } }],
    ['a window under 1 s', { rateLimit: { limit: 1, per: 999 } }],
    ['a window of seconds as a number', { rateLimit: { limit: 1, per: 60 } }],
    ['a burst of 0', { rateLimit: { limit: 1, per: '1h', burst: 0 } }],
    ['a misspelt limit', { rateLimit: { limit: 1, per: '1h', brust: 5 } }],
    [
      'two limits of one name',
      {
        rateLimit: [
          { limit: 1, per: '1h', name: 'a' },
          { limit: 1, per: '1d', name: 'a' },
        ],
      },
    ],
    ['a quota of 0', { quota: { limit: 0 } }],
    ['a negative quota', { quota: { limit: -5 } }],
    ['NaN as lifetime', { expiresIn: Number.NaN }],
    ['a negative lifetime', { expiresIn: -1000 }],
    ['a lifetime under 1 s', { expiresIn: 30 }],
    ['a lifetime in words', { expiresIn: 'soon' }],
    ['an end in the past', { expiresAt: START - 1 }],
    ['an end now', { expiresAt: START }],
    ['an end that is no date', { expiresAt: 'not-a-date' }],
    ['an end beyond time', { expiresAt: 1e20 }],
    ['a negative grace', { grace: -1 }],
    ['metadata with __proto__', { metadata: JSON.parse('{"__proto__":{"admin":true}}') }],
    ['metadata with constructor', { metadata: { constructor: { prototype: {} } } }],
    ['metadata of 1 MB', { metadata: { text: 'x'.repeat(1 << 20) } }],
    ['deep metadata', { metadata: JSON.parse(`${'{"a":'.repeat(20)}1${'}'.repeat(20)}`) }],
    ['metadata with a function', { metadata: { f: () => 1 } }],
    ['metadata with NaN', { metadata: { n: Number.NaN } }],
    ['metadata as a list', { metadata: [1] }],
    ['33 tags', { tags: Array.from({ length: 33 }, (_, i) => `t${i}`) }],
    ['a long description', { description: 'x'.repeat(1025) }],
    ['an owner that is no text', { owner: {} }],
    ['an actor that is no text', { actor: {} }],
    ['a long reason', { reason: 'x'.repeat(1025) }],
    ['a weak form', { length: 10 }],
    ['an unknown charset', { charset: 'emoji' }],
  ]
  it.each(bad)('refuses %s before any effect', async (_, change) => {
    const { tokens, store, events } = setUp()
    await expect(tokens.generate({ service: 'A', ...change } as GenerateInput)).rejects.toThrow(InvalidInputError)
    expect(await store.journalHead()).toMatchObject({ seq: 0 })
    expect(events.events).toEqual([])
    expect(({} as { admin?: boolean }).admin).toBeUndefined()
  })

  it('refuses what is no object at all', async () => {
    const { tokens } = setUp()
    for (const input of [undefined, null, 'A', 7, []])
      await expect(tokens.generate(input as unknown as GenerateInput)).rejects.toThrow(InvalidInputError)
  })
})

describe('import', () => {
  const text = 'legacy-0123456789-abcdefghijklmnop'
  const hash = (algorithm: string, encoding: 'hex' | 'base64' | 'base64url', of = text) =>
    createHash(algorithm).update(of).digest(encoding)

  it.each([
    ['SHA-256 in hex', { scheme: 'sha256', digest: hash('sha256', 'hex') }],
    ['SHA-256 in upper-case hex', { scheme: 'sha256', digest: hash('sha256', 'hex').toUpperCase() }],
    ['SHA-256 in base64', { scheme: 'sha256', digest: hash('sha256', 'base64') }],
    ['SHA-256 in base64url', { scheme: 'sha256', digest: hash('sha256', 'base64url') }],
    ['SHA-512 in hex', { scheme: 'sha512', digest: hash('sha512', 'hex') }],
  ] as const)('by %s: verifies, earns a keyed digest, keeps verifying', async (_, digest) => {
    const { tokens } = setUp()
    const view = await tokens.import({ service: 'A', digest, scopes: ['a:b'], owner: 'old' })
    expect(view).toMatchObject({ type: 'imported', owner: 'old', preview: '…' })
    expect((await tokens.keys.status()).schemes).toEqual({ [digest.scheme]: 1 })
    expect((await tokens.verify(text, { scopes: ['a:b'] })).ok).toBe(true)
    await tokens.tick()
    expect((await tokens.keys.status()).keys[0]).toMatchObject({ versions: 1 })
    await tokens.keys.rekey()
    expect((await tokens.keys.status()).schemes).toEqual({})
    expect((await tokens.verify(text)).ok).toBe(true)
    expect(await tokens.verify(`${text}x`)).toMatchObject({ code: 'unknown' })
  })

  it("by Sanctum's digest of what follows the id", async () => {
    const { tokens } = setUp()
    const secret = 'abcdefghijklmnopqrstuvwxyz0123456789ABCDe3b0c442'
    await tokens.import({ service: 'A', digest: { scheme: 'sanctum', id: 12, digest: hash('sha256', 'hex', secret) } })
    expect((await tokens.verify(`12|${secret}`)).ok).toBe(true)
    for (const other of [`13|${secret}`, secret, `012|${secret}`, `12||${secret}`, `|${secret}`, `12|`]) {
      expect(await tokens.verify(other)).toMatchObject({ code: 'unknown' })
    }
  })

  it('by its text, and rotates into the form that was given', async () => {
    const { tokens } = setUp()
    const view = await tokens.import({ service: 'A', token: text, prefix: 'new_', createdAt: START - DAY })
    expect(view).toMatchObject({ preview: 'legacy…', createdAt: START - DAY })
    expect((await tokens.verify(text)).ok).toBe(true)
    const { token } = await tokens.rotate('A')
    expect(token).toMatch(/^new_[0-9A-Za-z]{64}$/)
    expect((await tokens.verify(token)).ok).toBe(true)
  })

  it('refuses what is here already, in whatever form, and what was removed', async () => {
    const { tokens, clock } = setUp()
    await tokens.import({ service: 'A', digest: { scheme: 'sha256', digest: hash('sha256', 'hex') } })
    // Under its own name too: a migration that is run twice meets its own rows.
    for (const service of ['A', 'B']) {
      await expect(
        tokens.import({ service, digest: { scheme: 'sha256', digest: hash('sha256', 'base64') } }),
      ).rejects.toThrow(TokenExistsError)
    }
    await tokens.revoke('A')
    await clock.advance('31d')
    expect(await tokens.cleanup()).toMatchObject({ removed: 1 })
    await expect(
      tokens.import({ service: 'A', digest: { scheme: 'sha256', digest: hash('sha256', 'hex') } }),
    ).rejects.toThrow(/removed/)
    expect(await tokens.verify(text)).toMatchObject({ code: 'unknown' })
  })

  it.each<[string, object]>([
    ['neither token nor digest', {}],
    ['both', { token: text, digest: { scheme: 'sha256', digest: hash('sha256', 'hex') } }],
    ['another scheme', { digest: { scheme: 'md5', digest: hash('md5', 'hex') } }],
    ['a digest of another length', { digest: { scheme: 'sha256', digest: hash('sha512', 'hex') } }],
    ['hex with a stray letter', { digest: { scheme: 'sha256', digest: `g${hash('sha256', 'hex').slice(1)}` } }],
    ['SHA-512 in base64', { digest: { scheme: 'sha512', digest: hash('sha512', 'base64') } }],
    ['Sanctum without id', { digest: { scheme: 'sanctum', digest: hash('sha256', 'hex') } }],
    ['a text with a space', { token: 'abc def ghi jkl mno pqr' }],
    ['a text of 513 characters', { token: 'x1y2z3w4'.repeat(65) }],
    ['a password', { token: 'hunter2' }],
    ['a signed form', { token: 'v1.abcdefgh12345.6789ijklmnop' }],
    ['a date in the future', { token: text, createdAt: START + 1 }],
    ['a retrievable digest', { retrievable: true, digest: { scheme: 'sha256', digest: hash('sha256', 'hex') } }],
  ])('refuses %s', async (_, input) => {
    const { tokens, store } = setUp()
    await expect(tokens.import({ service: 'A', ...input })).rejects.toThrow(InvalidInputError)
    expect(await store.journalHead()).toMatchObject({ seq: 0 })
  })

  it('refuses a text under a listed prefix without its checksum', async () => {
    const { tokens } = setUp({ formats: [{ prefix: 'sk_' }] })
    await expect(tokens.import({ service: 'A', token: 'sk_0123456789abcdefghijklm' })).rejects.toThrow(FormatClashError)
    await expect(tokens.generate({ service: 'A', prefix: 'sk_', checksum: false })).rejects.toThrow(FormatClashError)
  })
})

describe('update', () => {
  it('absent keeps, null clears, a value sets; it holds at the next verification', async () => {
    const { tokens, events } = setUp()
    const { token } = await tokens.generate({
      service: 'A',
      scopes: ['a:b'],
      ipAllow: ['10.0.0.1'],
      owner: 'x',
      tags: ['t'],
      metadata: { a: 1 },
      expiresIn: '1d',
      rateLimit: { limit: 1, per: '1h' },
    })
    expect(await tokens.verify(token, { ip: '10.0.0.2' })).toMatchObject({ code: 'ip_denied' })
    const updated = await tokens.update('A', {
      ipAllow: null,
      scopes: ['c:d'],
      owner: null,
      description: 'new',
      rateLimit: null,
      actor: 'bob',
    })
    expect(updated).toMatchObject({
      scopes: ['c:d'],
      tags: ['t'],
      metadata: { a: 1 },
      description: 'new',
      expiresIn: DAY,
      revision: 2,
    })
    for (const gone of ['ipAllow', 'owner', 'rateLimits']) expect(updated).not.toHaveProperty(gone)
    expect((await tokens.verify(token, { ip: '10.0.0.2', scopes: ['c:d'] })).ok).toBe(true)
    expect(await tokens.verify(token, { scopes: ['a:b'] })).toMatchObject({ code: 'insufficient_scope' })
    expect(events.events.find((event) => event.name === 'token.updated')).toMatchObject({
      payload: { fields: ['scopes', 'ipAllow', 'rateLimit', 'owner', 'description'], actor: 'bob' },
    })
  })

  it('loses nothing to a race: 20 updates of different fields all hold', async () => {
    const { tokens } = setUp()
    await tokens.generate({ service: 'A' })
    await Promise.all(
      Array.from({ length: 8 }, (_, i) => tokens.update('A', i % 2 ? { tags: ['x'] } : { description: `d${i}` })),
    )
    expect(await tokens.get('A')).toMatchObject({ revision: 9, tags: ['x'] })
  })

  it('refuses revoked tokens, unknown ones and unknown fields', async () => {
    const { tokens } = setUp()
    await tokens.generate({ service: 'A' })
    const id = (await tokens.get('A'))?.id ?? ''
    await tokens.revoke('A')
    await expect(tokens.update({ id }, { description: 'x' })).rejects.toThrow(TokenRevokedError)
    await expect(tokens.enable({ id })).rejects.toThrow(TokenRevokedError)
    await expect(tokens.update('A', { description: 'x' })).rejects.toThrow(TokenNotFoundError)
    await expect(tokens.update({ id }, { service: 'B' } as object)).rejects.toThrow(InvalidInputError)
    await expect(tokens.update({} as { id: string }, {})).rejects.toThrow(InvalidInputError)
  })
})

describe('revoke, disable, enable', () => {
  it('are idempotent, and revoking is final', async () => {
    const { tokens } = setUp()
    const { token, record } = await tokens.generate({ service: 'A' })
    await tokens.disable('A', { reason: 'audit' })
    expect(await tokens.disable('A')).toMatchObject({ status: 'disabled', reason: 'audit', revision: 2 })
    await tokens.enable('A')
    expect(await tokens.enable('A')).toMatchObject({ status: 'active', revision: 3 })
    const [revoked] = await tokens.revoke('A', { actor: 'alice', reason: 'leaked' })
    expect(revoked).toMatchObject({ status: 'revoked', reason: 'leaked', revokedAt: START })
    expect(await tokens.revoke({ id: record.id })).toMatchObject([{ revision: 4 }])
    expect(await tokens.verify(token)).toMatchObject({ code: 'revoked' })
  })

  it('revokes by the text alone, by owner and by tag, and finishes the rest when some are ended', async () => {
    const { tokens } = setUp()
    const made: { token: string; record: TokenView }[] = []
    for (let i = 0; i < 6; i++)
      made.push(await tokens.generate({ service: `S${i}`, owner: i < 4 ? 'x' : 'y', tags: i % 2 ? ['odd'] : [] }))
    await tokens.revoke({ token: made[0]?.token ?? '' })
    expect(await tokens.get({ id: made[0]?.record.id ?? '' })).toMatchObject({ status: 'revoked' })
    expect(await tokens.revoke({ where: { owner: 'x' } }, { reason: 'team left' })).toHaveLength(3)
    expect(await tokens.revoke({ where: { tag: 'odd' } })).toMatchObject([{ service: 'S5' }])
    expect((await tokens.list({ status: 'active' })).items.map((view) => view.service)).toEqual(['S4'])
    await expect(tokens.revoke({ token: 'never-heard-of' })).rejects.toThrow(TokenNotFoundError)
    await expect(tokens.revoke({ where: {} })).rejects.toThrow(InvalidInputError)
    await expect(tokens.revoke({ where: { owner: 'y' } }, { version: 1 })).rejects.toThrow(InvalidInputError)
  })

  it('ends one version and leaves the others', async () => {
    const { tokens } = setUp()
    const first = await tokens.generate({ service: 'A' })
    const second = await tokens.rotate('A')
    await tokens.revoke('A', { version: 1 })
    expect(await tokens.verify(first.token)).toMatchObject({ code: 'revoked' })
    expect((await tokens.verify(second.token)).ok).toBe(true)
    await expect(tokens.revoke('A', { version: 2 })).rejects.toThrow(TokenStateError)
    await expect(tokens.revoke('A', { version: 9 })).rejects.toThrow(TokenStateError)
  })
})

describe('list', () => {
  it('filters, orders and pages, by whichever index', async () => {
    const { tokens, clock } = setUp()
    for (let i = 0; i < 25; i++) {
      await tokens.generate({
        service: `S${String(i).padStart(2, '0')}`,
        owner: i % 3 ? 'x' : 'y',
        tags: i % 5 ? [] : ['five'],
        level: i % 2 ? 'admin' : 'standard',
        type: i % 4 ? 'api_key' : 'oauth',
        ...(i < 10 && { expiresIn: `${30 - i}d` as const }),
      })
      await clock.advance(10)
    }
    await tokens.disable('S01')
    await tokens.revoke('S02')
    const all = async (filter: Parameters<typeof tokens.list>[0], limit = 4) => {
      const names: string[] = []
      for (let cursor: string | undefined; ; ) {
        const page = await tokens.list({ ...filter, limit, cursor })
        names.push(...page.items.map((view) => view.service))
        cursor = page.cursor
        if (cursor === undefined) return names
      }
    }
    const every = Array.from({ length: 25 }, (_, i) => `S${String(i).padStart(2, '0')}`)
    expect(await all({})).toEqual(every)
    expect(await all({ reverse: true })).toEqual([...every].reverse())
    expect(await all({ owner: 'y', level: 'admin' })).toEqual(every.filter((_, i) => i % 3 === 0 && i % 2 === 1))
    expect(await all({ tag: 'five', type: 'oauth' })).toEqual(['S00', 'S20'])
    expect(await all({ status: 'disabled' })).toEqual(['S01'])
    expect(await all({ status: 'revoked' })).toEqual(['S02'])
    expect(await all({ order: 'ends' })).toEqual(['S09', 'S08', 'S07', 'S06', 'S05', 'S04', 'S03', 'S01', 'S00'])
    await clock.advance('22d')
    expect(await all({ status: 'expired' }, 1)).toEqual(['S09', 'S08'])
    expect((await all({ status: 'active' })).length).toBe(25 - 4)
    await tokens.rotate('S00')
    expect((await all({ order: 'rotated' })).at(-1)).toBe('S00')
  })

  it('refuses what it does not know', async () => {
    const { tokens } = setUp()
    for (const filter of [
      { limit: 0 },
      { limit: 1001 },
      { limit: 1.5 },
      { order: 'name' },
      { colour: 'red' },
      { cursor: 7 },
      { cursor: 'garbage' },
    ]) {
      await expect(tokens.list(filter as object), JSON.stringify(filter)).rejects.toThrow(InvalidInputError)
    }
  })
})

describe('cleanup', () => {
  it('removes what ended long ago, once, and leaves a tombstone', async () => {
    const { tokens, clock, store, events } = setUp()
    const expired = await tokens.generate({ service: 'E', expiresIn: '1d' })
    const revoked = await tokens.generate({ service: 'R' })
    const graced = await tokens.generate({ service: 'G' })
    await tokens.generate({ service: 'L' })
    await tokens.revoke('R')
    await tokens.rotate('G', { grace: '40d' })
    await clock.advance('30d')
    expect(await tokens.cleanup()).toEqual({ removed: 1, tidied: 0, more: false })
    expect(await tokens.get({ id: revoked.record.id })).toBeUndefined()
    await clock.advance('1d')
    expect(await tokens.cleanup()).toEqual({ removed: 1, tidied: 0, more: false })
    expect(await tokens.cleanup()).toEqual({ removed: 0, tidied: 0, more: false })
    expect(await tokens.verify(expired.token)).toMatchObject({ code: 'unknown' })
    expect((await tokens.verify(graced.token)).ok).toBe(true)
    await clock.advance('9d')
    expect(await tokens.verify(graced.token)).toMatchObject({ code: 'expired' })
    expect(await tokens.cleanup()).toEqual({ removed: 0, tidied: 1, more: false })
    expect(await tokens.verify(graced.token)).toMatchObject({ code: 'expired' })
    await clock.advance('30d')
    expect(await tokens.verify(graced.token)).toMatchObject({ code: 'unknown' })
    expect(await tokens.cleanup()).toEqual({ removed: 0, tidied: 1, more: false })
    expect(await tokens.verify(graced.token)).toMatchObject({ code: 'unknown' })
    expect((await tokens.get('G'))?.versions).toHaveLength(1)
    expect(events.names().filter((name) => name === 'token.removed')).toHaveLength(2)
    const actions = (await store.journal({ limit: 100 })).map((entry) => entry.action)
    expect(actions.filter((action) => action === 'token.removed')).toHaveLength(2)
  })
})
