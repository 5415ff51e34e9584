import { fork } from 'node:child_process'
import { once } from 'node:events'
import pg from 'pg'
import { createClient } from 'redis'
import { Tokenwright } from '../src/index.ts'
import { PostgresTokenStore } from '../src/postgres/index.ts'
import { fromNodeRedis, RedisChangeChannel } from '../src/redis/index.ts'
import { median } from './measure.ts'
import type { Report } from './result.ts'
import { POSTGRES, REDIS } from './servers.ts'

/** An instance, and what tells it of changes. */
export interface InstanceJob {
  readonly schema: string
  readonly secret: string
  readonly changes: 'listen' | 'redis' | undefined
}

const ROUNDS = 40
/** Without a channel. */
const STALE_ROUNDS = 10
const STALENESS_MS = 500

/** The same on all processes of a machine, ms. */
export function machineTime(): number {
  return performance.timeOrigin + performance.now()
}

/** An instance as a host would make it, and the way to end it. */
export async function openInstance({ schema, secret, changes }: InstanceJob): Promise<{
  readonly tokens: Tokenwright
  readonly close: () => Promise<void>
}> {
  const pool = new pg.Pool({ ...POSTGRES, max: 4 })
  const listen = changes === 'listen' ? { listen: () => new pg.Client(POSTGRES) } : undefined
  const store = await PostgresTokenStore.open({ pool, schema, closePool: true, ...listen })
  const maxStaleness = changes === undefined ? STALENESS_MS : '1h'
  const redis = changes === 'redis' ? await createClient({ socket: { ...REDIS } }).connect() : undefined
  const channel =
    redis && new RedisChangeChannel({ client: fromNodeRedis(redis), channel: `tokenwright-bench-${schema}` })
  const tokens = new Tokenwright({ store, keys: secret, maxStaleness, channel })
  return {
    tokens,
    close: async () => {
      await tokens.close()
      redis?.destroy()
    },
  }
}

/** How long a revocation by this process takes to hold in another: from the end of the call on. */
export async function revocations(report: Report, id: string, job: InstanceJob): Promise<void> {
  const { tokens, close } = await openInstance(job)
  const child = fork(new URL('./revoked.ts', import.meta.url))
  const ready = once(child, 'message')
  child.send(job)
  await ready
  const delays: number[] = []
  for (let n = 0; n < (job.changes === undefined ? STALE_ROUNDS : ROUNDS); n++) {
    const { token, record } = await tokens.generate({ service: `${id} ${n}` })
    const seen = once(child, 'message')
    child.send(token)
    await seen
    const refused = once(child, 'message')
    await tokens.revoke({ id: record.id })
    const at = machineTime()
    delays.push(((await refused) as [number])[0] - at)
  }
  const low = Math.max(0, Math.min(...delays))
  const value = Math.max(...delays)
  const typical = Math.max(0, median(delays)).toFixed(1)
  const without = job.changes === undefined ? `maxStaleness ${STALENESS_MS} ms; ` : ''
  report(id, { value, low, high: value }, `${without}the longest of ${delays.length}; the median is ${typical} ms`)
  const ended = once(child, 'exit')
  child.disconnect()
  await ended
  await close()
}
