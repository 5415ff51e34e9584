import type { Server } from 'node:http'
import { Duplex } from 'node:stream'

/**
 * A connection to an HTTP server of this process that goes through memory: the server parses, routes and answers as it
 * does on a socket, and the kernel has no part in the CPU time.
 */
export class MemoryConnection extends Duplex {
  readonly remoteAddress = '127.0.0.1'
  #text = ''
  #end = ''
  #answered: (text: string) => void = () => {}

  /** @param server - the server that gets the connection */
  constructor(server: Server) {
    super()
    server.emit('connection', this)
  }

  /** Sends a request and waits for the answer, which ends in `end`. */
  exchange(request: Buffer, end: string): Promise<string> {
    return new Promise((resolve) => {
      this.#text = ''
      this.#end = end
      this.#answered = resolve
      this.push(request)
    })
  }

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.#receive(chunk)
    done()
  }

  override _writev(chunks: { chunk: Buffer }[], done: () => void): void {
    for (const { chunk } of chunks) this.#receive(chunk)
    done()
  }

  /** What a server asks of a socket. */
  setTimeout(): this {
    return this
  }

  /** What a server asks of a socket. */
  setNoDelay(): this {
    return this
  }

  /** What a server asks of a socket. */
  setKeepAlive(): this {
    return this
  }

  #receive(chunk: Buffer): void {
    this.#text += chunk.toString('latin1')
    // Not within the server's own write: on a socket, the next request comes in another turn.
    if (this.#text.endsWith(this.#end)) setImmediate(this.#answered, this.#text)
  }
}
