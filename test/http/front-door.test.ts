import express from 'express'
import { generateSecret, MemoryTokenStore, Tokenwright } from 'tokenwright'
import { type FakeClock, fakeClock } from 'tokenwright/testing'
import { describe, expect, it } from 'vitest'
import { serveWith } from '../express/serve.ts'
import { serveAs } from '../fastify/serve.ts'
import type { GuardedRoute, Serve } from './middleware-suite.ts'
import { getRaw, sendRaw } from './raw-client.ts'

const NOW = Date.UTC(2030, 0, 1)

/** One server with the real front door behind its guarded route. */
async function withFrontDoor(
  serve: Serve,
  route: Omit<GuardedRoute, 'tokens'>,
  use: (tokens: Tokenwright, port: number, clock: FakeClock) => Promise<void>,
): Promise<void> {
  const clock = fakeClock({ now: NOW })
  const tokens = new Tokenwright({
    store: new MemoryTokenStore({ clock }),
    keys: generateSecret(),
    clock,
    usage: { record: 'all' },
  })
  const server = await serve({ ...route, tokens })
  try {
    await use(tokens, server.port, clock)
  } finally {
    await server.close()
    await tokens.close()
  }
}

const servers: [string, Serve][] = [
  ['Express 5', serveWith(express)],
  ['Fastify 5', serveAs('onRequest')],
]

describe.each(servers)('the front door behind %s', (_name, serve) => {
  it('checks scope and level, and limits', async () => {
    await withFrontDoor(serve, { options: { scopes: ['orders:read'] } }, async (tokens, port, clock) => {
      const { token } = await tokens.generate({
        service: 'READER',
        level: 'read_only',
        scopes: ['orders:read'],
        rateLimit: { limit: 2, per: '1m' },
      })
      const { token: scopeless } = await tokens.generate({ service: 'OTHER', scopes: ['bills:read'] })
      const ask = (text: string) => getRaw(port, '/orders', [`X-API-Key: ${text}`])

      const first = await ask(token)
      expect([first.status, first.headers.get('ratelimit-policy')]).toEqual([200, ['"default";q=2;w=60']])
      expect(first.headers.get('ratelimit')).toEqual(['"default";r=1;t=30'])
      const post = await sendRaw(port, ['POST /orders HTTP/1.1', 'Host: a', 'Content-Length: 0', `X-API-Key: ${token}`])
      expect([post.status, JSON.parse(post.body).code]).toEqual([403, 'level_denied'])
      expect((await ask(token)).headers.get('ratelimit')).toEqual(['"default";r=0;t=60'])
      const limited = await ask(token)
      expect([limited.status, limited.headers.get('retry-after')]).toEqual([429, ['30']])
      await clock.advance('30s')
      expect((await ask(token)).status).toBe(200)

      const refused = await ask(scopeless)
      expect([refused.status, JSON.parse(refused.body)]).toEqual([
        403,
        expect.objectContaining({ missingScopes: ['orders:read'] }),
      ])
      expect(refused.headers.get('www-authenticate')?.[0]).toMatch(/scope="orders:read"$/)
    })
  })

  it('tells a client that its version is superseded, and refuses it after an emergency', async () => {
    await withFrontDoor(serve, {}, async (tokens, port) => {
      const { token: old } = await tokens.generate({ service: 'BILLING' })
      const { token: fresh } = await tokens.rotate('BILLING', { grace: '1h' })
      const ask = (text: string) => getRaw(port, '/orders', [`Authorization: Bearer ${text}`])
      const during = await ask(old)
      expect([during.status, during.headers.get('deprecation')]).toEqual([200, [`@${NOW / 1000}`]])
      expect(during.headers.get('sunset')).toEqual([new Date(NOW + 3_600_000).toUTCString()])
      expect((await ask(fresh)).headers.has('deprecation')).toBe(false)
      await tokens.rotate('BILLING', { grace: 0 })
      for (const text of [old, fresh]) {
        const answer = await ask(text)
        expect([answer.status, JSON.parse(answer.body).code]).toEqual([401, 'revoked'])
      }
    })
  })

  it('holds a token to its networks, by the address that the framework believes', async () => {
    const spoofed = 'X-Forwarded-For: 10.1.2.3'
    for (const [trustProxy, status] of [
      [undefined, 403],
      ['loopback', 200],
    ] as const) {
      await withFrontDoor(serve, trustProxy === undefined ? {} : { trustProxy }, async (tokens, port) => {
        const { token } = await tokens.generate({ service: 'INSIDE', ipAllow: ['10.0.0.0/8'] })
        const key = `X-API-Key: ${token}`
        expect((await getRaw(port, '/orders', [key, spoofed])).status).toBe(status)
        expect((await getRaw(port, '/orders', [key])).status).toBe(403)
        // Left of the last hop that was told of, anyone may have written anything.
        expect((await getRaw(port, '/orders', [key, 'X-Forwarded-For: 10.1.2.3, 203.0.113.9'])).status).toBe(403)
      })
    }
    const unknown = { options: { trustedIp: () => undefined } }
    await withFrontDoor(serve, unknown, async (tokens, port) => {
      const { token } = await tokens.generate({ service: 'INSIDE', ipAllow: ['127.0.0.0/8', '::1'] })
      const { token: anywhere } = await tokens.generate({ service: 'ANYWHERE' })
      expect((await getRaw(port, '/orders', [`X-API-Key: ${token}`])).status).toBe(403)
      expect((await getRaw(port, '/orders', [`X-API-Key: ${anywhere}`])).status).toBe(200)
    })
  })

  it('writes the request log with status, address and caller', async () => {
    await withFrontDoor(serve, { status: 201, options: { caller: 'web', tool: 'get_bill' } }, async (tokens, port) => {
      const { token, record } = await tokens.generate({ service: 'BILLING' })
      expect((await getRaw(port, '/orders', [`X-API-Key: ${token}`])).status).toBe(201)
      expect((await getRaw(port, '/orders', ['X-API-Key: nope'])).status).toBe(401)
      expect((await getRaw(port, '/orders')).status).toBe(401)
      await expect.poll(() => tokens.usage.stats().requests).toBe(3)
      await tokens.usage.flush()
      const { items } = await tokens.usage.requests()
      const common = { at: NOW, ip: expect.stringMatching(/127\.0\.0\.1$/), durationMs: 0 }
      expect(items).toHaveLength(3)
      expect(items).toContainEqual({
        ...common,
        token: record.id,
        service: 'BILLING',
        tool: 'get_bill',
        code: 'ok',
        status: 201,
        caller: 'web',
      })
      expect(items).toContainEqual({
        ...common,
        token: '',
        service: '',
        tool: 'get_bill',
        code: 'unknown',
        status: 401,
        caller: 'web',
      })
      expect(items).toContainEqual({ ...common, token: '', service: '', code: 'missing', status: 401 })
    })
  })
})
