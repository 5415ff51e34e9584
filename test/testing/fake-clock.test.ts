import { describe, expect, it } from 'vitest'
import type { ClockJumpedEvent } from '../../src/kernel/clock.ts'
import { InvalidInputError } from '../../src/kernel/errors.ts'
import { fakeClock } from '../../src/testing/fake-clock.ts'

const START = Date.UTC(2030, 0, 1)

describe('advance', () => {
  it('stands still until it is moved', async () => {
    const clock = fakeClock()
    expect(clock.now()).toBe(START)
    expect(clock.monotonic()).toBe(0)
    await clock.advance('30d')
    expect(clock.now()).toBe(START + 30 * 86_400_000)
    expect(clock.monotonic()).toBe(30 * 86_400_000)
    expect(fakeClock({ now: 5 }).now()).toBe(5)
  })

  it('fires in the order of due times, each at its own time', async () => {
    const clock = fakeClock({ now: 0 })
    const fired: string[] = []
    const at = (name: string) => () => fired.push(`${name}@${clock.now()}`)
    clock.setTimer(300, at('c'))
    clock.setTimer(100, at('a'))
    clock.setTimer(200, at('b1'))
    clock.setTimer(200, at('b2'))
    clock.setTimer(301, at('late'))
    const cancelled = clock.setTimer(150, at('cancelled'))
    cancelled.cancel()
    cancelled.cancel()
    expect(clock.pending()).toBe(5)
    await clock.advance(300)
    expect(fired).toEqual(['a@100', 'b1@200', 'b2@200', 'c@300'])
    expect(clock.pending()).toBe(1)
    await clock.advance(1)
    expect(fired).toHaveLength(5)
  })

  it('fires what fired timers set, and lets waiting code run on', async () => {
    const clock = fakeClock({ now: 0 })
    const seen: number[] = []
    const loop = async () => {
      for (;;) {
        await clock.sleep(60_000)
        await Promise.resolve().then(() => Promise.resolve())
        await new Promise(setImmediate)
        seen.push(clock.now())
        if (seen.length === 10) return 'done'
      }
    }
    const looping = loop()
    await clock.advance('10m')
    expect(seen).toEqual(Array.from({ length: 10 }, (_, i) => (i + 1) * 60_000))
    expect(await looping).toBe('done')
  })

  it('rejects with what a callback throws, and goes on after it', async () => {
    const clock = fakeClock({ now: 0 })
    let fired = 0
    clock.setTimer(1, () => {
      throw new Error('boom')
    })
    clock.setTimer(2, () => {
      fired += 1
    })
    await expect(clock.advance(5)).rejects.toThrow('boom')
    await clock.advance(5)
    expect(fired).toBe(1)
  })

  it('makes moves one after the other', async () => {
    const clock = fakeClock({ now: 0 })
    const fired: number[] = []
    clock.setTimer(5, () => fired.push(clock.now()))
    clock.setTimer(15, () => fired.push(clock.now()))
    await Promise.all([clock.advance(10), clock.advance(10)])
    expect(fired).toEqual([5, 15])
    expect(clock.now()).toBe(20)
  })

  it('ends a sleep by signal', async () => {
    const clock = fakeClock()
    const controller = new AbortController()
    const sleeping = clock.sleep(1000, { signal: controller.signal })
    controller.abort(new Error('enough'))
    await expect(sleeping).rejects.toThrow('enough')
    expect(clock.pending()).toBe(0)
  })

  it('refuses what the system clock refuses', async () => {
    const clock = fakeClock()
    expect(() => clock.setTimer(2 ** 31, () => {})).toThrow(InvalidInputError)
    await expect(clock.advance('soon' as '1s')).rejects.toThrow(InvalidInputError)
    await expect(clock.set('2030-01-01')).rejects.toThrow(InvalidInputError)
    expect(() => fakeClock({ now: Number.NaN })).toThrow(InvalidInputError)
  })
})

describe('set', () => {
  it('steps the wall clock alone, and tells of large steps', async () => {
    const clock = fakeClock()
    const jumps: ClockJumpedEvent[] = []
    const stop = clock.onJump((event) => jumps.push(event))
    clock.setTimer(3_600_000, () => {})
    await clock.set('2030-01-01T01:00:00Z')
    expect(clock.now()).toBe(START + 3_600_000)
    expect(clock.monotonic()).toBe(0)
    expect(clock.pending()).toBe(1)
    expect(jumps).toEqual([{ expected: START, found: START + 3_600_000 }])
    await clock.set(START)
    expect(clock.now()).toBe(START)
    expect(jumps).toHaveLength(2)
    stop()
    await clock.set('2035-01-01T00:00:00Z')
    expect(jumps).toHaveLength(2)
  })

  it('holds a small backward step as the system clock does', async () => {
    const clock = fakeClock({ now: START + 60_000 })
    await clock.set(START)
    expect(clock.now()).toBe(START + 60_000)
    await clock.advance('60s')
    expect(clock.now()).toBe(START + 90_000)
    await clock.advance('60s')
    expect(clock.now()).toBe(START + 120_000)
    await clock.advance('1s')
    expect(clock.now()).toBe(START + 121_000)
  })
})
