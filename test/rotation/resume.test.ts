import { describe, expect, it } from 'vitest'
import { MemoryTokenStore, type RotationHooks, Tokenwright } from '../../src/index.ts'
import { type FakeClock, fakeClock } from '../../src/testing/index.ts'
import { START, setUp } from '../issuing/fixture.ts'

const KEYS = 'a secret for resuming, 0123456789 abcdefghijk'

interface Dying {
  readonly tokens: Tokenwright
  readonly clock: FakeClock
}

/** A process that dies in the publish hook of A's rotation, and the one after it, a minute later. */
async function afterCrash(options: {
  readonly rotate: (dying: Dying) => Promise<unknown>
  readonly hooks: RotationHooks
  readonly generate?: object
  readonly before?: (dying: Dying) => Promise<unknown>
}) {
  const clock = fakeClock({ now: START })
  const store = new MemoryTokenStore({ clock })
  let dead = false
  const mortal = new Proxy(store, {
    get(object, name) {
      if (dead) throw new Error('the process is dead')
      const value: unknown = Reflect.get(object, name, object)
      return typeof value === 'function' ? value.bind(object) : value
    },
  })
  const hanging = { '*': { publish: () => new Promise(() => {}) } }
  const { tokens } = setUp({ keys: KEYS, store: mortal, rotation: { hooks: hanging } }, clock)
  await tokens.generate({ service: 'A', ...options.generate })
  await options.before?.({ tokens, clock })
  options.rotate({ tokens, clock }).catch(() => {})
  for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve))
  dead = true
  await clock.advance('1m')
  const next = new Tokenwright({ store, clock, keys: KEYS, rotation: { hooks: { '*': options.hooks } } })
  return { tokens: next, store, clock }
}

describe('resume without an id', () => {
  it('takes up what a crash has left, however many others are due to be looked at', async () => {
    const { tokens } = await afterCrash({
      rotate: (dying) => dying.tokens.rotate('A', { rotationId: 'r' }),
      hooks: { publish: () => 'ok' },
      generate: { retrievable: true },
      before: async (dying) => {
        for (let n = 0; n < 101; n++) {
          await dying.tokens.generate({ service: `S${n}` })
          await dying.tokens.rotate(`S${n}`, { hooks: {} })
        }
        await dying.clock.advance('11m')
      },
    })
    expect(await tokens.rotator.resume()).toMatchObject([{ id: 'r', status: 'done' }])
  })
})

describe('a rotation whose text died with its process', () => {
  it.each([0, '1h'] as const)('waits for it when it was brought, and draws no other (grace %s)', async (grace) => {
    const brought = `other_${'abcd1234'.repeat(4)}`
    const published: string[] = []
    const { tokens, clock } = await afterCrash({
      rotate: (dying) => dying.tokens.rotate('A', { grace, rotationId: 'r', token: brought, force: true }),
      hooks: { publish: ({ token }) => void published.push(token) },
    })
    await tokens.tick()
    await clock.advance('1h')
    await tokens.tick()
    expect(published).toEqual([])
    expect(await tokens.rotator.pending()).toMatchObject([{ status: 'stalled', failure: { code: 'text_lost' } }])
    expect(await tokens.rotator.resume('r', { token: brought })).toMatchObject([{ status: 'done' }])
    expect(published).toEqual([brought])
  })

  it('is followed by a fresh one of its own, however long its id is, and as it was asked for', async () => {
    const id = 'r'.repeat(127)
    const { tokens, clock } = await afterCrash({
      rotate: ({ tokens: dying }) =>
        Promise.all([
          dying.rotate('A', { rotationId: `${id}1`, retireWhenQuiet: true }),
          dying.generate({ service: 'B' }).then(() => dying.rotate('B', { rotationId: `${id}2` })),
        ]),
      hooks: { publish: () => 'ok' },
    })
    const resumed = await tokens.rotator.resume()
    expect(
      resumed
        .filter(({ status }) => status === 'done')
        .map(({ service }) => service)
        .sort(),
    ).toEqual(['A', 'B'])
    await clock.advance('11m')
    await tokens.tick()
    const { versions } = await tokens.get('A').then((found) => found ?? { versions: [] })
    expect(versions.map(({ state }) => state)).toEqual(['current', 'retired', 'retired'])
  })
})
