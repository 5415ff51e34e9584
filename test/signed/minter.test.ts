import { describe, expect, it } from 'vitest'
import { MemoryTokenStore, TtlOverCapError, WiderThanMinterError } from '../../src/index.ts'
import { fakeClock } from '../../src/testing/index.ts'
import { DAY, HOUR, START, setUp } from '../issuing/fixture.ts'

describe('a minter whose token lives for a time, not until an instant', () => {
  it('bounds the end of what it mints', async () => {
    const { tokens, clock } = setUp()
    const { token } = await tokens.generate({ service: 'DESK', scopes: ['docs:*'], expiresIn: '1h' })
    const minter = await tokens.verify(token)
    if (!minter.ok) throw new Error(minter.code)
    const mint = (clamp: boolean) =>
      tokens.signer.mint({ agent: 'a', scopes: ['docs:read'], ttl: '2h', format: 'hmac', clamp, minter })
    await expect(mint(false)).rejects.toThrow(TtlOverCapError)
    expect((await mint(true)).expiresAt).toBe(clock.now() + HOUR)
  })

  it('mints nothing once it has ended, though it was looked at before', async () => {
    const { tokens, clock } = setUp()
    const { record: minter } = await tokens.generate({ service: 'DESK', scopes: ['docs:*'], expiresIn: '1h' })
    await clock.advance('1h')
    const late = tokens.signer.mint({
      agent: 'a',
      scopes: ['docs:read'],
      ttl: '1m',
      format: 'hmac',
      clamp: true,
      minter,
    })
    await expect(late).rejects.toThrow(WiderThanMinterError)
  })

  it('has a fresh life after a rotation, and so has what it mints', async () => {
    const { tokens, clock } = setUp()
    await tokens.generate({ service: 'DESK', scopes: ['docs:*'], expiresIn: '1h' })
    await clock.advance('50m')
    const { record: minter } = await tokens.rotate('DESK')
    const { expiresAt } = await tokens.signer.mint({ agent: 'a', ttl: '2h', format: 'hmac', clamp: true, minter })
    expect(expiresAt).toBe(clock.now() + HOUR)
  })
})

it('a token that ends by a cap that was lowered since says so, and so does what it mints', async () => {
  const one = setUp({ signed: { maxTtl: '10d' } })
  const { token } = await one.tokens.signer.mint({ agent: 'a', ttl: '10d', format: 'hmac' })
  const endsAt = one.clock.now() + DAY
  const { tokens } = setUp({ store: one.store, keys: one.keys, signed: { maxTtl: '1d' } }, one.clock)
  await one.clock.advance('20h')
  expect(await tokens.signer.introspect(token)).toMatchObject({ exp: endsAt / 1000 })
  const minter = await tokens.verify(token)
  if (!minter.ok) throw new Error(minter.code)
  expect(minter.token.expiresAt).toBe(endsAt)
  const child = await tokens.signer.mint({ agent: 'b', ttl: '1d', format: 'hmac', clamp: true, minter })
  expect(child.expiresAt).toBe(endsAt)
})

it('a store whose clock is ahead lends nothing minted a longer life than the minter’s', async () => {
  const clock = fakeClock({ now: START })
  const store = new MemoryTokenStore({ clock })
  const { tokens } = setUp({ store }, clock)
  const until = START + HOUR
  const { record: minter } = await tokens.generate({ service: 'DESK', expiresAt: until })
  store.time = () => clock.now() + 30_000
  const child = await tokens.signer.mint({ agent: 'a', ttl: '2h', format: 'hmac', clamp: true, minter })
  expect(child.expiresAt).toBe(until)
})
