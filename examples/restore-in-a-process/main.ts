// A restore in a process of its own: the service goes on undisturbed on the same file, and the memory stays small
// however many tokens come back.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { BackupWorker, generateSecret } from 'tokenwright'
import openTokens from './open-tokens.ts'

const folder = await mkdtemp(join(tmpdir(), 'tokenwright-example-'))
const archive = join(folder, 'archive.twb')
process.env['TOKEN_KEYS'] = generateSecret()

process.env['TOKEN_STORE'] = join(folder, 'lost', 'tokens.db')
const lost = await openTokens()
const { token } = await lost.generate({ service: 'SHOP' })
for (let n = 0; n < 2000; n++) await lost.generate({ service: `SERVICE_${n}` })
await lost.backups.create({ to: archive })
await lost.close()

process.env['TOKEN_STORE'] = join(folder, 'new', 'tokens.db')
const tokens = await openTokens()
let turns = 0
const ticking = setInterval(() => {
  turns += 1
}, 1)
const backups = new BackupWorker({ module: new URL('./open-tokens.ts', import.meta.url) })
const { counts } = await backups.restore(archive, { actor: 'alice', reason: 'disk lost' })
clearInterval(ticking)
console.log('restored in a process of its own:', counts)
console.log('the event loop of the service turned meanwhile:', turns > 20)
const answer = await tokens.verify(token)
console.log('the service, which was open all the while, verifies what came back:', answer.ok)
if (!answer.ok || turns <= 20) process.exitCode = 1
await tokens.close()
await rm(folder, { recursive: true })
