import type { AddressInfo } from 'node:net'
import { type Framework, guardedApp } from './guarded-apps.ts'

/** What the server tells when it listens. */
export interface ServerInfo {
  readonly port: number
  readonly texts: readonly string[]
}

const { server, texts } = await guardedApp(process.argv[2] as Framework)
server.listen(0, '127.0.0.1', () => {
  process.send?.({ port: (server.address() as AddressInfo).port, texts } satisfies ServerInfo)
})
