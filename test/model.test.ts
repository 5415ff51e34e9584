import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  type MemoryTokenStore,
  MemoryTokenStore as Store,
  StoreUnavailableError,
  type Tokenwright,
  TokenwrightError,
} from '../src/index.ts'
import { createLink, dataDigest, EMPTY_HEAD, tagEntry } from '../src/stores/journal-link.ts'
import { type FakeClock, fakeClock } from '../src/testing/index.ts'
import { KeyRing } from '../src/tokens/key-ring.ts'
import { tokenKind } from '../src/tokens/record.ts'
import { START, setUp } from './issuing/fixture.ts'

/**
 * The life of tokens against a model: random commands, crashes after the commit whose answer is lost, restarts. After
 * each command every text that was ever handed out is verified, and the answer is what the model says.
 */

/** What the model knows of one text. */
interface Text {
  readonly text: string
  readonly n: number
  readonly madeAt: number
  /** Refused from here on; why. */
  end: number
  why: 'expired' | 'revoked'
}

interface Token {
  readonly service: string
  readonly expiresIn: number | undefined
  readonly texts: Text[]
  current: number
  disabled: boolean
  revoked: boolean
  /** It expired and gave its name away. */
  nameless: boolean
}

const KEYS = 'a secret for the model, 0123456789 abcdefghij'
const SERVICES = ['A', 'B', 'C']
const RETENTION = 30 * 86_400_000

class Model {
  readonly tokens: Token[] = []

  holder(service: string, now: number): Token | undefined {
    return this.tokens.findLast(
      (token) => token.service === service && !token.revoked && this.live(token, now).length > 0,
    )
  }

  named(service: string): Token | undefined {
    return this.tokens.findLast((token) => token.service === service && !token.revoked && !token.nameless)
  }

  live(token: Token, now: number): Text[] {
    return token.texts.filter((text) => now < text.end)
  }

  answer(token: Token, text: Text, now: number): string {
    const gone = now - text.end >= RETENTION && text.n !== token.current
    if (token.revoked) return gone ? 'unknown' : 'revoked'
    if (now >= text.end && text.why === 'revoked') return gone ? 'unknown' : 'revoked'
    if (token.disabled) return 'disabled'
    return now < text.end ? 'ok' : 'expired'
  }
}

/** Loses the answer of the next commit when told to, after it was done, as a crash does. */
class Crashing extends Store {
  crash = false

  override commit(...args: Parameters<MemoryTokenStore['commit']>): ReturnType<MemoryTokenStore['commit']> {
    const result = super.commit(...args)
    if (this.crash && args[0].journal.length > 0) {
      this.crash = false
      throw new StoreUnavailableError('the process died here')
    }
    return result
  }
}

type Command =
  | { readonly op: 'generate'; readonly service: string; readonly expiresIn: number | undefined }
  | { readonly op: 'rotate'; readonly service: string; readonly grace: number; readonly crash: boolean }
  | { readonly op: 'revoke' | 'disable' | 'enable'; readonly service: string; readonly crash: boolean }
  | { readonly op: 'revokeVersion'; readonly service: string }
  | { readonly op: 'advance'; readonly by: number }
  | { readonly op: 'restart' | 'tick' }

const service = fc.constantFrom(...SERVICES)
const span = fc.constantFrom(1000, 60_000, 3_600_000, 86_400_000)
const command: fc.Arbitrary<Command> = fc.oneof(
  fc.record({ op: fc.constant('generate' as const), service, expiresIn: fc.option(span, { nil: undefined }) }),
  fc.record({
    op: fc.constant('rotate' as const),
    service,
    grace: fc.oneof(fc.constant(0), span),
    crash: fc.boolean(),
  }),
  fc.record({
    op: fc.constantFrom('revoke' as const, 'disable' as const, 'enable' as const),
    service,
    crash: fc.boolean(),
  }),
  fc.record({ op: fc.constant('revokeVersion' as const), service }),
  fc.record({ op: fc.constant('advance' as const), by: fc.oneof(span, fc.integer({ min: 1, max: 90_000_000 })) }),
  fc.record({ op: fc.constantFrom('restart' as const, 'tick' as const) }),
)

describe('the life of tokens', () => {
  it('is what the model says, through crashes and restarts', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(command, { minLength: 5, maxLength: 40 }), async (commands) => {
        const clock: FakeClock = fakeClock({ now: START })
        const store = new Crashing({ clock })
        const model = new Model()
        const open = () => setUp({ store, keys: KEYS, retention: false }, clock).tokens
        let tokens = open()
        for (const command of commands) {
          tokens = await apply(command, tokens, model, store, clock, open)
          await check(tokens, model, clock.now())
        }
        // A fresh process sees the same, and so does one whose caches are cold.
        await check(open(), model, clock.now())
        await checkJournal(store)
      }),
      { numRuns: 400 },
    )
  }, 60_000)
})

