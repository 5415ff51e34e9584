import { Redis } from 'ioredis'
import { createClient } from 'redis'
import { gaugesFor } from '../src/access/gcra.ts'
import { parseRateLimits } from '../src/access/rate-limits.ts'
import { generateSecret } from '../src/index.ts'
import { fromIoredis, fromNodeRedis, type RedisClient, RedisRateLimiter } from '../src/redis/index.ts'
import { LIMIT_SCRIPT } from '../src/redis/limit-script.ts'
import { measure, type Subject } from './measure.ts'
import type { Report, Skip } from './result.ts'
import { revocations } from './revocation.ts'
import { BenchDatabase, missingServer, POSTGRES, REDIS } from './servers.ts'

const KEYS = 64

/** The shared limiter and the channel. */
export async function redisSection(report: Report, skip: Skip): Promise<void> {
  const missing =
    (await missingServer('Redis', REDIS.host, REDIS.port)) ??
    (await missingServer('PostgreSQL', POSTGRES.host, POSTGRES.port))
  if (missing !== undefined) {
    skip(missing)
    return
  }
  const prefix = `tokenwright-bench-${process.pid}:`
  const node = await createClient({ socket: { ...REDIS } }).connect()
  const io = new Redis(REDIS.port, REDIS.host)
  const args = argumentsOf()
  const sha = LIMIT_SCRIPT.sha
  const trivial = await node.scriptLoad('return 1')
  const key = (i: number) => `${prefix}{tok_${i % KEYS}}`
  const raw: Subject = { async: true, run: (i) => node.evalSha(sha, { keys: [key(i)], arguments: args }) }
  const rawIo: Subject = { async: true, run: (i) => io.evalsha(sha, 1, key(i), ...args) }
  await node.scriptLoad(LIMIT_SCRIPT.text)
  report('redis.limiter', await measure(limiterOf(fromNodeRedis(node), prefix), raw), 'over EVALSHA of the same script')
  report('redis.limiter.ioredis', await measure(limiterOf(fromIoredis(io), prefix), rawIo), 'the same with ioredis')
  const empty: Subject = { async: true, run: (i) => node.evalSha(trivial, { keys: [key(i)], arguments: args }) }
  report(
    'redis.limiter.empty',
    await measure(limiterOf(fromNodeRedis(node), prefix), empty),
    'over EVALSHA of `return 1`',
  )
  for (let i = 0; i < KEYS; i++) await node.del(key(i))
  node.destroy()
  io.disconnect()

  const database = new BenchDatabase()
  try {
    const job = { schema: database.schema('redis'), secret: generateSecret(), changes: 'redis' } as const
    await revocations(report, 'redis.revocation', job)
  } finally {
    await database.end()
  }
}

const LIMITS = parseRateLimits('rateLimit', { limit: 1000, per: '1h', burst: 1_000_000_000 })

function limiterOf(client: RedisClient, prefix: string): Subject {
  const limiter = new RedisRateLimiter({ client, prefix })
  return { async: true, run: (i) => limiter.reserve(`tok_${i % KEYS}`, LIMITS, 1) }
}

function argumentsOf(): string[] {
  const args = ['1', '1']
  for (const { limit, unit, drain, capacity, slack } of gaugesFor(LIMITS))
    args.push(limit.name, String(unit), String(drain), String(capacity), String(slack))
  return args
}
