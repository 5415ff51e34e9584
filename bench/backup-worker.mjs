// Makes an archive of a file store, or restores one into a new file store, and tells how long it took and what memory
// it had at most. Of the built package: turning TypeScript into JavaScript takes memory of its own.

import { once } from 'node:events'
import { isMainThread, Worker, workerData } from 'node:worker_threads'
import { FileTokenStore } from '../dist/file/index.js'
import { Backups } from '../dist/index.js'

/** Does the work, in this thread. */
async function run({ work, path, secret, archive }) {
  const store = await FileTokenStore.open(path)
  const backups = new Backups({ store, keys: secret })
  if (work === 'create') await backups.create({ to: archive, verify: false })
  else await backups.restore(archive)
  await store.close()
}

/** Does it in a thread of its own, whose young generation is bounded. */
async function runInThread(job) {
  const resourceLimits = { maxYoungGenerationSizeMb: job.youngMb }
  const [code] = await once(new Worker(new URL(import.meta.url), { workerData: job, resourceLimits }), 'exit')
  if (code !== 0) throw new Error(`the thread ended with ${code}`)
}

if (isMainThread) {
  process.once('message', async (job) => {
    // Looked at again and again: the maximum that the system keeps counts the process that this one was forked from.
    let most = 0
    const look = () => {
      most = Math.max(most, process.memoryUsage.rss())
    }
    const looking = setInterval(look, 10)
    const start = performance.now()
    await (job.youngMb === undefined ? run(job) : runInThread(job))
    const ms = performance.now() - start
    look()
    clearInterval(looking)
    process.send({ ms, rssMb: most / 1e6 })
    process.disconnect()
  })
} else {
  await run(workerData)
}
