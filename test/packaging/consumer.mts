// An application as its authors write it, compiled against the packed package (scripts/test-consumers.ts).
import express from 'express'
import fastify from 'fastify'
import { requireToken } from 'tokenwright/express'
import { requireToken as requireTokenOnFastify } from 'tokenwright/fastify'
import type { TokenService } from 'tokenwright/http'

export function serve(tokens: TokenService): void {
  const app = express()
  app.get('/orders/:id', requireToken(tokens, { scopes: ['orders:read'] }), (req, res) => {
    const service: string | undefined = req.token?.token.service
    res.json({ service, id: req.params.id })
  })
  app.post('/tools', express.json(), requireToken(tokens, { tool: (req) => String(req.body.tool) }), (_req, res) => {
    res.end()
  })

  const server = fastify()
  server.get('/orders', { onRequest: requireTokenOnFastify(tokens, { scopes: ['orders:read'] }) }, async (request) => {
    const service: string | undefined = request.token?.token.service
    return { service }
  })
}
