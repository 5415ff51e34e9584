import { performance } from 'node:perf_hooks'
import { describe, expect, it } from 'vitest'
import { InvalidInputError, MemoryTokenStore, TokenStateError } from '../src/index.ts'
import { DAY, HOUR, START, setUp, spyOn } from './issuing/fixture.ts'

/**
 * What has hurt the users of other libraries, each with where it was told. None of it may happen here.
 */
describe('faults that others had', () => {
  it('a rate-limited call costs no quota (better-auth api-key: `remaining` is spent before the limit is checked)', async () => {
    const { tokens } = setUp()
    const { token } = await tokens.generate({ service: 'A', rateLimit: { limit: 1, per: '1h' }, quota: { limit: 10 } })
    await tokens.verify(token)
    for (let i = 0; i < 5; i++) expect(await tokens.verify(token)).toMatchObject({ code: 'rate_limited' })
    await tokens.update('A', { rateLimit: null })
    const answer = await tokens.verify(token)
    expect(answer.ok && answer.limits).toMatchObject([{ name: 'quota', remaining: 8 }])
  })

  it('steady traffic below the limit is never refused, and a refusal moves no window (better-auth#6035, #8803)', async () => {
    const { tokens, clock } = setUp()
    const { token } = await tokens.generate({ service: 'A', rateLimit: { limit: 10, per: '1d' } })
    for (let i = 0; i < 100; i++) {
      expect((await tokens.verify(token)).ok, `call ${i}`).toBe(true)
      await clock.advance(DAY / 10)
    }
    for (let i = 0; i < 30; i++) await tokens.verify(token)
    await clock.advance(DAY / 10)
    expect((await tokens.verify(token)).ok).toBe(true)
  })

  it('an expired token answers expired each time, and its record stays as evidence (better-auth api-key deletes it on sight)', async () => {
    const { tokens, clock } = setUp()
    const { token, record } = await tokens.generate({ service: 'A', expiresIn: '1h' })
    await clock.advance('1h')
    for (let i = 0; i < 3; i++) expect(await tokens.verify(token)).toMatchObject({ code: 'expired' })
    expect(await tokens.get({ id: record.id })).toMatchObject({ status: 'expired' })
  })

  it('a missing scope is not "unknown key" (better-auth api-key: KEY_NOT_FOUND)', async () => {
    const { tokens } = setUp()
    const { token } = await tokens.generate({ service: 'A' })
    expect(await tokens.verify(token, { scopes: ['a:b'] })).toMatchObject({ code: 'insufficient_scope', status: 403 })
  })

  it('a longer default length locks out no older token (better-auth api-key: key.length < defaultKeyLength)', async () => {
    const store = new MemoryTokenStore()
    const { tokens, keys, clock } = setUp({ store, defaults: { length: 40 } })
    const { token } = await tokens.generate({ service: 'A' })
    const later = setUp({ store, keys, defaults: { length: 80 } }, clock).tokens
    expect((await later.verify(token)).ok).toBe(true)
  })

  it('a parallel burst spends no more than there is (better-auth#9993)', async () => {
    const { tokens } = setUp()
    const { token } = await tokens.generate({ service: 'A', quota: { limit: 10 } })
    const answers = await Promise.all(Array.from({ length: 100 }, () => tokens.verify(token)))
    expect(answers.filter((answer) => answer.ok)).toHaveLength(10)
  })

  it('a verification writes nothing (laravel/sanctum#91, #207, #574; better-auth#10921)', async () => {
    const { proxy, calls } = spyOn(new MemoryTokenStore())
    const { tokens } = setUp({ store: proxy })
    const { token } = await tokens.generate({ service: 'A', rateLimit: { limit: 100, per: '1h' } })
    calls.length = 0
    for (let i = 0; i < 10; i++) await tokens.verify(token)
    expect(calls.filter((call) => call === 'commit' || call === 'addUsage')).toEqual([])
  })

  it('rotation revives neither disabled nor expired tokens, and lengthens no life (keypal rotate; unkey reroll)', async () => {
    const { tokens, clock } = setUp()
    await tokens.generate({ service: 'DISABLED' })
    await tokens.disable('DISABLED')
    await expect(tokens.rotate('DISABLED')).rejects.toThrow(TokenStateError)
    const short = await tokens.generate({ service: 'SHORT', expiresIn: '1h' })
    await tokens.rotate('SHORT', { grace: '30d' })
    await clock.advance('1h')
    expect(await tokens.verify(short.token)).toMatchObject({ code: 'expired' })
    await expect(tokens.rotate('SHORT')).rejects.toThrow(TokenStateError)
  })

  it('rotation keeps the whole prefix (unkey reroll: sk_live_x becomes sk_x; prefixed-api-key: my_company becomes company)', async () => {
    const { tokens } = setUp()
    await tokens.generate({ service: 'A', prefix: 'my_company_live_' })
    expect((await tokens.rotate('A')).token).toMatch(/^my_company_live_[0-9A-Za-z]{64}$/)
  })

  it('an overlap doubles no allowance (unkey reroll copies the quota)', async () => {
    const { tokens } = setUp()
    const old = await tokens.generate({ service: 'A', quota: { limit: 4 }, rateLimit: { limit: 3, per: '1h' } })
    const fresh = await tokens.rotate('A')
    const answers = []
    for (const { token } of [old, fresh, old, fresh]) answers.push((await tokens.verify(token)).ok)
    expect(answers).toEqual([true, true, true, false])
  })

  it('the old version ends at its deadline, cached or not, strictly (solana-developer-platform#897)', async () => {
    const { tokens, clock } = setUp()
    const { token } = await tokens.generate({ service: 'A' })
    await tokens.verify(token)
    await tokens.rotate('A', { grace: '1h' })
    await clock.advance(HOUR - 1)
    expect((await tokens.verify(token)).ok).toBe(true)
    await clock.advance(1)
    expect(await tokens.verify(token)).toMatchObject({ code: 'expired' })
  })

  it('disabling holds although the token was seen before (keypal: a cache hit never looks at `enabled`)', async () => {
    const { tokens } = setUp()
    const { token } = await tokens.generate({ service: 'A' })
    await tokens.verify(token)
    await tokens.disable('A')
    expect(await tokens.verify(token)).toMatchObject({ code: 'disabled' })
  })

  it('a date that is none is refused and does not mean never (keypal expiresAt)', async () => {
    const { tokens } = setUp()
    for (const expiresAt of ['not-a-date', Number.NaN, new Date(Number.NaN), START - DAY, 1e20, {}]) {
      await expect(tokens.generate({ service: 'A', expiresAt: expiresAt as never })).rejects.toThrow(InvalidInputError)
    }
  })

  it('revoking many finishes although some are revoked (keypal revokeAll stops at the first)', async () => {
    const { tokens } = setUp()
    for (const service of ['A', 'B', 'C']) await tokens.generate({ service, owner: 'x' })
    await tokens.revoke('B')
    expect(await tokens.revoke({ where: { owner: 'x' } })).toHaveLength(2)
    expect((await tokens.list({ owner: 'x', status: 'active' })).items).toEqual([])
  })

  it('the preview, which may be logged, is no oracle (nestarc/api-keys: state is told to holders of the public prefix)', async () => {
    const { tokens } = setUp()
    const { token } = await tokens.generate({ service: 'A', checksum: false })
    await tokens.revoke('A')
    expect(await tokens.verify(`${token.slice(0, 6)}${'x'.repeat(58)}`)).toMatchObject({ code: 'unknown' })
  })

  it('a scope made to exhaust a matcher is refused, and matching takes linear time (@memberjunction/api-keys PatternMatcher)', async () => {
    const { tokens } = setUp()
    await expect(tokens.generate({ service: 'A', scopes: ['*a*a*a*a*a*a*a*a*a*a*b:x'] })).rejects.toThrow(
      InvalidInputError,
    )
    const { token } = await tokens.generate({ service: 'A', scopes: ['a:*'] })
    const from = performance.now()
    expect(await tokens.verify(token, { scopes: [`b:${'a:'.repeat(20_000)}b`] })).toMatchObject({
      code: 'insufficient_scope',
    })
    expect(performance.now() - from).toBeLessThan(1000)
  })

  it('an IPv4 client in IPv6 clothes has no bucket or rule of its own (CVE-2026-30827, express-rate-limit)', async () => {
    const { tokens } = setUp()
    const { token } = await tokens.generate({ service: 'A', ipAllow: ['10.0.0.0/8'] })
    expect((await tokens.verify(token, { ip: '::ffff:10.1.2.3' })).ok).toBe(true)
    expect(await tokens.verify(token, { ip: '::ffff:11.1.2.3' })).toMatchObject({ code: 'ip_denied' })
  })

  it('fields that only the server sets cannot come in by generate or update (CVE-2025-61928, better-auth)', async () => {
    const { tokens } = setUp()
    for (const stray of [{ id: 'tok_x' }, { createdAt: 0 }, { revoked: null }, { versions: [] }, { digests: {} }]) {
      await expect(tokens.generate({ service: 'A', ...stray } as never)).rejects.toThrow(InvalidInputError)
    }
    await tokens.generate({ service: 'A' })
    await expect(tokens.update('A', { service: 'B' } as never)).rejects.toThrow(InvalidInputError)
  })
})
