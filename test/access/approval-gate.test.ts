import { describe, expect, it } from 'vitest'
import { SelfApprovalError } from '../../src/access/approval-errors.ts'
import type { ApprovalEvents } from '../../src/access/approval-events.ts'
import { ApprovalGate, type ApprovalSettings } from '../../src/access/approval-gate.ts'
import { approvalKind } from '../../src/access/approval-record.ts'
import { hostOperationsCatalog } from '../../src/access/host-operations.ts'
import { generateSecret, MemoryTokenStore } from '../../src/index.ts'
import { Emitter } from '../../src/kernel/emitter.ts'
import { InvalidInputError } from '../../src/kernel/errors.ts'
import { signWebhook } from '../../src/kernel/signed-webhook.ts'
import { fakeClock, recordEvents, seededRandom } from '../../src/testing/index.ts'
import { START, setUp } from '../issuing/fixture.ts'

const CALL = {
  token: 'tok_0Vc6Z9CA00BznQstFNsw',
  service: 'AGENT',
  owner: 'team-a',
  tool: 'install_package',
  args: { name: 'nginx', flags: ['-y'] },
  risk: 'critical',
} as const

function gate(approvals: ApprovalSettings = {}) {
  const clock = fakeClock({ now: START })
  const store = new MemoryTokenStore({ clock })
  const events = new Emitter<ApprovalEvents>()
  const keys = generateSecret(seededRandom('gate'))
  const approvals_ = new ApprovalGate({ store, keys, clock, events, random: seededRandom('gate'), approvals })
  return { gate: approvals_, clock, store, events: recordEvents(events) }
}

