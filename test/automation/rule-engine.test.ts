import { describe, expect, it } from 'vitest'
import type { ActionContext } from '../../src/automation/action.ts'
import type { RuleInput } from '../../src/automation/rule-input.ts'
import {
  type Commit,
  InvalidInputError,
  MemoryTokenStore,
  RulePartFailedError,
  StoreUnavailableError,
  TokenwrightError,
} from '../../src/index.ts'
import { fakeClock } from '../../src/testing/index.ts'
import { DAY, HOUR, instance, MINUTE, rotations, SECOND, START, setUp } from './fixture.ts'

const daily: RuleInput = { name: 'r', action: 'work', schedule: 'daily' }

/** An engine with an action that notes what it is called for. */
function working(options: Parameters<typeof setUp>[0] = {}) {
  const all = setUp(options)
  const calls: ActionContext[] = []
  all.rules.action('work', (context) => {
    calls.push(context)
  })
  return { ...all, calls }
}

async function refused(promise: Promise<unknown>): Promise<TokenwrightError> {
  try {
    await promise
  } catch (error) {
    if (error instanceof TokenwrightError) return error
    throw error
  }
  throw new Error('it was not refused')
}

describe('rules', () => {
  it('are made, read, listed, changed and removed, each change with its journal entry and its event', async () => {
    const { rules, store, events } = working()
    const made = await rules.create({ ...daily, actor: 'alice', reason: 'policy' })
    expect(made).toMatchObject({ name: 'r', action: 'work', schedule: { every: DAY }, enabled: true, runs: 0 })
    expect(made.nextSlot).toBe(START + DAY)
    expect(await rules.get('r')).toEqual(made)
    expect((await rules.list()).items).toEqual([made])
    const changed = await rules.update('r', { overlap: 'queue', params: { a: 1 }, actor: 'bob' })
    expect(changed).toMatchObject({ overlap: 'queue', params: { a: 1 }, nextSlot: START + DAY })
    expect(await rules.update('r', { params: null })).not.toHaveProperty('params')
    await rules.disable('r')
    await rules.disable('r')
    await rules.enable('r')
    await rules.remove('r', { reason: 'gone' })
    expect(await rules.get('r')).toBe(undefined)
    expect((await rules.list()).items).toEqual([])
    expect(events.names()).toEqual([
      'rule.created',
      'rule.updated',
      'rule.updated',
      'rule.disabled',
      'rule.enabled',
      'rule.removed',
    ])
    const journal = store.journal({ limit: 100 }).filter((entry) => entry.kind === 'rule')
    expect(journal.map(({ action, actor, reason, revision }) => [action, actor, reason, revision])).toEqual([
      ['rule.created', 'alice', 'policy', 1],
      ['rule.updated', 'bob', undefined, 2],
      ['rule.updated', 'system', undefined, 3],
      ['rule.disabled', 'system', undefined, 4],
      ['rule.enabled', 'system', undefined, 5],
      ['rule.removed', 'system', 'gone', 6],
    ])
    // The name is free again.
    expect((await rules.create(daily)).id).not.toBe(made.id)
  })

  it('have unique names', async () => {
    const { rules } = working()
    await rules.create(daily)
    expect((await refused(rules.create(daily))).code).toBe('ERR_RULE_EXISTS')
    for (const call of [
      rules.update('x', {}),
      rules.remove('x'),
      rules.enable('x'),
      rules.execute('x'),
      rules.runs('x'),
    ]) {
      expect((await refused(call)).code).toBe('ERR_RULE_NOT_FOUND')
    }
  })

  it('update: what is undefined stays, and null clears it', async () => {
    const { rules } = working()
    await rules.create({ ...daily, services: ['A'], conditions: { ageDays: 30 }, attempts: 7, params: { a: 1 } })
    const kept = { conditions: undefined, attempts: undefined, params: undefined, pauseAfter: 2 }
    const changed = { conditions: { ageDays: 30, match: 'all' }, attempts: 7, params: { a: 1 }, pauseAfter: 2 }
    expect(await rules.update('r', kept)).toMatchObject({ ...changed, services: ['A'], schedule: { every: DAY } })
    expect(await rules.update('r', { conditions: null, params: null })).not.toHaveProperty('conditions')
    await expect(rules.update('r', { services: undefined as never })).rejects.toMatchObject({ field: 'services' })
  })

  it('put: create or update, and nothing where nothing differs', async () => {
    const { rules, clock, events } = working()
    const made = await rules.put(daily)
    await clock.advance('1h')
    expect(await rules.put(daily)).toEqual(made)
    expect(await rules.put({ ...daily, attempts: 5 })).toMatchObject({
      attempts: 5,
      nextSlot: START + DAY,
      revision: 2,
    })
    await rules.disable('r')
    // An operator's word stands against a program's start.
    expect(await rules.put({ ...daily, attempts: 5 })).toMatchObject({ enabled: false })
    expect(await rules.put({ ...daily, attempts: 5, enabled: true })).toMatchObject({ enabled: true })
    expect(await rules.put({ ...daily, schedule: 'weekly' })).toMatchObject({
      attempts: 3,
      nextSlot: START + HOUR + 7 * DAY,
    })
    expect(events.names()).toEqual(['rule.created', 'rule.updated', 'rule.disabled', 'rule.updated', 'rule.updated'])
    const both = await Promise.all([rules.put({ ...daily, name: 'both' }), rules.put({ ...daily, name: 'both' })])
    expect(both[0].id).toBe(both[1].id)
  })

  it.each<[string, object]>([
    ['name', { name: '' }],
    ['name', { name: 7 }],
    ['name', { name: 'x'.repeat(129) }],
    ['name', { name: 'a\u0000b' }],
    ['action', { action: 'fly' }],
    ['action', { action: 7 }],
    ['rule', { evry: '1d' }],
    ['schedule', { schedule: 'hourly' }],
    ['schedule', { schedule: undefined }],
    ['schedule', { schedule: { every: '1d', cron: '* * * * *' } }],
    ['schedule.every', { schedule: {} }],
    ['schedule.every', { schedule: { every: 999 } }],
    ['schedule.every', { schedule: { every: 'soon' } }],
    ['schedule.cron', { schedule: { cron: '' } }],
    ['schedule.cron', { schedule: { cron: 5 } }],
    ['schedule.cron', { schedule: { cron: '* * * *' } }],
    ['schedule.cron', { schedule: { cron: '0 0 30 2 *' } }],
    ['schedule.timezone', { schedule: { cron: '* * * * *', timezone: 'Mars' } }],
    ['schedule.day', { schedule: { calendar: 'month', day: 0 } }],
    ['schedule.calendar', { schedule: { calendar: 'year', day: 1 } }],
    ['conditions', { conditions: { age: 1 } }],
    ['conditions', { conditions: {} }],
    ['conditions', { conditions: { ageDays: undefined, match: 'any' } }],
    ['conditions.ageDays', { conditions: { ageDays: -1 } }],
    ['conditions.ageDays', { conditions: { ageDays: Number.NaN } }],
    ['conditions.usageCount', { conditions: { usageCount: 1.5 } }],
    ['conditions.match', { conditions: { ageDays: 1, match: 'one' } }],
    ['startAt', { startAt: 'tomorrow' }],
    ['startAt', { startAt: 9e15 }],
    ['catchUp', { catchUp: 'all' }],
    ['catchUpWindow', { catchUpWindow: 5 }],
    ['overlap', { overlap: 'both' }],
    ['jitter', { jitter: '2d' }],
    ['jitter', { jitter: '1d' }],
    ['jitter', { jitter: '' }],
    ['jitter', { jitter: Number.NaN }],
    ['jitter', { jitter: '20h', schedule: { cron: '0 23,0 * * *' } }],
    ['jitter', { jitter: '20h', schedule: { cron: '0 0,1 * * *' } }],
    ['attempts', { attempts: 0 }],
    ['maxDuration', { maxDuration: '30d' }],
    ['pauseAfter', { pauseAfter: -1 }],
    ['enabled', { enabled: 'yes' }],
    ['params', { params: [1] }],
    ['params.a', { params: { a: () => 1 } }],
    ['service', { service: undefined }],
    ['services', { services: undefined }],
    ['services', { services: ['A'], service: 'B' }],
    ['services[1]', { services: ['A', ' B'] }],
    ['services', { services: Array.from({ length: 1001 }, (_, i) => `s${i}`) }],
    ['actor', { actor: '' }],
  ])('refuse a bad %s: %j', async (field, input) => {
    const { rules, store } = working()
    const error = await refused(rules.create({ ...daily, ...input } as RuleInput))
    expect(error).toBeInstanceOf(InvalidInputError)
    expect((error as InvalidInputError).field).toBe(field)
    expect((await rules.list()).items).toEqual([])
    expect(store.journal({ limit: 10 }).filter((entry) => entry.kind === 'rule')).toEqual([])
  })

  it.each<[string, object]>([
    ['service', { action: 'rotate' }],
    ['service', { action: 'rotate', services: [] }],
    ['service', { action: 'generate' }],
    ['conditions', { action: 'generate', service: 'A', conditions: { ageDays: 1 } }],
    ['params.service', { action: 'generate', service: 'A', params: { service: 'B' } }],
    ['params', { action: 'rotate', service: 'A', params: { gracee: 1 } }],
    ['params.grace', { action: 'bulk_rotate', params: { grace: 'soon' } }],
    ['params.whenInGrace', { action: 'rotate', service: 'A', params: { whenInGrace: 'x' } }],
    ['params.concurrency', { action: 'bulk_rotate', params: { concurrency: 0 } }],
    ['services', { action: 'cleanup', service: 'A' }],
    ['params.retention', { action: 'cleanup', params: { retention: 'x' } }],
    ['action', { action: 'backup' }],
  ])('refuse a bad %s of a built-in action: %j', async (field, input) => {
    const { rules } = setUp()
    const error = await refused(rules.create({ name: 'r', schedule: 'daily', ...input }))
    expect((error as InvalidInputError).field).toBe(field)
  })

  it('refuse what could only end without a recipient', async () => {
    const { rules, log, generator } = setUp()
    log.nobody.add('A').add('B')
    const rule = { name: 'r', schedule: 'daily' } as const
    // A token that isn't there yet may be retrievable when it is.
    await rules.create({ ...rule, service: 'A' })
    await generator.generate({ service: 'A' })
    await generator.generate({ service: 'B', retrievable: true })
    expect((await refused(rules.update('r', { service: 'A', attempts: 1 }))).code).toBe('ERR_NO_RECIPIENT')
    for (const bad of [
      { service: 'A' },
      { services: ['B', 'A'] },
      { action: 'generate', service: 'A' },
      { action: 'generate', service: 'A', params: { retrievable: false } },
      { action: 'bulk_rotate', services: ['A'] },
    ]) {
      expect((await refused(rules.put({ ...rule, name: 'bad', ...bad }))).code).toBe('ERR_NO_RECIPIENT')
    }
    for (const [i, fine] of [
      { service: 'B' },
      { action: 'generate', service: 'A', params: { retrievable: true } },
      { action: 'generate', service: 'A', params: { type: 'jwt' } },
      { action: 'bulk_rotate', services: ['A', 'B'] },
      { action: 'bulk_rotate' },
    ].entries()) {
      await rules.create({ ...rule, name: `fine ${i}`, ...fine })
    }
  })
})

