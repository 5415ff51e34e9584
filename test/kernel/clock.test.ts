import { execFileSync } from 'node:child_process'
import { getEventListeners } from 'node:events'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Clock, type ClockJumpedEvent, checkDelay, createClock, systemClock } from '../../src/kernel/clock.ts'
import { InvalidInputError } from '../../src/kernel/errors.ts'

const MINUTE = 60_000
const START = 1_800_000_000_000

/** A clock over sources that the test moves. */
function movable() {
  const at = { wall: START, mono: 500 }
  const clock = createClock({ wall: () => at.wall, monotonic: () => at.mono })
  const jumps: ClockJumpedEvent[] = []
  clock.onJump((event) => jumps.push(event))
  return {
    clock,
    jumps,
    pass(ms: number) {
      at.wall += ms
      at.mono += ms
    },
    step(ms: number) {
      at.wall += ms
    },
    wall: () => at.wall,
  }
}

describe('now', () => {
  it('is the wall time while nothing odd happens', async () => {
    const t = movable()
    for (let i = 0; i < 500; i++) {
      t.pass(i * 997)
      expect(t.clock.now()).toBe(t.wall())
    }
    await null
    expect(t.jumps).toEqual([])
  })

  it('holds a backward step of five minutes, moves on at half speed, and rejoins', async () => {
    const t = movable()
    t.pass(10)
    const before = t.clock.now()
    t.step(-5 * MINUTE)
    expect(t.clock.now()).toBe(before)
    t.pass(1000)
    expect(t.clock.now()).toBe(before + 500)
    t.pass(4 * MINUTE)
    expect(t.clock.now()).toBe(before + 500 + 2 * MINUTE)
    t.pass(6 * MINUTE - 1000)
    expect(t.clock.now()).toBe(t.wall())
    expect(t.clock.now()).toBe(before + 5 * MINUTE)
    t.pass(1)
    expect(t.clock.now()).toBe(before + 5 * MINUTE + 1)
    await null
    expect(t.jumps).toEqual([])
  })

  it('keeps moving while held even when the wall clock is asked for rarely', () => {
    const t = movable()
    const before = t.clock.now()
    t.step(-4 * MINUTE)
    t.clock.now()
    t.pass(30 * MINUTE)
    expect(t.clock.now()).toBe(before + 26 * MINUTE)
  })

  it('takes a larger backward step and tells of it', async () => {
    const t = movable()
    t.pass(10)
    const before = t.clock.now()
    t.step(-5 * MINUTE - 1)
    expect(t.clock.now()).toBe(before - 5 * MINUTE - 1)
    await null
    expect(t.jumps).toEqual([{ expected: before, found: before - 5 * MINUTE - 1 }])
    t.pass(5)
    expect(t.clock.now()).toBe(before - 5 * MINUTE + 4)
  })

  it('takes a backward step that hides behind a silence', async () => {
    const t = movable()
    const before = t.clock.now()
    t.pass(20 * MINUTE)
    t.step(-18 * MINUTE)
    expect(t.clock.now()).toBe(before + 2 * MINUTE)
    await null
    expect(t.jumps).toEqual([{ expected: before + 20 * MINUTE, found: before + 2 * MINUTE }])
  })

  it('takes forward steps, and tells of those over five minutes', async () => {
    const t = movable()
    t.step(5 * MINUTE)
    expect(t.clock.now()).toBe(t.wall())
    await null
    expect(t.jumps).toEqual([])
    t.step(5 * MINUTE + 1)
    expect(t.clock.now()).toBe(t.wall())
    await null
    expect(t.jumps).toEqual([{ expected: START + 5 * MINUTE, found: START + 10 * MINUTE + 1 }])
  })

  it('takes small backward steps that add up', async () => {
    const t = movable()
    t.step(-3 * MINUTE)
    expect(t.clock.now()).toBe(START)
    t.step(-3 * MINUTE)
    expect(t.clock.now()).toBe(START - 6 * MINUTE)
    await null
    expect(t.jumps).toEqual([{ expected: START, found: START - 6 * MINUTE }])
  })

  it('never runs backwards without telling, and never strays over five minutes from the wall clock', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(
          fc.oneof(
            fc.record({ pass: fc.integer({ min: 0, max: 3 * MINUTE }), step: fc.constant(0) }),
            fc.record({ pass: fc.constant(0), step: fc.integer({ min: -8 * MINUTE, max: 8 * MINUTE }) }),
          ),
          { maxLength: 60 },
        ),
        async (moves) => {
          const t = movable()
          let last = t.clock.now()
          for (const move of moves) {
            t.pass(move.pass)
            t.step(move.step)
            const told = t.jumps.length
            const now = t.clock.now()
            await null
            if (now < last) expect(t.jumps.length).toBe(told + 1)
            expect(Math.abs(now - t.wall())).toBeLessThanOrEqual(5 * MINUTE)
            expect(Number.isInteger(now)).toBe(true)
            last = now
          }
          t.pass(15 * MINUTE)
          expect(t.clock.now()).toBe(t.wall())
        },
      ),
    )
  })
})

