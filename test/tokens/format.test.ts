import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { InvalidInputError } from '../../src/kernel/errors.ts'
import { seededRandom, systemRandom } from '../../src/kernel/random.ts'
import { alphabetOf, CHARSETS, type Charset } from '../../src/tokens/alphabet.ts'
import {
  checksumMatches,
  type FormatInput,
  generateText,
  hasSignedForm,
  isWellFormed,
  MAX_OPAQUE_LENGTH,
  MAX_SIGNED_LENGTH,
  matchesFormat,
  parseFormat,
  previewOf,
} from '../../src/tokens/format.ts'
import { FormatClashError, KnownFormats } from '../../src/tokens/known-formats.ts'

const random = seededRandom('format')

describe('parseFormat', () => {
  it('has the presets of the contract', () => {
    expect(parseFormat({})).toMatchObject({
      type: 'api_key',
      prefix: '',
      charset: 'alphanumeric',
      length: 64,
      checksum: true,
      retrievable: false,
    })
    expect(parseFormat({ type: 'github' })).toMatchObject({ prefix: 'ghp_', length: 36, checksum: true })
    expect(parseFormat({ type: 'oauth' })).toMatchObject({ charset: 'base64url', length: 64, checksum: false })
    expect(parseFormat({ type: 'jwt' })).toMatchObject({ length: 86, checksum: false, retrievable: true })
  })

  it('shares one frozen object among equal formats', () => {
    expect(parseFormat({ prefix: 'sk_' })).toBe(parseFormat({ prefix: 'sk_' }))
    expect(Object.isFrozen(parseFormat({ charset: { alphabet: 'abcdefgh' } }).charset)).toBe(true)
  })

  it('leaves the checksum out where 128 random bits would not stay', () => {
    expect(parseFormat({ charset: 'hex', length: 32 }).checksum).toBe(false)
    expect(parseFormat({ charset: 'hex', length: 40 }).checksum).toBe(true)
  })

  it.each<[string, FormatInput]>([
    ['under 128 bits', { length: 21 }],
    ['under 128 bits beside a checksum', { length: 24, checksum: true }],
    ['a digit PIN', { charset: { alphabet: '0123456789' }, length: 16 }],
    ['a length of 0', { length: 0 }],
    ['a fraction', { length: 40.5 }],
    ['NaN', { length: Number.NaN }],
    ['more than 512 characters', { length: 513 }],
    ['more than 512 characters with the prefix', { length: 510, prefix: 'sk_' }],
    ['an unknown type', { type: 'magic' as 'api_key' }],
    ['an inherited type', { type: 'toString' as 'api_key' }],
    ['a prefix with a space', { prefix: 'sk ' }],
    ['a prefix with a dot', { prefix: 'v1.' }],
    ['a long prefix', { prefix: 'x'.repeat(33) }],
    ['a github token of another length', { type: 'github', length: 40 }],
    ['a checksum that is no boolean', { checksum: 'yes' as unknown as boolean }],
  ])('refuses %s', (_, input) => {
    expect(() => parseFormat(input)).toThrow(InvalidInputError)
  })

  it('allows weak tokens only when told to', () => {
    expect(
      generateText(parseFormat({ charset: { alphabet: '0123456789' }, length: 6, allowWeak: true }), random),
    ).toMatch(/^\d{6}$/)
  })
})

describe('generateText', () => {
  const charset = fc.oneof(
    fc.constantFrom<Charset>('alphanumeric', 'hex', 'base64', 'base64url', 'full'),
    fc
      .uniqueArray(fc.integer({ min: 0x21, max: 0x7e }), { minLength: 2, maxLength: 94 })
      .map((codes): Charset => ({ alphabet: String.fromCharCode(...codes) })),
  )
  const input = fc.record({
    charset,
    prefix: fc.stringMatching(/^[A-Za-z0-9_-]{0,32}$/),
    length: fc.integer({ min: 1, max: 200 }),
    checksum: fc.option(fc.boolean(), { nil: undefined }),
    allowWeak: fc.boolean(),
  })

  it('makes tokens that their own format recognises, whatever the format', () => {
    fc.assert(
      fc.property(input, (options) => {
        let format: ReturnType<typeof parseFormat>
        try {
          format = parseFormat(options)
        } catch (error) {
          expect(error).toBeInstanceOf(InvalidInputError)
          return
        }
        const text = generateText(format, systemRandom())
        expect(text).toHaveLength(format.prefix.length + format.length)
        expect(text.startsWith(format.prefix)).toBe(true)
        expect(matchesFormat(format, text)).toBe(true)
        expect(isWellFormed(text)).toBe(true)
        expect(hasSignedForm(text)).toBe(false)
        expect(previewOf(format, text).length).toBeLessThanOrEqual(format.prefix.length + 6)
      }),
      { numRuns: 300 },
    )
  })

  it('ends in a checksum that any one-character edit, swap or cut breaks', () => {
    for (const options of [
      { prefix: 'sk_live_' },
      { type: 'github' as const },
      { charset: 'hex' as const },
      { charset: 'full' as const, prefix: 'my_company_' },
    ]) {
      const format = parseFormat(options)
      const alphabet = alphabetOf(format.charset)
      for (let round = 0; round < 5; round++) {
        const text = generateText(format, random)
        expect(checksumMatches(format, text)).toBe(true)
        for (let i = format.prefix.length; i < text.length; i++) {
          const other = alphabet[(alphabet.indexOf(text[i] as string) + 1 + round) % alphabet.length] as string
          if (other !== text[i])
            expect(checksumMatches(format, text.slice(0, i) + other + text.slice(i + 1))).toBe(false)
          const swapped = text.slice(0, i) + (text[i + 1] ?? '') + text[i] + text.slice(i + 2)
          if (swapped !== text) expect(checksumMatches(format, swapped)).toBe(false)
          expect(checksumMatches(format, text.slice(0, i) + text.slice(i + 1))).toBe(false)
        }
      }
    }
  })

  it("has GitHub's own layout: 30 random characters and their CRC32 in base62", () => {
    const format = parseFormat({ type: 'github' })
    expect(generateText(format, random)).toMatch(/^ghp_[0-9A-Za-z]{36}$/)
    // A token that GitHub once issued and published as an example.
    expect(checksumMatches(format, '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')).toBe(true)
    expect(checksumMatches(format, 'ghp_zQWBuTSOoRi4A9spHcVY5ncnsDkxkJ0mLq18')).toBe(false)
  })

  it('makes signing secrets of 64 whole bytes', () => {
    const text = generateText(parseFormat({ type: 'jwt' }), random)
    expect(Buffer.from(text, 'base64url')).toHaveLength(64)
    expect(Buffer.from(text, 'base64url').toString('base64url')).toBe(text)
  })

  it('never makes a token of signed form', () => {
    const format = parseFormat({ charset: { alphabet: 'v1.' }, length: 5, allowWeak: true, checksum: false })
    for (let i = 0; i < 2000; i++) expect(hasSignedForm(generateText(format, random))).toBe(false)
  })
})

