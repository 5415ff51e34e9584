import { generateSecret, MemoryTokenStore, Tokenwright } from 'tokenwright'
import { fakeClock } from 'tokenwright/testing'
import type { Transcript } from './transcript.ts'

/** Rules that rotate by themselves, on a clock that the tour moves. */
export async function showRules(transcript: Transcript): Promise<void> {
  transcript.chapter('A rule rotates each week what is older than 14 days (on a clock that the tour moves)')
  const clock = fakeClock({ now: '2030-01-01T00:00:00Z' })
  const tokens = new Tokenwright({ store: new MemoryTokenStore({ clock }), keys: generateSecret(), clock })
  await tokens.generate({ service: 'WORKER', retrievable: true })
  const refused = await tokens.generate({ service: 'PLAIN' }).then(() =>
    tokens.rules.create({ name: 'plain', service: 'PLAIN', schedule: 'daily' }).then(
      () => 'created',
      (error: { code?: string }) => error.code ?? 'failed',
    ),
  )
  transcript.step('for a token whose new value would reach nobody', 'ERR_NO_RECIPIENT', refused)
  await tokens.rules.create({ name: 'worker', service: 'WORKER', schedule: 'weekly', conditions: { ageDays: 14 } })
  for (let day = 0; day < 43; day++) {
    await clock.advance('1d')
    await tokens.tick()
  }
  const runs = (await tokens.rules.runs('worker')).items.toReversed()
  transcript.step(
    'its runs in six weeks',
    'skipped ok skipped ok skipped ok',
    runs.map(({ outcome }) => outcome).join(' '),
  )
  const view = await tokens.get('WORKER')
  transcript.step('versions that WORKER has had', '4', `${view?.versions[0]?.number}`)
  transcript.step('health of the rules', 'healthy', (await tokens.rules.health()).status)
  await tokens.close()
}
