import { connect, createServer, type Server, type Socket } from 'node:net'
import { SERVER } from './database.ts'

/** What a {@link Proxy} does with the bytes that pass. */
export type Fault =
  /** Passes everything on. */
  | 'none'
  /** Passes requests on, and cuts the connection when the first answer to one comes. */
  | 'cut-answer'
  /** Swallows everything, without a word. */
  | 'blackhole'

/** A TCP proxy in front of the server, whose faults a test chooses. */
export class Proxy {
  fault: Fault = 'none'
  /** The fault hits only connections whose request holds this text; empty = all. */
  about = ''
  /** How often it has hit. */
  hits = 0
  readonly #server: Server
  readonly #pairs = new Set<readonly [Socket, Socket]>()

  private constructor() {
    this.#server = createServer((client) => this.#join(client))
  }

  /** Starts one on a free port. */
  static async start(): Promise<Proxy> {
    const proxy = new Proxy()
    await new Promise<void>((resolve) => proxy.#server.listen(0, '127.0.0.1', resolve))
    return proxy
  }

  get port(): number {
    return (this.#server.address() as { port: number }).port
  }

  /** Breaks every connection there is. */
  cutAll(): void {
    for (const [client, server] of this.#pairs) {
      client.destroy()
      server.destroy()
    }
  }

  async stop(): Promise<void> {
    this.cutAll()
    await new Promise((resolve) => this.#server.close(resolve))
  }

  #join(client: Socket): void {
    const server = connect(SERVER.port, SERVER.host)
    const pair = [client, server] as const
    this.#pairs.add(pair)
    let doomed = false
    const end = () => {
      client.destroy()
      server.destroy()
      this.#pairs.delete(pair)
    }
    for (const socket of pair) socket.on('error', end).on('close', end)
    client.on('data', (data) => {
      if (this.fault === 'blackhole') return
      if (this.fault === 'cut-answer' && data.includes(this.about)) doomed = true
      server.write(data)
    })
    server.on('data', (data) => {
      if (this.fault === 'blackhole') return
      if (!doomed) {
        client.write(data)
        return
      }
      // What was asked has been done by now: the server answers when its transaction has ended.
      this.hits += 1
      end()
    })
  }
}
