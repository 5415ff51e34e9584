// Two Express instances behind one PostgreSQL: node examples/two-instances/main.ts
import assert from 'node:assert/strict'
import { setTimeout as pause } from 'node:timers/promises'
import { generateSecret, Tokenwright } from 'tokenwright'
import { openDatabase } from './database.ts'
import { startService } from './service.ts'

const database = await openDatabase()
console.log('store:', database.name)

// What all instances must have in common: the database and the keys.
const keys = generateSecret()
const instance = async (name: string) => {
  const { store, limiter } = await database.open()
  const tokens = new Tokenwright({ store, limiter, keys, maxStaleness: '500ms' })
  return { tokens, ...(await startService(name, tokens)) }
}
const [a, b] = [await instance('a'), await instance('b')]

const get = async ({ url }: { url: string }, token: string) => {
  const response = await fetch(`${url}/orders`, { headers: { Authorization: `Bearer ${token}` } })
  const body = (await response.json()) as { instance?: string; code?: string }
  const left = response.headers.get('RateLimit') ?? ''
  console.log(`${response.status} ${body.instance ?? body.code}`.padEnd(20), left)
  return response.status
}

console.log('\na issues a token; both check it, and share its limit of 5')
const { token } = await a.tokens.generate({
  service: 'SHOP',
  scopes: ['orders:read'],
  rateLimit: { limit: 5, per: '1h' },
})
const statuses: number[] = []
for (let n = 0; n < 6; n++) statuses.push(await get(n % 2 === 0 ? a : b, token))
assert.deepEqual(statuses, [200, 200, 200, 200, 200, 429])

console.log('\nb rotates it; both know both texts')
await a.tokens.update('SHOP', { rateLimit: null })
const next = await b.tokens.rotate('SHOP', { grace: '1h' })
await pause(600)
for (const text of [token, next.token]) assert.deepEqual([await get(a, text), await get(b, text)], [200, 200])

console.log('\na revokes it; b refuses it as soon as it hears, and within maxStaleness (500 ms) if it hears nothing')
await a.tokens.revoke('SHOP', { reason: 'the example ends' })
const from = performance.now()
while ((await get(b, next.token)) === 200) await pause(50)
console.log(`after ${Math.round(performance.now() - from)} ms`)

await a.close()
await b.close()
await database.end()