describe('isWellFormed', () => {
  it.each([
    ['empty', ''],
    ['a space', 'sk_a b'],
    ['NUL', 'sk_\u0000'],
    ['CR LF', 'sk_abc\r\n'],
    ['a lone surrogate', 'sk_\ud800abc'],
    ['full-width digits', 'sk_１２３'],
    ['a combining character', 'sk_e\u0301'],
    ['U+0141, whose low byte is an A', 'sk_\u0141bc'],
    ['one character too many', 'x'.repeat(MAX_OPAQUE_LENGTH + 1)],
    ['a signed token that is too long', `v1.${'x'.repeat(MAX_SIGNED_LENGTH)}.y`],
    ['1 MB', 'x'.repeat(1 << 20)],
  ])('refuses %s', (_, text) => {
    expect(isWellFormed(text)).toBe(false)
  })

  it('takes the longest of each form', () => {
    expect(isWellFormed('x'.repeat(MAX_OPAQUE_LENGTH))).toBe(true)
    expect(isWellFormed(`v1.${'x'.repeat(MAX_SIGNED_LENGTH - 5)}.y`)).toBe(true)
  })
})

describe('KnownFormats', () => {
  const known = new KnownFormats([{ prefix: 'sk_' }, { type: 'github' }])

  it('refuses a typo under a listed prefix, and lets every other text through', () => {
    const text = generateText(parseFormat({ prefix: 'sk_' }), random)
    expect(known.accepts(text)).toBe(true)
    expect(known.accepts(`${text.slice(0, -1)}${text.endsWith('0') ? '1' : '0'}`)).toBe(false)
    expect(known.accepts('sk_short')).toBe(false)
    expect(known.accepts('pk_whatever')).toBe(true)
  })

  it('refuses formats and texts that it would refuse later', () => {
    expect(() => known.refuseClash(parseFormat({ prefix: 'sk_', checksum: false }))).toThrow(FormatClashError)
    expect(() => known.refuseClash(parseFormat({ prefix: 'sk_', length: 60 }))).toThrow(FormatClashError)
    expect(() => known.refuseClash(parseFormat({ prefix: 'sk_live_' }))).toThrow(FormatClashError)
    // One text in 2^10 would begin with the listed prefix.
    const short = new KnownFormats([{ prefix: 'ab' }])
    expect(() =>
      short.refuseClash(parseFormat({ charset: { alphabet: `ab${'0123456789'}${'CDEFGHIJKLMNOPQRSTUV'}` } })),
    ).toThrow(FormatClashError)
    expect(() => known.refuseClash(parseFormat({}))).not.toThrow()
    expect(() => known.refuseClash(parseFormat({ prefix: 'sk_' }))).not.toThrow()
    expect(() => known.refuseText('sk_0123456789')).toThrow(FormatClashError)
    expect(() => known.refuseText('other_0123456789')).not.toThrow()
  })

  it('draws anew what begins with a listed prefix by chance', () => {
    // A base64url text begins with sk_ once in 2^18; these bytes make the first do so.
    const format = parseFormat({ type: 'oauth' })
    expect(() => known.refuseClash(format)).not.toThrow()
    const unlucky = [...'sk_'].map((symbol) => CHARSETS.base64url.indexOf(symbol))
    let calls = 0
    const rigged = {
      float: () => 0,
      bytes: (count: number) => {
        calls += 1
        return calls === 1 ? Uint8Array.from({ length: count }, (_, i) => unlucky[i] ?? 0) : random.bytes(count)
      },
    }
    const text = known.draw(format, rigged)
    expect(calls).toBe(2)
    expect(text).toMatch(/^(?!sk_)[\w-]{64}$/)
  })

  it('refuses lists that contradict themselves', () => {
    expect(() => new KnownFormats([{}])).toThrow(InvalidInputError)
    expect(() => new KnownFormats([{ prefix: 'sk_' }, { prefix: 'sk_live_' }])).toThrow(InvalidInputError)
    expect(() => new KnownFormats([{ prefix: 'sk_', checksum: false }])).toThrow(InvalidInputError)
  })
})
