import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { FileTokenStore } from '../../src/file/index.ts'
import { MemoryTokenStore, type RotationView, type TokenStore, type Tokenwright } from '../../src/index.ts'
import { PostgresTokenStore } from '../../src/postgres/index.ts'
import { type FakeClock, fakeClock } from '../../src/testing/index.ts'
import { CrashingStore } from '../crashing-store.ts'
import { START, setUp } from '../issuing/fixture.ts'
import { dropSchema, freshSchema, moveClock, newPool, there } from '../postgres/database.ts'

/**
 * A process dies at every commit of a rotation, before it is done or with its answer lost, and another carries on. All
 * the while a verifier looks: the consumer's value verifies, and no superseded version does without a deadline.
 */

const KEYS = 'a secret for crashes, 0123456789 abcdefghijk'
/** More commits than any of these rotations has. */
const MOST_COMMITS = 12

interface World {
  readonly clock: FakeClock
  readonly store: TokenStore
  /** Moves the clock, and the store's. */
  advance(ms: number): Promise<void>
  end(): Promise<void>
}

async function inMemory(): Promise<World> {
  const clock = fakeClock({ now: START })
  const store = new MemoryTokenStore({ clock })
  return { clock, store, advance: (ms) => clock.advance(ms), end: async () => {} }
}

async function inFile(): Promise<World> {
  const clock = fakeClock({ now: START })
  const folder = await mkdtemp(join(tmpdir(), 'tokenwright-crash-'))
  const store = await FileTokenStore.open(join(folder, 'tokens.db'), { clock, crossProcessStaleness: 0 })
  const end = async () => {
    await store.close()
    await rm(folder, { recursive: true })
  }
  return { clock, store, advance: (ms) => clock.advance(ms), end }
}

async function inPostgres(): Promise<World> {
  const clock = fakeClock({ now: START })
  const schema = freshSchema()
  const pool = newPool({ max: 3 })
  const store = new PostgresTokenStore({ pool, schema, closePool: false })
  await store.migrate()
  let moved = 0
  const advance = async (ms: number) => {
    moved += ms
    await moveClock(pool, schema, moved)
    await clock.advance(ms)
  }
  const end = async () => {
    await store.close()
    await dropSchema(pool, schema)
    await pool.end()
  }
  return { clock, store, advance, end }
}

/** Who uses the value: it has what was published last. */
class Consumer {
  value = ''
  published = 0
  readonly hooks = {
    A: {
      publish: async ({ token }: { readonly token: string }) => {
        this.value = token
        this.published += 1
      },
      test: async ({ token }: { readonly token: string }) => (token === this.value ? 'ok' : 'unknown'),
      finish: () => 'ok',
    },
  }
}

async function check(tokens: Tokenwright, consumer: Consumer, grace: number): Promise<void> {
  const token = await tokens.get('A')
  if (token === undefined) throw new Error('the token is gone')
  const live = token.versions.filter(({ state }) => state !== 'retired')
  expect(live.filter(({ state }) => state === 'current')).toHaveLength(1)
  expect(live.filter(({ state }) => state === 'pending').length).toBeLessThanOrEqual(1)
  for (const version of live) if (version.state !== 'current') expect(version.endsAt).toBeDefined()
  // The emergency ends the old value first: its consumer waits for the next.
  if (grace > 0) expect((await tokens.verify(consumer.value)).ok).toBe(true)
}

const worlds = [
  ['in memory', inMemory],
  ['in a file', inFile],
  ...(there ? ([['in PostgreSQL', inPostgres]] as const) : []),
] as const

describe.each(worlds)('a rotation whose process dies: %s', { timeout: 120_000 }, (_, make) => {
  for (const retrievable of [true, false]) {
    for (const grace of [3_600_000, 0]) {
      const what = `${retrievable ? 'retrievable' : 'hash-only'}, ${grace === 0 ? 'grace 0' : 'with grace'}`
      it(`is carried on by another: ${what}`, async () => {
        const world = await make()
        const ends: string[] = []
        try {
          for (const when of ['before', 'after'] as const) {
            for (let at = 1; at <= MOST_COMMITS; at++) {
              const end = await rotateAndDie(world, { at, when, retrievable, grace })
              if (end === 'not reached') break
              ends.push(end)
            }
          }
        } finally {
          await world.end()
        }
        // Every crash point was met, and every one ended well.
        expect(ends.length).toBeGreaterThan(7)
        expect(new Set(ends)).toEqual(new Set(['carried on']))
      })
    }
  }
})

