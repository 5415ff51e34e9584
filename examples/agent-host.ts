// A host whose agent operates a machine: tools by scope, an approval for what is critical, and a journal of it all.
// node examples/agent-host.ts
import assert from 'node:assert/strict'
import { generateSecret, hostOperationsCatalog, MemoryTokenStore, Tokenwright } from 'tokenwright'

const tokens = new Tokenwright({
  store: new MemoryTokenStore(),
  keys: generateSecret(),
  scopes: hostOperationsCatalog,
  approvals: { ttl: '10m' },
})

/** The tools of the host; a real one does something. */
const tools: { readonly [name: string]: (args: { readonly [name: string]: unknown }) => string } = {
  get_system_status: () => 'load 0.4',
  manage_container: ({ container, action }) => `${String(action)} ${String(container)}`,
  install_package: ({ name }) => `installed ${String(name)}`,
}

/** One call of a tool, as a host's endpoint makes it. */
async function call(token: string, tool: string, args: { readonly [name: string]: unknown } = {}, approval?: string) {
  const answer = await tokens.verify(token, { tool, args, approval, explain: true })
  if (answer.ok) return tools[tool]?.(args) ?? 'no such tool'
  return answer.code === 'approval_required' ? answer : answer.code
}

// The host mints a short-lived token for one task; the agent gets no more than the task needs.
const { token, scopes } = await tokens.signer.mint({
  agent: 'night-shift',
  owner: 'team-a',
  scopes: ['readonly', 'container:write', 'system:admin'],
  tools: [
    'get_system_status',
    'install_package',
    { name: 'manage_container', args: { container: ['web'], action: ['restart'] } },
  ],
  ttl: '1h',
  format: 'hmac',
})
console.log('scopes:', scopes.join(' '))

assert.equal(await call(token, 'get_system_status'), 'load 0.4')
assert.equal(await call(token, 'manage_container', { container: 'web', action: 'restart' }), 'restart web')
assert.equal(await call(token, 'manage_container', { container: 'db', action: 'restart' }), 'tool_denied')
assert.equal(await call(token, 'pull_docker_image', { name: 'x' }), 'insufficient_scope')

// What is critical waits for a person.
const asked = await call(token, 'install_package', { name: 'nginx' })
assert.ok(typeof asked === 'object')
const request = await tokens.approvals.request(asked.approvalRequest)
console.log('approval asked for:', request.tool, JSON.stringify(request.args), request.risk)
await assert.rejects(tokens.approvals.approve(request.id, 'team-a'), { code: 'ERR_SELF_APPROVAL' })
await tokens.approvals.approve(request.id, 'alice', { reason: 'ticket 42' })
assert.equal(await call(token, 'install_package', { name: 'nginx' }, request.id), 'installed nginx')
assert.equal(typeof (await call(token, 'install_package', { name: 'nginx' }, request.id)), 'object')

// The task is over.
await tokens.signer.revoke({ agent: 'night-shift' }, { actor: 'host', reason: 'task done' })
assert.equal(await call(token, 'get_system_status'), 'revoked')

const { items } = await tokens.audit.query({ risk: 'low' })
for (const { actor, action, reason } of items) console.log('journal:', actor, action, reason ?? '')
assert.ok((await tokens.audit.verify({ records: true })).ok)
await tokens.close()
