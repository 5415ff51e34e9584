import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { FormatInput } from '../../src/index.ts'
import { seededRandom } from '../../src/testing/index.ts'
import { alphabetOf } from '../../src/tokens/alphabet.ts'
import { generateText, parseFormat, type TokenFormat } from '../../src/tokens/format.ts'
import { setUp } from '../issuing/fixture.ts'
import { findProgram } from '../real-servers.ts'

/**
 * The rules that the kit makes, in the programs that they are for. Tokens of every form and near misses are planted in files
 * as they stand in real ones; both programs have to find what our own scan finds there, but for the checksum, which they can't check.
 */

const run = promisify(execFile)
const gitleaks = await findProgram('gitleaks')
const trufflehog = await findProgram('trufflehog')

/** Every printable sign: quotes, brackets, backslashes and all that means something in TOML, YAML and expressions. */
const EVERY = Array.from({ length: 94 }, (_, i) => String.fromCharCode(0x21 + i)).join('')
const INPUTS: readonly FormatInput[] = [
  { prefix: 'acme_' },
  { prefix: 'Acme-Live_', length: 40 },
  { prefix: 'full-', charset: 'full', length: 60 },
  { prefix: 'b64_', charset: 'base64', length: 48 },
  { prefix: 'url_', charset: 'base64url', length: 43 },
  { prefix: 'hex_', charset: 'hex', length: 64 },
  { prefix: 'every_', charset: { alphabet: EVERY }, length: 50 },
  { prefix: 'marks_', charset: { alphabet: '-]^\\[!"\'' }, length: 80 },
  { prefix: 'long_', length: 500 },
  { type: 'github' },
]
const FORMATS = INPUTS.map((input) => parseFormat({ checksum: true, ...input }))
const random = seededRandom('planted')

/** How a text stands in a file: the file, and the line around it. */
const PLACES: readonly (readonly [file: string, around: (text: string) => string])[] = [
  ['.env', (text) => `API_KEY=${text}`],
  ['app/config.yaml', (text) => `  token: ${text}`],
  ['app/config.json', (text) => `{ "token": ${JSON.stringify(text)} }`],
  ['src/client.ts', (text) => `const token = '${text}'; // mended`],
  ['docs/notes.md', (text) => `Use \`${text}\` (see **${text}**), then go on.`],
  ['logs/access.log', (text) => `10.0.0.1 - GET /?key=${text}&x=1 HTTP/1.1\r`],
  ['logs/deep/long.txt', (text) => `${'x '.repeat(900)}(${text})`],
  ['scripts/run.sh', (text) => `curl -H "Authorization: Bearer ${text}" https://shop.example`],
  ['last', (text) => text],
]

let folder = ''
let tokens: ReturnType<typeof setUp>['tokens']
/** What is planted in a file. */
interface Planted {
  readonly tokens: Set<string>
  /** With a checksum that doesn't fit: for programs that can't tell. */
  readonly checksums: Set<string>
  /** With one symbol more behind them. */
  readonly longer: Set<string>
}
const planted = new Map<string, Planted>()

/** What is almost a token of a format: cut, of another prefix, with a blank in it, and an example of documentation. */
function nearMisses(format: TokenFormat): string[] {
  const { prefix } = format
  const plain = generateText(format, random).slice(prefix.length)
  return [
    `${prefix}${plain.slice(0, -1)} `,
    `${prefix.slice(1)}${plain}`,
    `${prefix}${plain.slice(0, 9)} ${plain.slice(10)}`,
    `${prefix}your-token-here`,
  ]
}

/** One with a last character other than its checksum's. */
function misspelt(format: TokenFormat): string {
  const text = generateText(format, random)
  const alphabet = alphabetOf(format.charset)
  const other = [...alphabet].find((symbol) => symbol !== text.at(-1) && /[0-9A-Za-z]/.test(symbol)) ?? alphabet[0]
  return text.slice(0, -1) + (other === text.at(-1) ? alphabet[1] : other)
}

/** Whether a text stands as it is within a line of a file: a quote or backslash is written otherwise in some. */
const asItIs = (text: string, line: string) => line.includes(text)

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tokenwright-scanners-'))
  tokens = setUp({
    formats: FORMATS.map(inputOf),
    keys: [{ id: '2027-01', secret: 'a secret, 0123456789 abcdefghijklmnop' }],
  }).tokens
  const signed: string[] = []
  for (const format of ['jwt', 'hmac'] as const) {
    for (const claims of [{}, { note: 'ü'.repeat(300) }])
      signed.push(
        (await tokens.signer.mint({ agent: 'builder', scopes: ['docs:read'], ttl: '1h', format, claims })).token,
      )
  }
  for (const algorithm of ['ES256', 'HS256'] as const) {
    const other = setUp({ signed: { algorithm } }).tokens
    signed.push((await other.signer.mint({ agent: 'builder', ttl: '1h', format: 'jwt' })).token)
  }
  for (const [file, around] of PLACES) {
    const lines: string[] = ['# planted']
    const there: Planted = { tokens: new Set(), checksums: new Set(), longer: new Set() }
    const plant = (text: string, into?: Set<string>) => {
      const line = around(text)
      if (!asItIs(text, line)) return
      lines.push(line)
      into?.add(text)
    }
    for (const format of FORMATS) {
      for (let n = 0; n < 3; n++) plant(generateText(format, random), there.tokens)
      plant(misspelt(format), there.checksums)
      for (const text of nearMisses(format)) plant(text)
      const text = generateText(format, random)
      const more = [...alphabetOf(format.charset)].find((symbol) => /[0-9A-Za-z]/.test(symbol))
      if (more !== undefined && asItIs(text, around(text + more))) {
        plant(text + more)
        there.longer.add(text)
      }
    }
    for (const text of signed) plant(text, there.tokens)
    for (const text of signed) {
      const [head = '', payload = '', rest = ''] = text.split('.')
      plant(`${head}.${payload}`)
      plant(`${head}.${payload}.${rest.slice(0, 30)}`)
      plant(`x${head.slice(2)}.${payload}.${rest}`)
    }
    // The last line ends where the token does.
    plant(generateText(FORMATS[0] as TokenFormat, random), there.tokens)
    planted.set(file, there)
    await mkdir(dirname(join(folder, file)), { recursive: true })
    await writeFile(join(folder, file), lines.join('\n'))
  }
})

