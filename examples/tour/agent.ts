import { generateSecret, hostOperationsCatalog, MemoryTokenStore, Tokenwright, verifyExport } from 'tokenwright'
import type { Transcript } from './transcript.ts'

/** An agent's short-lived token: scopes with risks, an approval for a critical call, and revocation. */
export async function showAgent(transcript: Transcript): Promise<void> {
  const keys = generateSecret()
  const tokens = new Tokenwright({
    store: new MemoryTokenStore(),
    keys,
    scopes: hostOperationsCatalog,
    formats: [{ prefix: 'acme_' }],
    approvals: {},
  })
  const ask = async (token: string, tool: string, args = {}, approval?: string) => {
    const answer = await tokens.verify(token, { tool, args, approval })
    return answer.ok ? { said: 'ok', request: undefined } : { said: answer.code, request: answer.approvalRequest }
  }

  transcript.chapter('Mint a signed token for an agent')
  const agent = { agent: 'night-shift', owner: 'team-a', scopes: ['readonly', 'system:admin'] }
  const refused = await tokens.signer.mint({ ...agent, ttl: '30d', format: 'hmac' }).then(
    () => 'minted',
    (error: { code?: string }) => error.code ?? 'failed',
  )
  transcript.step('for 30 days, with a critical scope', 'ERR_TTL_OVER_CAP', refused)
  const { token } = await tokens.signer.mint({ ...agent, ttl: '1h', format: 'hmac' })
  transcript.step('get_system_status', 'ok', (await ask(token, 'get_system_status')).said)
  transcript.step('manage_container', 'insufficient_scope', (await ask(token, 'manage_container')).said)

  transcript.chapter('A critical call waits for an approval')
  const first = await ask(token, 'install_package', { name: 'nginx' })
  transcript.step('install_package nginx', 'approval_required', first.said)
  const { id } = await tokens.approvals.request(first.request)
  const own = await tokens.approvals.approve(id, 'team-a').catch((error: { code?: string }) => error.code)
  transcript.step('approved by its own owner', 'ERR_SELF_APPROVAL', String(own))
  await tokens.approvals.approve(id, 'alice', { reason: 'ticket 42' })
  transcript.step(
    'with the approval, netcat',
    'approval_required',
    (await ask(token, 'install_package', { name: 'netcat' }, id)).said,
  )
  transcript.step('with the approval, nginx', 'ok', (await ask(token, 'install_package', { name: 'nginx' }, id)).said)
  transcript.step('again', 'approval_required', (await ask(token, 'install_package', { name: 'nginx' }, id)).said)

  transcript.chapter('The token turns up in a log')
  const line = `GET /status Authorization: Bearer ${token}`
  transcript.step('the line, redacted', 'v1.[redacted]', tokens.leaks.redact(line).split(' ').at(-1) ?? '')
  for await (const { live, token: found } of tokens.leaks.scan(line))
    transcript.step('a scan of the line', 'night-shift, live', `${found?.signed?.agent}, ${live ? 'live' : 'dead'}`)
  await tokens.signer.revoke({ agent: 'night-shift' }, { actor: 'tour', reason: 'task done' })
  transcript.step('after the agent is revoked', 'revoked', (await ask(token, 'get_system_status')).said)
  await tokens.usage.flush()
  const { items: alerts } = await tokens.usage.alerts.query({ token: 'agent:night-shift' })
  transcript.step('the alerts', 'revokedUsed', alerts.map(({ signal }) => signal).join(' '))
  transcript.step('the health of signed tokens', 'healthy', (await tokens.signer.health()).status)

  transcript.chapter('Prove the journal')
  const checkpoint = await tokens.audit.checkpoint()
  const found = await tokens.audit.verify({ checkpoint, records: true })
  transcript.step('every entry, and every record', 'ok', found.ok ? 'ok' : 'broken')
  const { items } = await tokens.audit.query({ actor: 'alice' })
  transcript.step('what alice did', 'approval.approved', items.map(({ action }) => action).join(' '))
  const lines: string[] = []
  for await (const line of tokens.audit.export()) lines.push(line)
  transcript.step('the export, without the store', 'ok', (await verifyExport(lines, keys)).ok ? 'ok' : 'broken')
  const edited = lines.map((line) => line.replace('alice', 'mallory'))
  const bad = await verifyExport(edited, keys)
  transcript.step('one name changed in it', 'changed', bad.firstBad?.problem ?? 'not found')
  await tokens.close()
}
