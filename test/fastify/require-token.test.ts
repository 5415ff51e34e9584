import createFastify from 'fastify'
import { describe, expect, it } from 'vitest'
import { requireToken } from '../../src/fastify/index.ts'
import { middlewareSuite } from '../http/middleware-suite.ts'
import { GOOD, StubTokens, verified } from '../http/stub-tokens.ts'
import { serveAs } from './serve.ts'

middlewareSuite('Fastify 5 as onRequest', serveAs('onRequest'))
middlewareSuite('Fastify 5 as preHandler', serveAs('preHandler'))

describe('requireToken for Fastify', () => {
  it('checks its options when it is made', () => {
    const tokens = new StubTokens()
    expect(() => requireToken(tokens, { scope: 'x' } as never)).toThrow(/unknown field 'scope'.*onDenied/)
    expect(() => requireToken(tokens, { onDenied: 'x' } as never)).toThrow(
      expect.objectContaining({ field: 'onDenied' }),
    )
  })

  it('works with inject, as a hook of a whole scope, and leaves other scopes alone', async () => {
    const tokens = new StubTokens()
    const app = createFastify()
    await app.register(async (scope) => {
      scope.addHook('onRequest', requireToken(tokens))
      scope.get('/guarded', async (request) => request.token?.token.service)
    })
    app.get('/open', async (request) => String(request.token))
    expect((await app.inject('/guarded')).statusCode).toBe(401)
    expect((await app.inject({ url: '/guarded', headers: { 'x-api-key': GOOD } })).body).toBe('billing')
    expect((await app.inject({ url: '/open', headers: { 'x-api-key': GOOD } })).body).toBe('undefined')
    expect((await tokens.finishedCalls(2)).map(({ outcome }) => outcome.status)).toEqual([401, 200])
    await app.close()
  })

  it('as preHandler sees the body', async () => {
    const tokens = new StubTokens()
    tokens.answer = () => verified()
    const app = createFastify()
    const tool = (request: { body: unknown }) => (request.body as { tool: string }).tool
    app.post('/tools', { preHandler: requireToken(tokens, { tool }) }, async () => 'done')
    const answer = await app.inject({
      method: 'POST',
      url: '/tools',
      headers: { 'x-api-key': GOOD },
      payload: { tool: 'get_bill' },
    })
    expect(answer.body).toBe('done')
    expect(tokens.asked[0]?.context).toMatchObject({ tool: 'get_bill', level: 'standard' })
    await app.close()
  })
})
