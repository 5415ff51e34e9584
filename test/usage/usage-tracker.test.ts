import { describe, expect, it } from 'vitest'
import {
  defineScopes,
  InvalidInputError,
  MemoryTokenStore,
  StoreUnavailableError,
  type Verification,
} from '../../src/index.ts'
import { truncateIp } from '../../src/usage/request-log.ts'
import { HOUR, START, setUp } from '../issuing/fixture.ts'

/** A memory store whose writes of usage can be made to fail, before or after they were done. */
class Flaky extends MemoryTokenStore {
  mode: 'good' | 'refuse' | 'lose the answer' = 'good'

  override addUsage(...args: Parameters<MemoryTokenStore['addUsage']>): void {
    if (this.mode === 'refuse') throw new StoreUnavailableError('away')
    super.addUsage(...args)
    if (this.mode === 'lose the answer') throw new StoreUnavailableError('away')
  }
}

describe('counters', () => {
  it('count per token, hour, tool and outcome, and are written by flush', async () => {
    const { tokens, clock, store } = setUp()
    const { token, record } = await tokens.generate({ service: 'A', rateLimit: { limit: 3, per: '1h' } })
    await tokens.verify(token, { tool: 'ping', cost: 2 })
    await tokens.verify(token, { tool: 'ping' })
    await tokens.verify(token)
    await tokens.verify('unknown-token-unknown-token')
    expect(await tokens.usage.query()).toEqual([])
    await tokens.usage.flush()
    await clock.advance('1h')
    await tokens.verify(token)
    await tokens.usage.flush()
    const rows = (await tokens.usage.query({ token: record.id })).map(({ hour, tool, outcome, calls, cost }) => [
      (hour - START) / HOUR,
      tool,
      outcome,
      calls,
      cost,
    ])
    expect(rows.sort()).toEqual([
      [0, '', 'rate_limited', 1, 0],
      [0, 'ping', 'ok', 2, 3],
      [1, '', 'ok', 1, 1],
    ])
    expect((await tokens.usage.query({ token: '' })).map((row) => [row.outcome, row.calls])).toEqual([['unknown', 1]])
    expect((await tokens.usage.query({ from: START + HOUR })).length).toBe(1)
    expect(store.durability().survives).toBe('nothing')
  })

  it('finish adds duration, failures and a histogram, and counts no call', async () => {
    const { tokens } = setUp()
    const { token, record } = await tokens.generate({ service: 'A' })
    for (const [status, durationMs] of [
      [200, 0.4],
      [200, 3],
      [500, 99_999],
      [404, 12],
    ] as const) {
      tokens.usage.finish(await tokens.verify(token), { status, durationMs })
    }
    await tokens.usage.flush()
    const [row] = await tokens.usage.query({ token: record.id })
    expect(row).toMatchObject({ calls: 4, failures: 1, durationMs: 0.4 + 3 + 99_999 + 12 })
    expect(row?.latency).toEqual([1, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1])
  })

  it('finish refuses what verify() did not give, and durations that are none', async () => {
    const { tokens } = setUp()
    const answer = await tokens.verify('x')
    expect(() => tokens.usage.finish({ ...answer } as Verification, { status: 200, durationMs: 1 })).toThrow(
      InvalidInputError,
    )
    for (const durationMs of [-1, Number.NaN, Number.POSITIVE_INFINITY]) {
      expect(() => tokens.usage.finish(answer, { status: 200, durationMs })).toThrow(InvalidInputError)
    }
    expect(() => tokens.usage.finish(answer, { status: 20.5, durationMs: 1 })).toThrow(InvalidInputError)
  })

  it('lose nothing and count nothing twice when a flush fails or its answer is lost', async () => {
    const store = new Flaky()
    const { tokens, events, clock } = setUp({ store })
    const { token, record } = await tokens.generate({ service: 'A' })
    let calls = 0
    for (const mode of ['refuse', 'lose the answer', 'good', 'lose the answer', 'refuse', 'good'] as const) {
      store.mode = mode
      for (let i = 0; i < 5; i++) {
        await tokens.verify(token)
        calls += 1
      }
      await clock.advance('10s')
      await tokens.tick()
    }
    const rows = await tokens.usage.query({ token: record.id })
    expect(rows.reduce((sum, row) => sum + row.calls, 0)).toBe(calls)
    expect(events.names().filter((name) => name === 'usage.flushFailed')).toHaveLength(4)
  })

  it('are flushed on close', async () => {
    let flushed = 0
    class Watched extends MemoryTokenStore {
      override addUsage(...args: Parameters<MemoryTokenStore['addUsage']>): void {
        flushed += args[1].reduce((sum, increment) => sum + increment.calls, 0)
        super.addUsage(...args)
      }
    }
    const { tokens } = setUp({ store: new Watched() })
    const { token } = await tokens.generate({ service: 'A' })
    await tokens.verify(token)
    await Promise.all([tokens.close(), tokens.close()])
    expect(flushed).toBe(1)
  })

  it('are bounded: what finds the buffer full is counted as dropped', async () => {
    const { tokens, events } = setUp({ usage: { record: 'none' } })
    const { token } = await tokens.generate({ service: 'A' })
    for (let i = 0; i < 50_010; i++) await tokens.verify(token, { tool: `t${i}` })
    expect(tokens.usage.stats()).toMatchObject({ counters: 50_000, droppedCalls: 10 })
    await tokens.usage.flush()
    expect(events.events.find((event) => event.name === 'usage.dropped')?.payload).toMatchObject({
      calls: 10,
      requests: 0,
    })
    expect(await tokens.health()).toMatchObject({ status: 'degraded', sources: { usage: { status: 'degraded' } } })
  })

  it('keep the activity of each version', async () => {
    const { tokens, store, clock } = setUp()
    const { activityKind } = await import('../../src/stores/usage-rows.ts')
    const { token, record } = await tokens.generate({ service: 'A' })
    const rotated = await tokens.rotate('A')
    await clock.advance(5)
    await tokens.verify(token)
    await tokens.verify(token)
    await tokens.verify(rotated.token)
    await tokens.verify(rotated.token, { scopes: ['a:b'] })
    await tokens.usage.flush()
    expect((await store.get(activityKind, `${record.id}.1`))?.value).toEqual({ calls: 2, lastAt: START + 5 })
    expect((await store.get(activityKind, `${record.id}.2`))?.value).toEqual({ calls: 1, lastAt: START + 5 })
  })
})