async function rotateAndDie(
  world: World,
  how: {
    readonly at: number
    readonly when: 'before' | 'after'
    readonly retrievable: boolean
    readonly grace: number
  },
): Promise<'not reached' | 'carried on'> {
  const { clock, store } = world
  const consumer = new Consumer()
  const open = (of: TokenStore, hooks = consumer.hooks) =>
    setUp({ store: of, keys: KEYS, rotation: { hooks }, retention: false, maxStaleness: 0 }, clock).tokens
  const first = open(store)
  await first.ready()
  if ((await first.get('A')) !== undefined) await first.revoke('A')
  const { token } = await first.generate({ service: 'A', retrievable: how.retrievable })
  consumer.value = token

  const crashing = new CrashingStore(store, how.at, how.when)
  const dying = open(crashing.store, {
    A: {
      ...consumer.hooks.A,
      publish: async (context) => {
        await consumer.hooks.A.publish(context)
        await check(first, consumer, how.grace)
      },
    },
  })
  const outcome = await dying.rotate('A', { grace: how.grace }).catch((error: unknown) => error)
  if (!crashing.dead) {
    expect(outcome).toMatchObject({ rotation: { status: 'done' } })
    return 'not reached'
  }
  await check(first, consumer, how.grace)
  const before = consumer.value

  const second = open(store)
  for (let i = 0; i < 12; i++) {
    await world.advance(30_000)
    await second.tick()
    await check(first, consumer, how.grace)
  }
  expect(await second.rotator.pending()).toEqual([])
  // What the consumer has is the current version.
  expect(await second.verify(consumer.value)).toMatchObject({ ok: true, version: 'current' })
  const { items } = await second.rotator.history('A')
  await checkHistory(items, second, how, before, consumer, token)
  return 'carried on'
}

async function checkHistory(
  items: readonly RotationView[],
  tokens: Tokenwright,
  how: { readonly retrievable: boolean; readonly grace: number },
  before: string,
  consumer: Consumer,
  first: string,
): Promise<void> {
  if (items.length === 0) {
    // It died before anything was written.
    expect(consumer.value).toBe(first)
    return
  }
  expect(items[0]).toMatchObject({ status: 'done' })
  if (how.retrievable) {
    expect(items).toHaveLength(1)
    // Rolled forward with the same value.
    if (before !== first) expect(consumer.value).toBe(before)
  } else if (items.length > 1) {
    expect(items).toMatchObject([{ status: 'done' }, { status: 'abandoned' }])
    // What was handed out before has a deadline, and is no dead end until then.
    expect(await tokens.verify(before)).toMatchObject({ ok: true, version: 'previous' })
  }
  if (how.grace === 0 && consumer.value !== first) expect(await tokens.verify(first)).toMatchObject({ code: 'revoked' })
}

describe('attempts that kill their process', () => {
  it('end in a stall, whoever carries on', async () => {
    const { clock, store } = await inMemory()
    const open = (of: TokenStore, publish: () => unknown) =>
      setUp({ store: of, keys: KEYS, rotation: { hooks: { A: { publish } }, attempts: 3 }, retention: false }, clock)
        .tokens
    await open(store, () => {}).generate({ service: 'A', retrievable: true })
    // The second commit is what follows the publishing: it never comes.
    for (let life = 1; life <= 5; life++) {
      const crashing = new CrashingStore(store, 2, 'before')
      const tokens = open(crashing.store, () => 'ok')
      if (life === 1) await tokens.rotate('A').catch(() => {})
      else await tokens.rotator.tick().catch(() => {})
      await clock.advance('1m')
    }
    const survivor = open(store, () => 'ok')
    await survivor.tick()
    const [pending] = await survivor.rotator.pending()
    expect(pending).toMatchObject({ status: 'stalled', attempts: 3 })
    const [resumed] = await survivor.rotator.resume(pending?.id)
    expect(resumed).toMatchObject({ status: 'done' })
  })

  it('a rotation whose hooks were given with the call is given up without hurting anybody', async () => {
    const { clock, store } = await inMemory()
    const consumer = new Consumer()
    const crashing = new CrashingStore(store, 3, 'before')
    const dying = setUp({ store: crashing.store, keys: KEYS, retention: false }, clock).tokens
    // The key's own commit is the first, the token's the second.
    await setUp({ store, keys: KEYS }, clock).tokens.ready()
    consumer.value = (await dying.generate({ service: 'A' })).token
    await dying.rotate('A', { hooks: consumer.hooks.A }).catch(() => {})
    expect(crashing.dead).toBe(true)
    const { tokens } = setUp({ store, keys: KEYS, retention: false }, clock)
    await check(tokens, consumer, 1)
    await clock.advance('1m')
    await tokens.tick()
    expect(await tokens.rotator.pending()).toEqual([])
    expect((await tokens.rotator.history('A')).items).toMatchObject([{ status: 'abandoned', resumable: false }])
    expect(await tokens.verify(consumer.value)).toMatchObject({ ok: true, version: 'previous' })
  })

  it('a hook that is gone from the next deployment stalls the rotation: nothing counts as published', async () => {
    const { clock, store } = await inMemory()
    const crashing = new CrashingStore(store, 2, 'before')
    await setUp({ store, keys: KEYS }, clock).tokens.generate({ service: 'A', retrievable: true })
    const hooks = new Consumer().hooks
    await setUp({ store: crashing.store, keys: KEYS, rotation: { hooks } }, clock)
      .tokens.rotate('A')
      .catch(() => {})
    const { tokens } = setUp({ store, keys: KEYS, rotation: { attempts: 1 } }, clock)
    await clock.advance('1m')
    await tokens.tick()
    expect(await tokens.rotator.pending()).toMatchObject([{ status: 'stalled' }])
    expect((await tokens.get('A'))?.versions.find(({ state }) => state === 'current')?.number).toBe(1)
  })
})
