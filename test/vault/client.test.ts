import { once } from 'node:events'
import { createServer, type RequestListener, type Server } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { inspect } from 'node:util'
import NodeVault from 'node-vault'
import { afterEach, describe, expect, it } from 'vitest'
import { MissingPackageError, Secret } from '../../src/index.ts'
import { VaultSimulator } from '../../src/testing/index.ts'
import {
  appRoleLogin,
  type CreateVaultClientOptions,
  createVaultClient,
  fromNodeVault,
  VaultRequestError,
  VaultTokenManager,
} from '../../src/vault/index.ts'
import { loadNodeVault } from '../../src/vault/node-vault-client.ts'
import { CERTIFICATE, KEY } from './tls.ts'

const servers: Server[] = []
afterEach(() => {
  for (const server of servers.splice(0)) {
    server.close()
    server.closeAllConnections()
  }
})

async function serve(listener: RequestListener, tls = false): Promise<string> {
  const server = tls ? createTlsServer({ key: KEY, cert: CERTIFICATE }, listener) : createServer(listener)
  servers.push(server as Server)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return `${tls ? 'https' : 'http'}://127.0.0.1:${(server.address() as AddressInfo).port}`
}

async function failure(promise: Promise<unknown>): Promise<VaultRequestError> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  expect(error).toBeInstanceOf(VaultRequestError)
  return error as VaultRequestError
}

/** The two ways of sending. */
const WAYS: readonly { readonly name: string; readonly options: Partial<CreateVaultClientOptions> }[] = [
  { name: 'Node’s own client', options: {} },
  { name: 'a fetch', options: { fetch: (input, init) => globalThis.fetch(input, init) } },
]

