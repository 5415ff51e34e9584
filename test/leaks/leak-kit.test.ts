import { Readable } from 'node:stream'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  type FormatInput,
  generateSecret,
  InvalidInputError,
  NoFormatsError,
  type ScanFinding,
  type ScanSource,
  StoreUnavailableError,
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

  it('looks no further than it is asked to, in one large chunk too', async () => {
    const { tokens, store, keys } = kit()
    const texts = await Promise.all(
      Array.from({ length: 20 }, async (_, i) => (await tokens.generate({ service: `S${i}`, prefix: 'sk_' })).token),
    )
    const { proxy, calls } = spyOn(store)
    const other = setUp({ store: proxy, keys, formats: FORMATS })
    await other.tokens.ready()
    calls.length = 0
    for await (const found of other.tokens.leaks.scan(Buffer.from(texts.join('\n')))) {
      expect(found.line).toBe(1)
      break
    }
    expect(calls).toEqual(['find'])
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

describe.each([
  ['jwt', 'EdDSA'],
  ['jwt', 'ES256'],
  ['jwt', 'HS256'],
  ['hmac', undefined],
] as const)('signed tokens: %s %s', (format, algorithm) => {
  const signing = (more: object = {}, keys?: string) =>
    setUp({ formats: FORMATS, signed: { algorithm, ...more }, ...(keys && { keys }) })
  const mint = ({ tokens }: ReturnType<typeof signing>, more: object = {}) =>
    tokens.signer.mint({ agent: 'builder', scopes: ['docs:read'], ttl: '1h', format, ...more })

  it('are blotted out, whole and in pieces, and what looks a little like them is not', async () => {
    const world = signing()
    const { token } = await mint(world)
    const { leaks } = world.tokens
    const mark = format === 'jwt' ? 'eyJ[redacted]' : 'v1.[redacted]'
    expect(leaks.redact(`Bearer ${token}, and "${token}".`)).toBe(`Bearer ${mark}, and "${mark}".`)
    for (const cut of [token.length - 1, token.length - 50, Math.floor(token.length / 2), 60])
      expect(leaks.redact(`${token.slice(0, cut)} …`)).toBe(`${mark} …`)
    fc.assert(
      fc.property(fc.string(), fc.string(), (before, after) => {
        const text = leaks.redact(before + token + after)
        expect(text).not.toContain(token.slice(20, 40))
        expect(text).not.toContain(token.slice(-20))
      }),
    )
    // A listed prefix that begins as they do takes nothing of them away.
    const clash = setUp({ formats: [{ prefix: format === 'jwt' ? 'ey' : 'v1' }] }).tokens
    expect(clash.leaks.redact(`Bearer ${token} and`)).toBe(`Bearer ${mark} and`)
    const harmless = 'v1.2 of api/v1.eyes, eyJhbGciOiJSUzI1NiJ9.e30.x is of somebody else, v1.eyJ'
    expect(leaks.redact(harmless)).toBe(harmless)
    const time = (text: string) => {
      const start = performance.now()
      leaks.redact(text)
      return performance.now() - start
    }
    for (const piece of [
      token.slice(0, 13),
      token.slice(0, 60),
      `${token}.`,
      `${token.slice(0, 60)}.`,
      'eyJhbGciOiJ',
    ]) {
      time(piece.repeat(1000))
      expect(time(piece.repeat(16_000))).toBeLessThan(Math.max(200, time(piece.repeat(1000)) * 64))
    }
  })

  it('are found, with who they are and whether they are live, by the signer', async () => {
    const world = signing()
    const { tokens } = world
    const [live, revoked, expired] = [await mint(world), await mint(world), await mint(world, { ttl: '1s' })]
    const elsewhere = await mint(world, { audience: 'billing' })
    await tokens.signer.revoke({ id: revoked.id })
    await world.clock.advance('2s')
    // Of another host with the same issuer: it says that it is ours, and isn't. One of another issuer isn't told at all.
    const forged = await mint(signing({}, generateSecret()))
    const foreign = await mint(signing({ issuer: 'another' }))
    const all_ = [live, revoked, expired, elsewhere, forged, foreign].map(({ token }) => token)
    const found = await all(tokens, all_.join('\n'))
    const told = found.map(({ line, live, token, version }) => [line, live, token?.signed?.id, version])
    expect(told).toEqual([
      [1, true, live.id, 1],
      [2, false, revoked.id, 1],
      [3, false, expired.id, 1],
      [4, true, elsewhere.id, 1],
      [5, false, undefined, undefined],
    ])
    expect(found[0]?.token).toMatchObject({ id: 'agent:builder', signed: { agent: 'builder', format } })
    for (const text of all_) expect(JSON.stringify(found)).not.toContain(text.slice(-30))
    // A scan is no use, and no verification learns of tokens for others by it.
    await tokens.usage.flush()
    expect(await tokens.usage.query()).toEqual([])
    expect(world.events.names().filter((name) => name.startsWith('security.'))).toEqual([])
    expect(await tokens.verify(elsewhere.token)).toMatchObject({ code: 'unknown' })
  })

  it('are found whatever follows them', async () => {
    const world = signing()
    const { token, id } = await mint(world)
    for (const after of ['', '.', '"', '-', 'AAAA', '_v2', '=', '\u00fc', 'A'.repeat(300)]) {
      const found = await all(world.tokens, `x${token}${after}`)
      expect(
        found.map(({ offset, live, token: view }) => [offset, live, view?.signed?.id]),
        after,
      ).toEqual([[1, true, id]])
    }
    // The name of a compact token's key may have 1 to 32 characters: one that is a little shorter still has the form.
    for (const cut of format === 'jwt' ? [1, 20, 60] : [40, 60])
      expect(await all(world.tokens, token.slice(0, -cut))).toEqual([])
  })

  it('are told live or not without asking the store, and not at all when that can’t be known', async () => {
    const one = signing()
    const { proxy, calls } = spyOn(one.store)
    const world = setUp({ store: proxy, keys: one.keys, formats: FORMATS, signed: { algorithm } }, one.clock)
    const { token } = await mint(one)
    const texts = `${token}\n`.repeat(20)
    expect(await all(world.tokens, texts)).toHaveLength(20)
    calls.length = 0
    expect(await all(world.tokens, texts)).toHaveLength(20)
    expect(calls).toEqual([])
    const down = new Proxy(one.store, {
      get(target, name) {
        if (name === 'list') return () => Promise.reject(new StoreUnavailableError('it is down'))
        const value: unknown = Reflect.get(target, name, target)
        return typeof value === 'function' ? value.bind(target) : value
      },
    })
    const blind = setUp({ store: down, keys: one.keys, formats: FORMATS, signed: { algorithm } }, one.clock)
    await expect(all(blind.tokens, token)).rejects.toThrow(StoreUnavailableError)
  })
})

describe('rules of scanners', () => {
  it('for gitleaks are TOML whose expressions find tokens, and of a line nothing else', async () => {
    const { tokens } = kit()
    const rules = tokens.leaks.gitleaks()
    expect(rules).toContain('[extend]\nuseDefault = true')
    const ids = [...rules.matchAll(/^id = "(.+)"$/gm)].map(([, id]) => id)
    const forms = ['tokenwright-sk', 'tokenwright-full', 'tokenwright-ghp']
    expect(ids).toEqual([...forms, 'tokenwright-compact', 'tokenwright-jwt'])
    expect([...rules.matchAll(/^keywords = \["(.+)"\]$/gm)].map(([, word]) => word)).toEqual([
      ...['sk_', 'full-', 'ghp_', 'v1.eyjpc3mioi', 'eyjhbgcioij'],
    ])
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
    expect(ids.slice(0, 3)).toEqual(['tokenwright-sk-1', 'tokenwright-sk-2', 'tokenwright-3'])
    expect(new Set(ids).size).toBe(5)
  })

  async function findExactly(tokens: ReturnType<typeof kit>['tokens'], sources: string[]): Promise<void> {
    expect(sources).toHaveLength(FORMATS.length + 2)
    const signed = async (format: 'jwt' | 'hmac') => (await tokens.signer.mint({ agent: 'a', ttl: '1h', format })).token
    const texts = [await signed('hmac'), await signed('jwt')]
    for (const [i, source] of sources.entries()) {
      const token = FORMATS[i]
        ? (await tokens.generate({ service: `S${i}`, ...FORMATS[i] })).token
        : (texts[i - FORMATS.length] ?? '')
      const expression = new RegExp(source)
      for (const line of [token, `x = ${token}\n`, `(${token})`, `"${token}",`, `a${token}`, `${token}\u00fc`])
        expect(expression.exec(line)?.[0]).toBe(token)
      // The name of a compact token's key may be longer or shorter.
      const compact = token.startsWith('v1.')
      expect(expression.test(token.slice(0, compact ? -40 : -1))).toBe(false)
      expect(expression.exec(`${token}A`)?.[0]).toBe(compact ? `${token}A` : token)
    }
  }
})
