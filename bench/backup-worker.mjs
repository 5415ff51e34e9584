// Makes an archive of a file store, or restores one into a new file store, and tells how long it took and what memory
// it had at most. Of the built package: turning TypeScript into JavaScript takes memory of its own.

import { FileTokenStore } from '../dist/file/index.js'
import { Backups } from '../dist/index.js'

process.once('message', async ({ work, path, secret, archive }) => {
  const store = await FileTokenStore.open(path)
  const backups = new Backups({ store, keys: secret })
  // Looked at again and again: the maximum that the system keeps counts the process that this one was forked from.
  let most = 0
  const look = () => {
    most = Math.max(most, process.memoryUsage.rss())
  }
  const looking = setInterval(look, 10)
  const start = performance.now()
  if (work === 'create') await backups.create({ to: archive, verify: false })
  else await backups.restore(archive)
  const ms = performance.now() - start
  look()
  clearInterval(looking)
  process.send({ ms, rssMb: most / 1e6 })
  await store.close()
  process.disconnect()
})