describe('the request log', () => {
  it('keeps refused calls, and those of critical tools, by default', async () => {
    const scopes = defineScopes({
      scopes: { 'sys:read': { risk: 'low', tools: ['look'] }, 'sys:admin': { risk: 'critical', tools: ['reboot'] } },
    })
    const { tokens, clock } = setUp({ scopes })
    const { token, record } = await tokens.generate({ service: 'A', scopes: ['sys:read', 'sys:admin'] })
    await tokens.verify(token, { tool: 'look', ip: '10.1.2.3' })
    await clock.advance(1)
    await tokens.verify(token, { tool: 'reboot', ip: '10.1.2.3', caller: 'agent-7' })
    await clock.advance(1)
    await tokens.verify('nobody-knows-this-one', { ip: '2001:db8:1:2::3' })
    await tokens.usage.flush()
    const { items } = await tokens.usage.requests()
    expect(items).toEqual([
      { at: START + 2, token: '', service: '', code: 'unknown', ip: '2001:db8:1:2::3' },
      {
        at: START + 1,
        token: record.id,
        service: 'A',
        tool: 'reboot',
        risk: 'critical',
        code: 'ok',
        ip: '10.1.2.3',
        caller: 'agent-7',
      },
    ])
    expect((await tokens.usage.requests({ risk: 'critical' })).items).toHaveLength(1)
    expect((await tokens.usage.requests({ service: 'A', code: 'unknown' })).items).toEqual([])
    expect((await tokens.usage.requests({ ip: '10.1.2.3', code: 'ok' })).items).toHaveLength(1)
    expect((await tokens.usage.requests({ since: START + 2 })).items).toHaveLength(1)
    const page = await tokens.usage.requests({ limit: 1 })
    expect(page.items).toHaveLength(1)
    expect((await tokens.usage.requests({ limit: 1, cursor: page.cursor })).items).toMatchObject([{ code: 'ok' }])
  })

  it.each([
    ['none', 0],
    ['denied', 1],
    ['all', 3],
  ] as const)('record: %s', async (record, rows) => {
    const { tokens } = setUp({ usage: { record } })
    const { token } = await tokens.generate({ service: 'A' })
    await tokens.verify(token)
    tokens.usage.finish(await tokens.verify(token, { finishLater: true }), {
      status: 201,
      durationMs: 7,
      ip: '10.0.0.1',
    })
    await tokens.verify('x')
    await tokens.usage.flush()
    const { items } = await tokens.usage.requests()
    expect(items).toHaveLength(rows)
    if (record === 'all')
      expect(items).toContainEqual(expect.objectContaining({ status: 201, durationMs: 7, ip: '10.0.0.1', code: 'ok' }))
  })

  it('writes a call with finishLater once, when it is finished', async () => {
    const { tokens } = setUp()
    const answer = await tokens.verify('x', { finishLater: true })
    await tokens.usage.flush()
    expect((await tokens.usage.requests()).items).toEqual([])
    tokens.usage.finish(answer, { status: 401, durationMs: 2 })
    await tokens.usage.flush()
    expect((await tokens.usage.requests()).items).toMatchObject([{ code: 'unknown', status: 401, durationMs: 2 }])
  })

  it('forgets rows after the retention', async () => {
    const { tokens, clock } = setUp({ usage: { requestRetention: '1d' } })
    await tokens.verify('x')
    await tokens.usage.flush()
    await clock.advance('23h')
    await tokens.tick()
    expect((await tokens.usage.requests()).items).toHaveLength(1)
    await clock.advance('2h')
    await tokens.tick()
    expect((await tokens.usage.requests()).items).toEqual([])
  })

  it('is bounded; failMode requestLog closed refuses what it cannot note', async () => {
    for (const requestLog of ['drop', 'closed'] as const) {
      const { tokens } = setUp({ usage: { record: 'all' }, failMode: { requestLog } })
      const { token } = await tokens.generate({ service: 'A' })
      for (let i = 0; i < 10_000; i++) await tokens.verify('x')
      const answer = await tokens.verify(token)
      expect(answer).toMatchObject(requestLog === 'drop' ? { ok: true } : { code: 'unavailable', retryAfterMs: 1000 })
      expect(tokens.usage.stats().droppedRequests).toBeGreaterThan(0)
      await tokens.usage.flush()
      expect((await tokens.verify(token)).ok).toBe(true)
    }
  })

  it('cuts addresses when told to, and texts to their bounds', async () => {
    expect(
      ['10.1.2.3', '2001:db8:1:2:3:4:5:6', '2001:db8::1', '::1', '::ffff:10.1.2.3', 'garbage'].map(truncateIp),
    ).toEqual(['10.1.2.0', '2001:db8:1::', '2001:db8::', '::', '::ffff:10.1.2.0', ''])
    const { tokens } = setUp({ usage: { truncateIp: true } })
    await tokens.verify('x', { ip: '10.1.2.3', tool: 't'.repeat(1000), caller: 'c'.repeat(1000) })
    await tokens.usage.flush()
    expect((await tokens.usage.requests()).items).toMatchObject([
      { ip: '10.1.2.0', tool: 't'.repeat(128), caller: 'c'.repeat(256) },
    ])
  })

  it('refuses bad options and queries', async () => {
    for (const usage of [{ record: 'some' }, { flushInterval: 5 }, { requestRetention: 'ever' }])
      expect(() => setUp({ usage: usage as object })).toThrow(InvalidInputError)
    const { tokens } = setUp()
    await expect(tokens.usage.requests({ limit: 0 })).rejects.toThrow(InvalidInputError)
    await expect(tokens.usage.requests({ colour: 'red' } as object)).rejects.toThrow(InvalidInputError)
    await expect(tokens.usage.query({ limit: 10_001 })).rejects.toThrow(InvalidInputError)
  })
})
