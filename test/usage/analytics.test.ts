import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { LATENCY_BOUNDS, MemoryTokenStore, type UsageIncrement } from '../../src/index.ts'
import { quantileOf } from '../../src/usage/latency.ts'
import { DAY, HOUR, START, setUp, spyOn } from '../issuing/fixture.ts'

const bucketOf = (ms: number) => {
  const bucket = LATENCY_BOUNDS.findIndex((bound) => ms <= bound)
  return bucket < 0 ? LATENCY_BOUNDS.length : bucket
}

describe('quantiles of the histogram', () => {
  it('are interpolated within the bucket, and none without calls', () => {
    const histogram = new Array<number>(14).fill(0)
    expect(quantileOf(histogram, 0.5)).toBeUndefined()
    histogram[4] = 10 // from 10 to 25 ms
    expect(quantileOf(histogram, 0.5)).toBe(17.5)
    expect(quantileOf(histogram, 1)).toBe(25)
    expect(quantileOf(histogram, 0)).toBe(10)
    histogram[13] = 90
    expect(quantileOf(histogram, 0.99)).toBe(10_000)
    // Rows of an older, shorter histogram count as far as they reach.
    expect(quantileOf([4], 0.5)).toBe(0.5)
  })

  it('are in the bucket of the true one, and rise with q', () => {
    const durations = fc.array(fc.double({ min: 0, max: 9999, noNaN: true }), { minLength: 1, maxLength: 200 })
    fc.assert(
      fc.property(durations, fc.double({ min: 0.01, max: 1, noNaN: true }), (all, q) => {
        const histogram = new Array<number>(14).fill(0)
        for (const ms of all) histogram[bucketOf(ms)] = (histogram[bucketOf(ms)] as number) + 1
        const sorted = [...all].sort((a, b) => a - b)
        const truth = sorted[Math.max(0, Math.ceil(q * all.length - 1e-9) - 1)] as number
        const told = quantileOf(histogram, q) as number
        const bucket = bucketOf(truth)
        expect(told).toBeGreaterThanOrEqual(bucket === 0 ? 0 : (LATENCY_BOUNDS[bucket - 1] as number))
        expect(told).toBeLessThanOrEqual(LATENCY_BOUNDS[bucket] as number)
        expect(told).toBeGreaterThanOrEqual(quantileOf(histogram, q / 2) as number)
      }),
    )
  })
})

