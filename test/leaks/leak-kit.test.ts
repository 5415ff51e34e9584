import { Readable } from 'node:stream'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  type FormatInput,
  InvalidInputError,
  NoFormatsError,
  type ScanFinding,
  type ScanSource,
} from '../../src/index.ts'
import { setUp, spyOn } from '../issuing/fixture.ts'

const FORMATS: FormatInput[] = [{ prefix: 'sk_' }, { prefix: 'Full-', charset: 'full', length: 60 }, { type: 'github' }]
const kit = (formats: readonly FormatInput[] = FORMATS) => setUp({ formats })

async function all(tokens: ReturnType<typeof kit>['tokens'], source: ScanSource): Promise<ScanFinding[]> {
  const found: ScanFinding[] = []
  for await (const finding of tokens.leaks.scan(source)) found.push(finding)
  return found
}

describe('redact', () => {
  it('blots out tokens and pieces of them, and leaves the rest as it is', async () => {
    const { tokens } = kit()
    const { token } = await tokens.generate({ service: 'A', prefix: 'sk_' })
    const { token: full } = await tokens.generate({ service: 'B', ...FORMATS[1] })
    expect(tokens.leaks.redact(`a ${token}, b=${full} c`)).toBe('a sk_[redacted], b=Full-[redacted] c')
    expect(tokens.leaks.redact(`${token.slice(0, 30)} and ${token}-${token}`)).toBe(
      'sk_[redacted] and sk_[redacted]-sk_[redacted]',
    )
  })

  it('leaves no symbol of a token, wherever it stands, and takes linear time', async () => {
    const { tokens } = kit()
    const { token } = await tokens.generate({ service: 'A', prefix: 'sk_' })
    fc.assert(
      fc.property(fc.string(), fc.string(), (before, after) => {
        const text = tokens.leaks.redact(before + token + after)
        expect(text).not.toContain(token.slice(3, 19))
        expect(text).not.toContain(token.slice(-16))
      }),
    )
    const time = (text: string) => {
      const start = performance.now()
      tokens.leaks.redact(text)
      return performance.now() - start
    }
    for (const piece of ['sk_', 'sk_aaaaaaaaaaaaaaa ', 'Full-', 'ghp_0123456789abcde_']) {
      time(piece.repeat(1000))
      expect(time(piece.repeat(160_000))).toBeLessThan(Math.max(200, time(piece.repeat(10_000)) * 64))
    }
  })

  it('gives a pattern of its own to whoever asks', async () => {
    const { tokens } = kit()
    const { token } = await tokens.generate({ service: 'A', prefix: 'sk_' })
    const { pattern } = tokens.leaks
    expect(`x ${token} y`.replace(pattern, '*')).toBe('x * y')
    expect(pattern).not.toBe(tokens.leaks.pattern)
    expect('sk_short ghp_ nothing'.match(pattern)).toBeNull()
  })

  it('says that it knows no form, instead of letting all pass', async () => {
    const { tokens } = kit([])
    expect(() => tokens.leaks.redact('x')).toThrow(NoFormatsError)
    expect(() => tokens.leaks.pattern).toThrow(NoFormatsError)
    expect(() => tokens.leaks.gitleaks()).toThrow(NoFormatsError)
    expect(() => tokens.leaks.trufflehog()).toThrow(NoFormatsError)
    await expect(all(tokens, 'x')).rejects.toThrow(NoFormatsError)
    expect(() => kit().tokens.leaks.redact(1 as never)).toThrow(InvalidInputError)
  })
})

