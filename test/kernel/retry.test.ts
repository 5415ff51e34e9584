import { getEventListeners } from 'node:events'
import { AbortError as PRetryAbortError } from 'p-retry'
import { describe, expect, it } from 'vitest'
import { InvalidInputError } from '../../src/kernel/errors.ts'
import { seededRandom } from '../../src/kernel/random.ts'
import { fullJitter, type RetryEvent, type RetryOptions, retry } from '../../src/kernel/retry.ts'
import { fakeClock } from '../../src/testing/fake-clock.ts'

/** Runs a retry on a fake clock for up to an hour; tells its end, and when each attempt started. */
async function run(outcomes: readonly (() => unknown)[], options: Partial<RetryOptions> = {}) {
  const clock = fakeClock({ now: 0 })
  const starts: number[] = []
  const retries: RetryEvent[] = []
  const running = retry(
    (attempt) => {
      expect(attempt).toBe(starts.length + 1)
      starts.push(clock.now())
      return (outcomes[starts.length - 1] ?? outcomes.at(-1))?.()
    },
    { clock, retries: 3, delay: (attempt) => attempt * 100, onRetry: (event) => retries.push(event), ...options },
  ).then(
    (value) => ({ value, at: clock.monotonic() }),
    (error: unknown) => ({ error, at: clock.monotonic() }),
  )
  await clock.advance('1h')
  expect(clock.pending()).toBe(0)
  return { ...(await running), starts, retries }
}

const fail = (error: unknown) => () => {
  throw error
}
const boom = new Error('boom')

describe('retry', () => {
  it('calls once when that is enough', async () => {
    expect(await run([() => 'ok'])).toMatchObject({ value: 'ok', starts: [0], retries: [] })
  })

  it('waits as the policy says, and gives up with the last error as it came', async () => {
    const last = new Error('last')
    const ran = await run([fail(boom), () => Promise.reject(boom), fail(boom), fail(last)])
    expect(ran).toMatchObject({ starts: [0, 100, 300, 600], at: 600 })
    expect('error' in ran && ran.error).toBe(last)
    expect(ran.retries).toEqual([1, 2, 3].map((attempt) => ({ attempt, error: boom, delayMs: attempt * 100 })))
  })

  it('never asks shouldRetry or delay when no retry is left', async () => {
    const asked: string[] = []
    await run([fail(boom)], {
      retries: 1,
      shouldRetry: () => asked.push('shouldRetry') > 0,
      delay: () => asked.push('delay'),
    })
    expect(asked).toEqual(['shouldRetry', 'delay'])
    expect(await run([fail(boom)], { retries: 0 })).toMatchObject({ error: boom, starts: [0] })
  })

  it('leaves to shouldRetry what is final, whatever was thrown', async () => {
    const thrown = [
      new TypeError('not a network error'),
      'text',
      undefined,
      null,
      { code: 5 },
      new PRetryAbortError('abort'),
      new DOMException('x', 'AbortError'),
    ]
    for (const error of thrown) {
      const tried = await run([fail(error)], { retries: 2 })
      expect(tried.starts).toHaveLength(3)
      expect('error' in tried && tried.error).toBe(error)
      const stopped = await run([fail(error)], { shouldRetry: (seen) => seen !== error })
      expect(stopped.starts).toHaveLength(1)
      expect('error' in stopped && stopped.error).toBe(error)
    }
  })

  it("doesn't begin a wait that reaches beyond the deadline", async () => {
    expect(await run([fail(boom)], { deadline: 300 })).toMatchObject({ error: boom, starts: [0, 100, 300], at: 300 })
    expect(await run([fail(boom)], { deadline: 299 })).toMatchObject({ error: boom, starts: [0, 100], at: 100 })
    expect(await run([fail(boom)], { deadline: -1 })).toMatchObject({ error: boom, starts: [0] })
    expect(
      await run([fail(boom)], { retries: Number.POSITIVE_INFINITY, delay: () => 60_000, deadline: 600_000 }),
    ).toMatchObject({
      starts: Array.from({ length: 11 }, (_, i) => i * 60_000),
    })
  })

  it('takes odd delays for what they are worth', async () => {
    const odd = [Number.NaN, -5, 0.2, undefined as unknown as number]
    expect(await run([fail(boom)], { retries: 4, delay: (attempt) => odd[attempt - 1] as number })).toMatchObject({
      starts: [0, 0, 0, 1, 1],
    })
  })

  it('refuses a count that is none', async () => {
    for (const retries of [-1, 1.5, Number.NaN, '3' as unknown as number]) {
      const ran = await run([() => 'ok'], { retries })
      expect(ran.starts).toEqual([])
      expect('error' in ran && ran.error).toBeInstanceOf(InvalidInputError)
    }
  })
})

describe('a signal', () => {
  it('ends the wait at once, with its reason, and no listener stays', async () => {
    const clock = fakeClock({ now: 0 })
    const controller = new AbortController()
    const running = retry(fail(boom), { clock, retries: 9, delay: () => 60_000, signal: controller.signal })
    await clock.advance('90s')
    expect(clock.pending()).toBe(1)
    controller.abort(new Error('shutting down'))
    await expect(running).rejects.toThrow('shutting down')
    expect(clock.pending()).toBe(0)
    expect(getEventListeners(controller.signal, 'abort')).toHaveLength(0)
  })

  it('stops before the first attempt, and after one that it made fail', async () => {
    const aborted = AbortSignal.abort(new Error('before'))
    expect(await run([() => 'ok'], { signal: aborted })).toMatchObject({ starts: [], error: new Error('before') })
    const controller = new AbortController()
    const during = await run(
      [
        () => {
          controller.abort(new Error('during'))
          throw boom
        },
      ],
      { signal: controller.signal },
    )
    expect(during).toMatchObject({ starts: [0], error: new Error('during') })
  })

  it("doesn't lose the result of an attempt that succeeded", async () => {
    const controller = new AbortController()
    const ran = await run(
      [
        () => {
          controller.abort()
          return 'minted'
        },
      ],
      { signal: controller.signal },
    )
    expect(ran).toMatchObject({ value: 'minted' })
  })
})

describe('fullJitter', () => {
  it('spreads from 0 up to a doubling, capped end', () => {
    const delay = fullJitter({ base: 100, cap: 1000, random: seededRandom('jitter') })
    for (const [attempt, end] of [
      [1, 100],
      [2, 200],
      [4, 800],
      [5, 1000],
      [2000, 1000],
    ] as const) {
      const delays = Array.from({ length: 500 }, () => delay(attempt))
      expect(Math.min(...delays)).toBeLessThan(end * 0.05)
      expect(Math.max(...delays)).toBeGreaterThan(end * 0.95)
      expect(delays.every((ms) => ms >= 0 && ms < end)).toBe(true)
    }
  })
})
