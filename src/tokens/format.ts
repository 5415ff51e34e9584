import { InvalidInputError } from '../kernel/errors.ts'
import type { Random } from '../kernel/random.ts'
import { alphabetOf, type Charset, drawInto, isPrintable } from './alphabet.ts'
import { crc32 } from './crc32.ts'

/** The presets of token forms. `imported` marks tokens that another system made, `signed` those without a record. */
export type TokenType = 'api_key' | 'github' | 'oauth' | 'jwt' | 'imported' | 'signed'

/** How the tokens of one record look. Interned: records of one form share one object. */
export interface TokenFormat {
  readonly type: TokenType
  /** What every token begins with; may hold underscores. */
  readonly prefix: string
  readonly charset: Charset
  /** Characters after the prefix, checksum included. */
  readonly length: number
  readonly checksum: boolean
  /** Whether an encrypted copy of the text is kept. */
  readonly retrievable: boolean
}

/** What a caller may say of a token's form. */
export interface FormatInput {
  /** A preset. Default `api_key`. */
  readonly type?: Exclude<TokenType, 'imported' | 'signed'> | undefined
  /** `[A-Za-z0-9_-]`, at most 32 characters. Default: none, `ghp_` for `github`. */
  readonly prefix?: string | undefined
  /** Characters after the prefix, checksum included. Default: the preset's. */
  readonly length?: number | undefined
  /** Default: the preset's. */
  readonly charset?: Charset | undefined
  /** Whether the token ends in a CRC32 that tells a typo without a look-up. Default: on where 128 random bits stay. */
  readonly checksum?: boolean | undefined
  /** Keep an encrypted copy, so that the text can be read back. Default false; true for `jwt`. */
  readonly retrievable?: boolean | undefined
  /** Allow less than 128 random bits. Default false. */
  readonly allowWeak?: boolean | undefined
}

/** An opaque token is at most this long, prefix included. */
export const MAX_OPAQUE_LENGTH = 512
/** A signed token is at most this long. */
export const MAX_SIGNED_LENGTH = 8192
/** Random bits that a token must have unless weak ones are allowed. */
export const MIN_BITS = 128

const PRESETS = {
  api_key: { prefix: '', charset: 'alphanumeric', length: 64, checksum: undefined, retrievable: false },
  github: { prefix: 'ghp_', charset: 'alphanumeric', length: 36, checksum: true, retrievable: false },
  oauth: { prefix: '', charset: 'base64url', length: 64, checksum: false, retrievable: false },
  jwt: { prefix: '', charset: 'base64url', length: 86, checksum: false, retrievable: true },
} as const satisfies { [type: string]: { charset: Charset; [option: string]: unknown } }

/**
 * The format that a caller asks for, complete and checked.
 *
 * @throws InvalidInputError for an unknown type, a bad prefix or alphabet, a length that is too large, or too few bits
 */
export function parseFormat(input: FormatInput): TokenFormat {
  const type = input.type ?? 'api_key'
  if (!Object.hasOwn(PRESETS, type)) {
    throw new InvalidInputError('type', 'is not a known token type', `use one of ${Object.keys(PRESETS).join(', ')}`)
  }
  const preset = PRESETS[type]
  const prefix = input.prefix ?? preset.prefix
  checkPrefix('prefix', prefix)
  const charset = input.charset ?? preset.charset
  const alphabet = alphabetOf(charset)
  const length = input.length ?? preset.length
  if (type === 'github' && (length !== 36 || charset !== 'alphanumeric' || input.checksum === false)) {
    throw new InvalidInputError(
      'type',
      'github has a fixed form: 30 characters and 6 of checksum',
      "drop length, charset and checksum, or use type 'api_key'",
    )
  }
  if (!Number.isInteger(length) || length < 1 || prefix.length + length > MAX_OPAQUE_LENGTH) {
    throw new InvalidInputError(
      'length',
      `must be a whole number from 1 to ${MAX_OPAQUE_LENGTH - prefix.length}`,
      'leave it out for the default',
    )
  }
  const bits = (symbols: number) => symbols * Math.log2(alphabet.length)
  const width = checksumWidth(alphabet)
  const needed = input.allowWeak === true ? 1 : MIN_BITS
  const checksum = input.checksum ?? preset.checksum ?? bits(length - width) >= MIN_BITS
  if (typeof checksum !== 'boolean')
    throw new InvalidInputError('checksum', 'must be true or false', 'leave it out for the default')
  const random = checksum ? length - width : length
  if (bits(random) < needed) {
    const least = Math.ceil(MIN_BITS / Math.log2(alphabet.length)) + (checksum ? width : 0)
    throw new InvalidInputError(
      'length',
      `gives ${Math.max(0, Math.floor(bits(random)))} random bits, fewer than ${MIN_BITS}`,
      `use at least ${least} characters, or set allowWeak`,
    )
  }
  const retrievable = input.retrievable ?? preset.retrievable
  if (typeof retrievable !== 'boolean')
    throw new InvalidInputError('retrievable', 'must be true or false', 'leave it out for the default')
  return internFormat({ type, prefix, charset, length, checksum, retrievable })
}

