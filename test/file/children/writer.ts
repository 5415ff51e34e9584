// Adds to a shared counter by compare-and-set, and makes records of its own, for a given time; then tells how it went.
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { FileTokenStore } from '../../../src/file/file-token-store.ts'
import { StaleRevisionError } from '../../../src/stores/errors.ts'
import { account, accountKind, draft } from '../../../src/testing/store-suite/kit.ts'

const [path = '', name = '', ms = '0'] = process.argv.slice(2)
const store = await FileTokenStore.open(path)
// All begin together.
process.stdout.write('ready\n')
await new Promise((resolve) => process.stdin.once('data', resolve))
process.stdin.destroy()

const delay = monitorEventLoopDelay({ resolution: 5 })
delay.enable()
const end = performance.now() + Number(ms)
let [made, added, stale, tries] = [0, 0, 0, 0]
const errors: string[] = []

async function make(): Promise<void> {
  while (performance.now() < end) {
    const id = `${name}-${made}`
    made += 1
    await store.commit(draft([account(id, 0, { rank: 1 })], { id }))
  }
}

async function add(): Promise<void> {
  while (performance.now() < end) {
    const stored = await store.get(accountKind, 'counter')
    tries += 1
    const next = account('counter', stored?.revision ?? 0, { rank: (stored?.value.rank ?? 0) + 1 })
    try {
      await store.commit(draft([next], { id: `${name}+${tries}` }))
      added += 1
    } catch (error) {
      if (!(error instanceof StaleRevisionError)) throw error
      stale += 1
    }
  }
}

try {
  await Promise.all([...Array.from({ length: 8 }, make), add()])
} catch (error) {
  errors.push(String(error))
}
delay.disable()
await store.close()
process.stdout.write(`${JSON.stringify({ made, added, stale, errors, maxDelayMs: delay.max / 1e6 })}\n`)
