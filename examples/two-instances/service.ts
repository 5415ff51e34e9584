import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import express from 'express'
import type { Tokenwright } from 'tokenwright'
import { requireToken } from 'tokenwright/express'

/** A running instance of the service. */
export interface Service {
  readonly url: string
  close(): Promise<void>
}

/** The service: the same on every instance; what they share is behind `tokens`. */
export async function startService(name: string, tokens: Tokenwright): Promise<Service> {
  const app = express()
  app.disable('x-powered-by')
  app.get('/orders', requireToken(tokens, { scopes: ['orders:read'] }), (_req, res) => {
    res.json({ instance: name, orders: [] })
  })
  const server = app.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: async () => {
      server.close()
      server.closeIdleConnections()
      await tokens.close()
    },
  }
}
