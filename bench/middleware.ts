import { type ChildProcess, fork } from 'node:child_process'
import { createHmac } from 'node:crypto'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { BODY, CONNECTIONS, type Framework, guardedApp, requestText } from './guarded-apps.ts'
import type { ServerInfo } from './loopback-server.ts'
import { median, type Pair, ratioOf, summarize } from './measure.ts'
import { MemoryConnection } from './memory-connection.ts'
import type { Report } from './result.ts'

const REQUESTS = 1000
const PAIRS = 31
const RUNS = 3
const WARM_UP = 20
const HMACS = 4000

/**
 * Measures what the middlewares add to a request: a route without and a route with take turns, and the CPU time of the
 * process is compared. Over loopback it would be swamped by the kernel's time for waking the client, which differs
 * between the two; so the connections are in memory, and loopback gives the requests per second alone.
 */
export async function middlewareSection(report: Report): Promise<void> {
  for (const framework of ['express', 'fastify'] as const) {
    await cpuAdded(framework, report)
    await requestRate(framework, report)
  }
}

async function cpuAdded(framework: Framework, report: Report): Promise<void> {
  const { server, keys, texts } = await guardedApp(framework)
  const digestKey = keys.subkey('digest')
  const connections = texts.map(() => new MemoryConnection(server))
  const batch = async (path: string): Promise<number> => {
    const before = process.cpuUsage()
    let left = REQUESTS
    const work = connections.map(async (connection, i) => {
      const request = Buffer.from(requestText(path, texts[i] as string))
      while (left-- > 0) checkAnswer(await connection.exchange(request, BODY))
    })
    await Promise.all(work)
    return spent(before) / REQUESTS
  }
  const hmac = (): number => {
    const before = process.cpuUsage()
    for (let i = 0; i < HMACS; i++) {
      createHmac('sha256', digestKey)
        .update(texts[i % texts.length] as string)
        .digest('base64url')
    }
    return spent(before) / HMACS
  }
  const bares: number[] = []
  const turn = async (): Promise<Pair> => {
    const bare = await batch('/bare')
    const guarded = await batch('/guarded')
    const reference = hmac()
    bares.push(bare / reference)
    return { reference, subject: guarded - bare }
  }
  for (let i = 0; i < WARM_UP; i++) await turn()
  const runs: number[] = []
  for (let run = 0; run < RUNS; run++) {
    const pairs: Pair[] = []
    for (let i = 0; i < PAIRS; i++) pairs.push(await turn())
    runs.push(ratioOf(pairs))
  }
  report(`middleware.${framework}`, summarize(runs), `a bare request takes ${median(bares).toFixed(1)} H`)
  for (const connection of connections) connection.destroy()
}

function spent(before: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(before)
  return user + system
}

async function requestRate(framework: Framework, report: Report): Promise<void> {
  const child: ChildProcess = fork(new URL('./loopback-server.ts', import.meta.url), [framework])
  try {
    const [{ port, texts }] = (await once(child, 'message')) as [ServerInfo]
    const sockets = Array.from({ length: CONNECTIONS }, () =>
      connect(port, '127.0.0.1').setEncoding('latin1').setNoDelay(),
    )
    await Promise.all(sockets.map((socket) => once(socket, 'connect')))
    const batch = async (path: string): Promise<number> => {
      const start = performance.now()
      let left = REQUESTS
      const work = sockets.map(async (socket, i) => {
        const request = requestText(path, texts[i] as string)
        while (left-- > 0) await exchange(socket, request)
      })
      await Promise.all(work)
      return (REQUESTS / (performance.now() - start)) * 1000
    }
    const turn = async (): Promise<Pair> => ({ reference: await batch('/bare'), subject: await batch('/guarded') })
    for (let i = 0; i < WARM_UP; i++) await turn()
    const pairs: Pair[] = []
    for (let i = 0; i < PAIRS; i++) pairs.push(await turn())
    const [bare, guarded] = [median(pairs.map((p) => p.reference)), median(pairs.map((p) => p.subject))]
    report(
      `middleware.${framework}.rate`,
      ratioOf(pairs),
      `${rounded(guarded)} requests/s beside ${rounded(bare)} bare`,
    )
    for (const socket of sockets) socket.destroy()
  } finally {
    child.kill()
  }
}

function rounded(rate: number): number {
  return Math.round(rate / 100) * 100
}

/** One request over a socket, and its answer. */
function exchange(socket: Socket, request: string): Promise<void> {
  return new Promise((resolve) => {
    let text = ''
    const read = (chunk: string): void => {
      text += chunk
      if (!text.endsWith(BODY)) return
      socket.off('data', read)
      checkAnswer(text)
      resolve()
    }
    socket.on('data', read)
    socket.write(request)
  })
}

function checkAnswer(text: string): void {
  if (!text.startsWith('HTTP/1.1 200')) throw new Error(`the benchmark measures ${text.slice(0, 40)}`)
}
