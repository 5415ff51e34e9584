import { alphabetOf } from '../tokens/alphabet.ts'
import type { TokenFormat } from '../tokens/format.ts'

const RANGES = ['0-9', 'A-Z', 'a-z'] as const

/**
 * The symbols of a format as the inside of a character class, which JavaScript, RE2 and PCRE read alike: whole ranges of
 * digits and letters as such, marks with a backslash.
 */
export function symbolClass(format: TokenFormat): string {
  let rest = alphabetOf(format.charset)
  let inside = ''
  for (const range of RANGES) {
    const symbols = symbolsOf(range)
    if (![...symbols].every((symbol) => rest.includes(symbol))) continue
    inside += range
    rest = [...rest].filter((symbol) => !symbols.includes(symbol)).join('')
  }
  for (const symbol of rest) inside += /[0-9A-Za-z]/.test(symbol) ? symbol : `\\${symbol}`
  return inside
}

function symbolsOf(range: string): string {
  let symbols = ''
  for (let code = range.charCodeAt(0); code <= range.charCodeAt(2); code++) symbols += String.fromCharCode(code)
  return symbols
}
