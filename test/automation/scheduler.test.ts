import { describe, expect, it } from 'vitest'
import { InvalidInputError, MemoryTokenStore, Scheduler, type TokenStore } from '../../src/index.ts'
import { fakeClock } from '../../src/testing/index.ts'
import { startChild } from '../child-process.ts'
import { setUp } from '../issuing/fixture.ts'

const DAY = 86_400_000

describe('Scheduler', () => {
  it('ticks at its interval; starting twice is starting once', async () => {
    const clock = fakeClock()
    let ticks = 0
    const scheduler = new Scheduler({ clock, tick: async () => void ticks++ })
    scheduler.start()
    scheduler.start()
    expect(scheduler.running).toBe(true)
    await clock.advance('15s')
    expect(ticks).toBe(3)
    expect(clock.pending()).toBe(1)
    await scheduler.stop()
    await scheduler.stop()
    expect(clock.pending()).toBe(0)
    await clock.advance('15s')
    expect(ticks).toBe(3)
    scheduler.start()
    await clock.advance('5s')
    expect(ticks).toBe(4)
  })

  it('has one turn in flight, and stop waits for it', async () => {
    const clock = fakeClock()
    const ends: (() => void)[] = []
    const scheduler = new Scheduler({ clock, tick: () => new Promise<void>((resolve) => ends.push(resolve)) })
    scheduler.start()
    await clock.advance('1m')
    expect(ends).toHaveLength(1)
    let stopped = false
    const stopping = scheduler.stop().then(() => {
      stopped = true
    })
    await clock.advance('1m')
    expect(stopped).toBe(false)
    // Started again while the turn goes on, there is no second chain of timers.
    scheduler.start()
    ends[0]?.()
    await stopping
    await clock.advance('5s')
    expect(ends).toHaveLength(2)
    expect(clock.pending()).toBe(0)
  })

  it('goes on after a turn that threw', async () => {
    const clock = fakeClock()
    const errors: unknown[] = []
    let ticks = 0
    const tick = async () => {
      ticks += 1
      throw new Error(`turn ${ticks}`)
    }
    const scheduler = new Scheduler({ clock, interval: '1s', tick, onError: (error) => errors.push(error) })
    scheduler.start()
    await clock.advance('3s')
    expect(errors).toHaveLength(3)
    await scheduler.stop()
  })

  it('goes on whatever those who are told of it throw', async () => {
    const clock = fakeClock()
    let ticks = 0
    const thrower = () => {
      throw new Error('not my day')
    }
    const tick = async () => {
      ticks += 1
      if (ticks === 1) throw new Error('turn 1')
    }
    const scheduler = new Scheduler({ clock, interval: '1s', tick, soon: thrower, onError: thrower })
    scheduler.start()
    await clock.advance('3s')
    expect(ticks).toBe(3)
    await scheduler.stop()
  })

  it('takes intervals that a timer can hold, and refuses others', () => {
    const clock = fakeClock()
    const tick = async () => {}
    for (const interval of [0, 999, 35_792 * 60_000, '25d', Number.NaN] as const) {
      expect(() => new Scheduler({ clock, tick, interval })).toThrow(InvalidInputError)
    }
    const scheduler = new Scheduler({ clock, tick, interval: 24 * DAY })
    scheduler.start()
    expect(clock.pending()).toBe(1)
  })

  it('comes back after a second while entries of the journal are unsealed', async () => {
    const clock = fakeClock()
    const inner = new MemoryTokenStore({ clock })
    let unsealed = 0
    let seals = 0
    const store: TokenStore = new Proxy(inner, {
      get(target, name) {
        if (name === 'sealJournal') {
          return (_: unknown, limit: number) => {
            seals += 1
            const sealed = Math.min(limit, unsealed)
            unsealed -= sealed
            return sealed
          }
        }
        const value: unknown = Reflect.get(target, name, target)
        return typeof value === 'function' ? value.bind(target) : value
      },
    })
    const { tokens } = setUp({ store }, clock)
    tokens.scheduler.start()
    await clock.advance('10s')
    expect(seals).toBe(2)
    unsealed = 5000
    await clock.advance('5s')
    expect([seals, unsealed]).toEqual([5, 0])
    // Where there were some, there mostly are more.
    unsealed = 10
    await clock.advance('1s')
    expect([seals, unsealed]).toEqual([6, 0])
    await clock.advance('1s')
    expect(seals).toBe(7)
    await clock.advance('4s')
    expect(seals).toBe(7)
    await clock.advance('1s')
    expect(seals).toBe(8)
    await tokens.close()
  })

  it('does not keep a process alive', async () => {
    const child = startChild('automation/children/idle.ts')
    await child.ended
    expect(child.lines).toEqual(['started'])
    expect(child.process.exitCode).toBe(0)
  })

  it('runs rules beside its turns: a long one holds up nothing', async () => {
    const clock = fakeClock()
    const { tokens } = setUp({}, clock)
    let end = (): void => {}
    let quick = 0
    tokens.rules.action(
      'long',
      () =>
        new Promise<void>((resolve) => {
          end = resolve
        }),
    )
    tokens.rules.action('quick', () => void quick++)
    await tokens.rules.create({ name: 'long', action: 'long', schedule: { every: '1h' } })
    await tokens.rules.create({ name: 'quick', action: 'quick', schedule: { every: '1m' } })
    tokens.scheduler.start()
    await clock.advance('75m')
    expect(quick).toBe(75)
    end()
    await clock.advance('1s')
    expect((await tokens.rules.runs('long')).items).toMatchObject([{ outcome: 'ok' }])
    const report = await tokens.tick()
    expect(report.rules).toEqual({ runs: [], skipped: 0, unknown: 0 })
    await tokens.close()
    expect(clock.pending()).toBe(0)
  })

  it('closing waits for what rules run, and gives it back', async () => {
    const clock = fakeClock()
    const { tokens } = setUp({}, clock)
    let aborted = false
    tokens.rules.action(
      'long',
      ({ signal }) =>
        new Promise<void>((_, reject) => {
          signal.addEventListener('abort', () => {
            aborted = true
            reject(signal.reason)
          })
        }),
    )
    await tokens.rules.create({ name: 'long', action: 'long', schedule: { every: '1h' } })
    tokens.scheduler.start()
    await clock.advance('1h')
    await tokens.close()
    expect(aborted).toBe(true)
    expect(clock.pending()).toBe(0)
  })
})
