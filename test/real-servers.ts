import { createConnection } from 'node:net'

/**
 * Whether a real server is there to test with. Without one its suite is skipped with a plain message, unless the
 * environment's REQUIRE_REAL (a list such as `postgres,redis`) names it: then that is a failure.
 */
export async function hasServer(name: string, host: string, port: number): Promise<boolean> {
  const there = await new Promise<boolean>((resolve) => {
    const socket = createConnection({ host, port, timeout: 1000 })
    const done = (answer: boolean) => {
      socket.destroy()
      resolve(answer)
    }
    socket.once('connect', () => done(true))
    socket.once('error', () => done(false))
    socket.once('timeout', () => done(false))
  })
  if (there) return true
  const required = (process.env['REQUIRE_REAL'] ?? '').split(',').map((word) => word.trim())
  if (required.includes(name)) throw new Error(`no ${name} answers at ${host}:${port}, and REQUIRE_REAL names it`)
  console.log(`skipped: no ${name} answers at ${host}:${port}; start one to run these tests`)
  return false
}
