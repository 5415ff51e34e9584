import { createServer, type Server } from 'node:http'
import express from 'express'
import fastify from 'fastify'
import { requireToken as requireTokenOfExpress } from '../src/express/index.ts'
import { requireToken as requireTokenOfFastify } from '../src/fastify/index.ts'
import { generateSecret, type KeyRing, KeyRing as Keys, MemoryTokenStore, Tokenwright } from '../src/index.ts'

export type Framework = 'express' | 'fastify'

/** A server with two routes that differ in the middleware alone; both answer {@link BODY}. */
export interface GuardedApp {
  readonly server: Server
  readonly keys: KeyRing
  /** Tokens that are good for `/guarded`. */
  readonly texts: readonly string[]
}

/** What the routes answer. */
export const BODY = '{"served":true}'

/** How many connections are kept busy; each has a token of its own. */
export const CONNECTIONS = 20

const OPTIONS = { scopes: ['orders:read'] }

/** Makes the app: a token has a scope to check and a limit to tell in headers, and usage is counted. */
export async function guardedApp(framework: Framework): Promise<GuardedApp> {
  const keys = Keys.from(generateSecret())
  const tokens = new Tokenwright({ store: new MemoryTokenStore(), keys })
  const texts: string[] = []
  for (let i = 0; i < CONNECTIONS; i++) {
    const { token } = await tokens.generate({
      service: `service-${i}`,
      prefix: 'sk_',
      scopes: ['orders:read'],
      expiresIn: '30d',
      rateLimit: { limit: 1000, per: '1h', burst: 1_000_000_000 },
    })
    texts.push(Buffer.from(token, 'latin1').toString('latin1'))
  }
  const server = framework === 'express' ? withExpress(tokens) : await withFastify(tokens)
  return { server, keys, texts }
}

/** A request as it goes over the wire. */
export function requestText(path: string, token: string): string {
  return `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: bench\r\nAccept: */*\r\nAuthorization: Bearer ${token}\r\n\r\n`
}

function withExpress(tokens: Tokenwright): Server {
  const app = express()
  const answer: express.RequestHandler = (_req, res) => {
    res.json({ served: true })
  }
  app.get('/bare', answer)
  app.get('/guarded', requireTokenOfExpress(tokens, OPTIONS), answer)
  return createServer(app)
}

async function withFastify(tokens: Tokenwright): Promise<Server> {
  const app = fastify()
  app.get('/bare', async () => ({ served: true }))
  app.get('/guarded', { onRequest: requireTokenOfFastify(tokens, OPTIONS) }, async () => ({ served: true }))
  await app.ready()
  return app.server
}
