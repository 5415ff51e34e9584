import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chownSync, existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createClient } from 'redis'

/** A server of a test's own, which it may stop as it likes. */
export interface OwnServer {
  readonly port: number
  start(): Promise<void>
  /** Stops it: at once, as when its machine fails, unless told to be gentle. */
  stop(gently?: boolean): Promise<void>
  /** Stops it for good, and takes its files away. */
  remove(): Promise<void>
}

/**
 * Whether a program is there to start a server of one's own with. Without it the tests that need one are skipped with a
 * plain message, unless the environment's REQUIRE_REAL names the server.
 */
function program(server: 'postgres' | 'redis' | 'pgbouncer', places: readonly string[]): string | undefined {
  const found = places.find((place) => existsSync(place))
  if (found !== undefined) return found
  if ((process.env['REQUIRE_REAL'] ?? '').split(',').includes(server))
    throw new Error(`there is no ${server} to start, and REQUIRE_REAL names it`)
  console.log(`skipped: there is no ${server} installed that these tests could start and stop`)
  return undefined
}

const PATH = (process.env['PATH'] ?? '').split(':')
const DEBIAN = '/usr/lib/postgresql'
const debian = existsSync(DEBIAN) ? readdirSync(DEBIAN).map((version) => join(DEBIAN, version, 'bin')) : []

/** PostgreSQL's `initdb`. */
export const INITDB: string | undefined = program(
  'postgres',
  [...debian, ...PATH].map((folder) => join(folder, 'initdb')),
)
/** The server of Redis. */
export const REDIS_SERVER: string | undefined = program(
  'redis',
  PATH.map((folder) => join(folder, 'redis-server')),
)

/** PgBouncer; Debian puts it where only administrators look. */
export const PGBOUNCER: string | undefined = program(
  'pgbouncer',
  ['/usr/sbin', ...PATH].map((folder) => join(folder, 'pgbouncer')),
)

