import { InvalidInputError } from '../kernel/errors.ts'
import type { Random } from '../kernel/random.ts'

/** The named character sets. `full` is 0x21-0x7E without quotes, backslash, comma and semicolon. */
export type CharsetName = 'alphanumeric' | 'hex' | 'base64' | 'base64url' | 'full'

/** Which characters a token is drawn from: a named set, or an alphabet of one's own. */
export type Charset = CharsetName | { readonly alphabet: string }

const DIGITS = '0123456789'
const UPPER = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ'
const LOWER = 'abcdefghijklmnopqrstuvwxyz'

/** The characters of each named set. */
export const CHARSETS: { readonly [name in CharsetName]: string } = {
  alphanumeric: DIGITS + UPPER + LOWER,
  hex: `${DIGITS}abcdef`,
  base64: `${UPPER}${LOWER}${DIGITS}+/`,
  base64url: `${UPPER}${LOWER}${DIGITS}-_`,
  full: fullSet(),
}

/**
 * The characters of a charset.
 *
 * @throws InvalidInputError for an unknown name, fewer than two or doubled symbols, or symbols outside 0x21-0x7E
 */
export function alphabetOf(charset: Charset): string {
  if (typeof charset === 'string') {
    if (Object.hasOwn(CHARSETS, charset)) return CHARSETS[charset]
    throw new InvalidInputError(
      'charset',
      'is not a known character set',
      `use one of ${Object.keys(CHARSETS).join(', ')}, or { alphabet }`,
    )
  }
  const alphabet = charset?.alphabet
  if (typeof alphabet !== 'string' || alphabet.length < 2 || alphabet.length > 94) {
    throw new InvalidInputError('charset.alphabet', 'must be a text of 2 to 94 symbols', 'list each symbol once')
  }
  if (!isPrintable(alphabet)) {
    throw new InvalidInputError(
      'charset.alphabet',
      'has a symbol outside of ASCII 0x21-0x7E',
      'use printable ASCII without spaces',
    )
  }
  if (new Set(alphabet).size !== alphabet.length) {
    throw new InvalidInputError(
      'charset.alphabet',
      'has a symbol twice, which would make some tokens likelier',
      'list each symbol once',
    )
  }
  return alphabet
}

/** Whether every character is in 0x21-0x7E. */
export function isPrintable(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code < 0x21 || code > 0x7e) return false
  }
  return true
}

/**
 * Draws symbols into `target` from `from` to before `to`, each with the same probability: bytes are cut to the bits that
 * the alphabet needs, and those beyond it are thrown away (rejection sampling; no modulo, so no bias).
 */
export function drawInto(target: Uint8Array, from: number, to: number, alphabet: string, random: Random): void {
  const symbols = symbolsOf(alphabet)
  let at = from
  while (at < to) {
    const wanted = Math.ceil((to - at) * symbols.bytesEach) + 4
    // V8 keeps larger arrays elsewhere, which costs more than asking twice.
    const bytes = random.bytes(wanted < 64 ? wanted : 64)
    for (let i = 0; i < bytes.length && at < to; i++) {
      const symbol = symbols.ofByte[bytes[i] as number] as number
      // Written either way, and the next one over it if it is none: a branch that can't be foreseen costs more.
      target[at] = symbol
      at += symbol === 0 ? 0 : 1
    }
    bytes.fill(0)
  }
}

/** An alphabet made ready for drawing. */
interface Symbols {
  /** The symbol that a random byte stands for; 0 = none, draw again. */
  readonly ofByte: Uint8Array
  /** How many bytes a symbol takes, with a reserve for those thrown away. */
  readonly bytesEach: number
}

const prepared = new Map<string, Symbols>()

function symbolsOf(alphabet: string): Symbols {
  let symbols = prepared.get(alphabet)
  if (symbols === undefined) {
    if (prepared.size >= 64) prepared.clear()
    const { length } = alphabet
    const mask = (1 << (32 - Math.clz32(length - 1))) - 1
    const ofByte = Uint8Array.from({ length: 256 }, (_, byte) => alphabet.charCodeAt(byte & mask) || 0)
    symbols = { ofByte, bytesEach: ((mask + 1) * 1.1) / length }
    prepared.set(alphabet, symbols)
  }
  return symbols
}

function fullSet(): string {
  let all = ''
  for (let code = 0x21; code <= 0x7e; code++) all += String.fromCharCode(code)
  return [...all].filter((symbol) => !'\'"`\\,;'.includes(symbol)).join('')
}
