import type { Tokenwright } from 'tokenwright'
import { call } from './client.ts'
import type { Tour } from './requests.ts'

/** Every token as it can be told, and the number of calls counted. */
export interface Before {
  readonly tokens: string
  readonly calls: number
}

/** What there is to find again after the restart. */
export async function readBefore(tokens: Tokenwright): Promise<Before> {
  // Writes what is buffered: counts, and the digest under our own key that LEGACY has earned by its first good call.
  await tokens.usage.flush()
  await tokens.tick()
  const rows = await tokens.usage.query()
  const { items } = await tokens.list({ limit: 1000 })
  return { tokens: JSON.stringify(items), calls: rows.reduce((sum, row) => sum + row.calls, 0) }
}

/** Looks at a service that was started anew on the same file. */
export async function lookAfterRestart({ tokens, service, transcript, texts }: Tour, before: Before): Promise<void> {
  transcript.chapter('Restart on the same file')
  const after = await readBefore(tokens)
  const count = (JSON.parse(before.tokens) as unknown[]).length
  transcript.step(`${count} tokens, as they were`, 'true', String(after.tokens === before.tokens))
  transcript.step(`${before.calls} calls counted`, String(before.calls), String(after.calls))
  const [first = '', , third = ''] = texts.versions('READER')
  const asked: readonly (readonly [what: string, path: string, text: string, expected: string])[] = [
    ['READER, third version', '/orders', third, '200'],
    ['READER, first version', '/orders', first, '401 revoked'],
    ['GITHUB', '/ping', texts.of('GITHUB'), '200'],
    ['LEGACY', '/ping', texts.of('LEGACY'), '200'],
    ['OFFICE', '/ping', texts.of('OFFICE'), '403 ip_denied'],
    ['SHORT', '/ping', texts.of('SHORT'), '401 expired'],
    ['PAUSED', '/ping', texts.of('PAUSED'), '401 disabled'],
    ['LEAKED', '/ping', texts.of('LEAKED'), '401 revoked'],
    ['TRIAL, whose quota is in the file', '/ping', texts.of('TRIAL'), '429 quota_exceeded'],
    // Rate limits without a shared limiter are the process's own, and full after a restart.
    ['LIMITED, whose limit is this process’s own', '/ping', texts.of('LIMITED'), '200'],
  ]
  for (const [what, path, text, expected] of asked) {
    transcript.step(`GET ${path} with ${what}`, expected, (await call(service, path, text)).said)
  }
  // A retrievable token is kept encrypted beside its digest.
  const secret = await tokens.rotator.reveal('SIGNING_SECRET', { actor: 'tour', reason: 'lost by its owner' })
  transcript.step(
    'read SIGNING_SECRET back, which is retrievable',
    'the same',
    secret === texts.of('SIGNING_SECRET') ? 'the same' : 'another',
  )
}
