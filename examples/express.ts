// A token for an Express service, in memory: node examples/express.ts
import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import express from 'express'
import { generateSecret, MemoryTokenStore, Tokenwright } from 'tokenwright'
import { requireToken } from 'tokenwright/express'

const tokens = new Tokenwright({ store: new MemoryTokenStore(), keys: generateSecret() })
const { token } = await tokens.generate({
  service: 'SHOP',
  prefix: 'sk_',
  scopes: ['orders:read'],
  rateLimit: { limit: 10, per: '1m' },
})

const app = express()
app.get('/health', requireToken(tokens, { optional: true }), (req, res) => {
  res.json({ ok: true, caller: req.token?.token.service ?? null })
})
app.get('/orders', requireToken(tokens, { scopes: ['orders:read'] }), (req, res) => {
  res.json({ caller: req.token?.token.service })
})
// A search costs five units, and refuses in this service's own words.
const search = requireToken(tokens, {
  scopes: ['orders:read'],
  cost: 5,
  onDenied: (_req, res, refused) => res.json({ error: refused.code }),
})
app.get('/search', search, (_req, res) => {
  res.json({ found: [] })
})

const server = app.listen(0, '127.0.0.1')
await once(server, 'listening')
const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`

async function get(path: string, bearer?: string): Promise<{ status: number; left: string | null; body: unknown }> {
  const response = await fetch(
    url + path,
    bearer === undefined ? {} : { headers: { Authorization: `Bearer ${bearer}` } },
  )
  const answer = { status: response.status, left: response.headers.get('RateLimit'), body: await response.json() }
  console.log('GET', path, bearer === undefined ? 'without a token:' : 'with the token:', answer)
  return answer
}

assert.deepEqual((await get('/health')).body, { ok: true, caller: null })
assert.deepEqual((await get('/health', token)).body, { ok: true, caller: 'SHOP' })
assert.equal((await get('/orders')).status, 401)
assert.equal((await get('/orders', token)).status, 200)
assert.match((await get('/search', token)).left ?? '', /^"default";r=3;/)
assert.deepEqual((await get('/search', token)).body, { error: 'rate_limited' })

server.close()
server.closeIdleConnections()
await tokens.close()
