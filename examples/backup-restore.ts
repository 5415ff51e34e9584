// Backup and restore: an archive is made, the store is lost, another takes its place; then something is revoked, and an
// older archive can't bring it back.
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { generateSecret, Tokenwright } from 'tokenwright'
import { FileTokenStore } from 'tokenwright/file'

const folder = await mkdtemp(join(tmpdir(), 'tokenwright-example-'))
const directory = join(folder, 'archives')
await mkdir(directory)
const keys = generateSecret() // kept apart from the archives: they are worthless without it

const open = async (name: string) =>
  new Tokenwright({
    store: await FileTokenStore.open(join(folder, name, 'tokens.db')),
    keys,
    backups: { directory, keep: { last: 7, for: '30d' }, source: 'example' },
  })

const first = await open('first')
const shop = await first.generate({ service: 'SHOP', scopes: ['orders:read'] })
const partner = await first.generate({ service: 'PARTNER' })
const { file = '', tokenCount, sha256 } = await first.backups.create({ actor: 'cron', reason: 'nightly' })
console.log(`archived ${tokenCount} tokens, sha256 ${sha256.slice(0, 12)}…`)
await first.close()

// The disk of the first store is gone.
await rm(join(folder, 'first'), { recursive: true })
const second = await open('second')
console.log('the plan:', (await second.backups.plan(file)).counts)
await second.backups.restore(file, { actor: 'alice', reason: 'disk lost' })
console.log('verifies again:', (await second.verify(shop.token)).ok, (await second.verify(partner.token)).ok)

// Life goes on; then the older archive is restored once more, over it.
await second.revoke('PARTNER', { reason: 'leaked' })
const report = await second.backups.restore(file, { mode: 'replace', actor: 'alice' })
console.log('over a newer state:', report.counts, `with an archive of that state first: ${report.before !== undefined}`)
const answer = await second.verify(partner.token)
console.log('what was revoked stays so:', answer.ok ? 'no' : answer.code)
if (answer.ok || !(await second.verify(shop.token)).ok) process.exitCode = 1
await second.close()
await rm(folder, { recursive: true })
