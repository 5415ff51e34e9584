// Makes an archive of a file store, or restores one into a new file store, and tells how long it took and what memory
// it had at most. Of the built package: turning TypeScript into JavaScript takes memory of its own.

import { FileTokenStore } from '../dist/file/index.js'
import { Backups } from '../dist/index.js'

process.once('message', async ({ work, path, secret, archive }) => {
  const store = await FileTokenStore.open(path)
  const backups = new Backups({ store, keys: secret })
  const start = performance.now()
  if (work === 'create') await backups.create({ to: archive, verify: false })
  else if (work === 'verify') await backups.verify(archive)
  else await backups.restore(archive)
  const ms = performance.now() - start
  // Told in KB.
  process.send({ ms, rssMb: process.resourceUsage().maxRSS / 1000 })
  await store.close()
})
