// Makes archives of a file store as fast as it can and prints the name of each, until it is killed.
import { writeSync } from 'node:fs'
import { FileTokenStore } from '../../../src/file/file-token-store.ts'
import { Backups } from '../../../src/index.ts'

const [path = '', directory = '', keys = ''] = process.argv.slice(2)
const backups = new Backups({ store: await FileTokenStore.open(path), keys, directory })
writeSync(1, 'ready\n')
for (;;) writeSync(1, `${(await backups.create()).file}\n`)
