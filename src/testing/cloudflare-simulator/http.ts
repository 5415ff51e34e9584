import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { SimulatedAnswer, SimulatedRequest } from './answers.ts'

/** A server that listens. */
export interface OpenServer {
  /** With the prefix of the API. */
  readonly url: string
  close(): Promise<void>
}

const PREFIX = '/client/v4'
const MAX_BODY = 16 * 1024 * 1024

/** Serves over loopback HTTP what `handle` answers. */
export async function serve(handle: (request: SimulatedRequest) => SimulatedAnswer): Promise<OpenServer> {
  const server = createServer((incoming, outgoing) => {
    answer(incoming, outgoing, handle).catch(() => outgoing.destroy())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  return {
    url: `http://127.0.0.1:${port}${PREFIX}`,
    close: async () => {
      const closed = once(server, 'close')
      server.close()
      server.closeAllConnections()
      await closed
    },
  }
}

async function answer(
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  handle: (request: SimulatedRequest) => SimulatedAnswer,
): Promise<void> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of incoming as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > MAX_BODY) throw new Error('the body is too long')
    chunks.push(chunk)
  }
  const url = new URL(incoming.url ?? '/', 'http://127.0.0.1')
  if (!url.pathname.startsWith(`${PREFIX}/`)) {
    outgoing.writeHead(404).end()
    return
  }
  const headers: { [name: string]: string | undefined } = {}
  for (const [name, value] of Object.entries(incoming.headers)) headers[name] = Array.isArray(value) ? value[0] : value
  const {
    status,
    headers: more,
    body,
    connection,
  } = handle({
    method: incoming.method ?? 'GET',
    path: url.pathname.slice(PREFIX.length),
    query: url.searchParams,
    headers,
    body: Buffer.concat(chunks).toString('utf8'),
  })
  if (connection === 'hang') return
  if (connection === 'reset') outgoing.destroy()
  else outgoing.writeHead(status, more).end(body)
}
