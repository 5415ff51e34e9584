import { describe, expect, it } from 'vitest'
import { TimeLimitError, withTimeLimit } from '../../src/kernel/time-limit.ts'
import { fakeClock } from '../../src/testing/index.ts'

const never = () => new Promise<never>(() => {})

describe('withTimeLimit', () => {
  it('gives what the action gives, and leaves no timer behind', async () => {
    const clock = fakeClock()
    expect(await withTimeLimit(clock, 1000, () => 7)).toBe(7)
    expect(await withTimeLimit(clock, 1000, async () => 8)).toBe(8)
    await expect(
      withTimeLimit(clock, 1000, () => {
        throw new Error('no')
      }),
    ).rejects.toThrow('no')
    expect(clock.pending()).toBe(0)
  })

  it('gives up at the limit and aborts the signal', async () => {
    const clock = fakeClock()
    let signal: AbortSignal | undefined
    const waiting = withTimeLimit(clock, 1000, (given) => {
      signal = given
      return never()
    })
    const refused = expect(waiting).rejects.toThrow(TimeLimitError)
    await clock.advance(999)
    expect(signal?.aborted).toBe(false)
    await clock.advance(1)
    await refused
    expect(signal?.aborted).toBe(true)
  })

  it('ends with the outer signal, before and during', async () => {
    const clock = fakeClock()
    const outer = new AbortController()
    const waiting = withTimeLimit(clock, 1000, never, outer.signal)
    const refused = expect(waiting).rejects.toThrow('enough')
    outer.abort(new Error('enough'))
    await refused
    let called = false
    const late = withTimeLimit(clock, 1000, () => (called = true), outer.signal)
    await expect(late).rejects.toThrow('enough')
    expect(called).toBe(false)
    expect(clock.pending()).toBe(0)
  })

  it('a late failure of the action goes unheard, not unhandled', async () => {
    const clock = fakeClock()
    let fail = (_: Error): void => {}
    const waiting = withTimeLimit(clock, 10, () => new Promise<never>((_, reject) => (fail = reject)))
    const refused = expect(waiting).rejects.toThrow(TimeLimitError)
    await clock.advance(10)
    await refused
    fail(new Error('late'))
    await new Promise((resolve) => setImmediate(resolve))
  })
})
