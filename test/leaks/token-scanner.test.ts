import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { SlidingCrc32 } from '../../src/leaks/sliding-crc32.ts'
import { TokenScanner } from '../../src/leaks/token-scanner.ts'
import { seededRandom } from '../../src/testing/index.ts'
import { CHARSETS } from '../../src/tokens/alphabet.ts'
import { crc32 } from '../../src/tokens/crc32.ts'
import {
  type FormatInput,
  generateText,
  matchesFormat,
  parseFormat,
  type TokenFormat,
} from '../../src/tokens/format.ts'
import { SIGNED_FORMS } from '../../src/tokens/signed-form.ts'
import { setUp } from '../issuing/fixture.ts'

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
  return [...hits, ...scanner.end()].map(({ preview: _, signed, ...hit }) => {
    const known = formats.find(({ prefix }) => !signed && hit.text.startsWith(prefix))
    return { prefix: known?.prefix ?? hit.text.slice(0, 3), ...hit }
  })
}

/** What is there by the definition itself: every place, every format. */
function byHand(bytes: Buffer, formats: readonly TokenFormat[] = FORMATS) {
  const text = bytes.toString('latin1')
  const found: { prefix: string; offset: number }[] = []
  for (let at = 0; at < text.length; at++)
    for (const format of formats) {
      const end = at + format.prefix.length + format.length
      if (matchesFormat(format, text.slice(at, end))) found.push({ prefix: format.prefix, offset: at })
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
    for (const text of hostile) {
      // Sixteen times as much is not 256 times as slow.
      expect(timeOf(text, 640_000)).toBeLessThan(Math.max(60, timeOf(text, 40_000) * 64))
    }
    // Nor is a token of 500 characters ten times as slow as one of 50, where every byte begins one.
    for (const charset of [{ alphabet: 'Fab' }, 'full'] as const) {
      const lengths = [60, 500].map((length) =>
        formatOf({ prefix: 'F', charset, length, allowWeak: true, checksum: true }),
      )
      for (const text of ['F', `${'F'.repeat(480)}\n`, 'FaFb', `${'aF'.repeat(249)} `]) {
        const [short = 0, long = 0] = lengths.map((format) => timeOf(text, 400_000, [format]))
        expect(long / short, `${text.slice(0, 4)} … of ${JSON.stringify(charset)}`).toBeLessThan(2.5)
      }
    }
  }, 30_000)
})

describe('the sliding checksum', () => {
  it('is that of the bytes, wherever it moves', () => {
    const bytes = fc.uint8Array({ minLength: 80, maxLength: 300 })
    fc.assert(
      fc.property(
        bytes,
        fc.integer({ min: 1, max: 60 }),
        fc.array(fc.nat(90), { maxLength: 20 }),
        (data, length, gaps) => {
          const sum = new SlidingCrc32(length)
          let place = 0
          for (const gap of [0, ...gaps]) {
            place += gap
            if (place + length > data.length) break
            expect(sum.at(data, place)).toBe(crc32(data, place, place + length))
          }
          sum.reset()
          expect(sum.at(data, 3)).toBe(crc32(data, 3, 3 + length))
          expect(sum.at(data, 1)).toBe(crc32(data, 1, 1 + length))
        },
      ),
    )
  })
})

