import { createClient } from 'redis'
import { hasServer } from '../real-servers.ts'

/** Where the Redis is that tests share; REDIS_HOST and REDIS_PORT may name another than the one on this machine. */
export const REDIS: { readonly host: string; readonly port: number } = {
  host: process.env['REDIS_HOST'] ?? '127.0.0.1',
  port: Number(process.env['REDIS_PORT'] ?? 6379),
}

/** Whether there is one to test with. */
export const redisThere: boolean = await hasServer('redis', REDIS.host, REDIS.port)

/** Takes away the keys whose names hold a text that only this test's have. */
export async function forgetKeys(text: string): Promise<void> {
  const client = await createClient({ socket: { ...REDIS } }).connect()
  for await (const found of client.scanIterator({ MATCH: `*${text}*`, COUNT: 1000 })) {
    for (const key of found) await client.del(key)
  }
  client.destroy()
}