describe.each(WAYS)('createVaultClient, by $name', ({ options }) => {
  const client = (endpoint: string, more: Partial<CreateVaultClientOptions> = {}) =>
    createVaultClient({ endpoint, token: 's.mine', ...options, ...more })

  it('lists what a mount holds, on the simulator too; a request that was aborted before isn’t sent', async () => {
    const simulator = new VaultSimulator()
    const { endpoint, fetch, rootToken } = simulator
    const vault = await createVaultClient({ endpoint, token: rootToken, fetch })
    await vault.write('secret/data/a/b', { data: { x: 1 } })
    expect(await vault.list('secret/metadata/a')).toMatchObject({ data: { keys: ['b'] } })
    const sent = simulator.count()
    const signal = AbortSignal.abort(new Error('mine'))
    await expect(fetch(`${endpoint}/v1/sys/health`, { signal })).rejects.toThrow('mine')
    expect(simulator.count()).toBe(sent)
  })

  it('sends token, namespace, X-Vault-Request and further headers, and a body as JSON', async () => {
    const seen: { method: string; url: string; headers: NodeJS.Dict<string | string[]>; body: string }[] = []
    const endpoint = await serve(async (request, response) => {
      let body = ''
      for await (const chunk of request) body += chunk
      seen.push({ method: request.method ?? '', url: request.url ?? '', headers: request.headers, body })
      response.end('{"data":{"a":1}}')
    })
    const vault = await client(endpoint, { namespace: 'team/a', headers: { 'X-Source': 'billing' } })
    expect(await vault.write('secret/data/x', { data: { a: 1 } })).toEqual({ data: { a: 1 } })
    await vault.read('secret/data/x')
    await vault.list('secret/metadata')
    await vault.read('sys/health')
    const headers = {
      'x-vault-token': 's.mine',
      'x-vault-request': 'true',
      'x-vault-namespace': 'team/a',
      'x-source': 'billing',
    }
    expect(seen[0]).toMatchObject({ method: 'POST', url: '/v1/secret/data/x', body: '{"data":{"a":1}}' })
    expect(seen[0]?.headers).toMatchObject({ ...headers, 'content-type': 'application/json' })
    expect(seen.map(({ method, url }) => `${method} ${url}`).slice(1)).toEqual([
      'GET /v1/secret/data/x',
      'GET /v1/secret/metadata?list=1',
      'GET /v1/sys/health',
    ])
    // sys/health is refused where a namespace is named.
    expect(seen[3]?.headers).not.toHaveProperty('x-vault-namespace')
  })

  it('takes nothing from the environment', async () => {
    process.env['VAULT_TOKEN'] = 's.environment'
    process.env['VAULT_NAMESPACE'] = 'environment'
    try {
      const vault = await createVaultClient({ endpoint: 'http://127.0.0.1:1', ...options })
      expect([vault.token, vault['namespace']]).toEqual(['', ''])
    } finally {
      delete process.env['VAULT_TOKEN']
      delete process.env['VAULT_NAMESPACE']
    }
  })

  it('ends a request that takes too long, and one whose signal is aborted', async () => {
    const endpoint = await serve(() => {})
    const from = performance.now()
    expect(await failure((await client(endpoint, { timeout: 100 })).read('x'))).toMatchObject({ kind: 'timeout' })
    const controller = new AbortController()
    const reading = (await client(endpoint)).read('x', { signal: controller.signal })
    setTimeout(() => controller.abort(), 50)
    await expect(reading).rejects.toMatchObject({ name: 'AbortError' })
    expect(performance.now() - from).toBeLessThan(3000)
  })

  it('follows a redirection within the host, and none to another: the token stays here', async () => {
    const stolen: unknown[] = []
    const other = await serve((request, response) => {
      stolen.push(request.headers['x-vault-token'])
      response.end('{}')
    })
    const endpoint = await serve((request, response) => {
      if (request.url === '/v1/away') response.writeHead(307, { location: `${other}/v1/away` }).end()
      else if (request.url === '/v1/round') response.writeHead(307, { location: '/v1/round' }).end()
      else if (request.url === '/v1/here') response.writeHead(307, { location: '/v1/there' }).end()
      else response.end('{"data":{"url":"there"}}')
    })
    const vault = await client(endpoint)
    expect(await vault.read('here')).toEqual({ data: { url: 'there' } })
    for (const path of ['away', 'round']) {
      const error = await failure(vault.read(path))
      expect([error.kind, error.status]).toEqual(['config', 307])
    }
    expect(stolen).toEqual([])
  })

  it('bounds the answer', async () => {
    const endpoint = await serve((_request, response) => {
      response.end(JSON.stringify({ data: 'x'.repeat(100_000) }))
    })
    const error = await failure((await client(endpoint, { maxResponseBytes: 4096 })).read('x'))
    expect([error.kind, error.messages]).toEqual(['protocol', ['the answer is too long']])
    expect(await (await client(endpoint)).read('x')).toHaveProperty('data')
  })

  it('throws errors with status, Retry-After and the answer, and without the token', async () => {
    const endpoint = await serve((_request, response) => {
      response.writeHead(429, { 'retry-after': '7' })
      response.end('{"errors":["quota exceeded for s.mineminemineminemine1234"]}')
    })
    const error = await failure((await client(endpoint, { token: 's.mineminemineminemine1234' })).read('x'))
    expect(error).toMatchObject({ kind: 'rate_limited', status: 429, retryAfterMs: 7000, retryable: true })
    expect(error.response).toMatchObject({ statusCode: 429, headers: { 'retry-after': '7' } })
    expect(inspect(error) + JSON.stringify(error) + error.stack).not.toContain('s.mine')
    const gone = await failure((await client('http://127.0.0.1:9', { token: 's.mineminemineminemine1234' })).read('x'))
    expect(gone.kind).toBe('network')
    expect(inspect(gone, { depth: 9, showHidden: true })).not.toContain('s.mine')
  })

  it('gives 2xx and sys/health as bodies, and HTML as text', async () => {
    const endpoint = await serve((request, response) => {
      if (request.url === '/v1/sys/health') response.writeHead(429).end('{"standby":true}')
      else if (request.url === '/v1/html') response.end('<html>')
      else if (request.url === '/v1/none') response.writeHead(204).end()
      else response.writeHead(202).end('{"a":1}')
    })
    const vault = await client(endpoint)
    expect(await vault.read('sys/health')).toEqual({ standby: true })
    expect(await vault.read('html')).toBe('<html>')
    expect(await vault.read('none')).toBe('')
    expect(await vault.read('later')).toEqual({ a: 1 })
  })
})

