import { createHmac } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { defineScopes, MemoryTokenStore, TtlOverCapError, WiderThanMinterError } from '../../src/index.ts'
import { fakeClock } from '../../src/testing/index.ts'
import { DAY, HOUR, START, setUp, spyOn } from '../issuing/fixture.ts'

const FORMATS = ['jwt', 'hmac'] as const
const catalog = defineScopes({
  scopes: {
    'docs:read': { risk: 'low', tools: ['read_doc'] },
    'docs:write': { risk: 'moderate', tools: ['write_doc'], implies: ['docs:read'] },
    'box:write': { risk: 'high', tools: ['restart'] },
    'box:admin': { risk: 'critical', tools: ['destroy'] },
  },
  meta: { all: ['docs:*', 'box:*'] },
})

describe.each(FORMATS)('a signed token, %s', (format) => {
  it('verifies, and says who it is for', async () => {
    const { tokens } = setUp()
    const { signer } = tokens
    const minted = await signer.mint({
      ...{ agent: 'builder', scopes: ['docs:read'], ttl: '15m', format },
      ...{ claims: { job: 7 }, owner: 'team-a', tools: ['read_doc'] },
    })
    expect(minted.scopes).toEqual(['docs:read'])
    expect(minted.expiresAt).toBe(START + 15 * 60_000)
    const answer = await tokens.verify(minted.token, { scopes: ['docs:read'], tool: 'read_doc' })
    expect(answer).toMatchObject({ ok: true, version: 'current' })
    if (!answer.ok) return
    expect(answer.token).toMatchObject({
      ...{ id: 'agent:builder', service: 'agent:builder', type: 'signed', owner: 'team-a', scopes: ['docs:read'] },
      ...{ expiresAt: minted.expiresAt, status: 'active', revision: 0 },
      signed: { id: minted.id, agent: 'builder', format, claims: { job: 7 }, issuer: 'tokenwright' },
    })
    expect(await signer.verify(minted.token)).toMatchObject({ ok: true })
    expect(await tokens.verify(minted.token, { scopes: ['docs:write'] })).toMatchObject({ code: 'insufficient_scope' })
    expect(await tokens.verify(minted.token, { tool: 'restart' })).toMatchObject({ code: 'tool_denied' })
    expect(await tokens.verify(minted.token, { level: 'admin' })).toMatchObject({ code: 'level_denied' })
    await tokens.close()
  })

  it('expires to the second, leeway aside', async () => {
    const { tokens, clock } = setUp()
    const { token } = await tokens.signer.mint({ agent: 'a', ttl: '10s', format })
    await clock.advance(9_999)
    expect(await tokens.verify(token)).toMatchObject({ ok: true })
    await clock.advance(1)
    expect(await tokens.verify(token)).toMatchObject({ code: 'expired', status: 401 })
    expect(await tokens.signer.verify(token)).toMatchObject({ code: 'expired' })
    expect(await tokens.signer.introspect(token)).toEqual({ active: false })
    const lenient = setUp({ signed: { leeway: '5s' } })
    const late = await lenient.tokens.signer.mint({ agent: 'a', ttl: '10s', format })
    await lenient.clock.advance('14s')
    expect(await lenient.tokens.verify(late.token)).toMatchObject({ ok: true })
    await lenient.clock.advance('1s')
    expect(await lenient.tokens.verify(late.token)).toMatchObject({ code: 'expired' })
  })

  it('that was seen to have ended isn’t called live when the clock is set back', async () => {
    const { tokens, clock } = setUp()
    const { token } = await tokens.signer.mint({ agent: 'a', ttl: '1m', format: 'hmac' })
    await clock.advance('1m')
    expect(await tokens.verify(token)).toMatchObject({ code: 'expired' })
    await clock.set(clock.now() - HOUR)
    expect(await tokens.verify(token)).toMatchObject({ code: 'expired' })
    expect(await tokens.signer.identify(token)).toMatchObject({ live: false })
  })

  it('is revoked by text, by id, by agent, or with all others, and what is minted later is not', async () => {
    const { tokens, events } = setUp()
    const { signer } = tokens
    const mint = async (agent: string) => signer.mint({ agent, ttl: '1h', format })
    const [one, two, three, other] = [await mint('a'), await mint('a'), await mint('a'), await mint('b')]
    for (const { token } of [one, two, three, other]) expect(await tokens.verify(token)).toMatchObject({ ok: true })
    await signer.revoke({ token: one.token }, { actor: 'ops', reason: 'leaked' })
    expect(await tokens.verify(one.token)).toMatchObject({ code: 'revoked', status: 401 })
    await signer.revoke({ id: two.id })
    expect(await tokens.verify(two.token)).toMatchObject({ code: 'revoked' })
    expect(await tokens.verify(three.token)).toMatchObject({ ok: true })
    await signer.revoke({ agent: 'a' })
    // In the same millisecond: ids rise, so there is no doubt which came first.
    const later = await mint('a')
    expect(await tokens.verify(three.token)).toMatchObject({ code: 'revoked' })
    expect(await tokens.verify(later.token)).toMatchObject({ ok: true })
    expect(await tokens.verify(other.token)).toMatchObject({ ok: true })
    await signer.revoke('all')
    for (const { token } of [later, other]) expect(await tokens.verify(token)).toMatchObject({ code: 'revoked' })
    expect(await tokens.verify((await mint('b')).token)).toMatchObject({ ok: true })
    const told = events.events.flatMap((event) => (event.name === 'signed.revoked' ? [event.payload.target] : []))
    expect(told).toEqual([...[`id:${one.id}`, `id:${two.id}`, 'agent:a', 'all']])
    const journal = await tokens.audit.verify()
    expect(journal.firstBad).toBeUndefined()
  })

  it('is changed nowhere without being refused, and no change throws', async () => {
    const { tokens } = setUp()
    const { token } = await tokens.signer.mint({ agent: 'a', scopes: ['docs:read'], ttl: '1h', format })
    for (let i = 0; i < token.length; i++) {
      const changed = token.slice(0, i) + (token[i] === 'A' ? 'B' : 'A') + token.slice(i + 1)
      const answer = await tokens.verify(changed)
      expect(answer.ok, `changed at ${i}`).toBe(false)
    }
    for (let i = 0; i < token.length; i++) expect((await tokens.verify(token.slice(0, i))).ok).toBe(false)
    const dot = token.lastIndexOf('.')
    for (const odd of ['=', '==', '\n', ' ', '\u0141', '%', '.', '\0']) {
      expect((await tokens.verify(token + odd)).ok).toBe(false)
      expect((await tokens.verify(odd + token)).ok).toBe(false)
      expect((await tokens.verify(token.slice(0, dot) + odd + token.slice(dot))).ok).toBe(false)
      // In place of an A: U+0141 is one in Latin-1.
      expect((await tokens.verify(`${token.slice(0, -1)}${odd}`)).ok).toBe(false)
    }
  })

  it('is limited, counted and logged as its agent', async () => {
    const { tokens } = setUp({ usage: { record: 'all' } })
    const mint = () =>
      tokens.signer.mint({
        agent: 'busy',
        ttl: '1h',
        format,
        rateLimit: { limit: 2, per: '1h' },
        ipAllow: ['10.0.0.0/8'],
      })
    const [one, two] = [await mint(), await mint()]
    const ip = '10.1.2.3'
    expect(await tokens.verify(one.token, { ip: '11.0.0.1' })).toMatchObject({ code: 'ip_denied' })
    expect(await tokens.verify(one.token, { ip })).toMatchObject({ ok: true })
    const second = await tokens.verify(two.token, { ip })
    expect(second).toMatchObject({ ok: true, limits: [{ name: 'default', limit: 2, remaining: 0 }] })
    // Another token of the same agent doesn't bring a bucket of its own.
    expect(await tokens.verify(one.token, { ip })).toMatchObject({ code: 'rate_limited', status: 429 })
    await tokens.usage.flush()
    const rows = await tokens.usage.query({ token: 'agent:busy' })
    expect(rows.reduce((sum, row) => sum + row.calls, 0)).toBe(4)
    const { items } = await tokens.usage.requests({ service: 'agent:busy' })
    expect(items.length).toBe(4)
    expect(items.every((row) => row.agent === 'busy')).toBe(true)
  })

  it('needs approvals as an opaque one does', async () => {
    const { tokens } = setUp({ scopes: catalog, approvals: {} })
    const { token } = await tokens.signer.mint({ agent: 'a', scopes: ['box:admin'], ttl: '1h', format, owner: 'eve' })
    const call = { tool: 'destroy', args: { box: 'web' } }
    const refused = await tokens.verify(token, call)
    expect(refused).toMatchObject({ code: 'approval_required', approvalRequest: { token: 'agent:a', owner: 'eve' } })
    if (refused.ok) return
    const { id } = await tokens.approvals.request(refused.approvalRequest)
    await expect(tokens.approvals.approve(id, 'eve')).rejects.toMatchObject({ code: 'ERR_SELF_APPROVAL' })
    await tokens.approvals.approve(id, 'alice')
    expect(await tokens.verify(token, { ...call, approval: id })).toMatchObject({ ok: true })
    expect(await tokens.verify(token, { ...call, approval: id })).toMatchObject({ code: 'approval_required' })
  })

  it('is refused where only opaque ones are accepted', async () => {
    const { tokens } = setUp()
    const { token } = await tokens.signer.mint({ agent: 'a', ttl: '1h', format })
    const opaque = await tokens.generate({ service: 'S' })
    expect(await tokens.verify(token, { accept: ['opaque'] })).toMatchObject({ code: 'unknown' })
    expect(await tokens.verify(token, { accept: ['signed'] })).toMatchObject({ ok: true })
    expect(await tokens.verify(opaque.token, { accept: ['signed'] })).toMatchObject({ code: 'unknown' })
    expect(await tokens.verify(opaque.token, { accept: ['opaque', 'signed'] })).toMatchObject({ ok: true })
    await expect(tokens.verify(token, { accept: [] })).rejects.toMatchObject({ field: 'accept' })
  })

  it('asks the store nothing on the way of a repeated call', async () => {
    const clock = fakeClock({ now: START })
    const { proxy, calls } = spyOn(new MemoryTokenStore({ clock }))
    const { tokens } = setUp({ store: proxy }, clock)
    const { token } = await tokens.signer.mint({ agent: 'a', ttl: '1h', format })
    await tokens.verify(token)
    calls.length = 0
    for (let i = 0; i < 20; i++) expect(await tokens.verify(token)).toMatchObject({ ok: true })
    expect(calls).toEqual([])
  })

  it('survives any claims that JSON holds, and gives them back as they were', async () => {
    const { tokens } = setUp()
    const name = fc.stringMatching(/^c_[a-z]{1,8}$/)
    await fc.assert(
      fc.asyncProperty(fc.dictionary(name, fc.jsonValue({ maxDepth: 3 }), { maxKeys: 4 }), async (claims) => {
        let minted: { readonly token: string }
        try {
          minted = await tokens.signer.mint({ agent: 'a', ttl: '1h', format, claims: claims as never })
        } catch (error) {
          expect(error).toMatchObject({ code: 'ERR_INVALID_INPUT' })
          return
        }
        const answer = await tokens.signer.verify(minted.token)
        expect(answer.ok && answer.token.signed?.claims).toEqual(JSON.parse(JSON.stringify(claims)))
      }),
      { numRuns: 60 },
    )
  })
})