describe('check', () => {
  it('runs a rule at its slot, and not before', async () => {
    const { rules, clock, calls, events } = working()
    await rules.create({ ...daily, params: { a: 1 } })
    await clock.advance(DAY - 1)
    expect(await rules.check()).toEqual({ runs: [], skipped: 0, unknown: 0 })
    await clock.advance(1)
    const report = await rules.check()
    expect(report.runs).toMatchObject([
      { name: 'r', slot: START + DAY, outcome: 'ok', state: 'ended', attempt: 1, n: 1 },
    ])
    expect(calls).toMatchObject([
      { slot: START + DAY, attempt: 1, params: { a: 1 }, actor: 'rule:r', now: START + DAY },
    ])
    expect(await rules.check()).toEqual({ runs: [], skipped: 0, unknown: 0 })
    expect(await rules.get('r')).toMatchObject({ nextSlot: START + 2 * DAY, lastSlot: START + DAY, runs: 1 })
    expect(events.of('rule.executed')).toMatchObject([
      { rule: 'r', slot: START + DAY, missed: 0, counts: {}, durationMs: 0 },
    ])
  })

  it('a late run does not shift the next', async () => {
    const { rules, clock, calls } = working()
    await rules.create(daily)
    await clock.advance(DAY + 5 * HOUR)
    await rules.check()
    await clock.advance(DAY - 5 * HOUR)
    await rules.check()
    expect(calls.map((call) => call.slot)).toEqual([START + DAY, START + 2 * DAY])
  })

  it('overdue by 90 days, a daily rule runs once (fact 19)', async () => {
    const { rules, clock, calls } = working()
    await rules.create(daily)
    await clock.advance(90 * DAY + HOUR)
    const { runs } = await rules.check()
    expect(runs).toMatchObject([{ slot: START + 90 * DAY, missed: 89 }])
    expect(calls).toHaveLength(1)
    expect(await rules.get('r')).toMatchObject({ nextSlot: START + 91 * DAY })
    expect(await rules.check()).toMatchObject({ runs: [] })
  })

  it('catchUp none runs nothing that is late; a window lets some through (fact 20)', async () => {
    const { rules, clock, calls, events } = working()
    await rules.create({ ...daily, name: 'none', catchUp: 'none' })
    await rules.create({ ...daily, name: 'window', catchUpWindow: '2h' })
    await clock.advance(90 * DAY + HOUR)
    expect(await rules.check()).toMatchObject({ skipped: 1 })
    expect(calls.map(({ rule }) => rule.name)).toEqual(['window'])
    expect((await rules.runs('none')).items).toMatchObject([
      { outcome: 'skipped', reason: 'catch_up', missed: 89, attempt: 0 },
    ])
    expect(events.of('rule.skipped')).toMatchObject([{ rule: 'none', why: 'catch_up', missed: 89 }])
    await clock.advance(DAY + 2 * HOUR)
    await rules.check()
    expect((await rules.runs('window')).items[0]).toMatchObject({ outcome: 'skipped', reason: 'catch_up' })
    // On time, they run.
    await clock.set(START + 92 * DAY + 30_000)
    await rules.check()
    expect(calls.map(({ rule }) => rule.name).sort()).toEqual(['none', 'window', 'window'])
  })

  it('startAt is the first slot; one that is past gives the phase', async () => {
    const { rules } = working()
    const at = (input: Partial<RuleInput>, name: string) =>
      rules.create({ ...daily, ...input, name }).then(({ nextSlot }) => nextSlot)
    expect(await at({ startAt: START + HOUR }, 'a')).toBe(START + HOUR)
    expect(await at({ startAt: new Date(START - 10 * DAY - HOUR) }, 'b')).toBe(START + DAY - HOUR)
    expect(await at({ startAt: START + 40 * DAY, schedule: { cron: '0 3 * * *' } }, 'c')).toBe(
      START + 40 * DAY + 3 * HOUR,
    )
    expect(await at({ startAt: START + 3 * HOUR, schedule: { cron: '0 3 * * *' } }, 'd')).toBe(START + 3 * HOUR)
    expect(await at({ schedule: { calendar: 'month', day: 1 } }, 'e')).toBe(Date.UTC(2027, 1, 1))
  })

  it('a disabled rule does not run; enabled, it catches up as it says (fact 29)', async () => {
    const { rules, clock, calls } = working()
    await rules.create({ ...daily, name: 'one', enabled: false })
    await rules.create({ ...daily, name: 'none', catchUp: 'none' })
    await rules.disable('none')
    await clock.advance(10 * DAY + HOUR)
    await rules.check()
    expect(calls).toEqual([])
    await rules.enable('one')
    await rules.enable('none')
    expect(calls).toEqual([])
    await rules.check()
    expect(calls.map(({ rule, slot }) => [rule.name, slot])).toEqual([['one', START + 10 * DAY]])
    await rules.disable('one')
    expect((await refused(rules.execute('one'))).code).toBe('ERR_RULE_DISABLED')
    expect(await rules.execute('one', { force: true, actor: 'alice' })).toMatchObject({
      outcome: 'ok',
      calledBy: 'alice',
    })
    expect(calls.at(-1)).toMatchObject({ actor: 'alice', slot: START + 10 * DAY + HOUR })
  })

  it('a run out of turn moves an interval, not a calendar (fact 31)', async () => {
    const { rules, clock } = working()
    await rules.create(daily)
    await rules.create({ ...daily, name: 'cron', schedule: { cron: '0 0 * * *' } })
    await clock.advance(5 * HOUR)
    await rules.execute('r')
    await rules.execute('cron')
    expect(await rules.get('r')).toMatchObject({ nextSlot: START + DAY + 5 * HOUR, lastRunAt: START + 5 * HOUR })
    expect(await rules.get('cron')).toMatchObject({ nextSlot: START + DAY, lastRunAt: START + 5 * HOUR })
  })

  it('jitter is the same on every instance, within its bounds, and spread', async () => {
    const { rules, clock, store, calls } = working()
    const due = new Set<number>()
    for (let i = 0; i < 50; i++) {
      const { nextSlot = 0, nextDueAt = 0 } = await rules.create({ ...daily, name: `r${i}`, jitter: '1h' })
      expect(nextDueAt - nextSlot).toBeGreaterThanOrEqual(0)
      expect(nextDueAt - nextSlot).toBeLessThanOrEqual(HOUR)
      due.add(nextDueAt)
    }
    expect(due.size).toBeGreaterThan(45)
    await clock.advance(DAY)
    const other = instance(store, clock)
    other.rules.action('work', () => {})
    for (let minutes = 0; minutes < 62; minutes++) {
      const before = calls.length
      await rules.check()
      // What this instance has left, the other has nothing to do with.
      expect((await other.rules.check()).runs).toEqual([])
      for (const { rule } of calls.slice(before)) expect(rule.nextDueAt).toBeGreaterThan(clock.now())
      await clock.advance('1m')
    }
    expect(calls).toHaveLength(50)
    expect(new Set(calls.map(({ now }) => now)).size).toBeGreaterThan(20)
  })

  it('a rule whose action is not here is left to those who have it', async () => {
    const { rules, clock, store, calls } = working()
    await rules.create(daily)
    await clock.advance(DAY)
    const other = instance(store, clock)
    expect(await other.rules.check()).toEqual({ runs: [], skipped: 0, unknown: 1 })
    expect(await other.rules.health()).toMatchObject({ status: 'healthy' })
    await clock.advance('11m')
    expect(await other.rules.health()).toMatchObject({ status: 'unhealthy', overdue: { count: 1, rules: ['r'] } })
    // Registered, it is run here.
    other.rules.action('work', () => ({ counts: { other: 1 } }))
    expect((await other.rules.check()).runs).toMatchObject([{ counts: { other: 1 } }])
    expect(await rules.check()).toMatchObject({ runs: [], unknown: 0 })
    expect(calls).toEqual([])
  })

  it('overlap: a slot of a rule that still runs is skipped, or one is queued (fact 30)', async () => {
    const { rules, clock, store } = setUp()
    const open: (() => void)[] = []
    rules.action('slow', () => new Promise<void>((resolve) => open.push(resolve)))
    await rules.create({ name: 'skip', action: 'slow', schedule: { every: '1m' } })
    await rules.create({ name: 'queue', action: 'slow', schedule: { every: '1m' }, overlap: 'queue' })
    await clock.advance('1m')
    const first = rules.check()
    await clock.advance(1)
    expect(open).toHaveLength(2)
    for (let minute = 2; minute <= 4; minute++) {
      await clock.advance(minute === 2 ? MINUTE - 1 : MINUTE)
      expect(await rules.check()).toMatchObject({ runs: [], skipped: 2 })
    }
    const log = async (name: string) =>
      (await rules.runs(name)).items.map(({ slot, state, outcome, reason }) => [
        (slot - START) / MINUTE,
        state,
        outcome,
        reason,
      ])
    expect(await log('skip')).toEqual([
      [4, 'ended', 'skipped', 'overlap'],
      [3, 'ended', 'skipped', 'overlap'],
      [2, 'ended', 'skipped', 'overlap'],
      [1, 'running', undefined, undefined],
    ])
    expect(await log('queue')).toEqual([
      [4, 'ended', 'skipped', 'overlap'],
      [3, 'ended', 'skipped', 'overlap'],
      [2, 'queued', undefined, undefined],
      [1, 'running', undefined, undefined],
    ])
    expect((await refused(rules.execute('skip'))).code).toBe('ERR_RULE_RUNNING')
    for (const end of open.splice(0)) end()
    expect((await first).runs).toMatchObject([{ outcome: 'ok' }, { outcome: 'ok' }])
    const second = instance(store, clock)
    second.rules.action('slow', () => {})
    expect((await second.rules.check()).runs).toMatchObject([
      { name: 'queue', slot: START + 2 * MINUTE, attempt: 1, outcome: 'ok' },
    ])
    expect((await log('queue')).map(([, state]) => state)).toEqual(['ended', 'ended', 'ended', 'ended'])
  })

  it('a throwing action fails its own run, is tried again later, and pauses the rule at last (fact 33)', async () => {
    const { rules, clock, calls, events } = working()
    rules.action('bad', () => {
      throw new StoreUnavailableError('not now')
    })
    await rules.create({ name: 'bad', action: 'bad', schedule: 'daily', attempts: 2, pauseAfter: 2 })
    await rules.create(daily)
    await clock.advance(DAY)
    const { runs } = await rules.check()
    expect(runs.map(({ name, state, code }) => [name, state, code]).sort()).toEqual([
      ['bad', 'waiting', 'ERR_STORE_UNAVAILABLE'],
      ['r', 'ended', undefined],
    ])
    expect(calls).toHaveLength(1)
    expect(runs.find(({ name }) => name === 'bad')?.retryAt).toBe(START + DAY + 30_000)
    await clock.advance(29_999)
    expect((await rules.check()).runs).toEqual([])
    await clock.advance(1)
    expect((await rules.check()).runs).toMatchObject([
      { name: 'bad', attempt: 2, outcome: 'failed', code: 'ERR_STORE_UNAVAILABLE' },
    ])
    expect(await rules.get('bad')).toMatchObject({ failures: 1, nextSlot: START + 2 * DAY })
    expect(await rules.health()).toMatchObject({ status: 'degraded', failing: { count: 1, rules: ['bad'] } })
    await clock.advance(DAY)
    await rules.check()
    await clock.advance(30_000)
    await rules.check()
    expect(await rules.get('bad')).toMatchObject({
      failures: 2,
      paused: { reason: 'failures', code: 'ERR_STORE_UNAVAILABLE' },
    })
    expect(events.of('rule.paused')).toMatchObject([{ rule: 'bad', failures: 2, code: 'ERR_STORE_UNAVAILABLE' }])
    expect(await rules.health()).toMatchObject({
      status: 'unhealthy',
      paused: { count: 1 },
      reasons: ['1 rule paused: bad'],
    })
    await clock.advance(DAY)
    expect((await rules.check()).runs.map(({ name }) => name)).toEqual(['r'])
    expect((await refused(rules.execute('bad'))).message).toContain('paused')
    await rules.enable('bad')
    expect(await rules.get('bad')).not.toHaveProperty('paused')
    expect(await rules.get('bad')).not.toHaveProperty('failures')
    expect((await rules.check()).runs).toMatchObject([{ name: 'bad', slot: START + 3 * DAY }])
    expect(events.of('rule.failed')[0]).toMatchObject({ attempt: 1, retryAt: START + DAY + 30_000 })
    expect(events.of('rule.failed')[1]).not.toHaveProperty('retryAt')
  })

  it('a good run forgets the failures before it; what waiting can not mend is not tried again', async () => {
    const { rules, clock } = setUp()
    let fine = false
    rules.action('flaky', () => {
      if (!fine) throw new InvalidInputError('x', 'is bad', 'mend it')
      return { counts: { done: 3 } }
    })
    await rules.create({ name: 'f', action: 'flaky', schedule: 'daily' })
    await clock.advance(DAY)
    expect((await rules.check()).runs).toMatchObject([{ state: 'ended', attempt: 1, code: 'ERR_INVALID_INPUT' }])
    expect(await rules.get('f')).toMatchObject({ failures: 1 })
    fine = true
    await clock.advance(DAY)
    expect((await rules.check()).runs).toMatchObject([{ outcome: 'ok', counts: { done: 3 } }])
    expect(await rules.get('f')).not.toHaveProperty('failures')
  })

  it('what a failed attempt told is not left in a run that ended well', async () => {
    const { rules, clock } = setUp()
    rules.action('part', ({ rule, attempt }) => {
      if (attempt === 1) throw new RulePartFailedError(rule.name, { done: 1, failed: 2 }, 'x', true)
    })
    await rules.create({ name: 'p', action: 'part', schedule: 'daily' })
    expect(await rules.execute('p')).toMatchObject({ state: 'waiting', counts: { failed: 2 } })
    await clock.advance('30s')
    const [run] = (await rules.check()).runs
    expect(run).toMatchObject({ outcome: 'ok', attempt: 2 })
    expect(run).not.toHaveProperty('counts')
    expect(run).not.toHaveProperty('code')
  })

  it('a renewal that is under way when the action ends is waited for, and is the last', async () => {
    const clock = fakeClock({ now: START })
    const inner = new MemoryTokenStore({ clock })
    let answer: (() => void) | undefined
    let slow = false
    // A store that does a renewal at once, and takes its time to say so.
    const store = new Proxy(inner, {
      get(target, name) {
        const value: unknown = Reflect.get(target, name, target)
        if (name === 'commit' && slow) {
          return (commit: Commit) => {
            slow = false
            const result = target.commit(commit)
            return new Promise((resolve) => {
              answer = () => resolve(result)
            })
          }
        }
        return typeof value === 'function' ? value.bind(target) : value
      },
    })
    const { rules } = instance(store, clock)
    let end = (): void => {}
    rules.action(
      'work',
      () =>
        new Promise<void>((resolve) => {
          end = resolve
        }),
    )
    await rules.create(daily)
    await clock.advance(DAY)
    const checked = rules.check()
    await clock.advance('19s')
    slow = true
    await clock.advance('1s')
    expect(answer).toBeDefined()
    end()
    await clock.advance('1s')
    answer?.()
    expect((await checked).runs).toMatchObject([{ outcome: 'ok' }])
    expect(clock.pending()).toBe(0)
  })

  it('an action that answers nonsense has failed', async () => {
    const { rules } = setUp()
    for (const [i, answer] of [
      { outcome: 'fine' },
      { counts: { a: Number.NaN } },
      { counts: Object.fromEntries(Array.from({ length: 33 }, (_, n) => [`c${n}`, n])) },
      { counts: { ['x'.repeat(65)]: 1 } },
    ].entries()) {
      rules.action(`a${i}`, () => answer as never)
      await rules.create({ name: `r${i}`, action: `a${i}`, schedule: 'daily' })
      expect(await rules.execute(`r${i}`)).toMatchObject({ outcome: 'failed', code: 'ERR_INVALID_INPUT' })
    }
  })

  it('a hung action is broken off after maxDuration, heeded or not', async () => {
    const { rules, clock } = setUp()
    const signals: AbortSignal[] = []
    rules.action('deaf', ({ signal }) => {
      signals.push(signal)
      return new Promise(() => {})
    })
    rules.action(
      'heeding',
      ({ signal }) => new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
    )
    await rules.create({ name: 'deaf', action: 'deaf', schedule: 'daily', maxDuration: '10m', attempts: 1 })
    await rules.create({ name: 'heeding', action: 'heeding', schedule: 'daily', maxDuration: '10m', attempts: 1 })
    await clock.advance(DAY)
    const checking = rules.check()
    await clock.advance(10 * MINUTE - 1)
    expect(signals[0]?.aborted).toBe(false)
    await clock.advance(1)
    expect(signals[0]?.aborted).toBe(true)
    expect((await rules.runs('heeding')).items).toMatchObject([{ outcome: 'failed', code: 'ERR_RULE_TIMEOUT' }])
    await clock.advance(5000)
    expect((await checking).runs.map(({ code }) => code)).toEqual(['ERR_RULE_TIMEOUT', 'ERR_RULE_TIMEOUT'])
    expect(clock.pending()).toBe(0)
  })

  it('the run of an action that is still leaving off is nobody else’s, however short the lease', async () => {
    const { rules, clock, store } = setUp({ lease: '3s' })
    const other = instance(store, clock, { lease: '3s' })
    for (const engine of [rules, other.rules]) engine.action('deaf', () => new Promise(() => {}))
    await rules.create({ name: 'r', action: 'deaf', schedule: 'daily', maxDuration: '10m', attempts: 2 })
    await clock.advance(DAY)
    const checking = rules.check()
    await clock.advance(10 * MINUTE)
    for (let second = 0; second < 5; second++) {
      expect(await other.rules.check()).toMatchObject({ runs: [] })
      expect((await rules.runs('r')).items).toMatchObject([{ state: 'running', attempt: 1 }])
      await clock.advance(1000)
    }
    expect((await checking).runs).toMatchObject([{ state: 'waiting', code: 'ERR_RULE_TIMEOUT' }])
    await rules.close()
  })

  it('runs that wait for an action that is not here hide none behind them', async () => {
    const { rules, clock, store } = setUp()
    const other = instance(store, clock, { concurrency: 100 })
    const fail = () => {
      throw new Error('not today')
    }
    other.rules.action('elsewhere', fail)
    rules.action('work', fail)
    for (let i = 0; i < 501; i++) await other.rules.create({ name: `e${i}`, action: 'elsewhere', schedule: 'daily' })
    await clock.advance(SECOND)
    await rules.create(daily)
    await clock.advance(DAY - SECOND)
    await other.rules.check()
    await clock.advance(SECOND)
    await rules.check()
    await clock.advance(MINUTE)
    expect((await rules.check()).runs).toMatchObject([{ name: 'r', attempt: 2 }])
  })

  it('an instance that dies in the middle: another goes on after its lease, as attempt 2 (fact 22)', async () => {
    const { rules, clock, store } = setUp()
    // Its time stands still, as that of a dead process does; the store's goes on.
    const first = instance(store, fakeClock({ now: START }), { instance: 'first' })
    first.rules.action('slow', () => new Promise(() => {}))
    await first.rules.create({ name: 'r', action: 'slow', schedule: 'daily' })
    const attempts: ActionContext[] = []
    rules.action('slow', (context) => void attempts.push(context))
    await clock.advance(DAY)
    void first.rules.check(clock.now())
    await clock.advance(59_000)
    expect((await rules.check()).runs).toEqual([])
    expect((await rules.runs('r')).items).toMatchObject([{ state: 'running', instance: 'first', attempt: 1 }])
    await clock.advance(1000)
    const { runs } = await rules.check()
    expect(runs).toMatchObject([{ slot: START + DAY, attempt: 2, outcome: 'ok', n: 1 }])
    expect(attempts).toMatchObject([{ attempt: 2, slot: START + DAY }])
    expect((await rules.runs('r')).items).toHaveLength(1)
  })

  it('a lease counts from the claim, however long the check has been at work by then', async () => {
    const { rules, clock, store } = setUp({ concurrency: 1 })
    const ends: (() => void)[] = []
    const slow = () => new Promise<void>((resolve) => ends.push(resolve))
    rules.action('slow', slow)
    for (const name of ['a', 'b']) await rules.create({ name, action: 'slow', schedule: 'daily' })
    const other = instance(store, clock)
    other.rules.action('slow', slow)
    await clock.advance(DAY)
    const checked = rules.check()
    await clock.advance('10m')
    ends[0]?.()
    await clock.advance('1s')
    expect((await other.rules.check()).runs).toEqual([])
    expect(ends).toHaveLength(2)
    ends[1]?.()
    await clock.advance('1s')
    expect((await checked).runs.map(({ attempt, outcome }) => [attempt, outcome])).toEqual([
      [1, 'ok'],
      [1, 'ok'],
    ])
    await expect(rules.check(Number.NaN)).rejects.toMatchObject({ field: 'now' })
  })

  it('an instance that lost its lease and comes back can not end the run', async () => {
    const { rules, clock, store, events } = setUp()
    const sleeping = fakeClock({ now: START })
    const first = instance(store, sleeping, { instance: 'first' })
    let wake = (): void => {}
    let signal: AbortSignal | undefined
    first.rules.action('slow', (context) => {
      signal = context.signal
      return new Promise<void>((resolve) => {
        wake = resolve
      })
    })
    await first.rules.create({ name: 'r', action: 'slow', schedule: 'daily' })
    let end = (): void => {}
    rules.action(
      'slow',
      () =>
        new Promise<void>((resolve) => {
          end = resolve
        }),
    )
    await clock.advance(DAY)
    const checked = first.rules.check(clock.now())
    await clock.advance('2m')
    const second = rules.check()
    await clock.advance(1)
    // It wakes up, and would renew: that it may not tells it that the run is another's.
    await sleeping.advance('30s')
    expect(signal?.aborted).toBe(true)
    wake()
    expect((await checked).runs).toEqual([])
    expect(first.events.of('rule.executed')).toEqual([])
    end()
    expect((await second).runs).toMatchObject([{ attempt: 2, outcome: 'ok' }])
    expect(events.of('rule.executed')).toHaveLength(1)
    expect(events.of('rule.failed')).toMatchObject([{ code: 'ERR_RULE_LEASE_LOST', attempt: 1 }])
  })

  it('nor can one that has not noticed yet', async () => {
    const { rules, clock, store } = setUp()
    const first = instance(store, fakeClock({ now: START }))
    let wake = (): void => {}
    first.rules.action(
      'slow',
      () =>
        new Promise<void>((resolve) => {
          wake = resolve
        }),
    )
    await first.rules.create({ name: 'r', action: 'slow', schedule: 'daily' })
    rules.action('slow', () => ({ counts: { second: 1 } }))
    await clock.advance(DAY)
    const checked = first.rules.check(clock.now())
    await clock.advance('61s')
    expect((await rules.check()).runs).toMatchObject([{ attempt: 2, outcome: 'ok' }])
    wake()
    expect((await checked).runs).toEqual([])
    expect(first.events.of('rule.executed')).toEqual([])
    expect((await rules.runs('r')).items).toMatchObject([{ attempt: 2, counts: { second: 1 } }])
  })

  it('a run whose instances all die has failed at last', async () => {
    const { rules, clock, store } = setUp()
    rules.action('deadly', () => {})
    await rules.create({ name: 'r', action: 'deadly', schedule: 'daily', attempts: 2, pauseAfter: 1 })
    await clock.advance(DAY)
    for (let life = 0; life < 2; life++) {
      const victim = instance(store, fakeClock({ now: clock.now() }))
      victim.rules.action('deadly', () => new Promise(() => {}))
      void victim.rules.check()
      await clock.advance('61s')
    }
    await rules.check()
    expect((await rules.runs('r')).items).toMatchObject([
      { attempt: 2, outcome: 'failed', code: 'ERR_RULE_LEASE_LOST' },
    ])
    expect(await rules.get('r')).toMatchObject({ failures: 1, paused: { code: 'ERR_RULE_LEASE_LOST' } })
  })

  it('closing gives back what runs; another goes on with the same attempt', async () => {
    const { rules, clock, store, calls } = working()
    const first = instance(store, clock)
    first.rules.action(
      'work',
      ({ signal }) => new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
    )
    await first.rules.create(daily)
    await clock.advance(DAY)
    const checked = first.rules.check()
    await clock.advance(1)
    await first.rules.close()
    expect((await checked).runs).toEqual([])
    expect(await first.rules.check()).toMatchObject({ runs: [] })
    expect((await rules.check()).runs).toMatchObject([{ attempt: 1, outcome: 'ok' }])
    expect(calls).toHaveLength(1)
  })

  it('a rule removed, disabled or paused while its run waits is not run', async () => {
    const { rules, clock } = setUp()
    rules.action('bad', () => {
      throw new Error('no')
    })
    for (const name of ['removed', 'disabled']) await rules.create({ name, action: 'bad', schedule: 'weekly' })
    const { id } = await rules.create({ name: 'fine', action: 'bad', schedule: 'weekly' })
    await clock.advance(7 * DAY)
    expect((await rules.check()).runs.map(({ state }) => state)).toEqual(['waiting', 'waiting', 'waiting'])
    await rules.remove('removed')
    await rules.disable('disabled')
    await clock.advance('30s')
    expect((await rules.check()).runs).toMatchObject([{ rule: id, attempt: 2 }])
    expect((await rules.runs('disabled')).items).toMatchObject([{ outcome: 'skipped', reason: 'disabled', attempt: 1 }])
  })

  it('a waiting run of an action that its rule has no more does not hold up the rule', async () => {
    const { rules, clock, store, calls } = working()
    const first = instance(store, clock)
    first.rules.action('old', () => {
      throw new Error('no')
    })
    first.rules.action('work', () => {})
    await first.rules.create({ name: 'r', action: 'old', schedule: 'daily' })
    await clock.advance(DAY)
    await first.rules.check()
    // The program is replaced by one that doesn't know that action, and has changed the rule.
    await first.rules.close()
    await rules.update('r', { action: 'work' })
    await clock.advance('30s')
    await rules.check()
    expect((await rules.runs('r')).items).toMatchObject([{ outcome: 'skipped', reason: 'changed' }])
    await clock.advance(DAY)
    expect((await rules.check()).runs).toMatchObject([{ outcome: 'ok' }])
    expect(calls).toHaveLength(1)
  })

  it('keeps the last thousand runs of a rule, and those of 90 days', async () => {
    const { rules, clock } = working()
    await rules.create({ ...daily, schedule: { every: '1s' } })
    for (let i = 0; i < 1250; i++) {
      await clock.advance('1s')
      await rules.check()
    }
    const count = async (): Promise<number> => {
      const first = await rules.runs('r', { limit: 1000 })
      const rest =
        first.cursor === undefined ? [] : (await rules.runs('r', { limit: 1000, cursor: first.cursor })).items
      return first.items.length + rest.length
    }
    expect(await count()).toBeGreaterThanOrEqual(1000)
    expect(await count()).toBeLessThanOrEqual(1100)
    await rules.disable('r')
    await clock.advance('91d')
    for (let i = 0; i < 4; i++) await rules.check()
    expect(await count()).toBe(0)
  })
})

