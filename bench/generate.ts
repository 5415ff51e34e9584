import { type GenerateInput, Generator, generateSecret, KeyRing, MemoryTokenStore, systemRandom } from '../src/index.ts'
import { generateText, parseFormat } from '../src/tokens/format.ts'
import { measure, rawHmac } from './measure.ts'
import type { Report } from './result.ts'

/** Makes tokens: the text alone, and the whole of it into a memory store. */
export async function generateSection(report: Report): Promise<void> {
  const keys = KeyRing.from(generateSecret())
  const random = systemRandom()
  const format = parseFormat({})
  const h = rawHmac(
    keys.subkey('digest'),
    Array.from({ length: 64 }, () => Buffer.from(generateText(format, random)).toString('latin1')),
  )
  report('generate.text', await measure({ run: () => generateText(format, random) }, h))

  let generator = new Generator({ store: new MemoryTokenStore(), keys })
  const before = async () => {
    generator = new Generator({ store: new MemoryTokenStore(), keys })
    await generator.generate(inputOf(-1))
  }
  const run = (i: number) => generator.generate(inputOf(i))
  report(
    'generate.memory',
    await measure({ run, async: true, before, operations: 2000 }, h),
    'with prefix, scope, expiry and journal',
  )
}

function inputOf(i: number): GenerateInput {
  return { service: `service-${i}`, prefix: 'sk_', scopes: ['orders:read'], expiresIn: '30d' }
}
