import pg from 'pg'
import { KeyRing } from '../src/index.ts'
import { PostgresTokenStore } from '../src/postgres/index.ts'
import { callContext } from './population.ts'
import type { VerifyingJob } from './postgres.ts'
import { POSTGRES } from './servers.ts'
import { trackedVerifier } from './verify.ts'

// One of several verifying processes: warms up, then verifies for as long as it is told, and tells how often.
process.once('message', async ({ schema, secret, texts }: VerifyingJob) => {
  const pool = new pg.Pool({ ...POSTGRES, max: 8 })
  const store = new PostgresTokenStore({ pool, schema, closePool: true })
  const { verifier } = trackedVerifier(store, KeyRing.from(secret), undefined, '1h')
  for (let round = 0; round < 3; round++) for (const text of texts) await verifier.verify(text, callContext())
  process.on('message', async (ms: number) => {
    const end = performance.now() + ms
    let done = 0
    while (performance.now() < end) {
      for (let i = 0; i < 64; i++) {
        const answer = await verifier.verify(texts[(done + i) % texts.length], callContext())
        if (!answer.ok) throw new Error(`the benchmark measures refusals: ${answer.code}`)
      }
      done += 64
    }
    process.send?.(done)
  })
  process.once('disconnect', async () => {
    verifier.close()
    await store.close()
  })
  process.send?.(0)
})