describe('a store of which nothing is due', () => {
  it('is not asked, until something may be due', async () => {
    const { rules, clock, store, calls } = working()
    await rules.create(daily)
    await rules.check()
    const lists: string[] = []
    const list = store.list.bind(store)
    store.list = ((kind, query) => {
      lists.push(kind.name)
      return list(kind, query)
    }) as typeof store.list
    for (let i = 0; i < 100; i++) await rules.check()
    expect(lists).toEqual([])
    // Another engine on the store, as another part of the program has one.
    const other = instance(store, clock)
    other.rules.action('work', () => {})
    await other.rules.create({ ...daily, name: 'other', schedule: { every: '1h' } })
    await clock.advance('1h')
    await rules.check()
    expect(calls.map(({ rule }) => rule.name)).toEqual(['other'])
  })

  it('a host whose own time goes back asks again', async () => {
    const { clock, store } = setUp()
    // As a store does that other processes write to.
    const shared = new Proxy(store, {
      get(target, name) {
        if (name === 'durability') return () => ({ ...target.durability(), multiProcess: true })
        const value: unknown = Reflect.get(target, name, target)
        return typeof value === 'function' ? value.bind(target) : value
      },
    })
    const first = instance(shared, clock)
    const other = instance(shared, clock)
    const ran: string[] = []
    for (const { rules } of [first, other]) rules.action('note', ({ rule }) => void ran.push(rule.name))
    await first.rules.check(START + 10 * HOUR)
    await other.rules.create({ name: 'r', action: 'note', schedule: { every: '1h' } })
    await first.rules.check(START + HOUR)
    expect(ran).toEqual(['r'])
    // Others' rules are seen within maxStaleness, without a word from the store.
    await other.rules.create({ name: 's', action: 'note', schedule: { every: '1s' } })
    await clock.advance('2s')
    await first.rules.check()
    expect(ran).toEqual(['r', 's'])
    await other.rules.disable('s')
    await clock.advance('1s')
    await first.rules.check()
    await other.rules.create({ name: 't', action: 'note', schedule: { every: '1s' } })
    await clock.advance('4s')
    await first.rules.check()
    expect(ran).toEqual(['r', 's'])
    await clock.advance('1s')
    await first.rules.check()
    expect(ran).toEqual(['r', 's', 't'])
  })

  it('several instances on one store run each slot once (fact 21)', async () => {
    const log = rotations()
    const { clock, store, rules } = setUp({ log })
    const instances = [rules, ...Array.from({ length: 3 }, () => instance(store, clock, { log }).rules)]
    const ran: string[] = []
    for (const each of instances) each.action('note', ({ run }) => void ran.push(run))
    for (let i = 0; i < 200; i++) await rules.create({ name: `r${i}`, action: 'note', schedule: 'daily' })
    for (let day = 0; day < 3; day++) {
      await clock.advance(DAY)
      await Promise.all(instances.map((each) => each.check()))
    }
    expect(ran).toHaveLength(600)
    expect(new Set(ran).size).toBe(600)
  })
})