describe('texts of signed form', () => {
  const mintAll = async () => {
    const texts: string[] = []
    for (const algorithm of ['EdDSA', 'ES256', 'HS256'] as const) {
      const { tokens } = setUp({ signed: { algorithm } })
      texts.push((await tokens.signer.mint({ agent: 'a', scopes: ['docs:read'], ttl: '1h', format: 'jwt' })).token)
    }
    for (const id of ['k', '2027-01_x', 'K'.repeat(32)]) {
      const { tokens } = setUp({ keys: [{ id, secret: 'a secret of a test, 0123456789 abcdefghijkl' }] })
      texts.push((await tokens.signer.mint({ agent: 'a', ttl: '1h', format: 'hmac', claims: { job: 'ü' } })).token)
    }
    return texts
  }
  /** The definition, as one looks at a whole text. */
  const signedByHand = (text: string) => {
    const found: { offset: number; text: string }[] = []
    for (const { start, dots, minTail, maxTail } of SIGNED_FORMS) {
      // A header has at most 200 characters.
      const head = dots === 1 ? '[\\w-]*' : `[\\w-]{0,${200 - start.length}}\\.eyJqdGkiOi[\\w-]*`
      const form = new RegExp(`${start.replace('.', '\\.')}${head}\\.[\\w-]{${minTail},${maxTail}}`, 'y')
      for (let at = 0; at < text.length; at++) {
        form.lastIndex = at
        const [match] = form.exec(text) ?? []
        if (match !== undefined) found.push({ offset: at, text: match })
      }
    }
    return found.sort((a, b) => a.offset - b.offset)
  }
  const found = (chunks: Iterable<Uint8Array>) => scan(chunks, []).map(({ offset, text }) => ({ offset, text }))

  it('are found, of every form, wherever they stand and however the stream is cut', async () => {
    const texts = await mintAll()
    for (const { start } of SIGNED_FORMS) expect(texts.some((text) => text.startsWith(start))).toBe(true)
    const input = Buffer.from(`é\n${texts.map((text, i) => `line ${i}: "${text}"`).join(',\n😀')}`)
    const whole = scan([input], [])
    expect(whole.map(({ text }) => text)).toEqual(texts)
    expect(whole.map(({ line }) => line)).toEqual([2, 3, 4, 5, 6, 7])
    for (const { offset, text } of whole) expect(input.toString('latin1', offset, offset + text.length)).toBe(text)
    for (let cut = 0; cut <= input.length; cut += 3)
      expect(scan([input.subarray(0, cut), input.subarray(cut)], [])).toEqual(whole)
    expect(
      scan(
        [...input].map((byte) => Uint8Array.of(byte)),
        [],
      ),
    ).toEqual(whole)
  })

  it('are found once wherever a window ends, at the very end too', async () => {
    const texts = await mintAll()
    const big = setUp()
    const { token: long } = await big.tokens.signer.mint({
      ...{ agent: 'a', ttl: '1h', format: 'hmac', claims: { text: 'x'.repeat(3900) } },
    })
    for (const text of [texts[0] as string, texts[5] as string, long]) {
      for (let shift = -2 * text.length; shift <= 2; shift += Math.ceil(text.length / 23)) {
        for (const after of [Buffer.alloc(0), Buffer.from('-'), Buffer.alloc(80_000, '. ')]) {
          const before = Buffer.alloc(65_536 + 8193 + shift, 'x\n')
          const input = Buffer.concat([before, Buffer.from(text), after])
          const hits = scan([input], [])
          expect(hits.map(({ offset }) => offset)).toEqual([before.length])
          expect(hits[0]?.text.startsWith(text)).toBe(true)
        }
      }
    }
  })

  it('are what the definition finds, in anything', async () => {
    const texts = await mintAll()
    const piece = fc.oneof(
      fc.constantFrom(
        'v1.',
        'eyJpc3MiOi',
        '.',
        'eyJqdGkiOi',
        '\n',
        'ü',
        'A'.repeat(100),
        ...SIGNED_FORMS.map(({ start }) => start),
      ),
      fc.constantFrom(...texts),
      fc.tuple(fc.constantFrom(...texts), fc.nat(400)).map(([text, at]) => text.slice(at)),
      fc.tuple(fc.constantFrom(...texts), fc.nat(400)).map(([text, at]) => text.slice(0, at)),
    )
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 10 }), fc.integer({ min: 1, max: 700 }), (pieces, size) => {
        const input = Buffer.from(pieces.join(''))
        const chunks: Uint8Array[] = []
        for (let at = 0; at < input.length; at += size) chunks.push(input.subarray(at, at + size))
        expect(found(chunks)).toEqual(signedByHand(input.toString('latin1')))
      }),
      { numRuns: 200 },
    )
  })

  it('take linear time on input made to be slow', async () => {
    const [jwt = '', , , , compact = ''] = await mintAll()
    const header = jwt.slice(0, jwt.indexOf('.') + 1)
    const hostile = [
      ...SIGNED_FORMS.map(({ start }) => start),
      ...[header, `${header}eyJqdGkiOi`, 'v1.eyJpc3MiOi.', `v1.eyJpc3MiOi${'A'.repeat(8100)}`],
      ...[`v1.eyJpc3MiOi${'A'.repeat(8100)}.`, `${header}eyJqdGkiOi${'A'.repeat(7000)}.`, jwt, compact, 'eyJ', 'v1.'],
    ]
    for (const text of hostile) {
      timeOf(text, 40_000, [])
      expect(timeOf(text, 1_280_000, []), text.slice(0, 20)).toBeLessThan(Math.max(60, timeOf(text, 80_000, []) * 64))
    }
  }, 30_000)
})

function timeOf(text: string, bytes: number, formats: readonly TokenFormat[] = FORMATS): number {
  const input = Buffer.alloc(bytes, text)
  const best = [0, 1, 2].map(() => {
    const start = performance.now()
    const scanner = new TokenScanner(formats)
    for (const _ of scanner.add(input));
    for (const _ of scanner.end());
    return performance.now() - start
  })
  return Math.min(...best)
}