/**
 * Checks a prefix.
 *
 * @throws InvalidInputError unless it is up to 32 characters of `[A-Za-z0-9_-]`
 */
export function checkPrefix(field: string, prefix: unknown): asserts prefix is string {
  if (typeof prefix !== 'string' || prefix.length > 32 || !/^[A-Za-z0-9_-]*$/.test(prefix)) {
    throw new InvalidInputError(
      field,
      'must be at most 32 letters, digits, underscores and hyphens',
      "write for example 'sk_live_'",
    )
  }
}

/** A fresh token of this format. */
export function generateText(format: TokenFormat, random: Random): string {
  // A signing secret is 64 whole bytes, so that a strict decoder finds no stray bits in its last character.
  if (format.type === 'jwt' && format.charset === 'base64url' && format.length === 86) {
    return format.prefix + Buffer.from(random.bytes(64)).toString('base64url')
  }
  const alphabet = alphabetOf(format.charset)
  const { prefix, length, checksum } = format
  const start = prefix.length
  const end = start + length
  const drawn = checksum ? end - checksumWidth(alphabet) : end
  for (let i = 0; i < start; i++) scratch[i] = prefix.charCodeAt(i)
  for (;;) {
    drawInto(scratch, start, drawn, alphabet, random)
    if (checksum) writeChecksum(format, alphabet, drawn, end)
    const text = scratchText.toString('latin1', 0, end)
    scratch.fill(0, start, end)
    if (!hasSignedForm(text)) return text
  }
}

/** Where texts are put together: whole, so that nothing has to be joined later. Wiped after each use. */
const scratch = new Uint8Array(MAX_OPAQUE_LENGTH)
const scratchText = Buffer.from(scratch.buffer)

/** Where in a token its checksum's sum begins: GitHub's is over the random part only (its layout of 2021), ours over the prefix too. */
export function checksumFrom(format: TokenFormat): number {
  return format.type === 'github' ? format.prefix.length : 0
}

/** Puts the checksum of what stands in {@link scratch} behind it. */
function writeChecksum(format: TokenFormat, alphabet: string, from: number, to: number): void {
  let rest = crc32(scratch, checksumFrom(format), from)
  for (let i = to - 1; i >= from; i--) {
    // Not by `%`, which is slow for numbers beyond 31 bits.
    const next = Math.floor(rest / alphabet.length)
    scratch[i] = alphabet.charCodeAt(rest - next * alphabet.length)
    rest = next
  }
}

/** Whether a text carries this format's checksum. Tells typos, proves nothing. */
export function checksumMatches(format: TokenFormat, text: string): boolean {
  const end = text.length
  if (end !== format.prefix.length + format.length || !isPrintable(text)) return false
  const alphabet = alphabetOf(format.charset)
  const from = end - checksumWidth(alphabet)
  for (let i = 0; i < from; i++) scratch[i] = text.charCodeAt(i)
  writeChecksum(format, alphabet, from, end)
  let matches = true
  for (let i = from; i < end; i++) if (scratch[i] !== text.charCodeAt(i)) matches = false
  scratch.fill(0, 0, end)
  return matches
}

