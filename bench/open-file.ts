import { FileTokenStore } from '../src/file/index.ts'
import { KeyRing, Verifier } from '../src/index.ts'
import type { MillionFile } from './million-file.ts'
import { callContext } from './population.ts'

/** What opening a large file cost. */
export interface OpenedFile {
  readonly openMs: number
  readonly firstVerifyMs: number
  readonly rssMb: number
}

process.once('message', async ({ path, secret, texts }: MillionFile) => {
  const start = performance.now()
  const store = await FileTokenStore.open(path)
  const openMs = performance.now() - start
  const verifier = new Verifier({ store, keys: KeyRing.from(secret) })
  const answer = await verifier.verify(texts[7], callContext())
  if (!answer.ok) throw new Error(`the benchmark measures refusals: ${answer.code}`)
  const firstVerifyMs = performance.now() - start - openMs
  process.send?.({ openMs, firstVerifyMs, rssMb: process.memoryUsage.rss() / 1e6 } satisfies OpenedFile)
  await store.close()
})
