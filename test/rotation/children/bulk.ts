// Rotates every token of a file in one batch, and notes each new value in another file before it is current, until it is killed.
import { appendFileSync, writeSync } from 'node:fs'
import { FileTokenStore } from '../../../src/file/index.ts'
import { Tokenwright } from '../../../src/index.ts'

const [path = '', keys = '', log = ''] = process.argv.slice(2)
const tokens = new Tokenwright({ store: await FileTokenStore.open(path), keys })
const report = await tokens.rotator.bulkRotate({
  batchId: 'killed',
  concurrency: 4,
  onRotated: ({ service, token }) => {
    appendFileSync(log, `${service} ${token}\n`)
    writeSync(1, `${service}\n`)
  },
})
writeSync(1, `${JSON.stringify({ rotated: report.rotated, failed: report.failed.length })}\n`)
await tokens.close()
