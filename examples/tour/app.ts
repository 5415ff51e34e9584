import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import express from 'express'
import type { Tokenwright } from 'tokenwright'
import { requireToken } from 'tokenwright/express'

/** A running HTTP service. */
export interface Service {
  readonly url: string
  /** Stops listening, and waits for the answers that are on their way. */
  close(): Promise<void>
}

/** The service of the tour: four routes that ask different things of a token, on a free port of the loopback. */
export async function startService(tokens: Tokenwright): Promise<Service> {
  const app = express()
  app.disable('x-powered-by')
  app.get('/ping', requireToken(tokens), (req, res) => {
    res.json({ hello: req.token?.token.service, version: req.token?.version })
  })
  app.get('/orders', requireToken(tokens, { scopes: ['orders:read'] }), (_req, res) => {
    res.json({ orders: [] })
  })
  // Without a `level`, GET and HEAD ask for read_only and everything else for standard.
  app.post('/orders', requireToken(tokens, { scopes: ['orders:write'] }), (_req, res) => {
    res.status(201).json({ order: 1 })
  })
  app.post(
    '/tools/:tool',
    express.json(),
    requireToken(tokens, { tool: (req) => String(req.params['tool']), args: (req) => req.body }),
    (_req, res) => {
      res.json({ done: true })
    },
  )

  const server = app.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    async close() {
      const closed = once(server, 'close')
      server.close()
      server.closeIdleConnections()
      await closed
    },
  }
}
