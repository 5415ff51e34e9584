import { access, constants } from 'node:fs/promises'
import { createConnection } from 'node:net'
import { delimiter, join } from 'node:path'

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
  if (isRequired(name)) throw new Error(`no ${name} answers at ${host}:${port}, and REQUIRE_REAL names it`)
  console.log(`skipped: no ${name} answers at ${host}:${port}; start one to run these tests`)
  return false
}

/**
 * Where a real program is: in the folder that the environment's SCANNERS names, else on the path. Without one its suite
 * is skipped with a plain message, unless REQUIRE_REAL names it: then that is a failure.
 */
export async function findProgram(name: string): Promise<string | undefined> {
  const folders = [process.env['SCANNERS'] ?? '', ...(process.env['PATH'] ?? '').split(delimiter)]
  for (const folder of folders) {
    if (folder === '') continue
    const path = join(folder, name)
    const there = await access(path, constants.X_OK).then(
      () => true,
      () => false,
    )
    if (there) return path
  }
  if (isRequired(name)) throw new Error(`there is no ${name} in SCANNERS or on the path, and REQUIRE_REAL names it`)
  console.log(`skipped: there is no ${name}; put it on the path, or its folder into SCANNERS, to run these tests`)
  return undefined
}

function isRequired(name: string): boolean {
  const required = (process.env['REQUIRE_REAL'] ?? '').split(',').map((word) => word.trim())
  return required.includes(name)
}
