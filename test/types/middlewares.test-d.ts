import express, { type Response as ExpressResponse, type Request, type RequestHandler } from 'express'
import fastify, { type FastifyReply, type FastifyRequest } from 'fastify'
import { requireToken } from 'tokenwright/express'
import { requireToken as requireTokenOnFastify } from 'tokenwright/fastify'
import { Authenticator, type HttpDecision, type Refused, type TokenService } from 'tokenwright/http'
import { describe, expectTypeOf, it } from 'vitest'
import type { Verified } from '../../src/tokens/verification.ts'

declare const tokens: TokenService

describe('requireToken for Express', () => {
  it('types req.token, and leaves the inference of the route alone', () => {
    const app = express()
    app.get('/orders/:id', requireToken(tokens, { scopes: ['orders:read'] }), (req, res) => {
      expectTypeOf(req.token).toEqualTypeOf<Verified | undefined>()
      expectTypeOf(req.params).toEqualTypeOf<{ id: string }>()
      res.end()
    })
    app.use(requireToken(tokens))
    express.Router().use('/v1', requireToken(tokens), (_req, res) => {
      res.end()
    })
    expectTypeOf(requireToken(tokens)).toExtend<RequestHandler>()
    expectTypeOf(requireToken(tokens)).toExtend<RequestHandler<{ id: string }>>()
  })

  it("gives functions among the options Express's own request and response", () => {
    requireToken(tokens, {
      tool: (req) => {
        expectTypeOf(req).toEqualTypeOf<Request>()
        return req.params['tool']?.toString()
      },
      args: async (req) => req.body,
      cost: async () => 2,
      onDenied: (req, res, refused) => {
        expectTypeOf(req).toEqualTypeOf<Request>()
        expectTypeOf(res).toEqualTypeOf<ExpressResponse>()
        expectTypeOf(refused).toEqualTypeOf<Refused>()
        return res.json({ error: refused.code })
      },
    })
  })

  it('refuses wrong options', () => {
    // @ts-expect-error there is no such option
    requireToken(tokens, { scope: 'orders:read' })
    // @ts-expect-error a list is wanted
    requireToken(tokens, { scopes: 'orders:read' })
    // @ts-expect-error there is no such level
    requireToken(tokens, { level: 'root' })
    // @ts-expect-error units are numbers
    requireToken(tokens, { cost: () => 'one' })
  })
})

describe('requireToken for Fastify', () => {
  it('types request.token, as a hook of a route or of a scope', () => {
    const app = fastify()
    const guard = requireTokenOnFastify(tokens, { scopes: ['orders:read'] })
    app.addHook('onRequest', guard)
    app.addHook('preHandler', guard)
    app.get<{ Params: { id: string } }>('/orders/:id', { onRequest: guard }, async (request) => {
      expectTypeOf(request.token).toEqualTypeOf<Verified | undefined>()
      expectTypeOf(request.params.id).toEqualTypeOf<string>()
    })
    app.get<{ Params: { id: string } }>('/bills/:id', { preHandler: [guard] }, async () => 'done')
    requireTokenOnFastify(tokens, {
      onDenied: (request, reply, refused) => {
        expectTypeOf(request).toEqualTypeOf<FastifyRequest>()
        expectTypeOf(reply).toEqualTypeOf<FastifyReply>()
        return reply.send({ error: refused.code })
      },
    })
  })
})

describe('Authenticator', () => {
  it('answers a union told apart by kind', async () => {
    const decision = await new Authenticator<{ id: string }>(tokens, { caller: (host) => host.id }).authenticate(
      { method: 'GET', headers: {} },
      { id: 'a' },
    )
    expectTypeOf(decision).toEqualTypeOf<HttpDecision>()
    if (decision.kind === 'ok') expectTypeOf(decision.verified).toEqualTypeOf<Verified>()
    if (decision.kind === 'denied')
      new Response(decision.body, { status: decision.status, headers: [...decision.headers] })
    if (decision.kind === 'denied' && decision.refused.code === 'invalid_request')
      expectTypeOf(decision.status).toExtend<number>()
  })
})
