import { describe, expect, it } from 'vitest'
import { MemoryTokenStore, StoreUnavailableError, type TokenStore } from '../../src/index.ts'
import { fakeClock } from '../../src/testing/index.ts'
import { START, setUp } from '../issuing/fixture.ts'

/** A store that is elsewhere, and whose lists can fail while all else goes on. */
function world(signed: object = {}) {
  const clock = fakeClock({ now: START })
  const inner = new MemoryTokenStore({ clock })
  const state = { away: false }
  const store: TokenStore = new Proxy(inner as TokenStore, {
    get(target, name) {
      if (name === 'watch' || name === 'cell') return undefined
      const value: unknown = Reflect.get(target, name, target)
      if (typeof value !== 'function') return value
      return async (...args: unknown[]) => {
        if (state.away && name === 'list') throw new StoreUnavailableError('it is down')
        return value.apply(target, args) as unknown
      }
    },
  })
  return { ...setUp({ store, signed }, clock), state, inner }
}

describe('while keys and revocations can’t be read', () => {
  it('the JWKS isn’t empty: it isn’t there', async () => {
    const { tokens, state } = world()
    await tokens.signer.mint({ agent: 'a', ttl: '1h', format: 'hmac' })
    state.away = true
    await expect(tokens.signer.jwks()).rejects.toThrow(StoreUnavailableError)
    state.away = false
    expect((await tokens.signer.jwks()).keys).toHaveLength(1)
  })

  it.each(['jwt', 'hmac'] as const)('a good token isn’t called inactive, nor none of ours: %s', async (format) => {
    const { tokens, state, clock } = world()
    const { token } = await tokens.signer.mint({ agent: 'a', ttl: '1h', format })
    expect(await tokens.signer.introspect(token)).toMatchObject({ active: true })
    state.away = true
    await clock.advance('10s')
    await expect(tokens.signer.introspect(token)).rejects.toThrow(StoreUnavailableError)
    await expect(tokens.signer.revoke({ token })).rejects.toThrow(StoreUnavailableError)
    expect(await tokens.signer.introspect('no token')).toEqual({ active: false })
    state.away = false
    await tokens.signer.revoke({ token })
    expect(await tokens.signer.introspect(token)).toEqual({ active: false })
  })
})
