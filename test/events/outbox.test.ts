import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { backoff } from '../../src/events/settlement.ts'
import { FileTokenStore } from '../../src/file/index.ts'
import { type DurableEvent, InvalidInputError, MemoryTokenStore, type TokenStore } from '../../src/index.ts'
import { fakeClock } from '../../src/testing/index.ts'
import { DAY, HOUR, START, setUp } from '../issuing/fixture.ts'

describe('the outbox', () => {
  it('hands every event to every durable subscriber once when all goes well, in order per token', async () => {
    const heard: string[] = []
    const also: string[] = []
    const { tokens, store } = setUp({
      onEvent: [
        {
          name: 'a',
          handler: (event) => heard.push(`${event.name} ${(event.payload as { service: string }).service}`),
        },
        { name: 'b', handler: async (event) => also.push(event.id) },
      ],
    })
    const { record } = await tokens.generate({ service: 'A', actor: 'alice' })
    await tokens.generate({ service: 'B' })
    await tokens.rotate('A')
    await tokens.update('A', { description: 'x' })
    await tokens.revoke('A', { reason: 'left' })
    expect(heard).toEqual([])
    expect((await tokens.tick()).outbox).toEqual({ delivered: 5, failed: 0, dead: 0 })
    expect(heard.filter((text) => text.endsWith('A'))).toEqual([
      'token.generated A',
      'token.rotated A',
      'token.updated A',
      'token.revoked A',
    ])
    expect(heard).toContain('token.generated B')
    expect(new Set(also).size).toBe(5)
    expect((await tokens.tick()).outbox).toEqual({ delivered: 0, failed: 0, dead: 0 })
    expect((await tokens.outbox.pending()).items).toEqual([])
    expect(record.id).toBeDefined()
    await store.close()
  })

  it('writes no row where nobody subscribes', async () => {
    const { tokens } = setUp()
    await tokens.generate({ service: 'A' })
    expect((await tokens.outbox.pending()).items).toEqual([])
  })

  it('puts an event that fails off, with growing distance, and holds back its own token only', async () => {
    const seen: [string, number][] = []
    let broken = true
    const handler = ({ name, payload, attempt }: DurableEvent) => {
      const { service } = payload as { service: string }
      if (service === 'A' && broken) throw new Error('no')
      seen.push([`${name} ${service}`, attempt])
    }
    const { tokens, clock, events } = setUp({ onEvent: [{ name: 'sub', handler }] })
    await tokens.generate({ service: 'A' })
    await tokens.generate({ service: 'B' })
    await tokens.disable('A')
    await tokens.disable('B')
    expect((await tokens.tick()).outbox).toEqual({ delivered: 2, failed: 1, dead: 0 })
    expect(seen).toEqual([
      ['token.generated B', 1],
      ['token.disabled B', 1],
    ])
    expect(events.names()).toContain('listenerError')
    await clock.advance(999)
    expect((await tokens.tick()).outbox).toEqual({ delivered: 0, failed: 0, dead: 0 })
    await clock.advance(1)
    expect((await tokens.tick()).outbox).toEqual({ delivered: 0, failed: 1, dead: 0 })
    const [waiting] = (await tokens.outbox.pending()).items
    expect(waiting).toMatchObject({ name: 'token.generated', attempts: 2, acknowledged: [] })
    broken = false
    await clock.advance(2000)
    expect((await tokens.tick()).outbox).toEqual({ delivered: 2, failed: 0, dead: 0 })
    expect(seen.slice(2)).toEqual([
      ['token.generated A', 3],
      ['token.disabled A', 1],
    ])
  })

  it('delivers only to those who failed before', async () => {
    const calls = { good: 0, bad: 0 }
    const { tokens, clock } = setUp({
      onEvent: [
        { name: 'good', handler: () => calls.good++ },
        {
          name: 'bad',
          handler: async () => {
            calls.bad += 1
            if (calls.bad < 3) throw new Error('no')
          },
        },
      ],
    })
    await tokens.generate({ service: 'A' })
    for (let i = 0; i < 4; i++) {
      await tokens.tick()
      await clock.advance('10s')
    }
    expect(calls).toEqual({ good: 1, bad: 3 })
    expect((await tokens.outbox.pending()).items).toEqual([])
  })

  it('gives a delivery that hangs up, and aborts it', async () => {
    let signal: AbortSignal | undefined
    const { tokens, clock } = setUp({
      onEvent: [
        {
          name: 'slow',
          handler: (event) => {
            signal = event.signal
            return new Promise(() => {})
          },
        },
      ],
      outbox: { timeout: '5s' },
    })
    await tokens.generate({ service: 'A' })
    const turn = tokens.tick()
    while (signal === undefined) await new Promise((resolve) => setImmediate(resolve))
    await clock.advance('5s')
    expect((await turn).outbox).toEqual({ delivered: 0, failed: 1, dead: 0 })
    expect(signal.aborted).toBe(true)
  })

  it('a poison event ends as a dead letter that is seen, and can be retried or let go', async () => {
    let broken = true
    const heard: string[] = []
    const handler = ({ name, id }: DurableEvent) => {
      if (name === 'token.generated' && broken) throw Object.assign(new Error('poison'), { code: 'E_POISON' })
      heard.push(`${name} ${id}`)
    }
    const { tokens, clock, events } = setUp({ onEvent: [{ name: 'sub', handler }], outbox: { deadAfter: '2h' } })
    await tokens.generate({ service: 'A' })
    await tokens.disable('A')
    for (let i = 0; i < 200 && clock.now() < START + 3 * HOUR; i++) {
      await tokens.tick()
      await clock.advance('1m')
    }
    const { items } = await tokens.outbox.deadLetters()
    expect(items).toMatchObject([{ name: 'token.generated', waiting: ['sub'], lastError: 'E_POISON' }])
    expect(items[0]?.diedAt).toBeGreaterThanOrEqual(START + 2 * HOUR)
    expect(items[0]?.diedAt).toBeLessThan(START + 2 * HOUR + 120_000)
    expect(heard).toMatchObject([expect.stringMatching('token.disabled')])
    expect(await events.waitFor('outbox.dead')).toMatchObject({ event: 'token.generated', waiting: ['sub'] })
    expect(await tokens.health()).toMatchObject({ status: 'degraded', sources: { outbox: { status: 'degraded' } } })

    broken = false
    const id = items[0]?.id ?? ''
    expect(await tokens.outbox.retry('nothing')).toBe(false)
    expect(await tokens.outbox.retry(id)).toBe(true)
    expect(await tokens.outbox.retry(id)).toBe(false)
    await tokens.tick()
    expect(heard.at(-1)).toBe(`token.generated ${id}`)
    expect((await tokens.health()).status).toBe('healthy')
  })

  it('lets go of a dead letter when told, and of what nobody looks after', async () => {
    const handler = () => {
      throw new Error('no')
    }
    const { tokens, clock } = setUp({ onEvent: [{ name: 'sub', handler }], outbox: { deadAfter: 1 } })
    await tokens.generate({ service: 'A' })
    await tokens.generate({ service: 'B' })
    await clock.advance(10)
    expect((await tokens.tick()).outbox?.dead).toBe(2)
    const { items } = await tokens.outbox.deadLetters()
    expect(await tokens.outbox.discard(items[0]?.id ?? '')).toBe(true)
    expect(await tokens.outbox.discard(items[0]?.id ?? '')).toBe(false)
    await clock.advance(91 * DAY)
    await tokens.tick()
    expect((await tokens.outbox.deadLetters()).items).toEqual([])
  })

  it('gives up what waits for subscribers of an earlier deployment', async () => {
    const { tokens, store, keys, clock } = setUp({ onEvent: [{ name: 'gone', handler: () => {} }] })
    await tokens.generate({ service: 'A' })
    const { tokens: later } = setUp({ store, keys }, clock)
    await later.tick()
    expect((await later.outbox.pending()).items).toHaveLength(1)
    await clock.advance('7d')
    expect((await later.tick()).outbox).toEqual({ delivered: 0, failed: 0, dead: 1 })
    expect((await later.outbox.deadLetters()).items).toMatchObject([{ waiting: [], name: 'token.generated' }])
  })

  it('refuses subscribers that can’t be used', () => {
    const good = { name: 'a', handler: () => {} }
    for (const onEvent of [
      'all',
      [{ ...good, name: '' }],
      [good, good],
      [{ name: 'a' }],
      [{ ...good, extra: 1 }],
      [{ ...good, name: 'x'.repeat(65) }],
    ]) {
      expect(() => setUp({ onEvent: onEvent as never })).toThrow(InvalidInputError)
    }
    expect(() => setUp({ outbox: { timeout: 0 } })).toThrow(InvalidInputError)
  })

  it('tries again after 1 s, doubling, at most an hour', () => {
    expect([1, 2, 3, 12, 13, 100].map(backoff)).toEqual([1000, 2000, 4000, 2_048_000, 3_600_000, 3_600_000])
  })
})

