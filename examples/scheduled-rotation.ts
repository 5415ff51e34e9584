// A rule rotates a token every week; its consumer lives on a dotenv file and never sees a gap.
// node examples/scheduled-rotation.ts
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { generateSecret, MemoryTokenStore, publishToFile, Tokenwright } from 'tokenwright'
import { fakeClock } from 'tokenwright/testing'

const folder = mkdtempSync(join(tmpdir(), 'consumer-'))
const path = join(folder, '.env')
/** The consumer: reads its file for each call, as after a restart. */
const configured = () => /^SHOP_TOKEN=(.*)$/m.exec(readFileSync(path, 'utf8'))?.[1] ?? ''

// Weeks go by at once here; a service leaves the clock out, and starts the scheduler.
const clock = fakeClock({ now: '2030-01-07T09:00:00Z' })
const tokens = new Tokenwright({
  store: new MemoryTokenStore({ clock }),
  keys: generateSecret(),
  clock,
  rotation: { hooks: { SHOP: { publish: publishToFile({ path, key: 'SHOP_TOKEN' }) } } },
})

try {
  const { token: first } = await tokens.generate({ service: 'SHOP', grace: '24h' })
  writeFileSync(path, `PORT=8080\nSHOP_TOKEN=${first}\n`)
  await tokens.rules.put({
    name: 'rotate SHOP',
    service: 'SHOP',
    schedule: { cron: '0 3 * * 1', timezone: 'Europe/Berlin' },
    conditions: { ageDays: 5 },
  })

  const seen = new Set<string>([first])
  for (let hour = 0; hour < 3 * 7 * 24; hour++) {
    await clock.advance('1h')
    await tokens.tick()
    const answer = await tokens.verify(configured())
    assert.equal(answer.ok && answer.version, 'current')
    seen.add(configured())
  }
  console.log('values of SHOP in three weeks:', seen.size)
  assert.equal(seen.size, 4)

  const { items } = await tokens.rules.runs('rotate SHOP')
  for (const run of items.toReversed()) {
    console.log(new Date(run.slot).toISOString(), run.outcome, JSON.stringify(run.counts))
  }
  assert.equal(items.length, 3)
  assert.equal((await tokens.rotator.history('SHOP')).items[0]?.rule !== undefined, true)
  const old = await tokens.verify(first)
  assert.equal(old.ok ? 'ok' : old.code, 'expired')
  assert.match(readFileSync(path, 'utf8'), /^PORT=8080\nSHOP_TOKEN=/)
} finally {
  await tokens.close()
  rmSync(folder, { recursive: true })
}
