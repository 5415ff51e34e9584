// A restore in a thread of its own, with a small young generation: the service's event loop goes on undisturbed, and
// the memory stays small however many tokens come back.
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isMainThread, Worker, workerData } from 'node:worker_threads'
import { generateSecret, Tokenwright } from 'tokenwright'
import { FileTokenStore } from 'tokenwright/file'

interface Job {
  readonly path: string
  readonly keys: string
  readonly archive: string
}

if (isMainThread) await service()
else await restore(workerData as Job)

/** The thread: opens the store itself, as another process would. */
async function restore({ path, keys, archive }: Job): Promise<void> {
  const tokens = new Tokenwright({ store: await FileTokenStore.open(path), keys })
  const { counts } = await tokens.backups.restore(archive, { actor: 'alice', reason: 'disk lost' })
  console.log('restored in a thread:', counts)
  await tokens.close()
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
  const job: Job = { path, keys, archive }
  const thread = new Worker(new URL(import.meta.url), {
    workerData: job,
    resourceLimits: { maxYoungGenerationSizeMb: 8 },
  })
  const [code] = await once(thread, 'exit')
  const answer = await tokens.verify(token)
  console.log('the service, which was open all the while, verifies what came back:', answer.ok)
  if (code !== 0 || !answer.ok) process.exitCode = 1
  await tokens.close()
  await rm(folder, { recursive: true })
}
