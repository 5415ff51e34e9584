// Makes the golden archives of the present format: node test/backup/golden/make.ts
// To be run once for each format, before its first release; files of released formats are never made anew.
import { existsSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { FORMAT } from '../../../src/backup/archive-head.ts'
import { MemoryTokenStore, Tokenwright } from '../../../src/index.ts'
import { fakeClock, seededRandom } from '../../../src/testing/index.ts'

const folder = fileURLToPath(new URL('./', import.meta.url))
const keys = [
  { id: 'golden', secret: 'golden-key-0123456789-abcdefghijklmnopqrst' },
  { id: 'older', secret: 'older-key-0123456789-abcdefghijklmnopqrstu' },
]
const passphrase = 'a golden passphrase, kept for ever'

const clock = fakeClock({ now: '2027-01-01T00:00:00Z' })
const random = seededRandom(`golden ${FORMAT}`)
const store = new MemoryTokenStore({ clock })
const tokens = new Tokenwright({ store, keys, clock, random, backups: { source: 'golden' } })
const current = await tokens.generate({ service: 'CURRENT', scopes: ['a:read'], tags: ['x'], quota: { limit: 10 } })
const readable = await tokens.generate({ service: 'READABLE', retrievable: true })
const revoked = await tokens.generate({ service: 'REVOKED' })
const removed = await tokens.generate({ service: 'REMOVED', expiresIn: '1m' })
const previous = current.token
const { token } = await tokens.rotate('CURRENT', { grace: '3650d' })
await tokens.verify(token)
await tokens.usage.flush()
await clock.advance('1h')
await tokens.cleanup({ retention: 0 })
await tokens.revoke('REVOKED', { reason: 'golden' })

const include = { journal: true, usage: true }
const archives = [
  { name: `format-${FORMAT}-ring-gzip.twb`, options: { include } },
  { name: `format-${FORMAT}-ring-none.twb`, options: { key: 'older', compress: false } },
  { name: `format-${FORMAT}-passphrase-gzip.twb`, options: { passphrase, include } },
]
const made = []
for (const { name, options } of archives) {
  if (existsSync(folder + name)) throw new Error(`${name} is there already, and may have been released`)
  const { counts, archive, sha256 } = await tokens.backups.create({ to: folder + name, ...options })
  made.push({ name, archive, counts, sha256, ...('passphrase' in options && { passphrase }) })
}
const texts = {
  good: [token, previous, readable.token],
  revoked: [revoked.token],
  unknown: [removed.token],
}
const golden = { keys, at: clock.now(), readable: readable.token, texts, archives: made }
writeFileSync(`${folder}format-${FORMAT}.json`, `${JSON.stringify(golden, null, 2)}\n`)
