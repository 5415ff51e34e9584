import type { TokenFormat } from '../tokens/format.ts'
import { JWT_PAYLOAD_START, SIGNED_FORMS } from '../tokens/signed-form.ts'
import { symbolClass } from './symbol-class.ts'

/**
 * The expression for scanners that can't check a checksum (RE2): exactly as many symbols as a token has, and then no letter or digit of
 * its alphabet, so that longer texts don't match. Marks may follow: a token of all of them may well stand in brackets. The token is group 1.
 */
function scannerPattern(format: TokenFormat): string {
  const letters = symbolClass(format, /[0-9A-Za-z]/)
  const symbols = symbolClass(format)
  return `(${format.prefix}[${symbols}]{${format.length}})(?:[^${letters === '' ? symbols : letters}]|$)`
}

/** What a scanner looks for: an expression whose first group is the token, and a word without which it needn't. */
interface Sought {
  readonly id: string
  readonly what: string
  readonly pattern: string
  readonly keyword: string
}

const BASE64URL = '0-9A-Za-z_\\-'

/** Our signed tokens; which header a JWT has is the matter of its algorithm. */
function signedRules(): Sought[] {
  const escaped = (text: string) => text.replaceAll('.', '\\.')
  const end = `(?:[^${BASE64URL}]|$)`
  const rules: Sought[] = []
  for (const { format, start, minTail, maxTail } of SIGNED_FORMS) {
    if (format !== 'hmac') continue
    const pattern = `(${escaped(start)}[${BASE64URL}]+\\.[${BASE64URL}]{${minTail},${maxTail}})${end}`
    rules.push({ id: 'tokenwright-compact', what: 'A compact signed token', pattern, keyword: start })
  }
  const jwts = SIGNED_FORMS.filter(({ format }) => format === 'jwt')
  const starts = jwts.map(({ start }) => start).join('|')
  const tails = [...new Set(jwts.map(({ minTail }) => minTail))].sort((a, b) => b - a)
  const tail = tails.map((length) => `[${BASE64URL}]{${length}}`).join('|')
  const part = `[${BASE64URL}]+\\.`
  const pattern = `((?:${starts})${part}${JWT_PAYLOAD_START}${part}(?:${tail}))${end}`
  rules.push({ id: 'tokenwright-jwt', what: 'A JWT', pattern, keyword: commonStart(jwts.map(({ start }) => start)) })
  return rules
}

/** What several texts begin with. */
function commonStart([first = '', ...others]: readonly string[]): string {
  let length = first.length
  while (!others.every((text) => text.startsWith(first.slice(0, length)))) length -= 1
  return first.slice(0, length)
}

/** A name for a format, unique among the listed: no prefix begins another, and letters are told apart by case alone. */
function ruleId(format: TokenFormat, formats: readonly TokenFormat[]): string {
  const plain = (prefix: string) =>
    prefix
      .toLowerCase()
      .replaceAll('_', '-')
      .replace(/^-+|-+$/g, '')
  const id = plain(format.prefix)
  const alike = formats.filter(({ prefix }) => plain(prefix) === id)
  const number = alike.length === 1 && id !== '' ? [] : [formats.indexOf(format) + 1]
  return ['tokenwright', id, ...number].filter((part) => part !== '').join('-')
}

/**
 * Rules for gitleaks, as a TOML file of their own that extends its default ones: `gitleaks detect --config <file>`.
 * A prefix is a keyword, in lower case as gitleaks compares them.
 */
export function gitleaksRules(formats: readonly TokenFormat[]): string {
  const rules = sought(formats).map(({ id, what, pattern, keyword }) =>
    [
      '[[rules]]',
      `id = "${id}"`,
      `description = "${what}"`,
      `regex = ${tomlText(pattern)}`,
      'secretGroup = 1',
      `keywords = ["${keyword.toLowerCase()}"]`,
    ].join('\n'),
  )
  return `${['title = "tokenwright"', '[extend]\nuseDefault = true', ...rules].join('\n\n')}\n`
}

/**
 * Custom detectors for trufflehog, as a YAML file: `trufflehog filesystem --config <file> <path>`. They have no verifier:
 * that would send what was found over the network.
 */
export function trufflehogRules(formats: readonly TokenFormat[]): string {
  const detectors = sought(formats).map(({ id, pattern, keyword }) =>
    [
      `  - name: ${id}`,
      '    keywords:',
      `      - ${yamlText(keyword)}`,
      '    regex:',
      `      token: ${yamlText(pattern)}`,
    ].join('\n'),
  )
  return `detectors:\n${detectors.join('\n')}\n`
}

function sought(formats: readonly TokenFormat[]): Sought[] {
  const opaque = formats.map((format) => ({
    id: ruleId(format, formats),
    what: `A token of the form ${format.prefix}…`,
    pattern: scannerPattern(format),
    keyword: format.prefix,
  }))
  return [...opaque, ...signedRules()]
}

/** A basic TOML text: expressions hold no control characters, so quotes and backslashes are all there is to escape. */
function tomlText(text: string): string {
  return `"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`
}

function yamlText(text: string): string {
  return `'${text.replaceAll("'", "''")}'`
}
