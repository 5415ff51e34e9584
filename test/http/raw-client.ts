import { connect } from 'node:net'

/** An answer as it came over the wire. */
export interface RawAnswer {
  readonly status: number
  /** Values by lower-case name. */
  readonly headers: ReadonlyMap<string, readonly string[]>
  readonly body: string
}

/** Sends lines as they are over a socket of its own and reads to the end. Nothing is normalised on the way. */
export async function sendRaw(port: number, lines: readonly string[]): Promise<RawAnswer> {
  const socket = connect(port, '127.0.0.1')
  socket.setEncoding('latin1')
  socket.write(`${[...lines, 'Connection: close'].join('\r\n')}\r\n\r\n`, 'latin1')
  let text = ''
  for await (const chunk of socket) text += chunk as string
  const end = text.indexOf('\r\n\r\n')
  const [statusLine = '', ...fields] = text.slice(0, end).split('\r\n')
  const headers = new Map<string, string[]>()
  for (const field of fields) {
    const colon = field.indexOf(':')
    const name = field.slice(0, colon).toLowerCase()
    headers.set(name, [...(headers.get(name) ?? []), field.slice(colon + 1).trim()])
  }
  return { status: Number(statusLine.split(' ')[1]), headers, body: text.slice(end + 4) }
}

/** A GET with these header lines. */
export function getRaw(port: number, target: string, headers: readonly string[] = []): Promise<RawAnswer> {
  return sendRaw(port, [`GET ${target} HTTP/1.1`, 'Host: localhost', ...headers])
}
