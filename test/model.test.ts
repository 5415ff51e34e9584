import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { FileTokenStore } from '../src/file/index.ts'
import {
  type Clock,
  type Commit,
  type CommitResult,
  MemoryTokenStore,
  StoreUnavailableError,
  type TokenStore,
  type Tokenwright,
  TokenwrightError,
} from '../src/index.ts'
import { PostgresTokenStore } from '../src/postgres/index.ts'
import { createLink, dataDigest, EMPTY_HEAD, tagEntry } from '../src/stores/journal-link.ts'
import { type FakeClock, fakeClock } from '../src/testing/index.ts'
import { KeyRing } from '../src/tokens/key-ring.ts'
import { tokenKind } from '../src/tokens/record.ts'
import { START, setUp } from './issuing/fixture.ts'
import { dropSchema, freshSchema, newPool, there } from './postgres/database.ts'

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

/** A store that loses the answer of the next commit when told to, after it was done, as a crash does. */
class Crashing {
  crash = false
  readonly store: TokenStore

  constructor(inner: TokenStore) {
    const commit = async (input: Commit): Promise<CommitResult> => {
      const result = await inner.commit(input)
      if (this.crash && input.journal.length > 0) {
        this.crash = false
        throw new StoreUnavailableError('the process died here')
      }
      return result
    }
    this.store = new Proxy(inner, {
      get(target, name) {
        if (name === 'commit') return commit
        const value: unknown = Reflect.get(target, name, target)
        return typeof value === 'function' ? value.bind(target) : value
      },
    })
  }
}

/** One file or memory, on which processes come and go. */
interface World {
  readonly clock: FakeClock
  /** The store as a fresh process opens it. */
  open(): Promise<TokenStore>
  end(): Promise<void>
}

/** A process: a front door and its store. */
interface Process {
  readonly tokens: Tokenwright
  readonly crashing: Crashing
}

async function start(world: World): Promise<Process> {
  const crashing = new Crashing(await world.open())
  const { tokens } = setUp({ store: crashing.store, keys: KEYS, retention: false, maxStaleness: 0 }, world.clock)
  return { tokens, crashing }
}

async function inMemory(): Promise<World> {
  const clock = fakeClock({ now: START })
  const store = new MemoryTokenStore({ clock })
  return { clock, open: async () => store, end: async () => {} }
}

/** As in memory, but elsewhere: without cells, every answer a promise, changes told by `watch`. */
async function elsewhere(): Promise<World> {
  const clock = fakeClock({ now: START })
  const store: TokenStore = new MemoryTokenStore({ clock })
  const remote = new Proxy(store, {
    get(target, name) {
      if (name === 'cell') return undefined
      const value: unknown = Reflect.get(target, name, target)
      if (typeof value !== 'function') return value
      if (name === 'watch' || name === 'scan') return value.bind(target) as unknown
      return async (...args: unknown[]) => value.apply(target, args) as unknown
    },
  })
  return { clock, open: async () => remote, end: async () => {} }
}

/**
 * Processes that die don't close their file, so each stays open until the end. The machine doesn't die here, so nobody
 * waits for the disk; and each read looks for others' changes, so nobody looks every second of a day that goes by at once.
 */
