// Makes an archive of a file store, or restores one into a new file store, and tells how long it took and what memory
// the process had at most. Of the built package: turning TypeScript into JavaScript takes memory of its own.

import { readFileSync } from 'node:fs'
import { FileTokenStore } from '../dist/file/index.js'
import { Backups, BackupWorker } from '../dist/index.js'
import { watchMemory } from './watch-memory.mjs'

const WORKS = {
  create: (backups, archive) => backups.create({ to: archive, verify: false }),
  restore: (backups, archive) => backups.restore(archive),
  replace: (backups, archive) => backups.restore(archive, { mode: 'replace', to: `${archive}.before` }),
}

process.once('message', async ({ work, path, secret, archive, worker }) => {
  // The service has its store open in either case.
  const store = await FileTokenStore.open(path)
  const module = new URL('./open-backups.mjs', import.meta.url)
  const told = `${archive}.rss`
  Object.assign(process.env, { BENCH_STORE: path, BENCH_KEYS: secret, BENCH_RSS: told })
  const backups = worker ? new BackupWorker({ module }) : new Backups({ store, keys: secret })
  const most = watchMemory()
  const start = performance.now()
  await WORKS[work](backups, archive)
  const ms = performance.now() - start
  const hereMb = most()
  process.send({ ms, hereMb, rssMb: worker ? Number(readFileSync(told, 'utf8')) : hereMb })
  await store.close()
  process.disconnect()
})