describe('onJump', () => {
  it('survives a listener that throws, one that listens twice, and stops when told', async () => {
    const t = movable()
    let heard = 0
    const listener = () => {
      heard += 1
      throw new Error('listener')
    }
    const stop = t.clock.onJump(listener)
    t.clock.onJump(listener)
    t.step(10 * MINUTE)
    t.clock.now()
    await null
    expect(heard).toBe(2)
    expect(t.jumps).toHaveLength(1)
    stop()
    stop()
    t.step(10 * MINUTE)
    t.clock.now()
    await null
    expect(heard).toBe(3)
  })

  it('lets a listener ask for the time', async () => {
    const t = movable()
    const seen: number[] = []
    t.clock.onJump(() => seen.push(t.clock.now()))
    t.step(-20 * MINUTE)
    t.clock.now()
    await null
    expect(seen).toEqual([START - 20 * MINUTE])
  })

  it('hears of a step when a timer fires', async () => {
    const t = movable()
    t.pass(MINUTE / 2)
    t.clock.now()
    t.pass(30 * MINUTE)
    t.step(-30 * MINUTE)
    await new Promise<void>((resolve) => t.clock.setTimer(0, resolve, { keepAlive: true }))
    expect(t.jumps).toHaveLength(1)
  })
})

describe('timers', () => {
  const clock: Clock = systemClock()

  it('is one clock, near the system time', () => {
    expect(systemClock()).toBe(clock)
    expect(Math.abs(clock.now() - Date.now())).toBeLessThan(1000)
    const from = clock.monotonic()
    expect(clock.monotonic()).toBeGreaterThanOrEqual(from)
  })

  it('refuses delays that a timer would fire at once', async () => {
    for (const delay of [-1, Number.NaN, 2 ** 31, Number.POSITIVE_INFINITY, '5' as unknown as number]) {
      expect(() => clock.setTimer(delay, () => {})).toThrow(InvalidInputError)
      await expect(clock.sleep(delay)).rejects.toThrow('delayMs is not a delay from 0 to 2147483647 ms')
    }
    expect(checkDelay('delay', 2 ** 31 - 1)).toBe(2147483647)
    expect(checkDelay('delay', 0.2)).toBe(1)
  })

  it('fires once, and not after cancel', async () => {
    const fired: string[] = []
    const cancelled = clock.setTimer(0, () => fired.push('cancelled'))
    cancelled.cancel()
    cancelled.cancel()
    clock.setTimer(0, () => fired.push('kept'))
    await clock.sleep(5)
    expect(fired).toEqual(['kept'])
  })

  it('lets the process end, unless a timer is to keep it', () => {
    const run = (options: string) =>
      execFileSync(
        process.execPath,
        [
          '--input-type=module',
          '-e',
          `import { systemClock } from './src/kernel/clock.ts'
           systemClock().setTimer(100, () => console.log('fired'), ${options})`,
        ],
        { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] },
      )
    expect(run('{}')).toBe('')
    expect(run('{ keepAlive: true }')).toBe('fired\n')
  })

  it('wakes by signal at once, and leaves no listener behind', async () => {
    const controller = new AbortController()
    const waiting = clock.sleep(2 ** 31 - 1, { signal: controller.signal })
    expect(getEventListeners(controller.signal, 'abort')).toHaveLength(1)
    controller.abort(new Error('enough'))
    await expect(waiting).rejects.toThrow('enough')
    expect(getEventListeners(controller.signal, 'abort')).toHaveLength(0)
    await expect(clock.sleep(1, { signal: controller.signal })).rejects.toThrow('enough')

    const quiet = new AbortController()
    await clock.sleep(1, { signal: quiet.signal })
    expect(getEventListeners(quiet.signal, 'abort')).toHaveLength(0)
  })
})