describe('an approval', () => {
  it('is for one call: asked for, given, used once; every step is journaled', async () => {
    const { gate: approvals, store, events } = gate()
    const request = await approvals.request(CALL, { actor: 'agent' })
    expect(request).toMatchObject({ ...CALL, status: 'pending', expiresAt: START + 15 * 60_000 })
    expect(request).not.toHaveProperty('digest')
    expect(await approvals.peek(request.id, CALL)).toBe('pending')
    expect(await approvals.approve(request.id, 'alice', { reason: 'ticket 42' })).toMatchObject({
      status: 'approved',
      approver: 'alice',
      reason: 'ticket 42',
    })
    const good = await approvals.peek(request.id, CALL)
    if (typeof good === 'string') throw new Error(good)
    // The order of names doesn't matter; any other value does.
    expect(await approvals.peek(request.id, { ...CALL, args: { flags: ['-y'], name: 'nginx' } })).not.toBe('other_call')
    for (const other of [
      { ...CALL, args: { name: 'nginx' } },
      { ...CALL, args: { name: 'nginx', flags: ['-y', '-f'] } },
      { ...CALL, tool: 'update_system_packages' },
      { ...CALL, token: 'tok_0Vc6Z9CA01BznQstFNsw' },
    ]) {
      expect(await approvals.peek(request.id, other)).toBe('other_call')
    }
    expect(await approvals.consume(good)).toBe(true)
    expect(await approvals.consume(good)).toBe(false)
    expect(await approvals.peek(request.id, CALL)).toBe('consumed')
    expect(await approvals.peek('nothing', CALL)).toBe('unknown')
    expect((await store.journal({ limit: 10 })).map(({ action, actor }) => `${actor} ${action}`)).toEqual([
      'agent approval.requested',
      'alice approval.approved',
      `${CALL.token} approval.consumed`,
    ])
    expect(events.names()).toEqual(['approval.requested', 'approval.approved', 'approval.consumed'])
    expect(JSON.stringify(events.events)).not.toContain('nginx')
  })

  it('of racing calls goes to one', async () => {
    const { gate: approvals } = gate()
    const { id } = await approvals.request(CALL)
    await approvals.approve(id, 'alice')
    const peeks = await Promise.all(Array.from({ length: 8 }, () => approvals.peek(id, CALL)))
    const used = await Promise.all(peeks.map((peek) => (typeof peek === 'string' ? false : approvals.consume(peek))))
    expect(used.filter(Boolean)).toHaveLength(1)
  })

  it('is the same request while it is open, also when asked for at once; then another', async () => {
    const { gate: approvals, clock } = gate({ ttl: '5m' })
    const all = await Promise.all([1, 2, 3].map(() => approvals.request(CALL)))
    expect(new Set(all.map(({ id }) => id)).size).toBe(1)
    expect((await approvals.request({ ...CALL, args: {} })).id).not.toBe(all[0]?.id)
    await clock.advance('5m')
    const next = await approvals.request(CALL)
    expect(next.id).not.toBe(all[0]?.id)
    expect(await approvals.get(all[0]?.id as string)).toMatchObject({ status: 'expired' })
    await approvals.approve(next.id, 'alice')
    expect((await approvals.request(CALL)).id).not.toBe(next.id)
  })

  it('ends with its time, decided or not', async () => {
    const { gate: approvals, clock } = gate({ ttl: '5m' })
    const first = await approvals.request(CALL)
    await approvals.approve(first.id, 'alice')
    const second = await approvals.request({ ...CALL, args: {} })
    await clock.advance('5m')
    expect(await approvals.peek(first.id, CALL)).toBe('expired')
    await expect(approvals.approve(second.id, 'alice')).rejects.toMatchObject({
      code: 'ERR_APPROVAL_STATE',
      status: 'expired',
    })
  })

  it('can’t be given by the token’s own owner, the token or its service, nor twice, nor after a refusal', async () => {
    const { gate: approvals } = gate()
    const { id } = await approvals.request(CALL)
    for (const own of ['team-a', CALL.token, 'AGENT']) {
      await expect(approvals.approve(id, own)).rejects.toMatchObject({ code: 'ERR_SELF_APPROVAL' })
      await expect(approvals.deny(id, own)).rejects.toMatchObject({ code: 'ERR_SELF_APPROVAL' })
    }
    await expect(approvals.approve('nothing', 'alice')).rejects.toMatchObject({ code: 'ERR_APPROVAL_NOT_FOUND' })
    await expect(approvals.approve(id, '')).rejects.toThrow(InvalidInputError)
    expect(await approvals.deny(id, 'alice', { reason: 'not now' })).toMatchObject({ status: 'denied' })
    await expect(approvals.approve(id, 'bob')).rejects.toMatchObject({ code: 'ERR_APPROVAL_STATE', status: 'denied' })
    expect(await approvals.peek(id, CALL)).toBe('denied')
  })

  it('may come from a callback at once, or fail to', async () => {
    const asked: string[] = []
    const { gate: approvals, events } = gate({
      approver: async ({ args }) => {
        asked.push(JSON.stringify(args))
        if (args['name'] === 'nginx') return { decision: 'approve', approver: 'bot', reason: 'known' }
        if (args['name'] === 'none') return undefined
        throw new Error('the chat is down')
      },
    })
    expect(await approvals.request(CALL)).toMatchObject({ status: 'approved', approver: 'bot' })
    expect(await approvals.request({ ...CALL, args: { name: 'none' } })).toMatchObject({ status: 'pending' })
    expect(await approvals.request({ ...CALL, args: { name: 'other' } })).toMatchObject({ status: 'pending' })
    expect(asked).toHaveLength(3)
    expect(events.names()).toContain('listenerError')
  })

  it('comes by itself only where the policy allows it, and the journal says so', async () => {
    const { gate: approvals, store } = gate({ policy: { from: 'high', autoApprove: 'high' } })
    expect(await approvals.request({ ...CALL, risk: 'high' })).toMatchObject({ status: 'approved', approver: 'policy' })
    expect(await approvals.request({ ...CALL, args: {} })).toMatchObject({ status: 'pending' })
    expect((await store.journal({ limit: 10 })).map(({ action, actor }) => `${actor} ${action}`)).toContain(
      'policy approval.approved',
    )
  })

  it('is good for no call whose risk, owner or service was told otherwise when it was asked for', async () => {
    const { gate: approvals } = gate({ policy: { autoApprove: 'high' } })
    const harmless = await approvals.request({ ...CALL, risk: 'low' })
    expect(harmless).toMatchObject({ status: 'approved', approver: 'policy' })
    expect(await approvals.peek(harmless.id, CALL)).toBe('other_call')
    const { owner, ...ownerless } = CALL
    for (const forged of [ownerless, { ...CALL, owner: 'nobody' }, { ...CALL, service: 'HARMLESS' }]) {
      const { id } = await approvals.request(forged)
      await approvals.approve(id, owner).catch(() => approvals.approve(id, 'alice'))
      expect(await approvals.peek(id, CALL)).toBe('other_call')
    }
  })

  it('of an agent can’t be given by that agent', async () => {
    const { gate: approvals } = gate()
    const account = 'agent:builder'
    const { id } = await approvals.request({ ...CALL, token: account, service: account })
    for (const self of [account, 'builder', CALL.owner]) {
      await expect(approvals.approve(id, self), self).rejects.toBeInstanceOf(SelfApprovalError)
    }
    expect(await approvals.approve(id, 'alice')).toMatchObject({ status: 'approved' })
  })

  it('is forgotten by one of two instances, and the other goes on', async () => {
    const { gate: approvals, store, clock } = gate()
    await approvals.request(CALL)
    await approvals.request({ ...CALL, args: {} })
    await clock.advance('91d')
    await Promise.all([approvals.tick(clock.now()), approvals.tick(clock.now())])
    expect((await store.list(approvalKind, { index: 'ends', limit: 10 })).items).toHaveLength(0)
  })

  it('comes by a signed webhook, and by no other', async () => {
    const secret = `whsec_${Buffer.alloc(32, 3).toString('base64')}`
    const { gate: approvals, clock } = gate({ webhookSecret: secret })
    const { id } = await approvals.request(CALL)
    const send = (body: string, key = secret) => {
      const headers = { ...signWebhook({ secret: key, id: 'm1', timestamp: clock.now(), body }) }
      return approvals.webhook({ headers, body })
    }
    const body = JSON.stringify({ id, decision: 'approve', approver: 'alice', reason: 'ok' })
    expect(await send(body, `whsec_${Buffer.alloc(32, 4).toString('base64')}`)).toBeUndefined()
    await expect(send('{')).rejects.toThrow(InvalidInputError)
    await expect(send(JSON.stringify({ id, decision: 'maybe', approver: 'alice' }))).rejects.toThrow(InvalidInputError)
    await expect(send(JSON.stringify({ id, decision: 'approve', approver: 'team-a' }))).rejects.toMatchObject({
      code: 'ERR_SELF_APPROVAL',
    })
    expect(await send(body)).toMatchObject({ status: 'approved', approver: 'alice' })
    // The same message again changes nothing.
    await expect(send(body)).rejects.toMatchObject({ code: 'ERR_APPROVAL_STATE' })
    await expect(gate().gate.webhook({ headers: {}, body })).rejects.toThrow(InvalidInputError)
  })

  it('is listed by status, and forgotten 90 days after its end', async () => {
    const { gate: approvals, clock, store } = gate()
    const { id } = await approvals.request(CALL)
    await approvals.request({ ...CALL, args: {} })
    await approvals.approve(id, 'alice')
    expect((await approvals.list()).items).toMatchObject([{ args: {} }])
    expect((await approvals.list({ status: 'approved' })).items).toMatchObject([{ id }])
    await clock.advance('91d')
    await approvals.tick(clock.now())
    expect(await approvals.get(id)).toBeUndefined()
    expect((await store.list(approvalKind, { index: 'ends', limit: 10 })).items).toEqual([])
  })

  it('of a status that is none isn’t an empty list', async () => {
    const { gate: approvals } = gate()
    await approvals.request(CALL)
    for (const status of ['open', 'expired', 7, null]) {
      await expect(approvals.list({ status: status as never }), String(status)).rejects.toThrow(InvalidInputError)
    }
    expect((await approvals.list({ status: 'pending' })).items).toHaveLength(1)
  })

  it('refuses requests and settings that can’t be used', async () => {
    const { gate: approvals } = gate()
    for (const bad of [
      undefined,
      {},
      { ...CALL, risk: 'huge' },
      { ...CALL, tool: '' },
      { ...CALL, token: 'my_IkkSCre1ASrAFI9H3SDIMx4GFBLXHq0000' },
      { ...CALL, token: 'agent:' },
      { ...CALL, args: { at: new Date() } },
      { ...CALL, args: { text: 'x'.repeat(9000) } },
      { ...CALL, more: 1 },
    ]) {
      await expect(approvals.request(bad), JSON.stringify(bad)).rejects.toThrow(InvalidInputError)
    }
    for (const settings of [
      { ttl: 5 },
      { ttl: '8d' },
      { approver: 'bot' },
      { policy: { from: 'huge' } },
      { polcy: {} },
    ]) {
      expect(() => gate(settings as never)).toThrow(InvalidInputError)
    }
  })
})

