import { createInterface } from 'node:readline'
import { createLocalJWKSet, type JSONWebKeySet, jwtVerify } from 'jose'

// A service that has nothing of ours: the first line that it reads is a JWKS, the others are tokens.
let keys: ReturnType<typeof createLocalJWKSet> | undefined
for await (const line of createInterface({ input: process.stdin })) {
  if (keys === undefined) {
    keys = createLocalJWKSet(JSON.parse(line) as JSONWebKeySet)
    continue
  }
  try {
    const { payload } = await jwtVerify(line, keys, { issuer: 'tokenwright', audience: 'billing', typ: 'at+jwt' })
    console.log(`ok ${payload.sub} ${payload['scope']}`)
  } catch (error) {
    console.log((error as { code?: string }).code)
  }
}
