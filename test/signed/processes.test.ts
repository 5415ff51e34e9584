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