describe('createVaultClient', () => {
  it('speaks TLS with authorities of its own, and refuses a certificate that they didn’t sign', async () => {
    const endpoint = await serve((_request, response) => response.end('{"data":1}') as unknown as undefined, true)
    const trusting = await createVaultClient({ endpoint, token: 'x', tls: { ca: CERTIFICATE } })
    expect(await trusting.read('x')).toEqual({ data: 1 })
    const error = await failure((await createVaultClient({ endpoint, token: 'x' })).read('x'))
    expect(error.kind).toBe('network')
    expect(error.networkCode).toMatch(/SELF_SIGNED|UNABLE_TO_VERIFY/)
  })

  it('says how to install what is missing', async () => {
    const missing = loadNodeVault(() => Promise.reject(new Error('ERR_MODULE_NOT_FOUND')))
    await expect(missing).rejects.toThrow(MissingPackageError)
    await expect(missing).rejects.toThrow('npm install node-vault')
  })

  it('takes a Secret, and keeps it', async () => {
    const vault = await createVaultClient({ endpoint: 'http://[::1]:1', token: new Secret('s.kept') })
    expect(vault.token).toBe('s.kept')
  })

  it.each([
    [{ endpoint: 'vault:8200' }, 'endpoint'],
    [{ endpoint: 'nonsense' }, 'endpoint is not a URL'],
    [{ endpoint: 'http://vault.example:8200' }, 'use https, or set allowInsecure'],
    [{ endpoint: 'http://127.0.0.1.example.com' }, 'use https, or set allowInsecure'],
    [{ endpoint: 'ftp://127.0.0.1' }, 'in the clear'],
    [{ endpoint: 'https://user:password@vault.example' }, 'more than a host'],
    [{ endpoint: 'https://vault.example', token: '' }, 'token is empty'],
    [{ endpoint: 'https://vault.example', token: 'a b' }, 'printable'],
    [{ endpoint: 'https://vault.example', token: 'a\n' }, 'printable'],
    [{ endpoint: 'https://vault.example', namespace: 'a\r\nx: y' }, 'namespace'],
    [{ endpoint: 'https://vault.example', timeout: 0 }, 'timeout'],
    [{ endpoint: 'https://vault.example', maxResponseBytes: 1 }, 'maxResponseBytes'],
    [{ endpoint: 'https://vault.example', tokn: 'x' }, "unknown field 'tokn'"],
  ])('refuses %j', async (options, message) => {
    await expect(createVaultClient(options as CreateVaultClientOptions)).rejects.toThrow(message)
  })

  it('allows http elsewhere only when told', async () => {
    const vault = await createVaultClient({ endpoint: 'http://vault.example:8200/', allowInsecure: true })
    expect(vault.endpoint).toBe('http://vault.example:8200')
  })
})

describe('a node-vault instance of the host’s own', () => {
  it('a drained token is revoked itself: the newest lives', async () => {
    const simulator = new VaultSimulator()
    const endpoint = await simulator.listen()
    await simulator.call('POST', 'sys/auth/approle', { type: 'approle' })
    await simulator.call('POST', 'auth/approle/role/app', {
      token_policies: ['default'],
      token_ttl: '4s',
      token_max_ttl: '4s',
    })
    const role = (await simulator.call('GET', 'auth/approle/role/app/role-id')) as { data: { role_id: string } }
    const secret = (await simulator.call('POST', 'auth/approle/role/app/secret-id')) as { data: { secret_id: string } }
    const vault = NodeVault({ endpoint, requestOptions: { headers: { 'X-Request-Source': 'billing' } } })
    const manager = new VaultTokenManager({
      client: vault,
      login: appRoleLogin({ roleId: role.data.role_id, secretId: secret.data.secret_id }),
      revokeOld: 100,
    })
    const seen: string[] = []
    const revoked = () =>
      simulator.calls.some(({ path, status }) => path === 'auth/token/revoke-self' && status === 204)
    await manager.start()
    for (let i = 0; i < 120 && !(seen.length >= 2 && revoked()); i++) {
      if (!seen.includes(vault.token)) seen.push(vault.token)
      await vault.tokenLookupSelf()
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
    expect(seen.length).toBeGreaterThanOrEqual(2)
    expect(revoked()).toBe(true)
    await manager.stop()
    await simulator.close()
  })

  it('is mended once, and only if it is one', () => {
    const vault = NodeVault({ endpoint: 'http://127.0.0.1:1', token: 'x' })
    const { request } = vault
    expect(fromNodeVault(vault)).toBe(vault)
    const mended = vault.request
    expect(mended).not.toBe(request)
    expect(fromNodeVault(vault).request).toBe(mended)
    expect(() => fromNodeVault({} as never)).toThrow('is not a Vault client')
    const other = { token: 'x', read: async () => ({}), write: async () => ({}) }
    expect(fromNodeVault(other)).toBe(other)
  })
})
