import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { median, type Pair, ratioOf, summarize } from './measure.ts'
import type { Served, ServerInfo } from './middleware-server.ts'
import type { Report } from './result.ts'

const CONNECTIONS = 20
const REQUESTS = 1000
const PAIRS = 31
const RUNS = 3

/**
 * Measures what the middlewares add to a request: two routes of one server, with and without, take turns, and the
 * server tells the CPU time that it has spent. Requests per second are told beside it; they depend on everything else.
 */
export async function middlewareSection(report: Report): Promise<void> {
  for (const framework of ['express', 'fastify'] as const) await measureFramework(framework, report)
}

async function measureFramework(framework: 'express' | 'fastify', report: Report): Promise<void> {
  const child = fork(new URL('./middleware-server.ts', import.meta.url), [framework])
  try {
    const [info] = (await once(child, 'message')) as [ServerInfo]
    const client = await Client.open(info.port, info.tokens)
    const rates: Pair[] = []
    const turn = async (): Promise<Pair> => {
      const bare = await batch(child, client, '/bare')
      const guarded = await batch(child, client, '/guarded')
      const { hMs } = await ask(child)
      rates.push({ reference: bare.rate, subject: guarded.rate })
      return { reference: hMs, subject: guarded.cpuMs - bare.cpuMs }
    }
    for (let i = 0; i < 8; i++) await turn()
    rates.length = 0
    const runs: number[] = []
    for (let run = 0; run < RUNS; run++) {
      const pairs: Pair[] = []
      for (let i = 0; i < PAIRS; i++) pairs.push(await turn())
      runs.push(ratioOf(pairs))
    }
    report(`middleware.${framework}`, summarize(runs))
    const bare = Math.round(median(rates.map((pair) => pair.reference)))
    const guarded = Math.round(median(rates.map((pair) => pair.subject)))
    report(`middleware.${framework}.rate`, ratioOf(rates), `${guarded} requests/s beside ${bare} bare`)
    client.close()
  } finally {
    child.kill()
  }
}

/** One batch of requests: how many a second, and the server's CPU time for each. */
async function batch(child: ChildProcess, client: Client, path: string): Promise<{ rate: number; cpuMs: number }> {
  await ask(child)
  const start = performance.now()
  await client.send(path, REQUESTS)
  const seconds = (performance.now() - start) / 1000
  const { cpuMs } = await ask(child)
  return { rate: REQUESTS / seconds, cpuMs: cpuMs / REQUESTS }
}

/** Asks the server for the CPU time since it was asked last, and for the time of an HMAC now. */
async function ask(child: ChildProcess): Promise<Served> {
  const answer = once(child, 'message') as Promise<[Served]>
  child.send('report')
  const [served] = await answer
  return served
}

/** Keeps connections busy, one request at a time on each. */
class Client {
  readonly #sockets: readonly Socket[]
  readonly #tokens: readonly string[]

  private constructor(sockets: readonly Socket[], tokens: readonly string[]) {
    this.#sockets = sockets
    this.#tokens = tokens
  }

  static async open(port: number, tokens: readonly string[]): Promise<Client> {
    const sockets = Array.from({ length: CONNECTIONS }, () =>
      connect(port, '127.0.0.1').setEncoding('latin1').setNoDelay(),
    )
    await Promise.all(sockets.map((socket) => once(socket, 'connect')))
    return new Client(sockets, tokens)
  }

  /** Sends so many requests and waits for all answers. */
  async send(path: string, count: number): Promise<void> {
    let left = count
    const work = this.#sockets.map(async (socket, i) => {
      const request = `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: bench\r\nAccept: */*\r\nAuthorization: Bearer ${this.#tokens[i % this.#tokens.length]}\r\n\r\n`
      while (left > 0) {
        left -= 1
        await exchange(socket, request)
      }
    })
    await Promise.all(work)
  }

  close(): void {
    for (const socket of this.#sockets) socket.destroy()
  }
}

/** One request and its answer. The routes answer `{"served":true}`. */
function exchange(socket: Socket, request: string): Promise<void> {
  return new Promise((resolve, reject) => {
    let text = ''
    const read = (chunk: string): void => {
      text += chunk
      if (!text.endsWith('}')) return
      socket.off('data', read)
      if (text.startsWith('HTTP/1.1 200') && text.endsWith('{"served":true}')) resolve()
      else reject(new Error(`the server under measurement answers ${text.slice(0, 200)}`))
    }
    socket.on('data', read)
    socket.write(request)
  })
}
