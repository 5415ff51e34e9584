import { connect, createServer, type Server, type Socket } from 'node:net'

/** Where a proxy leads. */
export interface Target {
  readonly host: string
  readonly port: number
}

/** A TCP proxy in front of a server, whose faults a test chooses. */
export class FaultyProxy {
  /** Whether everything is swallowed, without a word. */
  blackhole = false
  /** How long each piece of an answer is held back, ms. */
  delay = 0
  /** How many answers were cut off. */
  cuts = 0
  /** Requests that hold this text are passed on, and the connection is cut when the answer comes. */
  #about = ''
  #left = 0
  readonly #target: Target
  readonly #server: Server
  readonly #pairs = new Set<readonly [Socket, Socket]>()

  private constructor(target: Target) {
    this.#target = target
    this.#server = createServer((client) => this.#join(client))
  }

  /** Starts one on a free port. */
  static async start(target: Target): Promise<FaultyProxy> {
    const proxy = new FaultyProxy(target)
    await new Promise<void>((resolve) => proxy.#server.listen(0, '127.0.0.1', resolve))
    return proxy
  }

  get port(): number {
    return (this.#server.address() as { port: number }).port
  }

  /** How many connections go through it. */
  get connections(): number {
    return this.#pairs.size
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
    const server = connect(this.#target.port, this.#target.host)
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
      if (doomed) {
        // What was asked has been done by now: the server answers when its transaction has ended.
        this.cuts += 1
        end()
      } else if (this.delay > 0) {
        setTimeout(() => client.write(data), this.delay)
      } else {
        client.write(data)
      }
    })
  }
}
