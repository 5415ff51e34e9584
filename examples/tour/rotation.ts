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