/** Whether a text could have been drawn in this format: prefix, length, symbols and checksum. */
export function matchesFormat(format: TokenFormat, text: string): boolean {
  if (!text.startsWith(format.prefix) || text.length !== format.prefix.length + format.length || hasSignedForm(text))
    return false
  const alphabet = alphabetOf(format.charset)
  for (let i = format.prefix.length; i < text.length; i++) if (!alphabet.includes(text[i] as string)) return false
  return !format.checksum || checksumMatches(format, text)
}

/** What a token shows of itself in lists: the prefix and six characters, fewer where six would give too much away. */
export function previewOf(format: TokenFormat, text: string): string {
  const shown = Math.min(6, Math.floor(format.length / 4))
  return text.slice(0, format.prefix.length + shown)
}

const E = 0x65
const V = 0x76

/** Whether a text has the form of a signed token: `v1.x.y`, or three base64url parts that start with `eyJ`. */
export function hasSignedForm(text: string): boolean {
  const initial = text.charCodeAt(0)
  if (initial !== V && initial !== E) return false
  if (!text.startsWith('v1.') && !text.startsWith('eyJ')) return false
  const first = text.indexOf('.')
  const second = text.indexOf('.', first + 1)
  return first > 0 && second > first + 1 && second < text.length - 1 && text.indexOf('.', second + 1) === -1
}

/** Whether a presented text can be a token at all: printable ASCII without spaces, and not too long for its form. */
export function isWellFormed(text: string): boolean {
  const length = text.length
  if (length === 0 || length > MAX_SIGNED_LENGTH) return false
  if (length > MAX_OPAQUE_LENGTH && !hasSignedForm(text)) return false
  return isPrintable(text)
}

/** How many symbols of an alphabet hold 32 bits. */
export function checksumWidth(alphabet: string): number {
  return Math.ceil(32 / Math.log2(alphabet.length))
}

const formats = new Map<string, TokenFormat>()
/** The format asked for last: hosts mostly make many tokens of one form. */
let latest: TokenFormat | undefined

/** The shared object of a format. */
export function internFormat(format: TokenFormat): TokenFormat {
  if (latest !== undefined && isSameFormat(latest, format)) return latest
  latest = intern(format)
  return latest
}

function isSameFormat(a: TokenFormat, b: TokenFormat): boolean {
  return (
    a.type === b.type &&
    a.prefix === b.prefix &&
    a.charset === b.charset &&
    a.length === b.length &&
    a.checksum === b.checksum &&
    a.retrievable === b.retrievable
  )
}

function intern(format: TokenFormat): TokenFormat {
  const charset = typeof format.charset === 'string' ? format.charset : `:${format.charset.alphabet}`
  const key = `${format.type} ${format.prefix} ${charset} ${format.length} ${format.checksum} ${format.retrievable}`
  const known = formats.get(key)
  if (known !== undefined) return known
  if (formats.size >= 1024) formats.clear()
  const fresh = Object.freeze({
    ...format,
    charset: typeof format.charset === 'string' ? format.charset : Object.freeze({ alphabet: format.charset.alphabet }),
  })
  formats.set(key, fresh)
  return fresh
}

/**
 * Checks a text that another system made.
 *
 * @param weak - lets one pass that is too short or too simple to be a secret
 * @throws InvalidInputError when it can't be a token here
 */
export function checkForeignText(text: unknown, weak: boolean): asserts text is string {
  if (typeof text !== 'string' || text.length > MAX_OPAQUE_LENGTH || !isPrintable(text)) {
    throw new InvalidInputError(
      'token',
      `must be printable ASCII without spaces, at most ${MAX_OPAQUE_LENGTH} characters`,
      'import another form by its digest',
    )
  }
  if (hasSignedForm(text)) throw new InvalidInputError('token', 'has the form of a signed token', 'issue a new one')
  if (!weak && (text.length < 16 || new Set(text).size < 8)) {
    throw new InvalidInputError(
      'token',
      'is too short or too simple to be a secret',
      'issue a new one, or set allowWeak',
    )
  }
}
