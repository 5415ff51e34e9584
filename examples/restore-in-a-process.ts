// A restore in a process of its own, with a small young generation: the service goes on undisturbed on the same file, and
// the memory stays small however many tokens come back.
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { generateSecret, Tokenwright } from 'tokenwright'
import { FileTokenStore } from 'tokenwright/file'

interface Job {
  readonly path: string
  readonly keys: string
  readonly archive: string
}

if (process.send === undefined) await service()
else process.once('message', restore)

/** The other process: opens the store itself. */
async function restore({ path, keys, archive }: Job): Promise<void> {
  const tokens = new Tokenwright({ store: await FileTokenStore.open(path), keys })
  const { counts } = await tokens.backups.restore(archive, { actor: 'alice', reason: 'disk lost' })
  console.log('restored in a process of its own:', counts)
  await tokens.close()
  process.disconnect()
}

async function service(): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'tokenwright-example-'))
  const keys = generateSecret()
  const archive = join(folder, 'archive.twb')
  const lost = new Tokenwright({ store: await FileTokenStore.open(join(folder, 'lost', 'tokens.db')), keys })
  const { token } = await lost.generate({ service: 'SHOP' })
  for (let n = 0; n < 2000; n++) await lost.generate({ service: `SERVICE_${n}` })
  await lost.backups.create({ to: archive })
  await lost.close()

  const path = join(folder, 'new', 'tokens.db')
  const tokens = new Tokenwright({ store: await FileTokenStore.open(path), keys })
  const child = fork(new URL(import.meta.url), { execArgv: [...process.execArgv, '--max-semi-space-size=4'] })
  const job: Job = { path, keys, archive }
  child.send(job)
  const [code] = await once(child, 'exit')
  const answer = await tokens.verify(token)
  console.log('the service, which was open all the while, verifies what came back:', answer.ok)
  if (code !== 0 || !answer.ok) process.exitCode = 1
  await tokens.close()
  await rm(folder, { recursive: true })
}
