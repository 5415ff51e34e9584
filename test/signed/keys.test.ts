import { createLocalJWKSet, type JSONWebKeySet, jwtVerify } from 'jose'
import { describe, expect, it } from 'vitest'
import { KeyRing, type Tokenwright } from '../../src/index.ts'
import { signingKeyKind } from '../../src/signed/signing-key.ts'
import { DAY, HOUR, setUp } from '../issuing/fixture.ts'

async function elsewhere(tokens: Tokenwright, token: string, now: number, audience = 'tokenwright') {
  const keys = createLocalJWKSet((await tokens.signer.jwks()) as unknown as JSONWebKeySet)
  const options = { issuer: 'tokenwright', audience, typ: 'at+jwt', currentDate: new Date(now) }
  return jwtVerify(token, keys, options)
}

describe('signing keys', () => {
  it.each(['EdDSA', 'ES256'] as const)('are public as a JWKS, by which others verify: %s', async (algorithm) => {
    const { tokens, clock } = setUp({ signed: { algorithm } })
    const { token, id } = await tokens.signer.mint({
      ...{ agent: 'a', scopes: ['docs:read'], ttl: '1h', format: 'jwt', audience: 'billing', claims: { job: 7 } },
    })
    const { payload, protectedHeader } = await elsewhere(tokens, token, clock.now(), 'billing')
    expect(payload).toMatchObject({ sub: 'a', client_id: 'a', scope: 'docs:read', jti: id, job: 7, aud: 'billing' })
    expect(protectedHeader).toMatchObject({ alg: algorithm, typ: 'at+jwt' })
    // It was minted for another service, and so isn't for us.
    expect(await tokens.verify(token)).toMatchObject({ code: 'unknown' })
    const text = JSON.stringify(await tokens.signer.jwks())
    expect(text).not.toContain('"d"')
    await expect(elsewhere(tokens, token.replace(/^[^.]+/, 'eyJhbGciOiJub25lIn0'), clock.now())).rejects.toThrow()
  })

  it('of HS256 are never public', async () => {
    const { tokens } = setUp({ signed: { algorithm: 'HS256' } })
    const { token } = await tokens.signer.mint({ agent: 'a', ttl: '1h', format: 'jwt' })
    expect(await tokens.verify(token)).toMatchObject({ ok: true })
    expect(await tokens.signer.jwks()).toEqual({ keys: [] })
  })

  it('take turns: announced long before they sign, and kept until the last token has expired', async () => {
    const { tokens, clock, events } = setUp({
      signed: { rotateEvery: '10d', announceFor: '1d', maxTtl: '5d' },
      retention: false,
    })
    const { signer } = tokens
    const kid = (token: string) => JSON.parse(Buffer.from(token.split('.')[0] as string, 'base64url').toString()).kid
    const kids = async () => (await signer.jwks()).keys.map((key) => key['kid'])
    const mint = () => signer.mint({ agent: 'a', ttl: '5d', format: 'jwt' })
    const first = kid((await mint()).token)
    await clock.advance('10d')
    await tokens.tick()
    const last = await mint()
    expect(kid(last.token)).toBe(first)
    const announced = await kids()
    expect(announced).toHaveLength(2)
    await clock.advance(DAY - 1)
    await tokens.tick()
    const lastOfFirst = await mint()
    expect(kid(lastOfFirst.token)).toBe(first)
    await clock.advance(1)
    await tokens.tick()
    const next = kid((await mint()).token)
    expect(next).toBe(announced.find((key) => key !== first))
    expect(events.names().filter((name) => name === 'signingKey.announced')).toHaveLength(1)
    expect(events.names().filter((name) => name === 'signingKey.rotated')).toHaveLength(2)
    // To the last second of the last token.
    await clock.advance(5 * DAY - 2000)
    await tokens.tick()
    expect(await tokens.verify(lastOfFirst.token)).toMatchObject({ ok: true })
    await elsewhere(tokens, lastOfFirst.token, clock.now())
    await clock.advance('2h')
    await tokens.tick()
    expect(await kids()).toEqual([next])
    expect(await tokens.verify(lastOfFirst.token)).toMatchObject({ ok: false })
    expect(JSON.stringify(await tokens.audit.verify())).not.toContain('firstBad')
  })

  it('that are compromised prove nothing from that moment, in other instances too', async () => {
    const one = setUp()
    const two = setUp({ store: one.store, keys: one.keys }, one.clock)
    const { token } = await one.tokens.signer.mint({ agent: 'a', ttl: '1h', format: 'jwt' })
    expect(await two.tokens.verify(token)).toMatchObject({ ok: true })
    const before = (await one.tokens.signer.jwks()).keys
    const { signing } = await one.tokens.signer.rotateKey({ compromised: true, actor: 'ops' })
    for (const { tokens } of [one, two]) expect(await tokens.verify(token)).toMatchObject({ code: 'unknown' })
    const after = (await two.tokens.signer.jwks()).keys
    expect(after.map((key) => key['kid'])).toEqual([signing])
    expect(before.map((key) => key['kid'])).not.toContain(signing)
    const fresh = await two.tokens.signer.mint({ agent: 'a', ttl: '1h', format: 'jwt' })
    expect(await one.tokens.verify(fresh.token)).toMatchObject({ ok: true })
  })

  it('announce and take over on demand, never at once', async () => {
    const { tokens, clock } = setUp({ signed: { announceFor: '1h' } })
    const first = await tokens.signer.rotateKey()
    expect(first).toMatchObject({ signsFrom: clock.now() + HOUR })
    expect(await tokens.signer.rotateKey()).toEqual(first)
    await clock.advance('1h')
    expect(await tokens.signer.rotateKey()).toEqual({ signing: first.next })
  })

  it('that nobody turned in time are announced anew on demand: what left the JWKS doesn’t sign', async () => {
    const { tokens, clock } = setUp({ signed: { announceFor: '1h', rotateEvery: '10d' } })
    const { next: forgotten, signing } = await tokens.signer.rotateKey()
    await clock.advance('11d')
    const published = (await tokens.signer.jwks()).keys.map((key) => key['kid'])
    expect(published).toEqual([signing])
    const turned = await tokens.signer.rotateKey()
    expect(turned).toMatchObject({ signing, signsFrom: clock.now() + HOUR })
    expect(turned.next).not.toBe(forgotten)
    await clock.advance('1h')
    expect(await tokens.signer.rotateKey()).toEqual({ signing: turned.next })
  })

  it('are made once, whoever is first', async () => {
    const one = setUp()
    const two = setUp({ store: one.store, keys: one.keys }, one.clock)
    const minted = await Promise.all(
      [one, two, one, two].map(({ tokens }) => tokens.signer.mint({ agent: 'a', ttl: '1h', format: 'jwt' })),
    )
    for (const { token } of minted) {
      expect(await one.tokens.verify(token)).toMatchObject({ ok: true })
      expect(await two.tokens.verify(token)).toMatchObject({ ok: true })
    }
    expect((await one.tokens.signer.jwks()).keys).toHaveLength(1)
  })

  it('are sealed anew by tick when the ring has another active key', async () => {
    const old = { id: 'old', secret: 'old-secret-0123456789-abcdefghijklmnop' }
    const fresh = { id: 'fresh', secret: 'fresh-secret-0123456789-abcdefghijklmn' }
    const one = setUp({ keys: [old] })
    const compact = await one.tokens.signer.mint({ agent: 'a', ttl: '1h', format: 'hmac' })
    const jwt = await one.tokens.signer.mint({ agent: 'a', ttl: '1h', format: 'jwt' })
    const two = setUp({ store: one.store, keys: [fresh, old] }, one.clock)
    await two.tokens.tick()
    const stored = await one.store.get(signingKeyKind, 'EdDSA')
    expect(stored?.value.versions.map((key) => KeyRing.sealedBy(key.sealed as string))).toEqual(['fresh'])
    for (const { token } of [compact, jwt]) expect(await two.tokens.verify(token)).toMatchObject({ ok: true })
    const three = setUp({ store: one.store, keys: [fresh] }, one.clock)
    expect(await three.tokens.verify(jwt.token)).toMatchObject({ ok: true })
    expect(await three.tokens.verify(compact.token)).toMatchObject({ code: 'unknown' })
    await three.tokens.signer.mint({ agent: 'a', ttl: '1h', format: 'jwt' })
  })

  it('that can’t be opened any more take none but their own tokens along', async () => {
    const old = { id: 'old', secret: 'old-secret-0123456789-abcdefghijklmnop' }
    const fresh = { id: 'fresh', secret: 'fresh-secret-0123456789-abcdefghijklmn' }
    const one = setUp({ keys: [old], signed: { algorithm: 'HS256' } })
    const lost = await one.tokens.signer.mint({ agent: 'a', ttl: '1h', format: 'jwt' })
    // The old key left before tick() could seal anew.
    const two = setUp({ store: one.store, keys: [fresh] }, one.clock)
    for (const format of ['jwt', 'hmac'] as const) {
      const { token } = await two.tokens.signer.mint({ agent: 'a', ttl: '1h', format })
      expect(await two.tokens.verify(token), format).toMatchObject({ ok: true })
    }
    expect(await two.tokens.verify(lost.token)).toMatchObject({ code: 'unavailable' })
    // An instance that still has the old key helps.
    await setUp({ store: one.store, keys: [fresh, old] }, one.clock).tokens.tick()
    expect(await two.tokens.verify(lost.token)).toMatchObject({ ok: true })
  })
})
