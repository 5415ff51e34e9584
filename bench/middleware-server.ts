import { createHmac } from 'node:crypto'
import type { AddressInfo } from 'node:net'
import express from 'express'
import fastify from 'fastify'
import { requireToken as requireTokenOfExpress } from '../src/express/index.ts'
import { requireToken as requireTokenOfFastify } from '../src/fastify/index.ts'
import { generateSecret, KeyRing, MemoryTokenStore, Tokenwright } from '../src/index.ts'

/** What the server under measurement tells when it listens. */
export interface ServerInfo {
  readonly port: number
  readonly tokens: readonly string[]
}

/** What it tells when it is asked. */
export interface Served {
  /** CPU time since it was asked last, user and system, ms. */
  readonly cpuMs: number
  /** Time of one raw HMAC, ms. */
  readonly hMs: number
}

const HMACS = 4000
const OPTIONS = { scopes: ['orders:read'] }

const keys = KeyRing.from(generateSecret())
const tokens = new Tokenwright({ store: new MemoryTokenStore(), keys })
const texts: string[] = []
for (let i = 0; i < 20; i++) {
  const { token } = await tokens.generate({
    service: `service-${i}`,
    prefix: 'sk_',
    scopes: ['orders:read'],
    expiresIn: '30d',
    rateLimit: { limit: 1000, per: '1h', burst: 1_000_000_000 },
  })
  texts.push(Buffer.from(token, 'latin1').toString('latin1'))
}

const port = process.argv[2] === 'fastify' ? await serveFastify() : await serveExpress()
const digestKey = keys.subkey('digest')
let before = process.cpuUsage()
process.on('message', () => {
  const { user, system } = process.cpuUsage(before)
  const start = performance.now()
  for (let i = 0; i < HMACS; i++)
    createHmac('sha256', digestKey)
      .update(texts[i % texts.length] as string)
      .digest('base64url')
  const hMs = (performance.now() - start) / HMACS
  process.send?.({ cpuMs: (user + system) / 1000, hMs } satisfies Served)
  before = process.cpuUsage()
})
process.send?.({ port, tokens: texts } satisfies ServerInfo)

async function serveExpress(): Promise<number> {
  const app = express()
  const answer: express.RequestHandler = (_req, res) => {
    res.json({ served: true })
  }
  app.get('/bare', answer)
  app.get('/guarded', requireTokenOfExpress(tokens, OPTIONS), answer)
  const server = app.listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  return (server.address() as AddressInfo).port
}

async function serveFastify(): Promise<number> {
  const app = fastify()
  app.get('/bare', async () => ({ served: true }))
  app.get('/guarded', { onRequest: requireTokenOfFastify(tokens, OPTIONS) }, async () => ({ served: true }))
  await app.listen({ port: 0, host: '127.0.0.1' })
  return (app.server.address() as AddressInfo).port
}
