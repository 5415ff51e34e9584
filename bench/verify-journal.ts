// Verifies a journal, and tells how long it took and how much memory that took. Run by journal.ts.
import { FileTokenStore } from '../src/file/index.ts'
import { Tokenwright } from '../src/index.ts'

const [path, secret] = process.argv.slice(2) as [string, string]
const tokens = new Tokenwright({ store: await FileTokenStore.open(path), keys: secret })
await tokens.ready()
const before = process.memoryUsage.rss()
let rss = 0
const timer = setInterval(() => {
  rss = Math.max(rss, process.memoryUsage.rss())
}, 20)
const start = performance.now()
const { ok, entries } = await tokens.audit.verify()
const seconds = (performance.now() - start) / 1000
clearInterval(timer)
if (!ok || entries < 1_000_000) throw new Error(`${entries} entries, ok: ${ok}`)
process.send?.({ rss: (Math.max(rss, process.memoryUsage.rss()) - before) / 1e6, seconds })
await tokens.close()
process.disconnect()