describe('scan', () => {
  it('tells whose a token is and whether it is live, and holds no token', async () => {
    const { tokens } = kit()
    const live = await tokens.generate({ service: 'LIVE', prefix: 'sk_' })
    const gone = await tokens.generate({ service: 'GONE', type: 'github' })
    await tokens.revoke('GONE')
    const trap = await tokens.generate({ service: 'TRAP', prefix: 'sk_', canary: true })
    const foreign = await kit().tokens.generate({ service: 'ELSEWHERE', prefix: 'sk_' })
    const old = await tokens.generate({ service: 'OLD', prefix: 'sk_' })
    await tokens.rotate('OLD', { grace: '1h' })
    const texts = [live, gone, trap, foreign, old].map(({ token }) => token)
    const found = await all(tokens, texts.join('\n'))
    expect(found.map(({ line, live, token, version }) => [line, live, token?.service, version])).toEqual([
      [1, true, 'LIVE', 1],
      [2, false, 'GONE', 1],
      [3, false, 'TRAP', 1],
      [4, false, undefined, undefined],
      [5, true, 'OLD', 1],
    ])
    for (const text of texts) expect(JSON.stringify(found)).not.toContain(text.slice(12))
    expect(found[0]?.preview).toBe(`${live.token.slice(0, 9)}…`)
  })

  it('takes texts, bytes, streams and lists, and texts of any length', async () => {
    const { tokens } = kit()
    const { token } = await tokens.generate({ service: 'A', prefix: 'sk_' })
    const text = `${'😀'.repeat(40_000)}${token}`
    const offset = 160_000
    const web = new ReadableStream({
      start(controller) {
        controller.enqueue(Buffer.from(text).subarray(0, offset + 5))
        controller.enqueue(Buffer.from(text).subarray(offset + 5))
        controller.close()
      },
    })
    for (const source of [
      text,
      `x${text}`.slice(1),
      Buffer.from(text),
      Readable.from([text]),
      [text.slice(0, 9), text.slice(9)],
      web,
    ])
      expect(await all(tokens, source as ScanSource)).toMatchObject([{ live: true, line: 1 }])
    expect((await all(tokens, text))[0]?.offset).toBe(offset)
    expect((await all(tokens, `x${text}`))[0]?.offset).toBe(offset + 1)
    await expect(all(tokens, [1] as never)).rejects.toThrow(InvalidInputError)
    const broken = Readable.from(
      (async function* () {
        yield token
        throw new Error('the disk is gone')
      })(),
    )
    await expect(all(tokens, broken)).rejects.toThrow('the disk is gone')
  })

  it('asks the store once for a text that comes again and again, and counts and tells nothing', async () => {
    const { tokens, store, keys, events } = kit()
    const { token } = await tokens.generate({ service: 'A', prefix: 'sk_', canary: true })
    const { proxy, calls } = spyOn(store)
    const other = setUp({ store: proxy, keys, formats: FORMATS })
    await other.tokens.ready()
    calls.length = 0
    expect(await all(other.tokens, `${token}\n`.repeat(500))).toHaveLength(500)
    expect(calls).toEqual(['find'])
    expect(other.events.names()).toEqual([])
    expect(events.names()).toEqual(['token.generated'])
    await other.tokens.usage.flush()
    expect(await tokens.usage.query()).toEqual([])
  })
})

describe('rules of scanners', () => {
  it('for gitleaks are TOML whose expressions find exactly tokens', async () => {
    const { tokens } = kit()
    const rules = tokens.leaks.gitleaks()
    expect(rules).toContain('[extend]\nuseDefault = true')
    const ids = [...rules.matchAll(/^id = "(.+)"$/gm)].map(([, id]) => id)
    expect(ids).toEqual(['tokenwright-sk', 'tokenwright-full', 'tokenwright-ghp'])
    expect([...rules.matchAll(/^keywords = \["(.+)"\]$/gm)].map(([, word]) => word)).toEqual(['sk_', 'full-', 'ghp_'])
    const sources = [...rules.matchAll(/^regex = (".+")$/gm)].map(([, text]) => JSON.parse(text as string) as string)
    await findExactly(tokens, sources)
  })

  it('for trufflehog are YAML with the same', async () => {
    const { tokens } = kit()
    const rules = tokens.leaks.trufflehog()
    expect(rules).toMatch(
      /^detectors:\n {2}- name: tokenwright-sk\n {4}keywords:\n {6}- 'sk_'\n {4}regex:\n {6}token: '/,
    )
    const sources = [...rules.matchAll(/^ {6}token: '(.+)'$/gm)].map(([, text]) =>
      (text as string).replaceAll("''", "'"),
    )
    await findExactly(tokens, sources)
  })

  it('have ids that differ where prefixes differ by case or marks alone', () => {
    const { tokens } = kit([{ prefix: 'sk_' }, { prefix: 'SK-' }, { prefix: '__' }])
    const ids = [...tokens.leaks.gitleaks().matchAll(/^id = "(.+)"$/gm)].map(([, id]) => id)
    expect(ids).toEqual(['tokenwright-sk-1', 'tokenwright-sk-2', 'tokenwright-3'])
  })

  async function findExactly(tokens: ReturnType<typeof kit>['tokens'], sources: string[]): Promise<void> {
    expect(sources).toHaveLength(FORMATS.length)
    for (const [i, source] of sources.entries()) {
      const { token } = await tokens.generate({ service: `S${i}`, ...FORMATS[i] })
      const expression = new RegExp(source)
      expect(expression.exec(`x = ${token}\n`)?.[1]).toBe(token)
      expect(expression.exec(token)?.[1]).toBe(token)
      expect(expression.test(token.slice(0, -1))).toBe(false)
      expect(expression.test(`${token}a`)).toBe(false)
    }
  }
})