describe('minting', () => {
  it('holds a ttl to the cap of the riskiest scope, and names it', async () => {
    const { tokens } = setUp({ scopes: catalog })
    const mint = (scopes: string[], ttl: '30d' | '8d' | '2d', clamp = false) =>
      tokens.signer.mint({ agent: 'a', scopes, ttl, format: 'hmac', clamp })
    await expect(mint(['docs:read'], '30d')).resolves.toBeDefined()
    const refused = mint(['docs:read', 'box:write'], '8d')
    await expect(refused).rejects.toBeInstanceOf(TtlOverCapError)
    await expect(refused).rejects.toMatchObject({ cap: { ms: 7 * DAY, scope: 'box:write', risk: 'high' } })
    await expect(refused).rejects.toThrow(/7d for 'box:write', whose risk is high/)
    expect((await mint(['box:admin'], '2d', true)).expiresAt).toBe(START + DAY)
  })

  it('names every scope, so that a later catalogue widens nothing', async () => {
    const { tokens, store, keys, clock } = setUp({ scopes: catalog })
    const { token, scopes } = await tokens.signer.mint({ agent: 'a', scopes: ['all'], ttl: '1h', format: 'jwt' })
    expect(scopes).toEqual(['box:admin', 'box:write', 'docs:read', 'docs:write'])
    const wider = defineScopes({
      scopes: {
        'docs:read': { risk: 'low', implies: ['docs:delete'] },
        'docs:delete': { risk: 'critical', tools: ['delete_doc'] },
      },
      meta: { all: ['docs:*'] },
    })
    const later = setUp({ scopes: wider, store, keys }, clock)
    expect(await later.tokens.verify(token, { scopes: ['docs:read'] })).toMatchObject({ ok: true })
    expect(await later.tokens.verify(token, { scopes: ['docs:delete'] })).toMatchObject({ code: 'insufficient_scope' })
    expect(await later.tokens.verify(token, { tool: 'delete_doc' })).toMatchObject({ code: 'insufficient_scope' })
  })

  it('never goes beyond the minter', async () => {
    const { tokens, clock } = setUp()
    const { token } = await tokens.generate({
      service: 'PARENT',
      scopes: ['docs:*'],
      tools: ['read_doc', { name: 'restart', args: { box: ['web', 'db'] } }],
      ipAllow: ['10.0.0.0/8'],
      expiresAt: START + 2 * HOUR,
    })
    const parent = await tokens.verify(token, { ip: '10.0.0.1', tool: 'read_doc' })
    if (!parent.ok) throw new Error('the parent is refused')
    const base = { agent: 'child', ttl: '1h', format: 'jwt', minter: parent } as const
    const mint = (more: object) => tokens.signer.mint({ ...base, ...more })
    const child = await mint({ scopes: ['docs:read'] })
    const verified = await tokens.verify(child.token, { ip: '10.0.0.1', tool: 'read_doc' })
    expect(verified).toMatchObject({ ok: true, token: { tools: parent.token.tools, ipAllow: ['10.0.0.0/8'] } })
    for (const [field, more] of Object.entries({
      scopes: { scopes: ['files:read'] },
      level: { level: 'admin' },
      tools: { tools: ['destroy'] },
      ipAllow: { ipAllow: ['0.0.0.0/0'] },
    })) {
      await expect(mint(more), field).rejects.toBeInstanceOf(WiderThanMinterError)
      await expect(mint(more), field).rejects.toMatchObject({ field })
    }
    await expect(mint({ tools: ['restart'] })).rejects.toBeInstanceOf(WiderThanMinterError)
    await expect(mint({ tools: [{ name: 'restart', args: { box: ['web'], force: [true] } }] })).resolves.toBeDefined()
    await expect(mint({ ttl: '3h' })).rejects.toBeInstanceOf(TtlOverCapError)
    expect((await mint({ ttl: '3h', clamp: true })).expiresAt).toBe(START + 2 * HOUR)
    // A signed one mints in turn, and less again.
    if (!verified.ok) return
    const again = { ...base, minter: verified, agent: 'grandchild' }
    await expect(tokens.signer.mint({ ...again, scopes: ['docs:write'] })).rejects.toMatchObject({
      missing: ['docs:write'],
    })
    await tokens.revoke('PARENT')
    const ended = await tokens.get({ id: parent.token.id })
    if (ended === undefined) throw new Error('the parent is gone')
    await expect(mint({ minter: ended })).rejects.toMatchObject({ field: 'minter' })
    await clock.advance('2h')
    await expect(mint({})).rejects.toMatchObject({ field: 'minter' })
  })

  it('refuses what it can’t use, before anything is done', async () => {
    const { tokens } = setUp()
    const good = { agent: 'a', ttl: '1h', format: 'hmac' } as const
    const cases: readonly [string, object][] = [
      ...(['iss', 'sub', 'aud', 'exp', 'nbf', 'iat', 'jti', 'scope', 'client_id', 'tw'].map((name) => [
        `claims.${name}`,
        { claims: { [name]: 'x' } },
      ]) as [string, object][]),
      ['claims', { claims: { '1': 1 } }],
      ['claims.__proto__', { claims: JSON.parse('{"__proto__":1}') }],
      ['agent', { agent: '' }],
      ['agent', { agent: 'a\nb' }],
      ['ttl', { ttl: 0 }],
      ['ttl', { ttl: '999ms' }],
      ['ttl', { ttl: undefined }],
      ['format', { format: 'paseto' }],
      ['scopes[0]', { scopes: [`${'a'.repeat(60)}:${'b.'.repeat(40)}!`] }],
      ['scopes[0]', { scopes: ['readonly'] }],
      ['tools', { tools: [] }],
      ['input', { scope: 'x' }],
      ['input', { quota: { limit: 1 } }],
      ['minter', { minter: { ok: true } }],
      ['minter', { minter: 'a text' }],
      ['minter', { minter: null }],
      ['clamp', { clamp: 'yes' }],
    ]
    for (const [field, more] of cases) {
      await expect(tokens.signer.mint({ ...good, ...more } as never), JSON.stringify(more)).rejects.toMatchObject({
        field,
      })
    }
    const large = { claims: { text: 'x'.repeat(5000) } }
    await expect(tokens.signer.mint({ ...good, ...large })).rejects.toMatchObject({ code: 'ERR_INVALID_INPUT' })
    for (const target of [{}, { id: 'x' }, { id: 'a', agent: 'b' }, { token: 'v1.a.b' }, { agent: '' }, 'everything']) {
      await expect(tokens.signer.revoke(target as never)).rejects.toMatchObject({ code: 'ERR_INVALID_INPUT' })
    }
  })
})