/** A port that nobody listens at. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  server.close()
  await once(server, 'close')
  return port
}

/** Resolves when somebody listens at a port of this machine. */
export async function answers(port: number): Promise<void> {
  for (let attempt = 0; attempt < 200; attempt++) {
    const socket = connect(port, '127.0.0.1')
    const open = await Promise.race([
      once(socket, 'connect').then(() => true),
      once(socket, 'error').then(() => false),
    ]).catch(() => false)
    socket.destroy()
    if (open) return
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  throw new Error(`nothing came to listen at port ${port}`)
}

/** PostgreSQL and PgBouncer refuse to run as root: then they are started as the user that their package made. */
export function unprivileged(): { uid?: number; gid?: number } {
  if (process.getuid?.() !== 0) return {}
  const id = (flag: string) => Number(spawnSync('id', [flag, 'postgres'], { encoding: 'utf8' }).stdout)
  return { uid: id('-u'), gid: id('-g') }
}

function runOnce(command: string, args: readonly string[], cwd: string): void {
  // No pipes: a server that it leaves behind would hold them open.
  const { status } = spawnSync(command, args, { cwd, stdio: 'ignore', ...unprivileged() })
  if (status !== 0) throw new Error(`${command} ended with ${status}`)
}

/** A PostgreSQL server of one's own, started, with a database `test` and a user `postgres` whom it trusts. */
export async function ownPostgres(): Promise<OwnServer> {
  const bin = join(INITDB ?? '', '..')
  const folder = mkdtempSync(join(tmpdir(), 'tokenwright-postgres-'))
  const { uid, gid } = unprivileged()
  if (uid !== undefined && gid !== undefined) chownSync(folder, uid, gid)
  const run = (program: string, ...args: string[]) => runOnce(join(bin, program), args, folder)
  const data = join(folder, 'data')
  run('initdb', '-D', data, '-A', 'trust', '-U', 'postgres', '--no-sync')
  const port = await freePort()
  const control = (...args: string[]) => run('pg_ctl', '-D', data, '-l', join(folder, 'log'), '-w', ...args)
  const start = async () => {
    control('-o', `-p ${port} -c listen_addresses=127.0.0.1 -c unix_socket_directories=${folder}`, 'start')
  }
  await start()
  run('createdb', '-h', '127.0.0.1', '-p', String(port), '-U', 'postgres', 'test')
  let running = true
  return {
    port,
    start: async () => {
      await start()
      running = true
    },
    stop: async (gently = false) => {
      running = false
      control('-m', gently ? 'fast' : 'immediate', 'stop')
    },
    remove: async () => {
      if (running) control('-m', 'immediate', 'stop')
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

/** A Redis server of one's own, started, that keeps nothing on disk. */
export async function ownRedis(): Promise<OwnServer> {
  const port = await freePort()
  let child: ChildProcess | undefined
  const start = async () => {
    const args = ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no']
    child = spawn(REDIS_SERVER ?? '', args, { stdio: 'ignore' })
    await answers(port)
  }
  const stop = async () => {
    const running = child
    child = undefined
    if (running === undefined) return
    const ended = once(running, 'exit')
    running.kill('SIGKILL')
    await ended
  }
  await start()
  return { port, start, stop, remove: stop }
}

/** Three Redis servers that share the slots of a cluster, keeping nothing on disk but their own view of it. */
export async function ownRedisCluster(): Promise<{ readonly ports: readonly number[]; remove(): Promise<void> }> {
  const NODES = 3
  const SLOTS = 16_384
  const folder = mkdtempSync(join(tmpdir(), 'tokenwright-cluster-'))
  const nodes: { readonly port: number; readonly talk: number; readonly child: ChildProcess }[] = []
  for (let n = 0; n < NODES; n++) {
    const port = await freePort()
    // The ports of the nodes' own talk: by default 10,000 higher, which may be beyond the last.
    const talk = await freePort()
    const clustered = [
      '--cluster-enabled',
      'yes',
      '--cluster-config-file',
      `node-${n}.conf`,
      '--cluster-port',
      `${talk}`,
    ]
    const args = ['--port', `${port}`, '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--dir', folder]
    nodes.push({ port, talk, child: spawn(REDIS_SERVER ?? '', [...args, ...clustered], { stdio: 'ignore' }) })
    await answers(port)
    const ask = createClient({ url: `redis://127.0.0.1:${port}` })
    await ask.connect()
    const from = Math.floor((SLOTS * n) / NODES)
    await ask.sendCommand(['CLUSTER', 'ADDSLOTSRANGE', `${from}`, `${Math.floor((SLOTS * (n + 1)) / NODES) - 1}`])
    await ask.sendCommand(['CLUSTER', 'SET-CONFIG-EPOCH', `${n + 1}`])
    const [first] = nodes
    if (first !== undefined && n > 0) {
      await ask.sendCommand(['CLUSTER', 'MEET', '127.0.0.1', `${first.port}`, `${first.talk}`])
    }
    ask.destroy()
  }
  // Each has to know of all.
  for (const { port } of nodes) {
    const ask = createClient({ url: `redis://127.0.0.1:${port}` })
    await ask.connect()
    for (let attempt = 0; ; attempt++) {
      const info = String(await ask.sendCommand(['CLUSTER', 'INFO']))
      if (info.includes('cluster_state:ok') && info.includes(`cluster_known_nodes:${NODES}`)) break
      if (attempt === 200) throw new Error(`the cluster did not form: ${info}`)
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
    ask.destroy()
  }
  return {
    ports: nodes.map(({ port }) => port),
    remove: async () => {
      await Promise.all(
        nodes.map(async ({ child }) => {
          const ended = once(child, 'exit')
          child.kill('SIGKILL')
          await ended
        }),
      )
      rmSync(folder, { recursive: true, force: true })
    },
  }
}
