import { readFileSync } from 'node:fs'
import { call } from './client.ts'
import type { Tour } from './requests.ts'

/** Rotation with a grace, and the emergency without one. */
export async function rotateTokens({ tokens, service, transcript, texts }: Tour): Promise<void> {
  transcript.chapter('Rotate READER with an hour of grace')
  const { token, record } = await tokens.rotate('READER', { grace: '1h', actor: 'tour', reason: 'quarterly' })
  texts.add('READER', token)
  transcript.step(
    'versions, newest first',
    'current previous',
    record.versions.map((version) => version.state).join(' '),
  )
  const [old = '', fresh = ''] = texts.versions('READER')
  const byNew = await call(service, '/orders', fresh)
  transcript.step('GET /orders with the new version', '200', byNew.said)
  transcript.step('its Deprecation', 'none', byNew.headers.get('Deprecation') ?? 'none')
  const byOld = await call(service, '/orders', old)
  transcript.step('GET /orders with the old version', '200', byOld.said)
  const { supersededAt = 0, endsAt = 0 } = record.versions[1] ?? {}
  transcript.step(
    'its Deprecation: when it was superseded',
    `@${Math.floor(supersededAt / 1000)}`,
    byOld.headers.get('Deprecation') ?? 'none',
  )
  transcript.step(
    'its Sunset: when its grace ends',
    new Date(endsAt).toUTCString(),
    byOld.headers.get('Sunset') ?? 'none',
  )

  transcript.chapter('The emergency: rotate READER with no grace')
  const emergency = await tokens.rotate('READER', { grace: 0, actor: 'tour', reason: 'a laptop was stolen' })
  texts.add('READER', emergency.token)
  const answers = []
  for (const text of texts.versions('READER')) answers.push((await call(service, '/orders', text)).said)
  transcript.step('GET /orders with the first version', '401 revoked', answers[0] ?? '')
  transcript.step('GET /orders with the second version', '401 revoked', answers[1] ?? '')
  transcript.step('GET /orders with the third version', '200', answers[2] ?? '')
}

/** Rotation by hooks: a consumer whose configuration file gets the new value before the old one gets its deadline. */
export async function rotateWithHooks({ tokens, service, transcript, texts }: Tour, envFile: string): Promise<void> {
  transcript.chapter('Rotate CONSUMER without downtime: its .env file first, then the switch')
  const { token: before } = await tokens.generate({ service: 'CONSUMER', prefix: 'sk_live_', scopes: ['orders:read'] })
  texts.add('CONSUMER', before)
  const { token, rotation } = await tokens.rotate('CONSUMER', { grace: '1h', actor: 'tour', reason: 'quarterly' })
  texts.add('CONSUMER', token)
  transcript.step('publish, test, switch', 'done', rotation.status)
  const written = readFileSync(envFile, 'utf8')
  const held = written.includes(`SHOP_TOKEN=${token}\n`) && written.includes('PORT=8080\n')
  transcript.step('SHOP_TOKEN in the .env file', 'the new value', held ? 'the new value' : 'another')
  for (const [n, text] of [before, token].entries()) {
    transcript.step(`GET /orders with version ${n + 1}`, '200', (await call(service, '/orders', text)).said)
  }
  const undone = await tokens.rotator.rollback(rotation.id, { actor: 'tour', reason: 'the consumer was not ready' })
  transcript.step('taken back within its grace', 'rolled_back', undone.rotation.status)
  const now = await tokens.verify(before)
  transcript.step('the first version is', 'current', now.ok ? now.version : now.code)
}

/** Many at once, each new value handed to its owner. */
export async function rotateMany({ tokens, transcript, texts }: Tour): Promise<void> {
  transcript.chapter('Rotate a team’s tokens in bulk, and hear of it durably')
  for (const service of ['BULK_A', 'BULK_B', 'BULK_C']) {
    texts.add(service, (await tokens.generate({ service, owner: 'team-b' })).token)
  }
  const report = await tokens.rotator.bulkRotate({
    where: { owner: 'team-b' },
    batchId: 'tour',
    onRotated: ({ service, token }) => texts.add(service, token),
  })
  transcript.step(
    'rotated, failed, skipped',
    '3 0 0',
    `${report.rotated} ${report.failed.length} ${report.skipped.length}`,
  )
  const again = await tokens.rotator.bulkRotate({ where: { owner: 'team-b' }, batchId: 'tour', onRotated: () => {} })
  const view = await tokens.get('BULK_A')
  transcript.step('the same batch again: versions of BULK_A', '2', `${view?.versions.length}`)
  transcript.step('and its report', '3 rotated', `${again.rotated} rotated`)
  const { outbox } = await tokens.tick()
  transcript.step(
    'events handed to the durable subscriber',
    'all',
    outbox?.failed === 0 && outbox.delivered > 20 ? 'all' : 'some',
  )
}
