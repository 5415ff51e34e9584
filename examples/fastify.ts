// A token for a Fastify service, in memory: node examples/fastify.ts
import assert from 'node:assert/strict'
import Fastify from 'fastify'
import { generateSecret, MemoryTokenStore, Tokenwright } from 'tokenwright'
import { requireToken } from 'tokenwright/fastify'

const tokens = new Tokenwright({ store: new MemoryTokenStore(), keys: generateSecret() })
const { token } = await tokens.generate({ service: 'SHOP', prefix: 'sk_', scopes: ['orders:read'] })
const viewer = await tokens.generate({ service: 'VIEWER', level: 'read_only', tools: ['get_bill'] })

const fastify = Fastify()
fastify.get('/orders', { onRequest: requireToken(tokens, { scopes: ['orders:read'] }) }, async (request) => {
  return { caller: request.token?.token.service }
})
// preHandler, because the arguments are in the body, which is parsed by then.
const runTool = requireToken(tokens, {
  level: 'read_only',
  tool: (request) => (request.params as { tool: string }).tool,
  args: (request) => request.body as { account: string },
})
fastify.post('/tools/:tool', { preHandler: runTool }, async () => ({ done: true }))

const url = await fastify.listen({ port: 0, host: '127.0.0.1' })

async function ask(method: 'GET' | 'POST', path: string, bearer?: string): Promise<string> {
  const headers = { ...(bearer !== undefined && { 'X-API-Key': bearer }), 'Content-Type': 'application/json' }
  const body = method === 'POST' ? JSON.stringify({ account: 'acme' }) : null
  const response = await fetch(url + path, { method, headers, body })
  const { code } = (await response.json()) as { code?: string }
  const said = `${response.status} ${code ?? 'ok'}`
  console.log(method, path, bearer === undefined ? 'without a token:' : 'with a token:', said)
  return said
}

assert.equal(await ask('GET', '/orders'), '401 missing')
assert.equal(await ask('GET', '/orders', token), '200 ok')
assert.equal(await ask('GET', '/orders', viewer.token), '403 insufficient_scope')
assert.equal(await ask('POST', '/tools/get_bill', viewer.token), '200 ok')
assert.equal(await ask('POST', '/tools/pay_bill', viewer.token), '403 tool_denied')
await tokens.revoke('SHOP', { reason: 'end of the example' })
assert.equal(await ask('GET', '/orders', token), '401 revoked')

await fastify.close()
await tokens.close()
