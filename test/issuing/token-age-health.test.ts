import { describe, expect, it } from 'vitest'
import { TokenAgeHealth } from '../../src/issuing/token-age-health.ts'
import { DAY, setUp } from './fixture.ts'

describe('token ages', () => {
  it('lists old, never rotated, expiring and never used tokens', async () => {
    const { tokens, clock } = setUp({ ages: { expiring: '3d' } })
    for (const service of ['OLD', 'ROTATED', 'USED', 'GONE', 'OFF']) await tokens.generate({ service })
    await tokens.generate({ service: 'ENDING', expiresIn: '92d' })
    await clock.advance(85 * DAY)
    const { token } = await tokens.generate({ service: 'SHORT', expiresIn: '5d' })
    await tokens.verify(token)
    await tokens.rotate('ROTATED')
    await clock.advance(4 * DAY + 1)
    expect(await tokens.health()).toMatchObject({ sources: { tokens: { status: 'degraded', old: { count: 0 } } } })
    await clock.advance(DAY)
    const found = await tokens.health()
    expect(found.sources['tokens']).toMatchObject({
      status: 'degraded',
      reasons: ['1 token expiring within 3d: ENDING'],
      old: { count: 5, more: false },
      neverRotated: { count: 5 },
      expiring: { services: ['ENDING'] },
    })
  })

  it('counts neither what ended nor what was used, and goes by what it was told', async () => {
    const { tokens, clock, store, keys } = setUp()
    const { token } = await tokens.generate({ service: 'USED' })
    for (const service of ['IDLE', 'GONE', 'OFF', 'ROTATED']) await tokens.generate({ service })
    await tokens.verify(token)
    await tokens.usage.flush()
    await tokens.revoke('GONE')
    await tokens.disable('OFF')
    await clock.advance(29 * DAY)
    await tokens.rotate('ROTATED')
    const ages = new TokenAgeHealth({ store, keys, clock, ages: { old: '30d', strict: true } })
    expect(await ages.health()).toMatchObject({ status: 'healthy', reasons: [], neverUsed: { count: 0 } })
    await clock.advance(DAY)
    expect(await ages.health()).toEqual({
      status: 'degraded',
      reasons: ['2 tokens older than 30d: USED, IDLE', '1 token never used: IDLE'],
      old: { count: 2, services: ['USED', 'IDLE'], more: false },
      neverRotated: { count: 2, services: ['USED', 'IDLE'], more: false },
      expiring: { count: 0, services: [], more: false },
      neverUsed: { count: 1, services: ['IDLE'], more: false },
    })
    expect(() => new TokenAgeHealth({ store, keys, ages: { old: 5 } })).toThrow('ages.old')
  })

  it('reads a bounded part of many', async () => {
    const { tokens, clock } = setUp()
    for (let i = 0; i < 1100; i++) await tokens.generate({ service: `S${i}`, checksum: false })
    await clock.advance(100 * DAY)
    const { sources } = await tokens.health()
    expect(sources['tokens']).toMatchObject({ old: { count: 1000, more: true, services: { length: 20 } } })
  })
})
