// PostgreSQL without a server, for local development: node examples/pglite.ts [folder]
import assert from 'node:assert/strict'
import { PGlite } from '@electric-sql/pglite'
import { generateSecret, Tokenwright } from 'tokenwright'
import { fromPglite, PostgresRateLimiter, PostgresTokenStore } from 'tokenwright/postgres'

// With a folder the database is still there at the next start; without, it is in memory. Nothing else differs from a
// server's: the same tables, the same statements, so that the change to one is the line with the pool.
const pool = fromPglite(await PGlite.create(process.argv[2] ?? 'memory://'))
const store = await PostgresTokenStore.open({ pool, closePool: true })
const tokens = new Tokenwright({ store, limiter: new PostgresRateLimiter({ pool }), keys: generateSecret() })

const { token, record } = await tokens.generate({
  service: `LOCAL_${Date.now()}`,
  scopes: ['orders:read'],
  rateLimit: { limit: 2, per: '1m' },
})
console.log('made', record.preview)
for (const expected of ['ok', 'ok', 'rate_limited']) {
  const answer = await tokens.verify(token, { scopes: ['orders:read'] })
  const code = answer.ok ? 'ok' : answer.code
  console.log('checked:', code)
  assert.equal(code, expected)
}

const next = await tokens.rotate(record.service, { grace: '1h' })
assert.equal((await tokens.verify(next.token, { cost: 0 })).ok, true)
console.log('rotated to', next.record.preview)

const { durability } = store
console.log('what is committed survives:', durability.call(store).survives)
await tokens.close()
