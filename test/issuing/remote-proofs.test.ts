import { describe, expect, it } from 'vitest'
import { generateSecret, MemoryTokenStore, type StoreChange, type TokenStore } from '../../src/index.ts'
import { type FakeClock, fakeClock } from '../../src/testing/index.ts'
import { HOUR, START, setUp } from './fixture.ts'

/** A store that is elsewhere: it has no cells, its answers can be held back, and its channel can be cut. */
class Remote {
  readonly reads: string[] = []
  readonly store: TokenStore
  /** While set, reads wait for it after they were done: what they bring is of the time before. */
  gate: Promise<void> | undefined
  channel = true

  constructor(inner: MemoryTokenStore) {
    this.store = new Proxy(inner as TokenStore, {
      get: (target, name) => {
        if (name === 'cell') return undefined
        if (name === 'watch') {
          return (onChange: (change: StoreChange) => void) =>
            inner.watch((change) => {
              if (this.channel) onChange(change)
            })
        }
        const value: unknown = Reflect.get(target, name, target)
        if (typeof value !== 'function') return value
        return async (...args: unknown[]) => {
          const result: unknown = value.apply(target, args)
          if (name === 'get' || name === 'find') {
            this.reads.push(name)
            await this.gate
          }
          return result
        }
      },
    })
  }
}

function world(options: { maxStaleness?: number | '5s' } = {}) {
  const clock: FakeClock = fakeClock({ now: START })
  const shared = new MemoryTokenStore({ clock })
  const keys = generateSecret()
  const process = () => {
    const remote = new Remote(shared)
    return { remote, tokens: setUp({ store: remote.store, keys, ...options }, clock).tokens }
  }
  return { clock, here: process(), there: process() }
}

