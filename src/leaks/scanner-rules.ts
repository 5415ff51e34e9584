import type { TokenFormat } from '../tokens/format.ts'
import { symbolClass } from './symbol-class.ts'

/**
 * The expression for scanners that can't check a checksum (RE2): exactly as many symbols as a token has, and then none, so that
 * longer texts don't match. The token is group 1.
 */
function scannerPattern(format: TokenFormat): string {
  const symbols = symbolClass(format)
  return `(${format.prefix}[${symbols}]{${format.length}})(?:[^${symbols}]|$)`
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
  const rules = formats.map((format) =>
    [
      '[[rules]]',
      `id = "${ruleId(format, formats)}"`,
      `description = "A token of the form ${format.prefix}…"`,
      `regex = ${tomlText(scannerPattern(format))}`,
      'secretGroup = 1',
      `keywords = ["${format.prefix.toLowerCase()}"]`,
    ].join('\n'),
  )
  return `${['title = "tokenwright"', '[extend]\nuseDefault = true', ...rules].join('\n\n')}\n`
}

/**
 * Custom detectors for trufflehog, as a YAML file: `trufflehog filesystem --config <file> <path>`. They have no verifier:
 * that would send what was found over the network.
 */
export function trufflehogRules(formats: readonly TokenFormat[]): string {
  const detectors = formats.map((format) =>
    [
      `  - name: ${ruleId(format, formats)}`,
      '    keywords:',
      `      - ${yamlText(format.prefix)}`,
      '    regex:',
      `      token: ${yamlText(scannerPattern(format))}`,
    ].join('\n'),
  )
  return detectors.length === 0 ? 'detectors: []\n' : `detectors:\n${detectors.join('\n')}\n`
}

/** A basic TOML text: expressions hold no control characters, so quotes and backslashes are all there is to escape. */
function tomlText(text: string): string {
  return `"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`
}

function yamlText(text: string): string {
  return `'${text.replaceAll("'", "''")}'`
}
