// An instance of a service, in a process of its own: does what each line of its input says, and answers with a line.
import { createInterface } from 'node:readline'
import pg from 'pg'
import { createClient } from 'redis'
import { parseRateLimits } from '../../../src/access/rate-limits.ts'
import { Tokenwright } from '../../../src/index.ts'
import { PostgresRateLimiter, PostgresTokenStore } from '../../../src/postgres/index.ts'
import { fromNodeRedis, RedisChangeChannel, RedisRateLimiter } from '../../../src/redis/index.ts'
import { REDIS } from '../../redis/server.ts'
import { newPool, SERVER } from '../database.ts'

/** How an instance is set up. */
export interface InstanceSetup {
  readonly schema: string
  readonly keys: string
  readonly maxStaleness: number
  /** What tells of changes. */
  readonly changes?: 'listen' | 'redis'
  /** Who counts the limits. */
  readonly limiter?: 'redis' | 'postgres'
  /** Keeps what is in Redis apart from others'. */
  readonly name: string
}

/** What an instance is told to do. */
export type InstanceOrder =
  | { readonly do: 'verify'; readonly token: string; readonly times: number }
  | { readonly do: 'wait'; readonly token: string }
  | { readonly do: 'revoke'; readonly service: string }
  | { readonly do: 'limiter'; readonly key: string; readonly times: number }

const setup = JSON.parse(process.argv[2] ?? '') as InstanceSetup
const { schema, keys, maxStaleness, changes, name } = setup
const redis = createClient({ socket: { ...REDIS } })
if (changes === 'redis' || setup.limiter === 'redis') await redis.connect()
const client = fromNodeRedis(redis)
const pool = newPool({ max: 8 })
const listen = changes === 'listen' ? { listen: () => new pg.Client(SERVER) } : undefined
const channel = changes === 'redis' ? new RedisChangeChannel({ client, channel: `${name}:changes` }) : undefined
const limiter =
  setup.limiter === 'redis'
    ? new RedisRateLimiter({ client, prefix: `${name}:`, timeout: '10s' })
    : setup.limiter === 'postgres'
      ? new PostgresRateLimiter({ pool, schema, timeout: '10s' })
      : undefined
const store = await PostgresTokenStore.open({ pool, schema, closePool: true, ...listen })
const tokens = new Tokenwright({ store, keys, maxStaleness, limiter, channel })
tokens.events.onAny((event, payload) => {
  if (event.endsWith('failed')) console.error(event, payload)
})
await tokens.ready()

/** The same on all processes of a machine, ms. */
const time = (): number => performance.timeOrigin + performance.now()

async function obey(order: InstanceOrder): Promise<unknown> {
  if (order.do === 'verify') {
    const codes: Record<string, number> = {}
    const calls = Array.from({ length: order.times }, () => tokens.verify(order.token))
    for (const answer of await Promise.all(calls)) {
      const code = answer.ok ? 'ok' : answer.code
      codes[code] = (codes[code] ?? 0) + 1
    }
    return codes
  }
  if (order.do === 'wait') {
    // As a service under load would ask: again and again.
    while ((await tokens.verify(order.token)).ok) await new Promise((resolve) => setTimeout(resolve, 1))
    return { at: time() }
  }
  if (order.do === 'limiter') {
    const limits = parseRateLimits('rateLimit', { limit: 10, per: '1d' })
    const calls = Array.from({ length: order.times }, () => limiter?.reserve(order.key, limits, 1))
    return { granted: (await Promise.all(calls)).filter((answer) => answer?.granted).length }
  }
  const before = time()
  await tokens.revoke(order.service)
  return { before, at: time() }
}

process.stdout.write('ready\n')
for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(`${JSON.stringify(await obey(JSON.parse(line) as InstanceOrder))}\n`)
}
await tokens.close()
if (redis.isOpen) redis.destroy()
