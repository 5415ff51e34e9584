// One service mints, another verifies by the JWKS alone: node examples/mint-and-verify/main.ts
import assert from 'node:assert/strict'
import { startBilling } from './billing.ts'
import { startHost } from './host.ts'

const host = await startHost()
const billing = await startBilling(`${host.url}/.well-known/jwks.json`)

const call = async (token: string) => {
  const response = await fetch(`${billing.url}/bills`, { headers: { Authorization: `Bearer ${token}` } })
  console.log(response.status, await response.text())
  return response.status
}

console.log('the host mints a token for its agent, for the billing service alone')
const { signer } = host.tokens
const task = { agent: 'bookkeeper', ttl: '5m', format: 'jwt', audience: 'billing' } as const
const { token } = await signer.mint({ ...task, scopes: ['bills:read'] })
assert.equal(await call(token), 200)

console.log('one without the scope, one for another service, and one that was changed')
assert.equal(await call((await signer.mint({ ...task, scopes: [] })).token), 403)
assert.equal(await call((await signer.mint({ ...task, scopes: ['bills:read'], audience: 'shipping' })).token), 401)
assert.equal(await call(`${token.slice(0, -4)}AAAA`), 401)

console.log('the next key is announced; what the billing service has seen of the keys still does')
await signer.rotateKey()
assert.equal(await call((await signer.mint({ ...task, scopes: ['bills:read'] })).token), 200)

console.log('the host revokes the agent, and says so to whoever asks it')
await signer.revoke({ agent: 'bookkeeper' })
assert.deepEqual(await signer.introspect(token), { active: false })

await Promise.all([host.close(), billing.close()])