describe('analytics', () => {
  it('sum up calls, errors, denials and durations by all, token, tool and hour', async () => {
    const { tokens, clock } = setUp()
    const a = await tokens.generate({ service: 'A', rateLimit: { limit: 3, per: '1h' } })
    const b = await tokens.generate({ service: 'B' })
    for (let i = 0; i < 4; i++) {
      const answer = await tokens.verify(a.token, { tool: 'ping' })
      if (answer.ok) tokens.usage.finish(answer, { status: i === 0 ? 500 : 200, durationMs: 4 })
      else tokens.usage.finish(answer, { status: 503, durationMs: 4 })
    }
    await tokens.verify('unknown-token-unknown-token')
    await tokens.usage.flush()
    await clock.advance('1h')
    for (let i = 0; i < 6; i++) await tokens.verify(b.token, { cost: 2 })
    await tokens.usage.flush()

    const { analytics } = tokens.usage
    expect(await analytics.overview()).toEqual({
      ...{ calls: 11, denied: 2, failures: 1, errors: 3, errorRate: 3 / 11, cost: 15, tokens: 2, complete: true },
      ...{ denials: { rate_limited: 1, unknown: 1 }, timed: 4, meanMs: 4, p50Ms: 3.5, p95Ms: 4.85, p99Ms: 4.97 },
      lastAt: START + HOUR,
    })
    const talkers = await analytics.byToken()
    expect(talkers.items.map(({ token, calls }) => [token, calls])).toEqual([
      [b.record.id, 6],
      [a.record.id, 4],
      ['', 1],
    ])
    expect((await analytics.byToken({ by: 'errors', limit: 1 })).items[0]).toMatchObject({
      token: a.record.id,
      errors: 2,
    })
    expect((await analytics.byTool({ by: 'cost' })).items.map(({ tool, cost }) => [tool, cost])).toEqual([
      ['', 12],
      ['ping', 3],
    ])
    expect((await analytics.byHour({ token: a.record.id })).items).toMatchObject([{ hour: START, calls: 4 }])
    expect((await analytics.byHour()).items.map(({ hour, calls }) => [hour - START, calls])).toEqual([
      [0, 5],
      [HOUR, 6],
    ])
    expect(await analytics.overview({ tool: 'ping', from: START, to: START + 1 })).toMatchObject({
      calls: 4,
      tokens: 1,
    })
    const empty = await analytics.overview({ from: START + DAY, to: START + 2 * DAY })
    expect(empty).toEqual({
      ...{ calls: 0, denied: 0, failures: 0, errors: 0, errorRate: 0, cost: 0, denials: {}, timed: 0, tokens: 0 },
      complete: true,
    })
    await tokens.close()
  })

  it('read a bounded number of rows in pages, and say what is missing', async () => {
    const { proxy, calls } = spyOn(new MemoryTokenStore())
    const { tokens } = setUp({ store: proxy })
    const row = (i: number): UsageIncrement => ({
      ...{ token: `tok_${i % 2500}`, version: 1, hour: START + (i < 2500 ? 0 : HOUR), tool: '', outcome: 'ok' },
      ...{ calls: 1, cost: 1, failures: 0, durationMs: 0, lastAt: START },
    })
    await proxy.addUsage(
      'rows',
      Array.from({ length: 5000 }, (_, i) => row(i)),
    )
    const range = { from: START, to: START + 2 * HOUR }
    calls.length = 0
    expect(await tokens.usage.analytics.overview(range)).toMatchObject({ calls: 5000, tokens: 2500, complete: true })
    expect(calls).toEqual(new Array(6).fill('usage'))
    expect(await tokens.usage.analytics.overview({ ...range, maxRows: 2500 })).toMatchObject({
      ...{ calls: 2500, complete: false, reachedHour: START + HOUR },
    })
    expect(await tokens.usage.analytics.overview({ ...range, maxRows: 5000 })).toMatchObject({
      calls: 5000,
      complete: true,
    })
    for (const maxRows of [1, 999, 1000, 1001])
      expect(await tokens.usage.analytics.overview({ ...range, maxRows })).toMatchObject({
        calls: maxRows,
        complete: false,
      })
    await tokens.close()
  })

  it('tell who calls most, as the request log knows it', async () => {
    const { tokens, clock } = setUp({ usage: { record: 'all' } })
    const { token } = await tokens.generate({ service: 'A' })
    for (let i = 0; i < 3; i++) await tokens.verify(token, { ip: '10.0.0.1', caller: 'eve' })
    await tokens.verify('nothing-of-the-sort', { ip: '10.0.0.2' })
    await tokens.usage.flush()
    const { analytics } = tokens.usage
    expect(await analytics.talkers()).toEqual({
      items: [
        { name: '10.0.0.1', calls: 3, denied: 0, lastAt: START },
        { name: '10.0.0.2', calls: 1, denied: 1, lastAt: START },
      ],
      complete: true,
    })
    expect((await analytics.talkers({ by: 'caller' })).items).toMatchObject([{ name: 'eve', calls: 3 }])
    expect(await analytics.talkers({ maxRows: 2 })).toMatchObject({ complete: false })
    await clock.advance('2d')
    expect((await analytics.talkers()).items).toEqual([])
    await tokens.close()
  })

  it('tell when a token was last used, over its versions', async () => {
    const { tokens, clock } = setUp()
    const { token, record } = await tokens.generate({ service: 'A' })
    const { analytics } = tokens.usage
    expect(await analytics.lastUsed(record.id)).toBeUndefined()
    expect(await analytics.lastUsed('tok_none')).toBeUndefined()
    await clock.advance('1h')
    await tokens.verify(token)
    await tokens.rotate('A')
    await tokens.usage.flush()
    expect(await analytics.lastUsed(record.id)).toEqual({ at: START + HOUR, calls: 1 })
    await tokens.close()
  })

  it('refuse bad queries by name', async () => {
    const { analytics } = setUp().tokens.usage
    const refused: [string, Promise<unknown>][] = [
      ['from', analytics.overview({ from: 'soon' })],
      ['from', analytics.overview({ from: START + DAY, to: START })],
      ['maxRows', analytics.overview({ maxRows: 0 })],
      ['token', analytics.overview({ token: 1 as never })],
      ['query', analytics.byHour({ limit: 1 } as never)],
      ['by', analytics.byToken({ by: 'name' as never })],
      ['limit', analytics.byTool({ limit: 1e9 })],
      ['by', analytics.talkers({ by: 'tool' as never })],
    ]
    for (const [field, call] of refused) await expect(call).rejects.toMatchObject({ code: 'ERR_INVALID_INPUT', field })
  })
})
