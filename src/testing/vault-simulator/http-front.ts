import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'

/** What the front hands on, and how an answer is sent. */
export type Handle = (request: {
  readonly method: string
  readonly url: string
  readonly headers: { readonly [name: string]: string }
  readonly body: string
}) => Promise<{ readonly status: number; readonly headers: { readonly [name: string]: string }; readonly text: string }>

const MAX_BODY = 1024 * 1024

/** An HTTP server on this machine; a handler that throws breaks the connection. */
export class HttpFront {
  readonly #server: Server

  constructor(handle: Handle) {
    this.#server = createServer((request, response) => {
      const answer = async (): Promise<void> => {
        const body = await bodyOf(request)
        const headers = Object.fromEntries(
          Object.entries(request.headers).map(([name, value]) => [name, String(value)]),
        )
        const { method = 'GET', url = '/' } = request
        const found = await handle({ method, url, headers, body })
        response.writeHead(found.status, found.headers)
        response.end(found.text)
      }
      answer().catch(() => request.socket.destroy())
    })
  }

  /** Listens; answers the port. */
  async listen(port: number): Promise<number> {
    this.#server.listen(port, '127.0.0.1')
    await once(this.#server, 'listening')
    return (this.#server.address() as AddressInfo).port
  }

  /** Listens no more, and breaks what is open. */
  async close(): Promise<void> {
    if (!this.#server.listening) return
    this.#server.close()
    this.#server.closeAllConnections()
    await once(this.#server, 'close')
  }
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of request) {
    length += (chunk as Buffer).length
    if (length > MAX_BODY) throw new Error('the body is too long')
    chunks.push(chunk as Buffer)
  }
  return Buffer.concat(chunks).toString('utf8')
}
