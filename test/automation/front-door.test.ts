import { describe, expect, it } from 'vitest'
import { DAY, START, setUp } from '../issuing/fixture.ts'

/** A front door whose consumers get every new value. */
function withConsumers() {
  const published: string[] = []
  const publish = ({ service }: { readonly service: string }) => void published.push(service)
  return { ...setUp({ rotation: { hooks: { SHOP: { publish }, FLEET: { publish } } } }), published }
}

describe('rules of the front door', () => {
  it.each([
    ['monthly', 30, 30],
    ['weekly', 14, 14],
    ['monthly', 90, 90],
  ] as const)('%s with ageDays %d rotates every %d days', async (schedule, ageDays, every) => {
    const { tokens, clock, published } = withConsumers()
    await tokens.generate({ service: 'SHOP' })
    await tokens.rules.create({ name: 'shop', service: 'SHOP', schedule, conditions: { ageDays } })
    // A host that ticks four times a day, never quite on the hour.
    for (let tick = 0; tick < 365 * 4; tick++) {
      await clock.advance(DAY / 4)
      if (tick % 7 === 0) await clock.advance(13 * 60_000)
      await tokens.tick()
    }
    const { items } = await tokens.rotator.history('SHOP')
    const slots = [...items].reverse().map(({ slot = 0 }) => (slot - START) / DAY)
    const until = Math.floor((clock.now() - START) / DAY / every)
    expect(slots).toEqual(Array.from({ length: until }, (_, i) => (i + 1) * every))
    expect(
      items.every(({ rule, status, actor }) => rule === 'shop' && status === 'done' && actor === 'rule:shop'),
    ).toBe(true)
    expect(published).toHaveLength(until)
    await tokens.close()
  })

  it('counts the calls that are still in memory', async () => {
    const { tokens, clock } = withConsumers()
    const { token } = await tokens.generate({ service: 'SHOP' })
    await tokens.rules.create({ name: 'used', service: 'SHOP', schedule: 'daily', conditions: { usageCount: 3 } })
    for (let call = 0; call < 2; call++) await tokens.verify(token)
    expect(await tokens.rules.execute('used')).toMatchObject({ outcome: 'skipped', reason: 'no_match' })
    await tokens.verify(token)
    expect(await tokens.rules.execute('used')).toMatchObject({ outcome: 'ok', counts: { rotated: 1 } })
    expect(await tokens.rules.execute('used')).toMatchObject({ outcome: 'skipped' })
    await clock.advance('1s')
    await tokens.close()
  })

  it('refuses rules whose values would reach nobody; in bulk those tokens are skipped', async () => {
    const { tokens } = withConsumers()
    for (const service of ['SHOP', 'ALONE']) await tokens.generate({ service })
    await tokens.generate({ service: 'KEPT', retrievable: true })
    await expect(tokens.rules.create({ name: 'r', service: 'ALONE', schedule: 'daily' })).rejects.toMatchObject({
      code: 'ERR_NO_RECIPIENT',
    })
    await expect(
      tokens.rules.create({ name: 'r', action: 'generate', service: 'NEW', schedule: 'daily' }),
    ).rejects.toMatchObject({ code: 'ERR_NO_RECIPIENT' })
    await tokens.rules.create({ name: 'all', action: 'bulk_rotate', schedule: 'daily' })
    expect(await tokens.rules.execute('all')).toMatchObject({ outcome: 'ok', counts: { rotated: 2, skipped: 1 } })
    await tokens.revoke('SHOP')
    await tokens.revoke('KEPT')
    expect(await tokens.rules.execute('all')).toMatchObject({ outcome: 'skipped', reason: 'no_recipient' })
    await tokens.close()
  })

  it('makes tokens, and hands them over', async () => {
    const { tokens, clock, published } = withConsumers()
    const rule = { name: 'make', action: 'generate', service: 'FLEET', schedule: 'daily' } as const
    await tokens.rules.create({ ...rule, params: { scopes: ['jobs:run'], expiresIn: '30h' } })
    for (let day = 0; day < 4; day++) {
      await clock.advance('24h')
      await tokens.tick()
    }
    expect(published).toEqual(['FLEET', 'FLEET'])
    expect((await tokens.rules.runs('make')).items.map(({ outcome, reason }) => reason ?? outcome)).toEqual([
      'exists',
      'ok',
      'exists',
      'ok',
    ])
    await tokens.close()
  })

  it('a host may keep time by itself: the instant given decides what is due', async () => {
    const { tokens, events } = withConsumers()
    tokens.rules.action('note', () => {})
    await tokens.rules.create({ name: 'r', action: 'note', schedule: 'daily' })
    expect((await tokens.tick()).rules).toMatchObject({ runs: [] })
    expect((await tokens.tick(START + DAY)).rules).toMatchObject({ runs: [{ slot: START + DAY, outcome: 'ok' }] })
    expect(events.names()).toContain('rule.executed')
    expect(await tokens.health()).toMatchObject({ sources: { rules: { status: 'healthy' } } })
    await tokens.close()
  })

  it('durable subscribers hear of rules, in order', async () => {
    const heard: string[] = []
    const { tokens, clock } = setUp({ onEvent: [{ name: 'log', handler: (event) => void heard.push(event.name) }] })
    tokens.rules.action('note', () => {})
    await tokens.rules.create({ name: 'r', action: 'note', schedule: 'daily' })
    await clock.advance('24h')
    for (let tick = 0; tick < 4; tick++) await tokens.tick()
    expect(heard).toEqual(['rule.created', 'rule.executed'])
    await tokens.close()
  })
})