async function apply(
  command: Command,
  tokens: Tokenwright,
  model: Model,
  store: Crashing,
  clock: FakeClock,
  open: () => Tokenwright,
): Promise<Tokenwright> {
  const now = clock.now()
  switch (command.op) {
    case 'advance':
      await clock.advance(command.by)
      return tokens
    case 'restart':
      return open()
    case 'tick':
      await tokens.tick()
      await tokens.cleanup({ retention: '3650d' })
      return tokens
    case 'generate': {
      const holder = model.holder(command.service, now)
      const made = await attempt(() =>
        tokens.generate({
          service: command.service,
          checksum: false,
          ...(command.expiresIn && { expiresIn: command.expiresIn }),
        }),
      )
      expect(made.code).toBe(holder === undefined ? undefined : 'ERR_SERVICE_EXISTS')
      if (made.value === undefined) return tokens
      const before = model.named(command.service)
      if (before !== undefined) before.nameless = true
      const end = command.expiresIn === undefined ? Number.POSITIVE_INFINITY : now + command.expiresIn
      const texts: Text[] = [{ text: made.value.token, n: 1, madeAt: now, end, why: 'expired' }]
      model.tokens.push({
        service: command.service,
        expiresIn: command.expiresIn,
        texts,
        current: 1,
        disabled: false,
        revoked: false,
        nameless: false,
      })
      return tokens
    }
    case 'rotate': {
      const token = model.named(command.service)
      const live = token === undefined ? [] : model.live(token, now)
      const expected =
        token === undefined
          ? 'ERR_TOKEN_NOT_FOUND'
          : token.disabled || live.length === 0
            ? 'ERR_TOKEN_STATE'
            : command.grace > 0 && live.length >= 3
              ? 'ERR_TOO_MANY_LIVE_VERSIONS'
              : undefined
      store.crash = command.crash && expected === undefined
      const crashed = store.crash
      const done = await attempt(() => tokens.rotate(command.service, { grace: command.grace }))
      store.crash = false
      expect(done.code).toBe(crashed ? 'ERR_STORE_UNAVAILABLE' : expected)
      if (expected !== undefined || token === undefined) return tokens
      for (const text of live) {
        const current = text.n === token.current
        if (command.grace === 0) Object.assign(text, { end: now, why: 'revoked' })
        else if (current) Object.assign(text, { end: Math.min(text.end, now + command.grace) })
      }
      token.current += 1
      // The new text of a crashed rotation is lost with the process; its version is there all the same.
      const end = token.expiresIn === undefined ? Number.POSITIVE_INFINITY : now + token.expiresIn
      token.texts.push({ text: done.value?.token ?? '', n: token.current, madeAt: now, end, why: 'expired' })
      return crashed ? open() : tokens
    }
    case 'revokeVersion': {
      const token = model.named(command.service)
      if (token === undefined || token.current === 1) return tokens
      const oldest = token.texts.find((text) => now < text.end && text.n !== token.current)
      if (oldest === undefined) return tokens
      await tokens.revoke(command.service, { version: oldest.n })
      Object.assign(oldest, { end: now, why: 'revoked' })
      return tokens
    }
    default: {
      const token = model.named(command.service)
      const idle =
        token !== undefined &&
        ((command.op === 'disable' && token.disabled) || (command.op === 'enable' && !token.disabled))
      store.crash = command.crash && token !== undefined && !idle
      const crashed = store.crash
      const done = await attempt<unknown>(() => tokens[command.op](command.service))
      store.crash = false
      expect(done.code).toBe(
        token === undefined ? 'ERR_TOKEN_NOT_FOUND' : crashed ? 'ERR_STORE_UNAVAILABLE' : undefined,
      )
      if (token === undefined) return tokens
      if (command.op === 'revoke') token.revoked = true
      if (command.op === 'disable') token.disabled = true
      if (command.op === 'enable') token.disabled = false
      return crashed ? open() : tokens
    }
  }
}

async function check(tokens: Tokenwright, model: Model, now: number): Promise<void> {
  for (const token of model.tokens) {
    for (const text of token.texts) {
      if (text.text === '') continue
      const answer = await tokens.verify(text.text)
      const expected = model.answer(token, text, now)
      expect(answer.ok ? 'ok' : answer.code, `${token.service} version ${text.n}`).toBe(expected)
      if (answer.ok) expect(answer.version).toBe(text.n === token.current ? 'current' : 'previous')
    }
  }
}

/** Every entry has its tag and its place in the chain, and every revision of every token has its entry. */
async function checkJournal(store: Crashing): Promise<void> {
  const key = KeyRing.from(KEYS).subkey('journal')
  const entries = await store.journal({ limit: 1000 })
  const link = createLink(key)
  let head = EMPTY_HEAD
  const revisions = new Map<string, number>()
  for (const entry of entries) {
    const { seq, mac, tag, ...facts } = entry
    expect(tagEntry(key, facts).tag).toBe(tag)
    const [linked] = link(head, [{ ...facts, tag }])
    expect(linked).toMatchObject({ seq, mac })
    head = { seq, mac }
    expect(entry.revision).toBe((revisions.get(entry.subject) ?? 0) + 1)
    revisions.set(entry.subject, entry.revision)
  }
  expect(await store.journalHead()).toEqual(head)
  for (const [id, revision] of revisions) {
    const stored = await store.get(tokenKind, id)
    expect(stored?.revision).toBe(revision)
    const last = entries.findLast((entry) => entry.subject === id)
    expect(dataDigest(JSON.stringify(stored?.value))).toBe(last?.data)
  }
}

async function attempt<T>(call: () => Promise<T>): Promise<{ value?: T; code?: string }> {
  try {
    return { value: await call() }
  } catch (error) {
    if (!(error instanceof TokenwrightError)) throw error
    return { code: error.code }
  }
}
