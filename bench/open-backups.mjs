// What the process of a BackupWorker opens. At its end it writes what memory it had at most.

import { writeFileSync } from 'node:fs'
import { FileTokenStore } from '../dist/file/index.js'
import { Backups } from '../dist/index.js'
import { watchMemory } from './watch-memory.mjs'

export default async () => {
  const { BENCH_STORE, BENCH_KEYS, BENCH_RSS } = process.env
  const most = watchMemory()
  const store = await FileTokenStore.open(BENCH_STORE)
  const close = async () => {
    await store.close()
    writeFileSync(BENCH_RSS, String(most()))
  }
  return { backups: new Backups({ store, keys: BENCH_KEYS }), close }
}
