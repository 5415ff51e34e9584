import {
  Emitter,
  generateSecret,
  KeyRing,
  MemoryTokenStore,
  systemClock,
  systemRandom,
  type TokenEvents,
  type TokenStore,
  UsageTracker,
  Verifier,
} from '../src/index.ts'
import type { Duration } from '../src/kernel/duration.ts'
import { tokenKind } from '../src/tokens/record.ts'
import { measure, rawHmac, type Subject } from './measure.ts'
import { callContext, populate } from './population.ts'
import type { Report } from './result.ts'

/** How many distinct tokens the calls come with. */
const WORKING_SET = 4096
/** How many of the tokens the ungated case draws from. */
const UNIFORM = 200_000

/** Verifies with every check on, out of 100,000 and out of a million stored tokens. */
export async function verifySection(report: Report): Promise<void> {
  const store = new MemoryTokenStore()
  const keys = KeyRing.from(generateSecret())
  const small = await populate(store, keys, 0, 100_000, every(100_000, WORKING_SET))
  await seenAndFirst(report, '100k', store, keys, small)
  const large = await populate(store, keys, 100_000, 1_000_000, every(900_000, UNIFORM))
  const spread = large.filter((_, i) => every(large.length, WORKING_SET)(i))
  await seenAndFirst(report, '1m', store, keys, spread)
  await uniform(report, store, keys, shuffle(large))
}

async function seenAndFirst(
  report: Report,
  size: '100k' | '1m',
  store: MemoryTokenStore,
  keys: KeyRing,
  texts: readonly string[],
): Promise<void> {
  const h = rawHmac(keys.subkey('digest'), texts)
  const { verifier, usage } = trackedVerifier(store, keys)
  for (const text of texts) await mustPass(verifier, text)
  const run = (i: number) => verifier.verify(texts[i % texts.length], callContext())
  report(`verify.seen.${size}`, await measure({ run, async: true }, h))

  let fresh = verifier
  const first: Subject = {
    run: (i) => fresh.verify(texts[i % texts.length], callContext()),
    async: true,
    operations: texts.length,
  }
  const newCache = async () => {
    fresh = new Verifier({ store, keys, usage })
    // The first call of a verifier compares the key ring with the store.
    await fresh.verify('')
  }
  report(`verify.first.${size}`, await measure({ ...first, before: newCache }, h), 'each text once by a new verifier')
  if (size === '1m') return
  const newProcess = async () => {
    fresh = trackedVerifier(store, keys).verifier
    await fresh.verify('')
    for (const text of texts) {
      const cell = store.cell(tokenKind, 'digest', keys.digest(text))
      if (cell !== undefined) cell.memo = undefined
    }
  }
  const note = 'limiter state and counters are made too'
  report(`verify.new.${size}`, await measure({ ...first, before: newProcess }, h), note)
}

async function uniform(
  report: Report,
  store: MemoryTokenStore,
  keys: KeyRing,
  texts: readonly string[],
): Promise<void> {
  const h = rawHmac(keys.subkey('digest'), texts)
  const { verifier, usage } = trackedVerifier(store, keys, 2 * UNIFORM)
  for (const text of texts) await mustPass(verifier, text)
  await usage.flush()
  // The buffer of counters holds 50,000, and a host flushes it every few seconds.
  const before = () => (usage.stats().counters > 40_000 ? usage.flush() : undefined)
  const run = (i: number) => verifier.verify(texts[i % texts.length], callContext())
  report('verify.uniform.1m', await measure({ run, async: true, before }, h), `drawn from ${UNIFORM} tokens`)
}

/** A verifier that counts usage, with a buffer of counts of its own. */
export function trackedVerifier(store: TokenStore, keys: KeyRing, cacheSize?: number, maxStaleness?: Duration) {
  const events = new Emitter<TokenEvents>()
  const usage = new UsageTracker({ store, clock: systemClock(), random: systemRandom(), events })
  return { usage, verifier: new Verifier({ store, keys, events, usage, cacheSize, maxStaleness }) }
}

async function mustPass(verifier: Verifier, text: string): Promise<void> {
  const answer = await verifier.verify(text, callContext())
  if (!answer.ok) throw new Error(`the benchmark measures refusals: ${answer.code}`)
}

/** Spreads `wanted` evenly over `total`. */
function every(total: number, wanted: number): (i: number) => boolean {
  return (i) => Math.floor(((i + 1) * wanted) / total) > Math.floor((i * wanted) / total)
}

function shuffle(texts: string[]): string[] {
  for (let i = texts.length - 1; i > 0; i--) {
    const j = Math.floor(systemRandom().float() * (i + 1))
    ;[texts[i], texts[j]] = [texts[j] as string, texts[i] as string]
  }
  return texts
}
