import type { TokenStore } from '../../stores/token-store.ts'
import { activityId, activityKind, type UsageIncrement, type UsageRow } from '../../stores/usage-rows.ts'
import { commit, ids, isFrozenDeep, outcome, type Suite } from './kit.ts'

const HOUR = 3_600_000
const DAY = 24 * HOUR

/** Usage rows and activity rows. */
export function usageTests({ describe, test, expect }: Suite): void {
  describe('usage', () => {
    test('counts with the same token, hour, tool and outcome are summed', async (store, { reopen }) => {
      const hour = await thisHour(store)
      const latency = [1, ...Array.from({ length: 13 }, () => 0)]
      await store.addUsage('f1', [
        add('t', hour, { calls: 2, cost: 3, failures: 1, durationMs: 7, latency, lastAt: hour + 5 }),
      ])
      await store.addUsage('f2', [
        add('t', hour, { version: 2, calls: 1, durationMs: 1, latency, lastAt: hour + 3 }),
        add('t', hour, { tool: 'get' }),
        add('t', hour, { outcome: 'expired' }),
        add('t', hour + HOUR),
        add('s', hour),
      ])
      const again = reopen === undefined ? store : await reopen()
      const rows = await again.usage({ limit: 100 })
      expect(rows.map(place)).toEqual([
        ['s', hour, '', 'ok', 1],
        ['t', hour, '', 'expired', 1],
        ['t', hour, '', 'ok', 3],
        ['t', hour, 'get', 'ok', 1],
        ['t', hour + HOUR, '', 'ok', 1],
      ])
      const sum: UsageRow = {
        token: 't',
        hour,
        tool: '',
        outcome: 'ok',
        calls: 3,
        cost: 4,
        failures: 1,
        durationMs: 8,
        latency: latency.map((n) => n * 2),
        lastAt: hour + 5,
      }
      expect(rows[2]).toEqual(sum)
      expect(rows.every(isFrozenDeep)).toBe(true)
    })

    test('the same flush again changes nothing', async (store, { reopen }) => {
      const hour = await thisHour(store)
      await commit(store, { kind: activityKind, id: activityId('t', 1), value: { calls: 0, lastAt: 1 } })
      for (let n = 0; n < 3; n++) await store.addUsage('flush', [add('t', hour)])
      await Promise.all([store.addUsage('other', [add('t', hour)]), store.addUsage('other', [add('t', hour)])])
      const again = reopen === undefined ? store : await reopen()
      await again.addUsage('flush', [add('t', hour)])
      expect((await again.usage({ limit: 10 })).map((row) => row.calls)).toEqual([2])
      expect((await again.get(activityKind, activityId('t', 1)))?.value.calls).toBe(2)
    })

    test('usage can be read by token, by time, and page by page', async (store) => {
      const hour = await thisHour(store)
      const increments: UsageIncrement[] = []
      for (let h = 0; h < 4; h++) {
        for (const token of ['a', 'b', 'c'])
          for (const tool of ['x', 'y']) increments.push(add(token, hour + h * HOUR, { tool }))
      }
      await store.addUsage('f', increments)
      const all = (await store.usage({ limit: 100 })).map(place)
      expect(all.length).toBe(24)
      const some = await store.usage({ token: 'b', from: hour + HOUR, to: hour + 3 * HOUR, limit: 100 })
      expect(some.map(place)).toEqual([
        ['b', hour + HOUR, 'x', 'ok', 1],
        ['b', hour + HOUR, 'y', 'ok', 1],
        ['b', hour + 2 * HOUR, 'x', 'ok', 1],
        ['b', hour + 2 * HOUR, 'y', 'ok', 1],
      ])
      for (const token of [undefined, 'c']) {
        const paged: unknown[] = []
        let after: UsageRow | undefined
        for (let pages = 0; pages < 30; pages++) {
          const page: readonly UsageRow[] = await store.usage({ token, after, limit: 5 })
          paged.push(...page.map(place))
          after = page.at(-1)
          if (page.length < 5) break
        }
        expect(paged).toEqual(all.filter(([name]) => token === undefined || name === token))
      }
      expect(await store.usage({ token: 'none', limit: 5 })).toEqual([])
    })

    test('activity rows count good calls and remember the last one; none is made', async (store) => {
      const hour = await thisHour(store)
      await commit(
        store,
        { kind: activityKind, id: activityId('t', 1), value: { calls: 0, lastAt: 5 } },
        { kind: activityKind, id: activityId('t', 2), value: { calls: 0, lastAt: 6 } },
      )
      const before = await store.get(activityKind, activityId('t', 1))
      await store.addUsage('f1', [
        add('t', hour, { calls: 3, lastAt: hour + 10 }),
        add('t', hour, { calls: 2, lastAt: hour + 20, outcome: 'rate_limited' }),
        add('t', hour, { calls: 1, lastAt: hour + 15, tool: 'get' }),
        add('t', hour, { version: 0, calls: 50, lastAt: hour + 90, outcome: 'unknown' }),
        add('new', hour),
      ])
      const after = await store.get(activityKind, activityId('t', 1))
      expect(after?.value).toEqual({ calls: 4, lastAt: hour + 20 })
      expect(after?.revision).toBe(before?.revision)
      expect(before?.value).toEqual({ calls: 0, lastAt: 5 })
      expect((await store.get(activityKind, activityId('t', 2)))?.value).toEqual({ calls: 0, lastAt: 6 })
      expect(await store.get(activityKind, activityId('new', 1))).toBe(undefined)
      expect(await store.get(activityKind, activityId('t', 0))).toBe(undefined)
      expect(await ids(store, activityKind, { index: 'unusedSince' })).toEqual(['t.2', 't.1'])
      expect(await ids(store, activityKind, { index: 'calls', from: 1 })).toEqual(['t.1'])
      await store.addUsage('f2', [add('t', hour, { calls: 1, lastAt: hour + 1 })])
      expect((await store.get(activityKind, activityId('t', 1)))?.value).toEqual({ calls: 5, lastAt: hour + 20 })
    })

    test('what is no usage is refused, all of it', async (store) => {
      const hour = await thisHour(store)
      const bad: Partial<UsageIncrement>[] = [
        { calls: Number.NaN },
        { calls: 1.5 },
        { lastAt: Number.NaN },
        { durationMs: Number.POSITIVE_INFINITY },
        { tool: 3 as unknown as string },
      ]
      for (const each of bad) {
        expect(await outcome(() => store.addUsage('f', [add('t', hour), add('t', hour, each)]))).toBe(
          'ERR_INVALID_INPUT',
        )
      }
      expect(await outcome(() => store.addUsage('', [add('t', hour)]))).toBe('ERR_INVALID_INPUT')
      for (const limit of [0, 10_001]) expect(await outcome(() => store.usage({ limit }))).toBe('ERR_INVALID_INPUT')
      expect(await store.usage({ limit: 5 })).toEqual([])
    })

    test('hours older than 30 days become days', async (store, { advance }) => {
      const now = await store.time()
      const today = Math.floor(now / DAY) * DAY
      // What is old when it comes is kept by the day at once.
      const old = today - 40 * DAY
      await store.addUsage('f1', [add('t', old + HOUR), add('t', old + 5 * HOUR, { calls: 2 }), add('t', old + DAY)])
      expect((await store.usage({ limit: 9 })).map(place)).toEqual([
        ['t', old, '', 'ok', 3],
        ['t', old + DAY, '', 'ok', 1],
      ])
      await store.addUsage('f2', [add('u', today), add('u', today - HOUR), add('u', today - 2 * HOUR)])
      expect((await store.usage({ token: 'u', limit: 9 })).length).toBe(3)
      if (advance === undefined) return
      await advance(31 * DAY)
      await store.addUsage('f3', [add('v', today + 31 * DAY)])
      expect((await store.usage({ token: 'u', limit: 9 })).map(place)).toEqual([
        ['u', today - DAY, '', 'ok', 2],
        ['u', today, '', 'ok', 1],
      ])
      expect((await store.usage({ token: 't', limit: 9 })).length).toBe(2)
    })
  })
}

async function thisHour(store: TokenStore): Promise<number> {
  return Math.floor((await store.time()) / HOUR) * HOUR
}

function add(token: string, hour: number, more: Partial<UsageIncrement> = {}): UsageIncrement {
  const row = { token, version: 1, hour, tool: '', outcome: 'ok', calls: 1, cost: 1, failures: 0, durationMs: 0 }
  return { ...row, lastAt: hour, ...more }
}

function place(row: UsageRow): readonly unknown[] {
  return [row.token, row.hour, row.tool, row.outcome, row.calls]
}
