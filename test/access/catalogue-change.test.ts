import { expect, it } from 'vitest'
import { defineScopes } from '../../src/index.ts'
import { setUp } from '../issuing/fixture.ts'

it('a scope that left the catalogue stands for itself, and its tokens go on without an exception', async () => {
  const before = defineScopes({
    scopes: { 'docs:read': { risk: 'low' }, 'docs:old': { risk: 'low' }, 'files:old': { risk: 'low' } },
    meta: { everything: ['docs:*'] },
  })
  const one = setUp({ scopes: before })
  const { token } = await one.tokens.generate({
    service: 'A',
    scopes: ['docs:read', 'docs:old', 'files:*', 'everything'],
  })
  const after = defineScopes({ scopes: { 'docs:read': { risk: 'low' }, 'docs:new': { risk: 'critical' } } })
  const two = setUp({ store: one.store, keys: one.keys, scopes: after }, one.clock)
  expect(await two.tokens.verify(token, { scopes: ['docs:read', 'docs:old'] })).toMatchObject({ ok: true })
  // What a meta scope stood for isn't known any more, and so it stands for nothing else.
  expect(await two.tokens.verify(token, { scopes: ['docs:new'] })).toMatchObject({ code: 'insufficient_scope' })
})
