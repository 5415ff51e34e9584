import { createHmac } from 'node:crypto'
import { createLocalJWKSet, type JSONWebKeySet, jwtVerify } from 'jose'
import { generateSecret, KeyRing, MemoryTokenStore, Signer } from '../src/index.ts'
import { measure, type Subject } from './measure.ts'
import type { Report } from './result.ts'

/** How many distinct tokens the calls come with. */
const WORKING_SET = 4096

/** Signed tokens: the compact form over one HMAC of its own bytes, JWTs over jose, and both when they were seen before. */
export async function signedSection(report: Report): Promise<void> {
  const store = new MemoryTokenStore()
  const keys = KeyRing.from(generateSecret())
  const newSigner = () => new Signer({ store, keys })
  const signer = newSigner()
  const mint = async (format: 'jwt' | 'hmac', count: number) => {
    const texts: string[] = []
    for (let i = 0; i < count; i++) {
      const input = { agent: `agent-${i % 16}`, scopes: ['docs:read', 'docs:write'], ttl: '1d', format } as const
      texts.push((await signer.mint(input)).token)
    }
    return texts
  }
  const compact = await mint('hmac', WORKING_SET)
  const jwts = await mint('jwt', WORKING_SET)
  const key = keys.subkey('sign')
  const raw = (texts: readonly string[]): Subject => ({
    run: (i) =>
      createHmac('sha256', key)
        .update(texts[i % texts.length] as string)
        .digest('base64url'),
  })

  let fresh = signer
  const first = (texts: readonly string[]): Subject => ({
    run: (i) => fresh.verify(texts[i % texts.length]),
    async: true,
    operations: Math.min(texts.length, 512),
    before: async () => {
      fresh.close()
      fresh = newSigner()
      // The first calls read keys, revocations, and what each agent's tokens have in common.
      for (const text of [...compact.slice(-16), ...jwts.slice(-16)]) await mustPass(fresh, text)
    },
  })
  report('signed.hmac.first', await measure(first(compact), raw(compact)), 'each text once by a new signer')

  const set = (await signer.jwks()) as unknown as JSONWebKeySet
  const published = createLocalJWKSet(set)
  const options = { issuer: 'tokenwright', audience: 'tokenwright', typ: 'at+jwt', algorithms: ['EdDSA'] }
  const peer: Subject = { run: (i) => jwtVerify(jwts[i % jwts.length] as string, published, options), async: true }
  report('signed.jwt.first', await measure(first(jwts), peer), 'EdDSA, each text once by a new signer')

  const again = async (texts: readonly string[]) => {
    const seen = newSigner()
    for (const text of texts) await mustPass(seen, text)
    const measured = await measure({ run: (i) => seen.verify(texts[i % texts.length]), async: true }, raw(texts))
    seen.close()
    return measured
  }
  report('signed.hmac.again', await again(compact))
  report('signed.jwt.again', await again(jwts))
}

async function mustPass(signer: Signer, text: string): Promise<void> {
  const answer = await signer.verify(text)
  if (!answer.ok) throw new Error(`the benchmark measures refusals: ${answer.code}`)
}
