import { join } from 'node:path'
import { MemoryTokenStore, Tokenwright } from 'tokenwright'
import type { Tour } from './requests.ts'

/** Makes an archive, restores it into a store of another sort, and shows that nothing revoked comes back. */
export async function backUpAndRestore(
  { tokens, transcript, texts }: Omit<Tour, 'service'>,
  folder: string,
  keys: string,
) {
  transcript.chapter('Back up, and restore into another store')
  const { file = '', tokenCount } = await tokens.backups.create({ to: join(folder, 'tour.twb'), actor: 'tour' })
  const { items } = await tokens.list({ limit: 1000 })
  transcript.step('an archive, encrypted and read back', `${items.length} tokens`, `${tokenCount} tokens`)
  const other = new Tokenwright({ store: new MemoryTokenStore(), keys })
  const plan = await other.backups.plan(file)
  transcript.step('the plan for an empty store: to be made', String(tokenCount), String(plan.counts['token']?.create))
  await other.backups.restore(file, { actor: 'tour', reason: 'the tour goes on in memory' })
  for (const [name, expected] of [
    ['GITHUB', 'ok'],
    ['LEAKED', 'revoked'],
  ] as const) {
    const answer = await other.verify(texts.of(name))
    transcript.step(`verify ${name} in the other store`, expected, answer.ok ? 'ok' : answer.code)
  }
  await other.revoke('GITHUB', { reason: 'after the archive was made' })
  const again = await other.backups.restore(file)
  transcript.step(
    'restore once more: what would revive a revoked token',
    '1 refused',
    `${again.counts['token']?.would_revive} refused`,
  )
  await other.close()
}