/**
 * Any number of instances on one store, subscribers that fail or die at random: every event reaches every subscriber
 * at least once, and each subscriber hears of a token in order, repetitions left out.
 */
describe('at least once, in order per token', () => {
  const worlds: [string, number, () => Promise<{ stores: TokenStore[]; end(): Promise<void> }>][] = [
    [
      'in memory',
      60,
      async () => {
        const store = new MemoryTokenStore({ clock: fakeClock({ now: START }) })
        return { stores: [store], end: async () => {} }
      },
    ],
    [
      'three instances on a file',
      25,
      async () => {
        const folder = await mkdtemp(join(tmpdir(), 'tokenwright-outbox-'))
        const open = () => FileTokenStore.open(join(folder, 'tokens.db'), { crossProcessStaleness: 0 })
        const stores = [await open(), await open(), await open()]
        const end = async () => {
          for (const store of stores) await store.close()
          await rm(folder, { recursive: true })
        }
        return { stores, end }
      },
    ],
  ]
  it.each(worlds)('%s', { timeout: 60_000 }, async (_, numRuns, make) => {
    const property = fc.asyncProperty(
      fc.array(fc.constantFrom('generate', 'rotate', 'disable', 'enable', 'tick', 'tickAll'), { maxLength: 30 }),
      fc.infiniteStream(fc.integer({ min: 0, max: 9 })),
      async (commands, luck) => {
        const { stores, end } = await make()
        try {
          const clock = fakeClock({ now: START })
          const heard: { a: DurableEvent[]; b: DurableEvent[] } = { a: [], b: [] }
          let failing = true
          const subscriber = (name: 'a' | 'b') => ({
            name,
            handler: async (event: DurableEvent) => {
              // Heard, but the answer is lost: it will come again.
              const fate = failing ? luck.next().value : 9
              if (fate < 2) throw new Error('not heard')
              heard[name].push(event)
              if (fate < 4) throw new Error('heard, and died')
            },
          })
          const instances = stores.map(
            (store) => setUp({ store, keys: KEYS, onEvent: [subscriber('a'), subscriber('b')] }, clock).tokens,
          )
          let sent = 0
          for (const [i, command] of commands.entries()) {
            const tokens = instances[i % instances.length] as (typeof instances)[number]
            const service = i % 3 === 0 ? 'A' : 'B'
            const known = await tokens.get(service)
            if (command === 'tick') await tokens.tick()
            else if (command === 'tickAll') await Promise.all(instances.map((one) => one.tick()))
            else if (known === undefined) sent += (await tokens.generate({ service })) ? 1 : 0
            else if (command === 'rotate' && known.status === 'active') {
              await tokens.rotate(service, { grace: 0 })
              sent += 1
            } else if (command === 'disable' && known.status === 'active')
              sent += (await tokens.disable(service)) ? 1 : 0
            else if (command === 'enable' && known.status === 'disabled') sent += (await tokens.enable(service)) ? 1 : 0
            await clock.advance(500)
          }
          failing = false
          for (let i = 0; i < 20; i++) {
            await Promise.all(instances.map((one) => one.tick()))
            await clock.advance('10m')
          }
          const first = instances[0] as (typeof instances)[number]
          expect((await first.outbox.pending()).items).toEqual([])
          for (const list of [heard.a, heard.b]) {
            const unique = [...new Map(list.map((event) => [event.id, event])).values()]
            expect(unique).toHaveLength(sent)
            for (const token of new Set(unique.map((event) => event.token))) {
              const ids = unique.filter((event) => event.token === token).map((event) => event.id)
              expect(ids).toEqual([...ids].sort())
            }
          }
        } finally {
          await end()
        }
      },
    )
    await fc.assert(property, { numRuns })
  })
})

const KEYS = 'a secret for the outbox, 0123456789 abcdefghij'