describe.each(FORMATS)('a token for another service, %s', (format) => {
  it('is none for us, and that service may ask about it; who finds it can end it by its text', async () => {
    const { tokens, clock } = setUp()
    const { signer } = tokens
    const { token, id } = await signer.mint({ agent: 'a', scopes: ['b:c'], ttl: '1h', format, audience: 'billing' })
    const active = { active: true, aud: 'billing', sub: 'a', scope: 'b:c', jti: id }
    expect(await signer.introspect(token)).toMatchObject(active)
    // Asking makes it no better here.
    expect(await tokens.verify(token)).toMatchObject({ code: 'unknown' })
    expect(await signer.verify(token)).toMatchObject({ code: 'unknown' })
    expect(await signer.introspect(`${token.slice(0, -9)}${'A'.repeat(9)}`)).toEqual({ active: false })
    const { token: other } = await signer.mint({ agent: 'a', ttl: '1m', format, audience: 'billing' })
    await signer.revoke({ token })
    expect(await signer.introspect(token)).toEqual({ active: false })
    expect(await signer.introspect(other)).toMatchObject({ active: true })
    await clock.advance('1m')
    expect(await signer.introspect(other)).toEqual({ active: false })
  })
})

describe('what clients send', () => {
  it('is answered with a code, in linear time', async () => {
    const { tokens, keys } = setUp()
    await tokens.signer.jwks()
    const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
    const body = part({ jti: 'x', iat: 1, exp: 1e300 })
    const texts = [
      ...[
        'v1..',
        'v1.a.b',
        'v1.e30.x',
        'eyJ.e30.',
        'eyJ..',
        `eyJ${'.'.repeat(50)}`,
        'v1.',
        'v1',
        'eyJhbGciOiJub25lIn0..',
      ],
      ...[
        { alg: 'none' },
        { alg: 'HS256', typ: 'at+jwt' },
        { alg: 'RS256', kid: '../../etc/passwd' },
        { kid: "' OR 1=1" },
      ].map((header) => `${part(header)}.${body}.${'A'.repeat(43)}`),
      ...[{ alg: 'EdDSA', crit: ['x'], x: 1 }, { alg: 'EdDSA', jku: 'https://evil.example' }, { jwk: {} }].map(
        (header) => `${part(header)}.${body}.${'A'.repeat(86)}`,
      ),
      `v1.${'A'.repeat(1_000_000)}.${'A'.repeat(43)}`,
      `eyJ${'A'.repeat(1_000_000)}.${'A'.repeat(43)}.x`,
      `v1.${'A'.repeat(8100)}.${'A'.repeat(43)}`,
      `eyJ${'a-'.repeat(4000)}.${'='.repeat(20)}.x`,
      `v1.\u0000\ud800.${'A'.repeat(43)}`,
    ]
    const started = performance.now()
    for (const text of texts) {
      const answer = await tokens.verify(text)
      expect(answer.ok).toBe(false)
      if (!answer.ok) expect(['malformed', 'unknown']).toContain(answer.code)
      expect(await tokens.signer.introspect(text)).toEqual({ active: false })
    }
    expect(performance.now() - started).toBeLessThan(2000)
    for (const odd of [undefined, null, 7, {}, [], '']) expect((await tokens.signer.verify(odd)).ok).toBe(false)
    expect(keys).toBeDefined()
  })

  it('that is signed by our own key, and yet not what we write, is refused too', async () => {
    const keys = 'a-secret-of-the-host-0123456789-abcdefgh'
    const { tokens } = setUp({ keys })
    const { token } = await tokens.signer.mint({ agent: 'a', scopes: ['docs:read'], ttl: '1h', format: 'hmac' })
    const { KeyRing } = await import('../../src/index.ts')
    const key = KeyRing.from(keys).subkey('sign')
    const [, grant, tail = ''] = token.split('.')
    const plain = Buffer.from(grant as string, 'base64url').toString()
    const seal = (signed: string) => signed + createHmac('sha256', key).update(signed).digest('base64url')
    const sign = (text: string, rest = tail.slice(0, -43)) =>
      seal(`v1.${Buffer.from(text).toString('base64url')}.${rest}`)
    expect(await tokens.verify(sign(plain))).toMatchObject({ ok: true })
    // Id, issued, expires, the name of the key.
    const [id, iat, exp, kid] = [tail.slice(0, 20), tail.slice(20, 27), tail.slice(27, 34), tail.slice(34, -43)]
    for (const [rest, code] of [
      [`${id}${iat}${exp}`, 'malformed'],
      [`${id}${iat}${exp}${'k'.repeat(33)}`, 'malformed'],
      [`${id}${iat}${exp}${kid}x`, 'unknown'],
      [`${id.slice(1)}-${iat}${exp}${kid}`, 'malformed'],
      [`${id}${iat}-${exp.slice(1)}${kid}`, 'malformed'],
      [`${id}${iat.toUpperCase()}${exp}${kid}`, 'malformed'],
      [`${id}${exp}${iat}${kid}`, 'expired'],
    ] as const)
      expect(await tokens.verify(sign(plain, rest)), rest).toMatchObject({ ok: false, code })
    // The same claims in another spelling of base64url.
    expect(await tokens.verify(seal(`v1.${grant}=.${tail.slice(0, -43)}`))).toMatchObject({ code: 'malformed' })
    expect(await tokens.verify(seal(`v1.${grant}`))).toMatchObject({ ok: false })
    const changes: readonly [RegExp, string, string][] = [
      [/"aud"/, '"exp":9999999999,"aud"', 'malformed'],
      [/"aud":"tokenwright"/, '"aud":["tokenwright"]', 'malformed'],
      [/"aud":"tokenwright"/, '"aud":"tokenwright","aud":"tokenwright"', 'malformed'],
      [/"aud":"tokenwright"/, '"aud":"other"', 'unknown'],
      [/"iss":"tokenwright"/, '"iss":"other"', 'unknown'],
      [/"sub":"a"/, '"sub": "a"', 'malformed'],
      [/"scope":"docs:read"/, '"scope":"docs:read  docs:write"', 'malformed'],
      [/"scope":"docs:read"/, '"scope":"docs:read","nbf":1', 'malformed'],
      [/"scope":"docs:read"/, '"scope":"docs:read","tw":{"admin":true}', 'malformed'],
      [/\}$/, ',"__proto__":{"admin":true}}', 'malformed'],
      [/\}$/, '', 'malformed'],
    ]
    for (const [pattern, replacement, code] of changes) {
      const text = plain.replace(pattern, replacement)
      expect(text).not.toBe(plain)
      expect(await tokens.verify(sign(text)), replacement).toMatchObject({ ok: false, code })
    }
  })
})