describe('tokens.verify with approvals', () => {
  const SETTINGS = { scopes: hostOperationsCatalog, approvals: {} }
  const call = { tool: 'install_package', args: { name: 'nginx' } }

  it('asks for an approval of a critical call, takes it once, for that call and token alone', async () => {
    const { tokens, events } = setUp(SETTINGS)
    const { token } = await tokens.generate({
      service: 'AGENT',
      scopes: ['system:admin', 'file:read'],
      owner: 'team-a',
    })
    const other = await tokens.generate({ service: 'OTHER', scopes: ['admin'] })
    expect(await tokens.verify(token, { tool: 'file_operations' })).toMatchObject({ ok: true })
    const refused = await tokens.verify(token, { ...call, explain: true })
    if (refused.ok) throw new Error('not refused')
    expect(refused).toMatchObject({ code: 'approval_required', status: 403 })
    expect(refused.explain?.find(({ check }) => check === 'approval')).toMatchObject({ result: 'fail' })
    const { id } = await tokens.approvals.request(refused.approvalRequest)
    expect(await tokens.verify(token, { ...call, approval: id })).toMatchObject({ code: 'approval_required' })
    await tokens.approvals.approve(id, 'alice')
    for (const wrong of [
      { ...call, args: { name: 'netcat' }, approval: id },
      { tool: 'update_system_packages', args: call.args, approval: id },
      { ...call, approval: 'apr_none' },
    ]) {
      expect(await tokens.verify(token, wrong)).toMatchObject({ code: 'approval_required' })
    }
    expect(await tokens.verify(other.token, { ...call, approval: id })).toMatchObject({ code: 'approval_required' })
    expect(await tokens.verify(token, { ...call, approval: id })).toMatchObject({ ok: true })
    expect(await tokens.verify(token, { ...call, approval: id })).toMatchObject({ code: 'approval_required' })
    expect(events.names().filter((name) => name.startsWith('approval.'))).toEqual([
      'approval.requested',
      'approval.approved',
      'approval.consumed',
    ])
    expect(await tokens.audit.verify({ records: true })).toMatchObject({ ok: true, records: 3 })
  })

  it('an approval is no right: what a token may not do stays denied', async () => {
    const { tokens } = setUp(SETTINGS)
    const { token } = await tokens.generate({ service: 'AGENT', scopes: ['system:admin'] })
    const refused = await tokens.verify(token, call)
    if (refused.ok) throw new Error('not refused')
    const { id } = await tokens.approvals.request(refused.approvalRequest)
    await tokens.approvals.approve(id, 'alice')
    await tokens.update('AGENT', { scopes: ['system:read'] })
    expect(await tokens.verify(token, { ...call, approval: id })).toMatchObject({ code: 'insufficient_scope' })
    await tokens.update('AGENT', {
      scopes: ['system:admin'],
      tools: [{ name: 'install_package', args: { name: ['curl'] } }],
    })
    expect(await tokens.verify(token, { ...call, approval: id })).toMatchObject({ code: 'tool_denied' })
  })

  it('limits are reserved before it is used, and given back when another call was faster', async () => {
    const { tokens } = setUp(SETTINGS)
    const { token } = await tokens.generate({
      service: 'AGENT',
      scopes: ['system:admin'],
      rateLimit: { limit: 3, per: '1h' },
      quota: { limit: 3 },
    })
    const approve = async () => {
      const refused = await tokens.verify(token, call)
      if (refused.ok) throw new Error('not refused')
      const { id } = await tokens.approvals.request(refused.approvalRequest)
      await tokens.approvals.approve(id, 'alice')
      return id
    }
    for (let round = 1; round <= 3; round++) {
      const approval = await approve()
      const answers = await Promise.all([1, 2, 3, 4, 5].map(() => tokens.verify(token, { ...call, approval })))
      expect(answers.filter((answer) => answer.ok)).toHaveLength(1)
    }
    // Three calls have passed: nothing else was spent.
    const approval = await approve()
    expect(await tokens.verify(token, { ...call, approval })).toMatchObject({ code: 'rate_limited' })
    expect(await tokens.approvals.get(approval)).toMatchObject({ status: 'approved' })
  })

  it('isn’t asked for without the option, and not for what a client can’t even name', async () => {
    const plain = setUp({ scopes: hostOperationsCatalog })
    const first = await plain.tokens.generate({ service: 'AGENT', scopes: ['admin'] })
    expect(await plain.tokens.verify(first.token, call)).toMatchObject({ ok: true })
    expect(plain.tokens.authorizer?.authorize(first.record, call)).toEqual({ decision: 'allowed' })
    const { tokens } = setUp(SETTINGS)
    const { token, record } = await tokens.generate({ service: 'AGENT', scopes: ['admin'] })
    expect(tokens.authorizer?.authorize(record, call).decision).toBe('approval_required')
    const odd = await tokens.verify(token, { tool: 'install_package', args: { big: 'x'.repeat(9000) } })
    expect(odd).toMatchObject({ code: 'approval_required' })
    expect(odd).not.toHaveProperty('approvalRequest')
    expect(setUp().tokens.authorizer).toBeUndefined()
  })

  it('a store that fails refuses the call', async () => {
    const { tokens, store } = setUp(SETTINGS)
    const { token } = await tokens.generate({ service: 'AGENT', scopes: ['admin'] })
    store.get = () => Promise.reject(new Error('down'))
    expect(await tokens.verify(token, { ...call, approval: 'apr_1' })).toMatchObject({ code: 'unavailable' })
  })
})
