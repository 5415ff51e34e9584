import { generateSecret, Tokenwright } from 'tokenwright'
import { fakeClock, tokenStoreSuite } from 'tokenwright/testing'
import { describe, expect, it } from 'vitest'
import { PlainTokenStore } from '../../examples/store/plain-token-store.ts'

// The adapter that docs/writing-a-store.md walks through keeps the contract.
tokenStoreSuite(
  () => {
    const clock = fakeClock()
    return { store: new PlainTokenStore(clock), advance: (ms) => clock.advance(ms) }
  },
  { describe, it, expect },
)

describe('the front door on a store that has the required methods only', () => {
  it('issues, verifies, limits, rotates, revokes and counts', async () => {
    const clock = fakeClock()
    const tokens = new Tokenwright({ store: new PlainTokenStore(clock), keys: generateSecret(), clock })
    const { token, record } = await tokens.generate({ service: 'A', quota: { limit: 3, per: '1d' } })
    expect(await tokens.verify(token)).toMatchObject({ ok: true })
    const next = await tokens.rotate('A', { grace: '1h' })
    expect(await tokens.verify(token)).toMatchObject({ ok: true, version: 'previous' })
    await clock.advance('1h')
    expect(await tokens.verify(token)).toMatchObject({ code: 'expired' })
    expect(await tokens.verify(next.token)).toMatchObject({ ok: true, version: 'current' })
    expect(await tokens.verify(next.token)).toMatchObject({ code: 'quota_exceeded' })
    await tokens.revoke({ token })
    expect(await tokens.verify(next.token)).toMatchObject({ code: 'revoked' })
    await tokens.usage.flush()
    const rows = await tokens.usage.query({ token: record.id })
    expect(rows.filter((row) => row.outcome === 'ok').reduce((sum, row) => sum + row.calls, 0)).toBe(3)
    await tokens.close()
  })
})
