import { getHeapSnapshot } from 'node:v8'
import { generateSecret, MemoryTokenStore, Tokenwright } from '../../../src/index.ts'

// What a process that has proved tokens still holds of them: the end of each, its MAC or signature, is looked for in all of its memory.
const tokens = new Tokenwright({ store: new MemoryTokenStore(), keys: generateSecret() })
const backwards = (text: string) => [...text].reverse().join('')
const ends: { readonly format: string; readonly end: string }[] = []

async function use(format: 'jwt' | 'hmac'): Promise<string> {
  const { token } = await tokens.signer.mint({ agent: 'builder', scopes: ['docs:read'], ttl: '1h', format })
  for (let i = 0; i < 3; i++) if (!(await tokens.verify(token)).ok) throw new Error('a good token is refused')
  await tokens.signer.identify(token)
  return token
}
for (let i = 0; i < 20; i++)
  for (const format of ['jwt', 'hmac'] as const) ends.push({ format, end: backwards((await use(format)).slice(-40)) })
// To show that one that is held would be found.
const held = await use('hmac')
ends.push({ format: 'held', end: backwards(held.slice(-40)) })

// The last call's arguments may still be in a register.
for (let i = 0; i < 100; i++) await tokens.verify(`v1.${i}.x`)
const parts: Buffer[] = []
for await (const part of getHeapSnapshot()) parts.push(Buffer.from(part))
const snapshot = Buffer.concat(parts)
const found = { jwt: 0, hmac: 0, held: 0 } as Record<string, number>
for (const { format, end } of ends) if (snapshot.includes(backwards(end))) found[format] = (found[format] ?? 0) + 1
console.log(JSON.stringify(found), held.length > 0)
await tokens.close()
