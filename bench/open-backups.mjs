// What the thread of a BackupWorker opens.

import { FileTokenStore } from '../dist/file/index.js'
import { Backups } from '../dist/index.js'

export default async () => {
  const { BENCH_STORE, BENCH_KEYS } = process.env
  const store = await FileTokenStore.open(BENCH_STORE)
  return { backups: new Backups({ store, keys: BENCH_KEYS }), close: () => store.close() }
}
