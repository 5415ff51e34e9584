import { describe, expect, it } from 'vitest'
import { MemoryTokenStore, StoreUnavailableError, type TokenStore } from '../../src/index.ts'
import { revocationKind } from '../../src/signed/revocation.ts'
import { fakeClock } from '../../src/testing/index.ts'
import { DAY, START, setUp } from '../issuing/fixture.ts'

/** A store as one that is elsewhere and tells nothing. */
function silent(store: TokenStore, state: { down: boolean }): TokenStore {
  return new Proxy(store, {
    get(target, name) {
      if (name === 'watch' || name === 'cell') return undefined
      const value: unknown = Reflect.get(target, name, target)
      if (typeof value !== 'function') return value
      return async (...args: unknown[]) => {
        if (state.down) throw new StoreUnavailableError('it is down')
        return value.apply(target, args)
      }
    },
  })
}

describe('revocations', () => {
  it('hold in another instance at once where the store tells, else within maxStaleness', async () => {
    const clock = fakeClock({ now: START })
    const store = new MemoryTokenStore({ clock })
    const one = setUp({ store }, clock)
    const told = setUp({ store, keys: one.keys }, clock)
    const untold = setUp(
      { store: silent(store, { down: false }), keys: one.keys, signed: { maxStaleness: '5s' } },
      clock,
    )
    const { token } = await one.tokens.signer.mint({ agent: 'a', ttl: '1h', format: 'hmac' })
    for (const { tokens } of [told, untold]) expect(await tokens.verify(token)).toMatchObject({ ok: true })
    await one.tokens.signer.revoke({ token })
    expect(await told.tokens.verify(token)).toMatchObject({ code: 'revoked' })
    await clock.advance('5s')
    expect(await untold.tokens.verify(token)).toMatchObject({ code: 'revoked' })
  })

  it('that can’t be read refuse, or as old as the host allows', async () => {
    const clock = fakeClock({ now: START })
    const store = new MemoryTokenStore({ clock })
    const state = { down: false }
    const closed = setUp({ store: silent(store, state), signed: { maxStaleness: '5s' } }, clock)
    const signed = { maxStaleness: '5s', staleIfError: '1m' } as const
    const stale = setUp({ store: silent(store, state), keys: closed.keys, signed }, clock)
    const { token } = await closed.tokens.signer.mint({ agent: 'a', ttl: '1h', format: 'hmac' })
    for (const { tokens } of [closed, stale]) expect(await tokens.verify(token)).toMatchObject({ ok: true })
    state.down = true
    await clock.advance('6s')
    expect(await closed.tokens.verify(token)).toMatchObject({ code: 'unavailable', status: 503 })
    expect(closed.events.names()).toContain('store.failed')
    expect(await stale.tokens.verify(token)).toMatchObject({ ok: true })
    await clock.advance('1m')
    expect(await stale.tokens.verify(token)).toMatchObject({ code: 'unavailable' })
    state.down = false
    expect(await closed.tokens.verify(token)).toMatchObject({ ok: true })
  })

  it('are kept until the last token would have expired, and survive a restart', async () => {
    const { tokens, clock, store, keys } = setUp({ signed: { maxTtl: '2d' } })
    const long = await tokens.signer.mint({ agent: 'a', ttl: '2d', format: 'jwt' })
    await tokens.signer.revoke({ agent: 'a' })
    await tokens.signer.revoke({ agent: 'a' })
    await clock.advance(2 * DAY - 1000)
    await tokens.tick()
    const restarted = setUp({ store, keys, signed: { maxTtl: '2d' } }, clock)
    expect(await restarted.tokens.verify(long.token)).toMatchObject({ code: 'revoked' })
    const held = await store.list(revocationKind, { index: 'ends', limit: 10 })
    expect(held.items).toHaveLength(1)
    await clock.advance('3d')
    await tokens.tick()
    expect((await store.list(revocationKind, { index: 'ends', limit: 10 })).items).toHaveLength(0)
    expect(await tokens.verify(long.token)).toMatchObject({ ok: false })
    // Revoking the same agent again is possible after that.
    const later = await tokens.signer.mint({ agent: 'a', ttl: '1d', format: 'jwt' })
    await tokens.signer.revoke({ agent: 'a' })
    expect(await tokens.verify(later.token)).toMatchObject({ code: 'revoked' })
  })

  it('of two instances at once are both kept', async () => {
    const one = setUp()
    const two = setUp({ store: one.store, keys: one.keys }, one.clock)
    const { token } = await one.tokens.signer.mint({ agent: 'a', ttl: '1h', format: 'hmac' })
    await Promise.all([one, two, one, two].map(({ tokens }) => tokens.signer.revoke({ agent: 'a' })))
    for (const { tokens } of [one, two]) expect(await tokens.verify(token)).toMatchObject({ code: 'revoked' })
    expect((await one.store.list(revocationKind, { index: 'ends', limit: 10 })).items).toHaveLength(1)
  })

  it('a lower cap holds for tokens that were minted before', async () => {
    const { tokens, clock, store, keys } = setUp({ signed: { maxTtl: '10d' } })
    const { token } = await tokens.signer.mint({ agent: 'a', ttl: '10d', format: 'hmac' })
    const lower = setUp({ store, keys, signed: { maxTtl: '1d' } }, clock)
    expect(await lower.tokens.verify(token)).toMatchObject({ ok: true })
    await clock.advance('1d')
    expect(await lower.tokens.verify(token)).toMatchObject({ code: 'expired' })
  })
})