async function inFile(): Promise<World> {
  const clock = fakeClock({ now: START })
  const folder = await mkdtemp(join(tmpdir(), 'tokenwright-model-'))
  const opened: FileTokenStore[] = []
  const unhurried: Clock = {
    now: () => clock.now(),
    monotonic: () => clock.monotonic(),
    setTimer: () => ({ cancel: () => {} }),
    sleep: (ms, signal) => clock.sleep(ms, signal),
    onJump: (listener) => clock.onJump(listener),
  }
  return {
    clock,
    open: async () => {
      const store = await FileTokenStore.openWith(
        join(folder, 'tokens.db'),
        { clock: unhurried, crossProcessStaleness: 0 },
        { connected: (db) => db.exec('PRAGMA synchronous = OFF') },
      )
      opened.push(store)
      return store
    },
    end: async () => {
      for (const store of opened) await store.close()
      await rm(folder, { recursive: true })
    },
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

/** Each process with a pool and a listener of its own, on one schema. */
async function inPostgres(): Promise<World> {
  const clock = fakeClock({ now: START })
  const schema = freshSchema()
  const opened: PostgresTokenStore[] = []
  return {
    clock,
    open: async () => {
      const store = new PostgresTokenStore({ pool: newPool({ max: 3 }), schema, closePool: true })
      await store.migrate()
      opened.push(store)
      return store
    },
    end: async () => {
      for (const store of opened) await store.close()
      const pool = newPool()
      await dropSchema(pool, schema)
      await pool.end()
    },
  }
}

describe('the life of tokens', () => {
  it.each([
    ['in memory', inMemory, 400],
    ['in a file', inFile, 400],
    ['elsewhere', elsewhere, 200],
    ...(there ? ([['in PostgreSQL', inPostgres, 15]] as const) : []),
  ] as const)(
    'is what the model says, through crashes and restarts: %s',
    { timeout: 90_000 },
    async (_, make, numRuns) => {
      await fc.assert(
        fc.asyncProperty(fc.array(command, { minLength: 5, maxLength: 40 }), async (commands) => {
          const world = await make()
          try {
            const model = new Model()
            let process = await start(world)
            const first = process
            for (const command of commands) {
              process = await apply(command, process, model, world)
              await check(process.tokens, model, world.clock.now())
            }
            // A fresh process sees the same, and so does one that stood by all the time.
            process = await start(world)
            await check(process.tokens, model, world.clock.now())
            await check(first.tokens, model, world.clock.now())
            await checkJournal(process.crashing.store)
          } finally {
            await world.end()
          }
        }),
        { numRuns },
      )
    },
  )
})

async function apply(command: Command, process: Process, model: Model, world: World): Promise<Process> {
  const { clock } = world
  const { tokens, crashing } = process
  const now = clock.now()
  switch (command.op) {
    case 'advance':
      await clock.advance(command.by)
      return process
    case 'restart':
      return start(world)
    case 'tick':
      await tokens.tick()
      await tokens.cleanup({ retention: '3650d' })
      return process
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
      if (made.value === undefined) return process
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
      return process
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
      crashing.crash = command.crash && expected === undefined
      const crashed = crashing.crash
      const done = await attempt(() => tokens.rotate(command.service, { grace: command.grace }))
      crashing.crash = false
      expect(done.code).toBe(crashed ? 'ERR_STORE_UNAVAILABLE' : expected)
      if (expected !== undefined || token === undefined) return process
      for (const text of live) {
        const current = text.n === token.current
        if (command.grace === 0) Object.assign(text, { end: now, why: 'revoked' })
        else if (current) Object.assign(text, { end: Math.min(text.end, now + command.grace) })
      }
      token.current += 1
      // The new text of a crashed rotation is lost with the process; its version is there all the same.
      const end = token.expiresIn === undefined ? Number.POSITIVE_INFINITY : now + token.expiresIn
      token.texts.push({ text: done.value?.token ?? '', n: token.current, madeAt: now, end, why: 'expired' })
      return crashed ? start(world) : process
    }
    case 'revokeVersion': {
      const token = model.named(command.service)
      if (token === undefined || token.current === 1) return process
      const oldest = token.texts.find((text) => now < text.end && text.n !== token.current)
      if (oldest === undefined) return process
      await tokens.revoke(command.service, { version: oldest.n })
      Object.assign(oldest, { end: now, why: 'revoked' })
      return process
    }
    default: {
      const token = model.named(command.service)
      const idle =
        token !== undefined &&
        ((command.op === 'disable' && token.disabled) || (command.op === 'enable' && !token.disabled))
      crashing.crash = command.crash && token !== undefined && !idle
      const crashed = crashing.crash
      const done = await attempt<unknown>(() => tokens[command.op](command.service))
      crashing.crash = false
      expect(done.code).toBe(
        token === undefined ? 'ERR_TOKEN_NOT_FOUND' : crashed ? 'ERR_STORE_UNAVAILABLE' : undefined,
      )
      if (token === undefined) return process
      if (command.op === 'revoke') token.revoked = true
      if (command.op === 'disable') token.disabled = true
      if (command.op === 'enable') token.disabled = false
      return crashed ? start(world) : process
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
async function checkJournal(store: TokenStore): Promise<void> {
  const key = KeyRing.from(KEYS).subkey('journal')
  while (((await store.sealJournal?.(createLink(key), 1000)) ?? 0) > 0);
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