describe('a store that is elsewhere', () => {
  it('is read once in maxStaleness for a string; checks between are answered from what was read', async () => {
    const { clock, here } = world()
    const { token } = await here.tokens.generate({ service: 'A', scopes: ['a:b'] })
    await here.tokens.verify(token)
    here.remote.reads.length = 0
    for (let i = 0; i < 60; i++) {
      expect((await here.tokens.verify(token, { scopes: ['a:b'] })).ok).toBe(true)
      await clock.advance(100)
    }
    expect(here.remote.reads).toEqual(['get'])
  })

  it('shows a change of this process at once', async () => {
    const { here } = world()
    const { token } = await here.tokens.generate({ service: 'A' })
    expect((await here.tokens.verify(token)).ok).toBe(true)
    await here.tokens.disable('A')
    expect(await here.tokens.verify(token)).toMatchObject({ code: 'disabled' })
    await here.tokens.enable('A')
    expect((await here.tokens.verify(token)).ok).toBe(true)
    const { token: next } = await here.tokens.rotate('A', { grace: 0 })
    expect(await here.tokens.verify(token)).toMatchObject({ code: 'revoked' })
    expect((await here.tokens.verify(next)).ok).toBe(true)
  })

  it('shows a change of another process as soon as the channel tells', async () => {
    const { here, there } = world()
    const { token } = await there.tokens.generate({ service: 'A' })
    expect((await here.tokens.verify(token)).ok).toBe(true)
    await there.tokens.revoke('A')
    expect(await here.tokens.verify(token)).toMatchObject({ code: 'revoked' })
  })

  it('without the channel, shows it within maxStaleness', async () => {
    const { clock, here, there } = world({ maxStaleness: '5s' })
    const { token } = await there.tokens.generate({ service: 'A' })
    expect((await here.tokens.verify(token)).ok).toBe(true)
    here.remote.channel = false
    await there.tokens.revoke('A')
    await clock.advance(4999)
    expect((await here.tokens.verify(token)).ok).toBe(true)
    await clock.advance(1)
    expect(await here.tokens.verify(token)).toMatchObject({ code: 'revoked' })
  })

  it('with maxStaleness 0, every check reads, and none is answered by a read that began before', async () => {
    const { here, there } = world({ maxStaleness: 0 })
    here.remote.channel = false
    const { token } = await there.tokens.generate({ service: 'A' })
    expect((await here.tokens.verify(token)).ok).toBe(true)
    let open = () => {}
    here.remote.gate = new Promise((resolve) => {
      open = resolve
    })
    const early = here.tokens.verify(token)
    await Promise.resolve()
    here.remote.gate = undefined
    await there.tokens.revoke('A')
    expect(await here.tokens.verify(token)).toMatchObject({ code: 'revoked' })
    open()
    expect((await early).ok).toBe(true)
    expect(await here.tokens.verify(token)).toMatchObject({ code: 'revoked' })
  })

  it('a read that was under way when the change was told of is not kept', async () => {
    const { here, there } = world()
    const { token } = await there.tokens.generate({ service: 'A' })
    let open = () => {}
    here.remote.gate = new Promise((resolve) => {
      open = resolve
    })
    const early = here.tokens.verify(token)
    while (here.remote.reads.length === 0) await new Promise((resolve) => setImmediate(resolve))
    here.remote.gate = undefined
    await there.tokens.revoke('A')
    open()
    expect((await early).ok).toBe(true)
    expect(await here.tokens.verify(token)).toMatchObject({ code: 'revoked' })
  })

  it('reads once for a crowd that asks for one string at the same time', async () => {
    const { here } = world()
    const { token } = await here.tokens.generate({ service: 'A' })
    here.remote.reads.length = 0
    const answers = await Promise.all(Array.from({ length: 200 }, () => here.tokens.verify(token)))
    expect(answers.every((answer) => answer.ok)).toBe(true)
    expect(here.remote.reads).toEqual(['find'])
  })

  it('keeps deadlines to the millisecond, read or not', async () => {
    const { clock, here, there } = world()
    const { token } = await there.tokens.generate({ service: 'A' })
    await there.tokens.rotate('A', { grace: 2000 })
    expect((await here.tokens.verify(token)).ok).toBe(true)
    here.remote.channel = false
    here.remote.reads.length = 0
    await clock.advance(1999)
    expect((await here.tokens.verify(token)).ok).toBe(true)
    await clock.advance(1)
    expect(await here.tokens.verify(token)).toMatchObject({ code: 'expired' })
    expect(here.remote.reads).toEqual([])
  })

  it('remembers unknown strings for a second at most, bounded, and forgets them when a token comes', async () => {
    const { clock, here, there } = world()
    const made = await there.tokens.generate({ service: 'A' })
    await here.tokens.verify('nobody-knows-this-one')
    here.remote.reads.length = 0
    for (let i = 0; i < 20; i++)
      expect(await here.tokens.verify('nobody-knows-this-one')).toMatchObject({ code: 'unknown' })
    expect(here.remote.reads).toEqual([])
    await clock.advance(1000)
    await here.tokens.verify('nobody-knows-this-one')
    // Under the active key, then under all.
    expect(here.remote.reads).toEqual(['find', 'find'])
    // A text that is asked for before it is imported elsewhere.
    const text = 'comes-later-0123456789-abcdef'
    expect(await here.tokens.verify(text)).toMatchObject({ code: 'unknown' })
    await there.tokens.import({ service: 'B', token: text })
    expect((await here.tokens.verify(text)).ok).toBe(true)
    for (let i = 0; i < 10_050; i++) await here.tokens.verify(`flood-of-unknown-strings-${i}`)
    expect((await here.tokens.verify(made.token)).ok).toBe(true)
  })

  it('listens no more once it is closed', async () => {
    const { here } = world()
    await here.tokens.generate({ service: 'A' })
    await here.tokens.close()
    expect(await here.tokens.verify('x'.repeat(40))).toMatchObject({ code: 'unavailable' })
  })

  it('answers as a store with cells does: limits, versions and quota included', async () => {
    const { clock, here } = world()
    const { token } = await here.tokens.generate({
      service: 'A',
      rateLimit: { limit: 3, per: '1h' },
      quota: { limit: 5 },
    })
    const codes: string[] = []
    for (let i = 0; i < 8; i++) {
      const answer = await here.tokens.verify(token)
      codes.push(answer.ok ? 'ok' : answer.code)
      if (i === 3) await clock.advance(HOUR)
    }
    expect(codes).toEqual(['ok', 'ok', 'ok', 'rate_limited', 'ok', 'ok', 'quota_exceeded', 'quota_exceeded'])
  })
})
