import { type GenerateInput, Generator, generateSecret, KeyRing, MemoryTokenStore, Verifier } from '../src/index.ts'
import { tokenInput } from './population.ts'
import type { Report } from './result.ts'

const TOKENS = 1_000_000
/** The journal's ring is full after so many; from then on it takes no more room. */
const JOURNAL_FULL = 10_000
const CACHED = 65_536

/** Measures what a token takes in a memory store with a million of them. Needs `--expose-gc`. */
export async function memorySection(report: Report): Promise<void> {
  report(
    'memory.token',
    await bytesPerToken(TOKENS, tokenInput),
    'heap and external, with its indexes and activity row',
  )
  const owned = (i: number): GenerateInput => ({ ...tokenInput(i), owner: `team-${i % 1000}`, tags: ['ci'] })
  report('memory.owned', await bytesPerToken(TOKENS / 5, owned), `${TOKENS / 5} tokens, each with an owner and a tag`)
  report('memory.cache', await bytesPerProof(), `of ${CACHED} remembered strings, with limiter state`)
}

async function bytesPerToken(count: number, input: (i: number) => GenerateInput): Promise<number> {
  const generator = new Generator({ store: new MemoryTokenStore(), keys: generateSecret() })
  for (let i = 0; i < JOURNAL_FULL; i++) await generator.generate(input(i))
  const before = used()
  for (let i = 0; i < count; i++) await generator.generate(input(JOURNAL_FULL + i))
  const after = used()
  // Holds on to the store until it was measured.
  await generator.generate(input(JOURNAL_FULL + count))
  return Math.round((after - before) / count)
}

async function bytesPerProof(): Promise<number> {
  const store = new MemoryTokenStore()
  const keys = KeyRing.from(generateSecret())
  const generator = new Generator({ store, keys })
  const texts: string[] = []
  for (let i = 0; i < CACHED / 2; i++) texts.push((await generator.generate(tokenInput(i))).token)
  const verifier = new Verifier({ store, keys, cacheSize: CACHED })
  // Flattens the texts, which would else be counted.
  for (const text of texts) Buffer.from(text)
  const before = used()
  for (const text of texts)
    await verifier.verify(text, { ip: '203.0.113.77', scopes: ['orders:read'], tool: 'get_bill' })
  const after = used()
  await verifier.verify(texts[0])
  return Math.round((after - before) / texts.length)
}

function used(): number {
  for (let i = 0; i < 4; i++) globalThis.gc?.()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}
