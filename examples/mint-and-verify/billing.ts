import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createRemoteJWKSet, type JWTPayload, jwtVerify } from 'jose'

/** The service that verifies. It knows the address of the keys, and nothing of the host. */
export async function startBilling(jwks: string) {
  const keys = createRemoteJWKSet(new URL(jwks))
  const expected = { issuer: 'https://host.example', audience: 'billing', typ: 'at+jwt', algorithms: ['EdDSA'] }
  const server = createServer(async (request, response) => {
    let payload: JWTPayload
    try {
      const token = request.headers.authorization?.replace('Bearer ', '') ?? ''
      payload = (await jwtVerify(token, keys, expected)).payload
    } catch {
      response.writeHead(401).end('not for this service')
      return
    }
    const scopes = String(payload['scope']).split(' ')
    if (!scopes.includes('bills:read')) response.writeHead(403).end('bills:read is missing')
    else response.end(`the bills of ${payload.sub}`)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const close = () => new Promise((resolve) => server.close(resolve))
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, close }
}
