// Makes an archive of a file store, or restores one into a new file store, and tells how long it took and what memory
// the process had at most. Of the built package: turning TypeScript into JavaScript takes memory of its own.

import { FileTokenStore } from '../dist/file/index.js'
import { Backups, BackupWorker } from '../dist/index.js'

const WORKS = {
  create: (backups, archive) => backups.create({ to: archive, verify: false }),
  restore: (backups, archive) => backups.restore(archive),
  replace: (backups, archive) => backups.restore(archive, { mode: 'replace', to: `${archive}.before` }),
}

process.once('message', async ({ work, path, secret, archive, thread }) => {
  // The host has its store open in either case.
  const store = await FileTokenStore.open(path)
  const module = new URL('./open-backups.mjs', import.meta.url)
  Object.assign(process.env, { BENCH_STORE: path, BENCH_KEYS: secret })
  const backups = thread ? new BackupWorker({ module }) : new Backups({ store, keys: secret })
  // Looked at again and again: the maximum that the system keeps counts the process that this one was forked from.
  let most = 0
  const look = () => {
    most = Math.max(most, process.memoryUsage.rss())
  }
  const looking = setInterval(look, 10)
  const start = performance.now()
  await WORKS[work](backups, archive)
  const ms = performance.now() - start
  look()
  clearInterval(looking)
  process.send({ ms, rssMb: most / 1e6 })
  await store.close()
  process.disconnect()
})
