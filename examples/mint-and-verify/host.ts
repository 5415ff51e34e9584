import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { generateSecret, MemoryTokenStore, Tokenwright } from 'tokenwright'

/** The service that mints. It serves its public keys where others look for them. */
export async function startHost() {
  const tokens = new Tokenwright({
    store: new MemoryTokenStore(),
    keys: generateSecret(),
    signed: { issuer: 'https://host.example' },
  })
  const server = createServer((_request, response) => {
    tokens.signer.jwks().then(
      (keys) => {
        response.setHeader('Content-Type', 'application/jwk-set+json')
        // Shorter than a key is announced before it signs.
        response.setHeader('Cache-Control', 'public, max-age=3600')
        response.end(JSON.stringify(keys))
      },
      () => response.writeHead(503).end(),
    )
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const close = async () => {
    await new Promise((resolve) => server.close(resolve))
    await tokens.close()
  }
  return { tokens, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, close }
}
