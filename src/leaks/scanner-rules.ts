import type { TokenFormat } from '../tokens/format.ts'
import { JWT_PAYLOAD_START, SIGNED_FORMS } from '../tokens/signed-form.ts'
import { symbolClass } from './symbol-class.ts'

/**
 * What a scanner looks for. The expression (RE2) is all of the token and nothing else, as our own scan finds it but for the checksum,
 * which scanners can't check: as many symbols as a token has, whatever goes before or behind. (What has to follow would be reported as a
 * part of the secret by some.)
 */
interface Sought {
  readonly id: string
  readonly what: string
  readonly pattern: string
  /** A word without which it needn't be looked for. */
  readonly keyword: string
}

const BASE64URL = '[0-9A-Za-z_\\-]'

/** Our signed tokens, as `SignedFinder` knows them. */
function signedRules(): Sought[] {
  const rules: Sought[] = []
  const jwts: string[] = []
  const starts: string[] = []
  for (const { format, start, minTail, maxTail } of SIGNED_FORMS) {
    const head = `${start.replaceAll('.', '\\.')}${BASE64URL}+\\.`
    if (format === 'jwt') {
      jwts.push(`${head}${JWT_PAYLOAD_START}${BASE64URL}+\\.${BASE64URL}{${minTail}}`)
      starts.push(start)
      continue
    }
    const pattern = `${head}${BASE64URL}{${minTail},${maxTail}}`
    rules.push({ id: 'tokenwright-compact', what: 'A compact signed token', pattern, keyword: start })
  }
  const jwt = { id: 'tokenwright-jwt', what: 'A signed token, as a JWT', pattern: jwts.join('|') }
  return [...rules, { ...jwt, keyword: commonStart(starts) }]
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
 * Rules for gitleaks, as a TOML file of their own that extends its default ones: `gitleaks dir <path> --config <file>`.
 * A prefix is a keyword, in lower case as gitleaks compares them.
 */
export function gitleaksRules(formats: readonly TokenFormat[]): string {
  const rules = sought(formats).map(({ id, what, pattern, keyword }) =>
    [
      '[[rules]]',
      `id = "${id}"`,
      `description = "${what}"`,
      `regex = ${tomlText(pattern)}`,
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
    pattern: `${format.prefix}[${symbolClass(format)}]{${format.length}}`,
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
