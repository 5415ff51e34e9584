// Restores an archive into a file store and prints a line for each commit, until it is killed or has come to its end.
import { writeSync } from 'node:fs'
import { FileTokenStore } from '../../../src/file/file-token-store.ts'
import { Backups, type RestoreMode } from '../../../src/index.ts'

const [path = '', file = '', keys = '', mode = 'merge', before = ''] = process.argv.slice(2)
const store = await FileTokenStore.open(path)
const commit = store.commit.bind(store)
store.commit = async (each) => {
  const result = await commit(each)
  writeSync(1, `${each.write.length}\n`)
  return result
}
const backups = new Backups({ store, keys })
await backups.restore(file, { mode: mode as RestoreMode, ...(mode === 'replace' && { to: before }) })
await store.close()
writeSync(1, 'done\n')
