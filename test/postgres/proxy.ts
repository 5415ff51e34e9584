import { connect, createServer, type Server, type Socket } from 'node:net'
import { SERVER } from './database.ts'

/** A TCP proxy in front of the server, whose faults a test chooses. */
export class FaultyProxy {
  /** Whether everything is swallowed, without a word. */
  blackhole = false
  /** How many answers were cut off. */
  cuts = 0
  /** Requests that hold this text are passed on, and the connection is cut when the answer comes. */
  #about = ''
  #left = 0
  readonly #server: Server
  readonly #pairs = new Set<readonly [Socket, Socket]>()

  private constructor() {
    this.#server = createServer((client) => this.#join(client))
  }

  /** Starts one on a free port. */
  static async start(): Promise<FaultyProxy> {
    const proxy = new FaultyProxy()
    await new Promise<void>((resolve) => proxy.#server.listen(0, '127.0.0.1', resolve))
    return proxy
  }

  get port(): number {
    return (this.#server.address() as { port: number }).port
  }

  /** Cuts connections off just before the answer to a request that holds a text, so many times. */
  cutAnswersAbout(text: string, times: number): void {
    this.#about = text
    this.#left = times
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
      if (this.blackhole) return
      if (this.#left > 0 && data.includes(this.#about)) {
        this.#left -= 1
        doomed = true
      }
      server.write(data)
    })
    server.on('data', (data) => {
      if (this.blackhole) return
      if (!doomed) {
        client.write(data)
        return
      }
      // What was asked has been done by now: the server answers when its transaction has ended.
      this.cuts += 1
      end()
    })
  }
}
