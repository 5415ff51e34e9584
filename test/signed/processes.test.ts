import { expect, it } from 'vitest'
import { generateSecret, MemoryTokenStore, Tokenwright } from '../../src/index.ts'
import { startChild } from '../child-process.ts'

it('another process verifies by the JWKS alone', async () => {
  const tokens = new Tokenwright({ store: new MemoryTokenStore(), keys: generateSecret() })
  const mint = (audience: string) =>
    tokens.signer.mint({ agent: 'builder', scopes: ['bills:read'], ttl: '5m', format: 'jwt', audience })
  const [good, foreign] = [await mint('billing'), await mint('shipping')]
  const child = startChild('signed/children/resource-service.ts')
  const lines = [
    JSON.stringify(await tokens.signer.jwks()),
    good.token,
    foreign.token,
    `${good.token.slice(0, -4)}AAAA`,
  ]
  child.process.stdin?.end(`${lines.join('\n')}\n`)
  await child.printed(3)
  await child.ended
  expect(child.lines).toEqual([
    'ok builder bills:read',
    'ERR_JWT_CLAIM_VALIDATION_FAILED',
    'ERR_JWS_SIGNATURE_VERIFICATION_FAILED',
  ])
  await tokens.close()
})

it('the memory of a process that has proved tokens holds none of them', { timeout: 60_000 }, async () => {
  const child = startChild('signed/children/remembers.ts')
  await child.printed(1)
  await child.ended
  expect(child.lines).toEqual(['{"jwt":0,"hmac":0,"held":1} true'])
})
