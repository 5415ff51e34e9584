import { describe, expect, it } from 'vitest'
import {
  generateSecret,
  InvalidInputError,
  MemoryTokenStore,
  StoreClosedError,
  StoreUnavailableError,
  Tokenwright,
} from '../src/index.ts'
import { DAY, START, setUp } from './issuing/fixture.ts'

describe('Tokenwright', () => {
  it.each<[string, unknown]>([
    ['nothing', undefined],
    ['no store', { keys: generateSecret() }],
    ['a store that is none', { keys: generateSecret(), store: {} }],
    ['no keys', { store: new MemoryTokenStore() }],
    ['a weak secret', { store: new MemoryTokenStore(), keys: 'password' }],
    ['an unknown option', { store: new MemoryTokenStore(), keys: generateSecret(), shards: 3 }],
    ['an unknown fail mode', { store: new MemoryTokenStore(), keys: generateSecret(), failMode: { store: 'open' } }],
    ['a misspelt fail mode', { store: new MemoryTokenStore(), keys: generateSecret(), failMode: { limitter: 'open' } }],
    ['a misspelt usage option', { store: new MemoryTokenStore(), keys: generateSecret(), usage: { recrod: 'all' } }],
    ['a negative retention', { store: new MemoryTokenStore(), keys: generateSecret(), retention: -1 }],
    ['a cache of 1', { store: new MemoryTokenStore(), keys: generateSecret(), cacheSize: 1 }],
    ['a tick interval in seconds', { store: new MemoryTokenStore(), keys: generateSecret(), tickInterval: 5 }],
  ])('refuses %s', (_, options) => {
    expect(() => new Tokenwright(options as never)).toThrow(InvalidInputError)
  })

  it('announces the end of tokens 14, 3 and 1 days before, once each, over restarts too', async () => {
    const first = setUp()
    const { tokens, clock, store, keys } = first
    await tokens.generate({ service: 'LONG', expiresIn: '30d' })
    await tokens.generate({ service: 'SHORT', expiresIn: '2d' })
    await tokens.generate({ service: 'BRIEF', expiresIn: '1h' })
    await tokens.generate({ service: 'EVER' })
    const told: unknown[] = []
    const listen = (on: Tokenwright) =>
      on.events.on('token.expiring', ({ service, days, endsAt }) =>
        told.push([(clock.now() - START) / DAY, service, days, endsAt]),
      )
    listen(tokens)
    for (let day = 1; day <= 16; day++) {
      await clock.advance('1d')
      await tokens.tick()
      await tokens.tick()
    }
    expect(told).toEqual([
      [1, 'SHORT', 1, START + 2 * DAY],
      [16, 'LONG', 14, START + 30 * DAY],
    ])
    const again = setUp({ store, keys }, clock).tokens
    listen(again)
    await again.tick()
    expect(told).toHaveLength(2)
    await clock.advance('13d')
    // Down through two thresholds: only the nearest is told.
    await again.tick()
    await again.tick()
    expect(told.slice(2)).toEqual([[29, 'LONG', 1, START + 30 * DAY]])
    await again.update('LONG', { expiresIn: '60d' })
    await clock.advance('17d')
    await again.tick()
    expect(told.slice(3)).toEqual([[46, 'LONG', 14, START + 60 * DAY]])
  })

  it('cleans up once an hour, after the retention, unless told not to', async () => {
    for (const retention of ['10d', false] as const) {
      const { tokens, clock } = setUp({ retention })
      const { record } = await tokens.generate({ service: 'A' })
      await tokens.revoke('A')
      await clock.advance('10d')
      const report = await tokens.tick()
      expect(report.cleanup?.removed).toBe(retention === false ? undefined : 1)
      expect((await tokens.get({ id: record.id })) === undefined).toBe(retention !== false)
      expect((await tokens.tick()).cleanup).toBeUndefined()
    }
  })

  it('tick and close seal the journal of a store that appends unsealed, in bounded batches', async () => {
    const sealed: number[] = []
    const store = Object.assign(new MemoryTokenStore(), {
      sealJournal: (_link: unknown, limit: number) => {
        sealed.push(limit)
        return sealed.length === 2 ? limit : 0
      },
    })
    const { tokens } = setUp({ store })
    await tokens.tick()
    expect(sealed).toEqual([2000])
    await tokens.close()
    expect(sealed).toEqual([2000, 2000, 2000, 2000])
  })

  it('tick never throws; a part that fails is an event, and the others run', async () => {
    const store = new MemoryTokenStore()
    store.list = ({ name }) => {
      throw new StoreUnavailableError(`no list of ${name}`)
    }
    const { tokens, events, clock } = setUp({ store })
    await clock.advance('1h')
    expect(await tokens.tick()).toEqual({ warned: 0 })
    expect(
      events.events
        .filter((event) => event.name === 'tick.failed')
        .map((event) => (event.payload as { part: string }).part),
    ).toEqual(['rules', 'expiry warnings', 'rotations', 'approvals', 'signed tokens', 'cleanup', 'outbox'])
  })

  it('the scheduler ticks by itself, one turn at a time, and stops', async () => {
    const { tokens, clock, events } = setUp({ tickInterval: '10s' })
    const { token } = await tokens.generate({ service: 'A' })
    tokens.scheduler.start()
    tokens.scheduler.start()
    await tokens.verify(token)
    await clock.advance('10s')
    expect(events.names()).toContain('usage.flushed')
    expect(clock.pending()).toBe(1)
    await tokens.scheduler.stop()
    expect(clock.pending()).toBe(0)
    tokens.scheduler.start()
    expect(tokens.scheduler.running).toBe(true)
    await tokens.close()
    expect(clock.pending()).toBe(0)
  })

  it('health is the worst of its sources, and what cannot be asked is unknown', async () => {
    const { tokens } = setUp()
    expect(await tokens.health()).toMatchObject({ status: 'healthy', reasons: [] })
    tokens.healthSource('vault', () => ({ status: 'degraded', reasons: ['renewal failed twice'] }))
    tokens.healthSource('odd', () => Promise.reject(new Error('secret detail')))
    expect(await tokens.health()).toMatchObject({
      status: 'degraded',
      reasons: expect.arrayContaining(['vault: renewal failed twice', "odd: it can't be asked (Error)"]),
    })
    expect(() => tokens.healthSource('vault', () => ({ status: 'healthy', reasons: [] }))).toThrow(InvalidInputError)
  })

  it('tells when the clock jumps', async () => {
    const { tokens, clock, events } = setUp()
    await clock.set(START + DAY)
    await tokens.verify('x')
    await clock.advance(0)
    expect(events.names()).toContain('clock.jumped')
  })

  it('warns when the clock of the store is more than a minute away', async () => {
    const { clock } = setUp()
    const store = new MemoryTokenStore({ clock })
    let offset = 60_000
    store.time = () => clock.now() + offset
    const { tokens, events } = setUp({ store }, clock)
    await tokens.tick()
    expect(events.names()).not.toContain('clock.skewed')
    offset = -60_001
    await tokens.tick()
    expect(events.names()).not.toContain('clock.skewed')
    await clock.advance('10m')
    await tokens.tick()
    expect(events.events.find((event) => event.name === 'clock.skewed')?.payload).toMatchObject({ offsetMs: -60_001 })
    expect(await tokens.health()).toMatchObject({
      status: 'degraded',
      reasons: [expect.stringContaining('store: its clock')],
    })
  })

  it('listeners cannot hurt', async () => {
    const { tokens } = setUp()
    const failures: string[] = []
    tokens.events.on('listenerError', ({ event }) => void failures.push(event))
    tokens.events.on('token.generated', () => {
      throw new Error('sync')
    })
    tokens.events.on('token.revoked', () => Promise.reject(new Error('async')))
    await tokens.generate({ service: 'A' })
    await tokens.revoke('A')
    await new Promise((resolve) => setImmediate(resolve))
    expect(failures).toEqual(['token.generated', 'token.revoked'])
  })

  it('close is final', async () => {
    const { tokens } = setUp()
    const { token } = await tokens.generate({ service: 'A' })
    await tokens.close()
    await expect(tokens.generate({ service: 'B' })).rejects.toThrow(StoreClosedError)
    expect(await tokens.verify('never seen')).toMatchObject({ ok: false })
    expect(token).toBeTypeOf('string')
  })
})