afterAll(async () => {
  await rm(folder, { recursive: true, force: true })
  await tokens.close()
})

/** A file and a text in it. */
type Find = readonly [file: string, text: string]

/** What was found and isn't wanted, and what is wanted and wasn't found, each cut to be read. */
function difference(found: readonly Find[], wanted: readonly Find[]): { extra: string[]; missing: string[] } {
  const told = (finds: readonly Find[]) => new Map(finds.map(([file, text]) => [`${file} ${text}`, text]))
  const [here, there] = [told(found), told(wanted)]
  const only = (one: Map<string, string>, other: Map<string, string>) =>
    [...one.keys()].filter((key) => !other.has(key)).map((key) => (key.length > 160 ? `${key.slice(0, 160)}…` : key))
  return { extra: only(here, there), missing: only(there, here) }
}

const wanted = (sets: readonly (keyof Planted)[]): Find[] =>
  [...planted].flatMap(([file, there]) => sets.flatMap((set) => [...there[set]].map((text): Find => [file, text])))

/** What our own scan finds: it tells places, the file tells what is there. */
async function scanned(): Promise<Find[]> {
  const finds: Find[] = []
  for (const [file] of PLACES) {
    const bytes = await readFile(join(folder, file))
    const { tokens: whole, longer } = planted.get(file) as Planted
    for await (const { offset } of tokens.leaks.scan(bytes)) {
      const there = (text: string) => bytes.toString('latin1', offset, offset + text.length) === text
      finds.push([file, [...whole, ...longer].find(there) ?? bytes.toString('latin1', offset, offset + 80)])
    }
  }
  return finds
}

describe('what our own scan finds', () => {
  it('is every token that was planted, and nothing else', async () => {
    const found = await scanned()
    expect(difference(found, wanted(['tokens', 'longer']))).toEqual({ extra: [], missing: [] })
    expect(found.length).toBeGreaterThan(250)
  })
})

describe.runIf(gitleaks)('gitleaks', () => {
  it('finds the same by the generated rules, and those with a wrong checksum', async () => {
    const config = join(folder, '..', `${folder.split('/').at(-1)}.toml`)
    const report = `${config}.json`
    try {
      await writeFile(config, tokens.leaks.gitleaks())
      const options = [
        '--config',
        config,
        '--report-path',
        report,
        '--no-banner',
        '--exit-code',
        '0',
        '--log-level',
        'error',
      ]
      await run(gitleaks as string, ['dir', folder, ...options], { timeout: 60_000 })
      const found = JSON.parse(await readFile(report, 'utf8')) as { RuleID: string; Secret: string; File: string }[]
      const ours = found.filter(({ RuleID }) => RuleID.startsWith('tokenwright-'))
      const finds = ours.map(({ File, Secret }): Find => [File.slice(folder.length + 1), Secret])
      expect(difference(finds, wanted(['tokens', 'longer', 'checksums']))).toEqual({ extra: [], missing: [] })
      // Its own rules are there beside ours.
      expect(found.some(({ RuleID }) => RuleID === 'github-pat')).toBe(true)
    } finally {
      await rm(config, { force: true })
      await rm(report, { force: true })
    }
  })
})

describe.runIf(trufflehog)('trufflehog', () => {
  it('finds the same by the generated detectors, and those with a wrong checksum', async () => {
    const config = join(folder, '..', `${folder.split('/').at(-1)}.yaml`)
    try {
      await writeFile(config, tokens.leaks.trufflehog())
      const options = ['--config', config, '--no-verification', '--no-update', '--json']
      const { stdout } = await run(trufflehog as string, ['filesystem', folder, ...options], {
        timeout: 60_000,
        maxBuffer: 64 * 1024 * 1024,
      })
      const finds: Find[] = []
      for (const line of stdout.split('\n')) {
        if (line === '') continue
        const found = JSON.parse(line) as TrufflehogFinding
        if (found.ExtraData?.name?.startsWith('tokenwright-') !== true) continue
        finds.push([found.SourceMetadata.Data.Filesystem.file.slice(folder.length + 1), found.Raw])
      }
      expect(difference(finds, wanted(['tokens', 'longer', 'checksums']))).toEqual({ extra: [], missing: [] })
    } finally {
      await rm(config, { force: true })
    }
  })
})

interface TrufflehogFinding {
  readonly SourceMetadata: { readonly Data: { readonly Filesystem: { readonly file: string } } }
  readonly Raw: string
  readonly ExtraData?: { readonly name?: string } | null
}

function inputOf({ type, prefix, charset, length }: TokenFormat): FormatInput {
  return type === 'github' ? { type } : { prefix, charset, length }
}
