import { monitorEventLoopDelay } from 'node:perf_hooks'
import { FileTokenStore } from '../src/file/index.ts'
import { Generator, KeyRing } from '../src/index.ts'

/** What one of several writing processes saw. */
export interface WriterReport {
  readonly commits: number
  readonly longestDelayMs: number
}

interface WriterJob {
  readonly path: string
  readonly secret: string
  readonly ms: number
}

const CALLERS = 8
/** Left out at both ends: there not all of the processes write. */
const MARGIN_MS = 1000

process.once('message', async ({ path, secret, ms }: WriterJob) => {
  const store = await FileTokenStore.open(path)
  const generator = new Generator({ store, keys: KeyRing.from(secret) })
  const start = performance.now()
  const delay = monitorEventLoopDelay({ resolution: 1 })
  let measuring = false
  let commits = 0
  const call = async (caller: number): Promise<void> => {
    for (let i = 0; performance.now() - start < ms; i++) {
      await generator.generate({ service: `service-${process.pid}-${caller}-${i}`, expiresIn: '30d' })
      const at = performance.now() - start
      const within = at > MARGIN_MS && at < ms - MARGIN_MS
      if (within) commits += 1
      if (within !== measuring) {
        measuring = within
        if (within) delay.enable()
        else delay.disable()
      }
    }
  }
  await Promise.all(Array.from({ length: CALLERS }, (_, caller) => call(caller)))
  delay.disable()
  process.send?.({ commits, longestDelayMs: delay.max / 1e6 } satisfies WriterReport)
  await store.close()
})
