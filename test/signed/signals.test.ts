import { describe, expect, it } from 'vitest'
import { DAY, START, setUp } from '../issuing/fixture.ts'

const MINUTE = 60_000
type World = ReturnType<typeof setUp>
const told = ({ events }: World) =>
  events.events.filter(({ name }) => name.startsWith('security.')).map(({ name, payload }) => ({ name, ...payload }))
const mint = ({ tokens }: World, agent: string, format: 'jwt' | 'hmac', more: object = {}) =>
  tokens.signer.mint({ agent, scopes: ['docs:read'], ttl: '1h', format, ...more })

describe.each(['jwt', 'hmac'] as const)('security signals of a signed token, %s', (format) => {
  it('tell of the use of a revoked one by its own id, with where and by whom', async () => {
    const world = setUp()
    const { tokens, clock } = world
    const [one, two, good] = [
      await mint(world, 'a', format),
      await mint(world, 'a', format),
      await mint(world, 'a', format),
    ]
    await tokens.signer.revoke({ token: one.token })
    await tokens.signer.revoke({ id: two.id })
    const context = { ip: '10.0.0.1', tool: 'read_doc', caller: 'desk' }
    expect(await tokens.verify(one.token, context)).toMatchObject({ code: 'revoked' })
    expect(await tokens.verify(good.token, context)).toMatchObject({ ok: true })
    await tokens.verify(one.token, context)
    const alert = { at: START, id: 'agent:a', service: 'agent:a', agent: 'a', version: 1, ...context, uses: 1 }
    expect(told(world)).toEqual([{ name: 'security.revokedUsed', ...alert, jti: one.id }])
    // Another revoked token of the same agent is another thing to tell.
    await tokens.verify(two.token)
    expect(told(world)[1]).toMatchObject({ name: 'security.revokedUsed', agent: 'a', jti: two.id, uses: 1 })
    // Still the same one: told again after an hour, with the count. By then it has expired, and stays revoked.
    await clock.advance('59m')
    await tokens.verify(one.token)
    expect(told(world)).toHaveLength(2)
    await tokens.usage.flush()
    const byAgent = await tokens.usage.alerts.query({ token: 'agent:a' })
    expect(byAgent.items.map((item) => 'jti' in item && item.jti)).toEqual([two.id, one.id])
    const byId = await tokens.usage.alerts.query({ token: one.id, signal: 'revokedUsed' })
    expect(byId.items).toEqual([{ signal: 'revokedUsed', ...alert, jti: one.id }])
    expect(JSON.stringify([told(world), byAgent])).not.toContain(one.token.slice(-20))
  })

  it('tell of revoked ones that another service asks about', async () => {
    const world = setUp()
    const { tokens } = world
    const [one, two] = [await mint(world, 'a', format), await mint(world, 'b', format)]
    await tokens.signer.revoke('all')
    expect(await tokens.signer.introspect(one.token)).toEqual({ active: false })
    expect(await tokens.signer.verify(two.token)).toMatchObject({ code: 'revoked' })
    expect(told(world)).toMatchObject([
      { name: 'security.revokedUsed', agent: 'a', jti: one.id },
      { name: 'security.revokedUsed', agent: 'b', jti: two.id },
    ])
  })

  it('tell of bursts of failures with tokens of one agent', async () => {
    const world = setUp()
    const { tokens } = world
    const [one, two] = [await mint(world, 'a', format), await mint(world, 'a', format)]
    for (let i = 0; i < 25; i++) await tokens.verify(i % 2 ? one.token : two.token, { scopes: ['docs:write'] })
    expect(told(world)).toEqual([
      {
        ...{ name: 'security.failuresBurst', at: START, by: 'token', id: 'agent:a', service: 'agent:a', agent: 'a' },
        ...{ jti: one.id, code: 'insufficient_scope', failures: 20, perMs: MINUTE },
      },
    ])
    for (let i = 0; i < 25; i++) await tokens.verify(`${one.token.slice(0, -9)}${'A'.repeat(9)}`, { ip: '10.0.0.9' })
    expect(told(world)[1]).toMatchObject({ name: 'security.failuresBurst', by: 'ip', ip: '10.0.0.9' })
    await tokens.usage.flush()
    expect((await tokens.usage.alerts.query({ token: 'agent:a' })).items).toHaveLength(1)
  })

  it('tell of an agent on a new network, in any process, once', async () => {
    const world = setUp()
    const { tokens, clock, store, keys } = world
    const use = async (by: World, ip: string) => {
      const { token } = await mint(by, 'a', format)
      expect(await by.tokens.verify(token, { ip })).toMatchObject({ ok: true })
      await clock.advance('11s')
      await by.tokens.tick()
    }
    await use(world, '10.1.1.1')
    expect(told(world)).toEqual([])
    await use(world, '10.1.1.77')
    await use(world, '10.2.1.1')
    const { at } = told(world)[0] as { at: number }
    const network = { name: 'security.newNetworkUsed', at, id: 'agent:a', service: 'agent:a', agent: 'a' }
    expect(told(world)).toEqual([{ ...network, network: '10.2.1.0/24' }])
    const other = setUp({ store, keys }, clock)
    await use(other, '10.2.1.5')
    expect(told(other)).toEqual([])
    await use(other, '10.3.1.5')
    expect(told(other)).toMatchObject([{ agent: 'a', network: '10.3.1.0/24' }])
    await tokens.usage.flush()
    await other.tokens.usage.flush()
    const { items } = await tokens.usage.alerts.query({ token: 'agent:a', signal: 'newNetworkUsed' })
    expect(items).toHaveLength(2)
    // An agent that isn't heard of for long is learnt about anew.
    await clock.advance(91 * DAY)
    await other.tokens.tick()
    await use(other, '10.4.1.5')
    expect(told(other)).toHaveLength(1)
  })

  it('tell of a sudden change of an agent’s rate', async () => {
    const world = setUp()
    const { tokens, clock } = world
    const { token } = await mint(world, 'a', format, { ttl: '3h' })
    const minute = async (calls: number) => {
      for (let i = 0; i < calls; i++) await tokens.verify(token)
      await clock.advance('1m')
      await tokens.tick()
    }
    for (let i = 0; i < 32; i++) await minute(2)
    await minute(100)
    expect(told(world)).toMatchObject([
      { name: 'security.rateChanged', id: 'agent:a', service: 'agent:a', agent: 'a', direction: 'rise', calls: 100 },
    ])
    await tokens.tick()
    await tokens.usage.flush()
    expect((await tokens.usage.alerts.query({ token: 'agent:a' })).items).toHaveLength(1)
  })

  it('are off where the host says so', async () => {
    const world = setUp({ usage: { signals: false } })
    const { token } = await mint(world, 'a', format)
    await world.tokens.signer.revoke('all')
    await world.tokens.verify(token)
    await world.tokens.signer.introspect(token)
    expect(told(world)).toEqual([])
  })
})
