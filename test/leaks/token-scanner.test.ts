import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { TokenScanner } from '../../src/leaks/token-scanner.ts'
import { seededRandom } from '../../src/testing/index.ts'
import { CHARSETS } from '../../src/tokens/alphabet.ts'
import { type FormatInput, generateText, parseFormat, type TokenFormat } from '../../src/tokens/format.ts'

const random = seededRandom('scanner')
const formatOf = (input: FormatInput) => parseFormat({ checksum: true, ...input })
const sk = formatOf({ prefix: 'sk_' })
const url = formatOf({ prefix: 'url-', charset: 'base64url', length: 40 })
const full = formatOf({ prefix: 'F', charset: 'full', length: 500 })
const github = formatOf({ type: 'github' })
const FORMATS = [sk, url, full, github]

function scan(chunks: Iterable<Uint8Array>, formats: readonly TokenFormat[] = FORMATS) {
  const scanner = new TokenScanner(formats)
  const hits = [...chunks].flatMap((chunk) => [...scanner.add(chunk)])
  return [...hits, ...scanner.end()].map(({ format, ...hit }) => ({ prefix: format.prefix, ...hit }))
}

/** What is there by the definition itself: every place, every format. */
function byHand(bytes: Buffer, formats: readonly TokenFormat[] = FORMATS) {
  const text = bytes.toString('latin1')
  const found: { prefix: string; offset: number }[] = []
  for (let at = 0; at < text.length; at++)
    for (const format of formats) {
      if (!text.startsWith(format.prefix, at)) continue
      const scanner = new TokenScanner([format])
      const end = at + format.prefix.length + format.length
      const alone = Buffer.from(text.slice(at, end), 'latin1')
      if (end <= text.length && [...scanner.add(alone), ...scanner.end()].some(({ offset }) => offset === 0))
        found.push({ prefix: format.prefix, offset: at })
    }
  return found
}

describe('the scanner', () => {
  it('finds tokens of every listed form, with offset and line', () => {
    const texts = FORMATS.map((format) => generateText(format, random))
    const input = texts.map((text, i) => `line ${i}: key="${text}"\n`).join('')
    const found = scan([Buffer.from(input)])
    expect(found.map(({ text }) => text)).toEqual(texts)
    expect(found.map(({ line }) => line)).toEqual([1, 2, 3, 4])
    expect(found.map(({ offset, text }) => input.slice(offset, offset + text.length))).toEqual(texts)
  })

  it('does not mind what goes before and behind, and misses one with any symbol changed or cut', () => {
    const token = generateText(sk, random)
    expect(scan([Buffer.from(`AAA${token}AAA`)])).toMatchObject([{ offset: 3 }])
    expect(scan([Buffer.from(`sk_sk_${token}`)])).toMatchObject([{ offset: 6 }])
    expect(scan([Buffer.from(token.slice(0, -1))])).toEqual([])
    for (let i = 3; i < token.length; i++) {
      const changed = token.slice(0, i) + (token[i] === 'x' ? 'y' : 'x') + token.slice(i + 1)
      expect(scan([Buffer.from(changed)])).toEqual([])
    }
  })

  it('finds one that begins within another', () => {
    const bare = formatOf({ prefix: 'ab', length: 40, charset: { alphabet: 'abcdefghijklmnopqrstuvwxyz' } })
    const outer = formatOf({ prefix: 'X-', length: 120 })
    const inner = generateText(bare, random)
    // A drawn byte is the place of its symbol: so the outer token can be made to hold the inner one.
    const wanted = [...`${inner}${'z'.repeat(80)}`].map((symbol) => CHARSETS.alphanumeric.indexOf(symbol))
    const chosen = {
      bytes: (size: number) => Uint8Array.from({ length: size }, () => wanted.shift() ?? 0),
      float: () => 0,
    }
    const text = generateText(outer, chosen)
    expect(text).toContain(inner)
    expect(scan([Buffer.from(text)], [outer, bare]).map(({ prefix, offset }) => [prefix, offset])).toEqual([
      ['X-', 0],
      ['ab', 2],
    ])
  })

  it('finds the same however the stream is cut: at every byte, and byte by byte', () => {
    const input = Buffer.from(`é\n${FORMATS.map((format) => generateText(format, random)).join('\n😀')}\n`)
    const whole = scan([input])
    expect(whole).toHaveLength(4)
    for (let cut = 0; cut <= input.length; cut++)
      expect(scan([input.subarray(0, cut), input.subarray(cut)])).toEqual(whole)
    expect(scan([...input].map((byte) => Uint8Array.of(byte)))).toEqual(whole)
  })

  it('finds the same wherever a window ends', () => {
    const token = generateText(sk, random)
    const longest = full.prefix.length + full.length
    // Around each place where a window of 64 kB and the longest token is full.
    for (let shift = -2 * longest; shift <= 2; shift += 31) {
      const before = Buffer.alloc(65_536 + longest + shift, 'x\n')
      const input = Buffer.concat([before, Buffer.from(token), Buffer.alloc(70_000, '.'), Buffer.from(token)])
      const found = scan([input])
      expect(found.map(({ offset }) => offset)).toEqual([before.length, before.length + token.length + 70_000])
      expect(found[0]?.line).toBe(1 + [...before].filter((byte) => byte === 10).length)
    }
  })

  it('finds what the definition finds, in anything', () => {
    const piece = fc.oneof(
      fc.constantFrom('sk_', 'sk', '_', 'url-', 'F', 'ghp_', '\n', 'ü'),
      fc.constantFrom(...FORMATS).map((format) => generateText(format, random)),
      fc.constantFrom(...FORMATS).map((format) => generateText(format, random).slice(0, -5)),
      fc.string(),
    )
    fc.assert(
      fc.property(
        fc.array(piece, { maxLength: 12 }),
        fc.infiniteStream(fc.integer({ min: 1, max: 700 })),
        (pieces, sizes) => {
          const input = Buffer.from(pieces.join(''))
          const chunks: Uint8Array[] = []
          for (let at = 0; at < input.length; ) {
            const size = sizes.next().value as number
            chunks.push(input.subarray(at, at + size))
            at += size
          }
          const found = scan(chunks).map(({ prefix, offset }) => ({ prefix, offset }))
          expect(found).toEqual(byHand(input))
        },
      ),
      { numRuns: 60 },
    )
  })

  it('takes linear time on input made to be slow', () => {
    const hostile = [
      'sk_',
      `sk_${'A'.repeat(63)}`,
      `url-${'-'.repeat(39)}`,
      'url-',
      `F${'F'.repeat(499)}\n`,
      'ghp_ghp',
      `${generateText(sk, random)}`,
    ]
    const timeOf = (text: string, bytes: number) => {
      const input = Buffer.alloc(bytes, text)
      const best = [0, 1, 2].map(() => {
        const start = performance.now()
        const scanner = new TokenScanner(FORMATS)
        for (const _ of scanner.add(input));
        for (const _ of scanner.end());
        return performance.now() - start
      })
      return Math.min(...best)
    }
    for (const text of hostile) {
      // Sixteen times as much is not 256 times as slow.
      expect(timeOf(text, 640_000)).toBeLessThan(Math.max(60, timeOf(text, 40_000) * 64))
    }
  }, 30_000)
})
