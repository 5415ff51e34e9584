import { describe, expect, it } from 'vitest'
import { type ChangeChannel, MemoryTokenStore, StoreUnavailableError, type TokenStore } from '../../src/index.ts'
import { revocationKind } from '../../src/signed/revocation.ts'
import { fakeClock } from '../../src/testing/index.ts'
import { DAY, START, setUp } from '../issuing/fixture.ts'

/** A store as one that is elsewhere and tells nothing. */
function silent(store: TokenStore, state: { down: boolean }): TokenStore {
  return new Proxy(store, {
    get(target, name) {
      if (name === 'watch' || name === 'cell') return undefined
      // Other instances go on with it.
      if (name === 'close') return async () => {}
      const value: unknown = Reflect.get(target, name, target)
      if (typeof value !== 'function') return value
      return async (...args: unknown[]) => {
        if (state.down) throw new StoreUnavailableError('it is down')
        return value.apply(target, args)
      }
    },
  })
}

/** A store that tells another time. */
function earlier(store: TokenStore, clock: { now(): number }): TokenStore {
  return new Proxy(store, {
    get(target, name) {
      if (name === 'time') return () => clock.now()
      const value: unknown = Reflect.get(target, name, target)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}

/** A channel among the instances of one process that tells when it is told to. */
class OwnChannel implements ChangeChannel {
  readonly heard = new Set<(change: { kind: string; id: string }) => void>()
  readonly lost = new Set<() => void>()
  readonly published: { kind: string; id: string }[] = []
  mute = false

  publish(change: { kind: string; id: string }): void {
    this.published.push(change)
    if (!this.mute) for (const tell of this.heard) tell(change)
  }

  subscribe(onChange: (change: { kind: string; id: string }) => void, onLost: () => void): () => void {
    this.heard.add(onChange)
    this.lost.add(onLost)
    return () => {
      this.heard.delete(onChange)
      this.lost.delete(onLost)
    }
  }
}

describe('a channel', () => {
  const two = (channel: ChangeChannel) => {
    const clock = fakeClock({ now: START })
    const store = new MemoryTokenStore({ clock })
    const signed = { maxStaleness: '1h' } as const
    const options = { store: silent(store, { down: false }), signed, channel }
    const here = setUp(options, clock)
    return { here, there: setUp({ ...options, keys: here.keys }, clock), clock }
  }

  it.each(['jwt', 'hmac'] as const)('tells other instances of revocations and keys at once (%s)', async (format) => {
    const channel = new OwnChannel()
    const { here, there } = two(channel)
    const mint = (agent: string) => here.tokens.signer.mint({ agent, ttl: '1h', format })
    const [one, two_, three] = [await mint('a'), await mint('b'), await mint('c')]
    const everywhere = async (token: string, code: string | undefined) => {
      for (const { tokens } of [here, there])
        expect(await tokens.verify(token)).toMatchObject(code === undefined ? { ok: true } : { code })
    }
    for (const { token } of [one, two_, three]) await everywhere(token, undefined)
    await here.tokens.signer.revoke({ id: one.id })
    await everywhere(one.token, 'revoked')
    await there.tokens.signer.revoke({ agent: 'b' })
    await everywhere(two_.token, 'revoked')
    await everywhere(three.token, undefined)
    await here.tokens.signer.revoke('all')
    await everywhere(three.token, 'revoked')
    if (format === 'jwt') {
      const last = await mint('d')
      await everywhere(last.token, undefined)
      await there.tokens.signer.rotateKey({ compromised: true })
      await everywhere(last.token, 'unknown')
    }
    // What goes out names records, and nothing else.
    for (const { kind, id } of channel.published)
      expect(`${kind} ${id}`).toMatch(/^(revocation rev_[0-9A-Za-z]{20}|signing_key EdDSA|token \S+)$/)
  })

  it('that lost messages has everything read anew, and one subscription serves all', async () => {
    const channel = new OwnChannel()
    const { here, there } = two(channel)
    expect(channel.heard.size).toBe(2)
    const { token, id } = await here.tokens.signer.mint({ agent: 'a', ttl: '1h', format: 'hmac' })
    expect(await there.tokens.verify(token)).toMatchObject({ ok: true })
    channel.mute = true
    await here.tokens.signer.revoke({ id })
    expect(await there.tokens.verify(token)).toMatchObject({ ok: true })
    for (const tell of channel.lost) tell()
    expect(await there.tokens.verify(token)).toMatchObject({ code: 'revoked' })
    await here.tokens.close()
    expect(channel.heard.size).toBe(1)
    await there.tokens.close()
    expect(channel.heard.size).toBe(0)
  })

  it('that tells of anything and everything revokes nothing', async () => {
    const channel = new OwnChannel()
    const { here, there } = two(channel)
    const { token } = await here.tokens.signer.mint({ agent: 'a', ttl: '1h', format: 'jwt' })
    for (let i = 0; i < 3000; i++) channel.publish({ kind: 'revocation', id: `rev_made-up ${i}` })
    channel.publish({ kind: 'signing_key', id: '../x' })
    channel.publish({ kind: 'nothing', id: '' })
    expect(await there.tokens.verify(token)).toMatchObject({ ok: true })
  })

  it('that fails is told once for a subscription, and the bound is maxStaleness', async () => {
    const refuse = () => Promise.reject(new Error('redis://user:secret@host'))
    const { here, there, clock } = two({ publish: refuse, subscribe: refuse })
    const { token, id } = await here.tokens.signer.mint({ agent: 'a', ttl: '2h', format: 'hmac' })
    expect(await there.tokens.verify(token)).toMatchObject({ ok: true })
    await here.tokens.signer.revoke({ id })
    await clock.advance('1h')
    expect(await there.tokens.verify(token)).toMatchObject({ code: 'revoked' })
    const failed = here.events.events.filter(({ name }) => name === 'channel.failed')
    // Subscribing, and telling of the revocation.
    expect(failed).toHaveLength(2)
    expect(JSON.stringify(failed)).not.toContain('secret')
    await here.tokens.close()
  })
})

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

  it.each([{ agent: 'a' }, 'all'] as const)(
    'reach no less far when made again by an earlier clock: %j',
    async (target) => {
      const one = setUp()
      await one.clock.advance('1h')
      const { token } = await one.tokens.signer.mint({ agent: 'a', ttl: '10d', format: 'hmac' })
      await one.tokens.signer.revoke(target)
      // An instance whose clock, and so the memory store's, stands an hour earlier.
      const early = fakeClock({ now: START })
      const store = earlier(one.store, early)
      await setUp({ store, keys: one.keys }, early).tokens.signer.revoke(target)
      const restarted = setUp({ store: one.store, keys: one.keys }, one.clock)
      expect(await restarted.tokens.verify(token)).toMatchObject({ code: 'revoked' })
    },
  )

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
