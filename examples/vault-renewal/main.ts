// A service that lives on a Vault token of 3 s for 5 s, and a look at /health/vault: node examples/vault-renewal/main.ts
import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { logTo } from 'tokenwright'
import { createVaultClient, VaultTokenManager } from 'tokenwright/vault'
import { createApp } from './app.ts'
import { findServer } from './server.ts'

const server = await findServer()
console.log('on', server.name)
const root = await createVaultClient({ endpoint: server.endpoint, token: server.root })
const login = async () => {
  const made = (await root.write('auth/token/create', { ttl: '3s', policies: ['default'] })) as {
    auth: { client_token: string }
  }
  return made.auth.client_token
}

const vault = await createVaultClient({ endpoint: server.endpoint, token: await login() })
// In a service the login is appRoleLogin, kubernetesLogin …: this one asks the root for another token.
const manager = new VaultTokenManager({ client: vault, login, revokeOld: '1s' })
logTo(manager.events, console)
await manager.start()

const http = createApp(manager).listen(0, '127.0.0.1')
await once(http, 'listening')
const url = `http://127.0.0.1:${(http.address() as AddressInfo).port}`
const get = async (path: string) => {
  const response = await fetch(url + path)
  return { status: response.status, body: await response.text() }
}

await new Promise((resolve) => setTimeout(resolve, 5000))
const health = await get('/health/vault')
console.log('GET /health/vault:', health)
assert.equal(health.status, 200)
assert.equal(JSON.parse(health.body).status, 'healthy')
assert.ok(manager.status().renewalCount >= 1)

// Somebody revokes the token: the next request finds out, logs in, and is answered all the same.
await root.write('auth/token/revoke', { token: vault.token })
const answer = await get('/secret')
console.log('GET /secret, after a revocation:', answer)
assert.equal(answer.status, 200)
assert.equal(manager.status().reauthCount, 1)
assert.match((await get('/metrics')).body, /tokenwright_vault_reauth_total\{name="default"\} 1/)

await manager.stop({ revoke: true })
http.close()
http.closeIdleConnections()
await server.close()
