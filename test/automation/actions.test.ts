import { describe, expect, it } from 'vitest'
import { RuleEngine } from '../../src/automation/rule-engine.ts'
import { StoreUnavailableError } from '../../src/index.ts'
import { activityId, activityKind } from '../../src/stores/usage-rows.ts'
import { fakeClock } from '../../src/testing/index.ts'
import { tokenKind } from '../../src/tokens/record.ts'
import { currentOf } from '../../src/tokens/versions.ts'
import { DAY, HOUR, instance, rotations, START, setUp } from './fixture.ts'

type World = ReturnType<typeof setUp>

/** Sets how often the current version of a token was used. */
async function use({ store }: Pick<World, 'store'>, service: string, calls: number): Promise<void> {
  const stored = store.find(tokenKind, 'service', [service])
  const n = currentOf(stored?.value.versions ?? []).n
  const hour = Math.floor(START / HOUR) * HOUR
  const id = stored?.id ?? ''
  const before = store.get(activityKind, activityId(id, n))?.value.calls ?? 0
  store.addUsage(`${service} ${n} ${before} ${calls}`, [
    {
      token: id,
      version: n,
      hour,
      tool: '',
      outcome: 'ok',
      calls: calls - before,
      cost: 0,
      failures: 0,
      durationMs: 0,
      lastAt: hour,
    },
  ])
}

/** The slots at which a token was rotated, in days since the start. */
function rotatedAt({ log }: Pick<World, 'log'>, service: string): number[] {
  return [...log.done.values()].filter((one) => one.service === service).map(({ slot = 0 }) => (slot - START) / DAY)
}

/** Checks each hour for so many days. */
async function days({ clock, rules }: World, count: number): Promise<void> {
  for (let hour = 0; hour < count * 24; hour++) {
    await clock.advance('1h')
    await rules.check()
  }
}

describe('rotate', () => {
  it.each([
    ['monthly', 30, [30, 60, 90, 120, 150, 180, 210, 240, 270, 300, 330, 360]],
    [
      'weekly',
      14,
      [
        14, 28, 42, 56, 70, 84, 98, 112, 126, 140, 154, 168, 182, 196, 210, 224, 238, 252, 266, 280, 294, 308, 322, 336,
        350, 364,
      ],
    ],
    ['monthly', 90, [90, 180, 270, 360]],
  ] as const)('%s with ageDays %d', async (schedule, ageDays, expected) => {
    const world = setUp()
    await world.generator.generate({ service: 'A' })
    await world.rules.create({ name: 'r', service: 'A', schedule, conditions: { ageDays } })
    await days(world, 365)
    expect(rotatedAt(world, 'A')).toEqual(expected)
  })

  it('keeps its rhythm though every run is late by hours', async () => {
    const world = setUp()
    const { clock, rules } = world
    await world.generator.generate({ service: 'A' })
    await rules.create({ name: 'r', service: 'A', schedule: 'monthly', conditions: { ageDays: 30 } })
    for (let tick = 0; tick < 30; tick++) {
      await clock.advance(13 * DAY + 7 * HOUR)
      await rules.check()
    }
    expect(rotatedAt(world, 'A')).toEqual([30, 60, 90, 120, 150, 180, 210, 240, 270, 300, 330, 360, 390])
  })

  it('ageDays is exact to the millisecond; fractions too (fact 28)', async () => {
    const world = setUp()
    const { clock, rules } = world
    await world.generator.generate({ service: 'A' })
    await rules.create({ name: 'r', service: 'A', schedule: 'daily', conditions: { ageDays: 30 } })
    await rules.create({ name: 'half', service: 'A', schedule: 'daily', conditions: { ageDays: 0.5 }, enabled: false })
    await clock.advance(DAY / 2 - 1)
    expect(await rules.execute('half', { force: true })).toMatchObject({ outcome: 'skipped', reason: 'no_match' })
    await clock.advance(29.5 * DAY)
    expect(await rules.execute('r')).toMatchObject({ outcome: 'skipped', reason: 'no_match', counts: { unmatched: 1 } })
    await clock.advance(1)
    expect(await rules.execute('r')).toMatchObject({ outcome: 'ok', counts: { rotated: 1 } })
    expect(await rules.execute('r')).toMatchObject({ outcome: 'skipped' })
    await clock.advance(DAY / 2)
    expect(await rules.execute('half', { force: true })).toMatchObject({ outcome: 'ok' })
  })

  it('usageCount counts from when the version became current; all and any; none takes all (fact 28)', async () => {
    const world = setUp()
    const { clock, rules, generator } = world
    for (const service of ['A', 'B', 'C', 'D']) await generator.generate({ service })
    const services = ['A', 'B', 'C', 'D']
    const rule = { services, schedule: 'daily' } as const
    await rules.create({ ...rule, name: 'used', conditions: { usageCount: 10 } })
    await rules.create({ ...rule, name: 'all', conditions: { usageCount: 10, ageDays: 1 } })
    await rules.create({ ...rule, name: 'any', conditions: { usageCount: 10, ageDays: 1, match: 'any' } })
    await rules.create({ ...rule, name: 'always' })
    await use(world, 'A', 9)
    await use(world, 'B', 10)
    const rotated = async (name: string): Promise<string[]> => {
      const before = world.log.done.size
      await rules.execute(name)
      return [...world.log.done.values()].slice(before).map(({ service }) => service)
    }
    expect(await rotated('all')).toEqual([])
    expect(await rotated('used')).toEqual(['B'])
    // Its new version has not been used.
    expect(await rotated('used')).toEqual([])
    await clock.advance(DAY - 1)
    await use(world, 'C', 10)
    expect(await rotated('any')).toEqual(['C'])
    await clock.advance(1)
    await use(world, 'A', 10)
    expect(await rotated('all')).toEqual(['A'])
    expect(await rotated('any')).toEqual(['B', 'D'])
    expect(await rotated('always')).toEqual(['A', 'B', 'C', 'D'])
  })

  it('counts what is still in memory', async () => {
    let flushed = 0
    const clock = fakeClock({ now: START })
    const world = setUp()
    const engine = new RuleEngine({
      foundation: world.base,
      rotator: { rotate: async () => ({ rotation: { id: '', status: 'done' } }), hasRecipient: () => true } as never,
      flush: async () => {
        flushed += 1
        await use(world, 'A', 10)
      },
    })
    await world.generator.generate({ service: 'A' })
    await engine.create({ name: 'age', service: 'A', schedule: 'daily', conditions: { ageDays: 1 } })
    await engine.create({ name: 'used', service: 'A', schedule: 'daily', conditions: { usageCount: 10 } })
    expect(await engine.execute('age')).toMatchObject({ outcome: 'skipped' })
    expect(flushed).toBe(0)
    expect(await engine.execute('used')).toMatchObject({ outcome: 'ok' })
    expect(flushed).toBe(1)
    expect(clock.pending()).toBe(0)
  })

  it('a version dated in the future is never old, and is told', async () => {
    const world = setUp()
    await world.generator.generate({ service: 'A' })
    await world.rules.create({ name: 'r', service: 'A', schedule: 'daily', conditions: { ageDays: 0 } })
    await world.clock.set(START - 10 * DAY)
    expect(await world.rules.execute('r')).toMatchObject({ outcome: 'skipped', reason: 'no_match' })
    expect(world.events.of('token.misdated')).toMatchObject([{ service: 'A', datedAt: START, at: START - 10 * DAY }])
    await world.clock.set(START)
    expect(await world.rules.execute('r')).toMatchObject({ outcome: 'ok' })
  })

  it('tells which tokens failed by counts, and does the others', async () => {
    const world = setUp()
    const { rules, generator, log } = world
    for (const service of ['A', 'B']) await generator.generate({ service })
    await rules.create({ name: 'r', services: ['A', 'gone', 'B'], schedule: 'daily', attempts: 1 })
    expect(await rules.execute('r')).toMatchObject({
      outcome: 'failed',
      code: 'ERR_RULE_PART_FAILED',
      counts: { rotated: 2, failed: 1 },
    })
    await rules.create({ name: 'one', service: 'gone', schedule: 'daily' })
    expect(await rules.execute('one')).toMatchObject({ outcome: 'failed', code: 'ERR_TOKEN_NOT_FOUND', state: 'ended' })
    log.failures.push(new StoreUnavailableError('away'))
    await rules.create({ name: 'store', service: 'A', schedule: 'daily' })
    expect(await rules.execute('store')).toMatchObject({ state: 'waiting', code: 'ERR_STORE_UNAVAILABLE' })
    log.nobody.add('A')
    await world.clock.advance('30s')
    expect((await rules.check()).runs).toMatchObject([{ outcome: 'failed', code: 'ERR_NO_RECIPIENT' }])
  })

  it('another attempt rotates no token twice', async () => {
    const log = rotations()
    const { rules, generator, clock, store } = setUp({ log })
    for (const service of ['A', 'B', 'C']) await generator.generate({ service })
    await rules.create({ name: 'plain', services: ['A', 'B', 'C'], schedule: 'daily' })
    await rules.create({
      name: 'aged',
      services: ['A', 'B', 'C'],
      schedule: 'daily',
      conditions: { ageDays: 1 },
      enabled: false,
    })
    for (const name of ['plain', 'aged']) {
      await clock.advance(DAY)
      const before = log.done.size
      // Dies when it has done two of three.
      const dying = instance(store, fakeClock({ now: clock.now() }), { log })
      let calls = 0
      const commit = dying.base.store.commit.bind(store)
      const hung = new Promise<never>(() => {})
      dying.base.commits.write = new Proxy(dying.base.commits.write, {
        apply: (write, _, args) => {
          if (args[1]?.[0]?.action === 'token.rotated') calls += 1
          return calls > 2 ? hung : Reflect.apply(write, dying.base.commits, args)
        },
      })
      expect(commit).toBeTypeOf('function')
      if (name === 'plain') void dying.rules.check()
      else void dying.rules.execute(name, { force: true })
      await clock.advance('30s')
      expect(log.done.size - before).toBe(2)
      await clock.advance('31s')
      expect((await rules.check()).runs).toMatchObject([{ name, attempt: 2, outcome: 'ok', counts: { rotated: 3 } }])
      expect(log.done.size - before).toBe(3)
      await rules.disable('plain')
    }
  })

  it('hands a stalled rotation to the rotator', async () => {
    const { rules, generator, log } = setUp()
    await generator.generate({ service: 'A' })
    log.status = 'stalled'
    await rules.create({ name: 'r', service: 'A', schedule: 'daily' })
    expect(await rules.execute('r')).toMatchObject({ outcome: 'ok', counts: { stalled: 1 } })
  })
})

describe('generate', () => {
  it('makes the token when no live one holds the name, else the slot is skipped', async () => {
    const { rules, registry, clock } = setUp()
    await rules.create({
      name: 'g',
      action: 'generate',
      service: 'A',
      schedule: 'daily',
      params: { owner: 'ops', expiresIn: '36h' },
    })
    await clock.advance(DAY)
    expect((await rules.check()).runs).toMatchObject([{ outcome: 'ok', counts: { generated: 1 } }])
    expect(await registry.get('A')).toMatchObject({ owner: 'ops' })
    await clock.advance(DAY)
    expect((await rules.check()).runs).toMatchObject([{ outcome: 'skipped', reason: 'exists' }])
    await clock.advance(DAY)
    expect((await rules.check()).runs).toMatchObject([{ outcome: 'ok', counts: { generated: 1 } }])
    await registry.disable('A')
    expect(await rules.execute('g')).toMatchObject({ outcome: 'skipped', reason: 'exists' })
  })
})

describe('bulk_rotate', () => {
  async function ten(): Promise<World> {
    const world = setUp()
    for (let i = 0; i < 10; i++) {
      await world.generator.generate({ service: `S${i}` })
      await world.clock.advance('1h')
    }
    return world
  }
  const taken = ({ log }: World): string[] => [...log.done.values()].map(({ service }) => service).sort()

  it('takes all live tokens, those named, or none', async () => {
    const world = await ten()
    const { rules, log } = world
    const rule = { action: 'bulk_rotate', schedule: 'daily' } as const
    await rules.create({ ...rule, name: 'none', services: [] })
    expect(await rules.execute('none')).toMatchObject({ outcome: 'skipped', reason: 'no_match' })
    expect(log.batches).toEqual([])
    await rules.create({ ...rule, name: 'two', services: ['S1', 'S2', 'gone'] })
    expect(await rules.execute('two')).toMatchObject({ outcome: 'ok', counts: { rotated: 2 } })
    expect(taken(world)).toEqual(['S1', 'S2'])
    await rules.create({ ...rule, name: 'all' })
    expect(await rules.execute('all')).toMatchObject({ outcome: 'ok', counts: { rotated: 10 } })
    log.nobody.add('S0')
    expect(await rules.execute('all')).toMatchObject({ counts: { rotated: 9, skipped: 1 } })
    for (let i = 1; i < 10; i++) log.nobody.add(`S${i}`)
    expect(await rules.execute('all')).toMatchObject({
      outcome: 'skipped',
      reason: 'no_recipient',
      counts: { skipped: 10 },
    })
  })

  it('takes those that meet the conditions, by ranges of indexes', async () => {
    const world = await ten()
    const { rules, clock } = world
    const rule = { action: 'bulk_rotate', schedule: 'daily' } as const
    await rules.create({ ...rule, name: 'old', conditions: { ageDays: 1 } })
    await rules.create({ ...rule, name: 'used', conditions: { usageCount: 5 } })
    await rules.create({ ...rule, name: 'all', conditions: { usageCount: 5, ageDays: 1 } })
    await rules.create({ ...rule, name: 'any', conditions: { usageCount: 5, ageDays: 1, match: 'any' } })
    await rules.create({ ...rule, name: 'named', services: ['S0', 'S9'], conditions: { ageDays: 1 } })
    await use(world, 'S0', 4)
    for (const service of ['S1', 'S8']) await use(world, service, 5)
    await clock.set(START + DAY + 3 * HOUR)
    expect(await rules.execute('named')).toMatchObject({ counts: { rotated: 1 } })
    expect(taken(world)).toEqual(['S0'])
    expect(await rules.execute('all')).toMatchObject({ counts: { rotated: 1 } })
    expect(taken(world)).toEqual(['S0', 'S1'])
    expect(await rules.execute('any')).toMatchObject({ counts: { rotated: 3 } })
    expect(taken(world)).toEqual(['S0', 'S1', 'S2', 'S3', 'S8'])
    expect(await rules.execute('used')).toMatchObject({ outcome: 'skipped' })
    await clock.advance('1h')
    expect(await rules.execute('old')).toMatchObject({ counts: { rotated: 1 } })
    expect(taken(world)).toContain('S4')
  })

  it('goes on with the same batch in another attempt', async () => {
    const { rules, generator, log, clock } = setUp()
    await generator.generate({ service: 'A' })
    await rules.create({ name: 'b', action: 'bulk_rotate', schedule: 'daily' })
    await clock.advance(DAY)
    log.failures.push(new StoreUnavailableError('away'))
    expect((await rules.check()).runs).toMatchObject([{ state: 'waiting' }])
    await clock.advance('30s')
    expect((await rules.check()).runs).toMatchObject([{ attempt: 2, counts: { rotated: 1 } }])
    expect(new Set(log.batches).size).toBe(1)
    await clock.advance(DAY)
    await rules.check()
    expect(new Set(log.batches).size).toBe(2)
  })
})

describe('cleanup and backup', () => {
  it('remove what ended long ago, all of it', async () => {
    const { rules, generator, registry, clock } = setUp()
    for (let i = 0; i < 600; i++) await generator.generate({ service: `S${i}`, expiresIn: '1h' })
    await rules.create({ name: 'c', action: 'cleanup', schedule: 'daily', params: { retention: '1d' } })
    await clock.advance(2 * DAY)
    expect((await rules.check()).runs).toMatchObject([{ outcome: 'ok', counts: { removed: 600 } }])
    expect((await registry.list()).items).toEqual([])
  })

  it('make a backup with the params of the rule', async () => {
    const { base } = setUp()
    const asked: object[] = []
    const engine = new RuleEngine({
      foundation: base,
      backups: {
        create: async (options) => {
          asked.push(options)
          return { tokenCount: 7 }
        },
      },
    })
    await engine.create({ name: 'b', action: 'backup', schedule: 'daily', params: { to: '/backups/' } })
    expect(await engine.execute('b', { actor: 'ops', reason: 'before the move' })).toMatchObject({
      counts: { tokens: 7 },
    })
    expect(asked).toEqual([{ to: '/backups/', actor: 'ops', reason: 'before the move' }])
  })

  it('refuses a backup whose params it could not go by, or would keep a secret', async () => {
    const { base } = setUp()
    const engine = new RuleEngine({ foundation: base, backups: { create: async () => ({}) } })
    const rule = { name: 'b', action: 'backup', schedule: 'daily' } as const
    await expect(engine.create({ ...rule, params: { keep: 3 } })).rejects.toMatchObject({ field: 'params' })
    await expect(engine.create({ ...rule, params: { passphrase: 'several random words' } })).rejects.toMatchObject({
      field: 'params.passphrase',
    })
  })
})

describe('plan', () => {
  it('tells the slot that is due already, or waits for its jitter, as the next check would take it', async () => {
    const { rules, clock } = setUp()
    const action = 'cleanup'
    await rules.create({ name: 'one', action, schedule: 'daily' })
    await rules.create({ name: 'none', action, schedule: 'daily', catchUp: 'none' })
    await rules.create({ name: 'spread', action, schedule: 'weekly', jitter: '20h' })
    await clock.advance(3 * DAY + HOUR)
    const slots = async (rule: string, from?: number) => {
      const [planned] = await rules.plan({ rule, to: START + 5 * DAY, ...(from !== undefined && { from }) })
      return planned?.slots.map(({ slot }) => (slot - START) / DAY)
    }
    expect(await slots('one')).toEqual([3, 4])
    expect(await slots('none')).toEqual([4])
    expect(await slots('one', START + 3.5 * DAY)).toEqual([4])
    await clock.advance(4 * DAY - HOUR + 1)
    const [spread] = await rules.plan({ rule: 'spread', to: START + 8 * DAY })
    expect(spread?.slots).toMatchObject([{ slot: START + 7 * DAY }])
    expect(spread?.slots[0]?.dueAt).toBeGreaterThan(clock.now())
  })

  it('tells slots and tokens, and does nothing', async () => {
    const { rules, generator, clock, store, log } = setUp()
    for (const service of ['A', 'B']) await generator.generate({ service })
    await rules.create({ name: 'a', service: 'A', schedule: 'daily', conditions: { ageDays: 5 } })
    await rules.create({ name: 'all', action: 'bulk_rotate', schedule: 'weekly', conditions: { ageDays: 5 } })
    await rules.create({ name: 'clean', action: 'cleanup', schedule: { cron: '0 0 * * 1' }, jitter: '1h' })
    await rules.create({ name: 'off', service: 'A', schedule: 'daily', enabled: false })
    const before = store.journalHead()
    const plan = await rules.plan({ to: START + 10 * DAY + 1 })
    const told = plan.map(({ rule, slots, tokens }) => [
      rule,
      slots.map(({ slot }) => (slot - START) / DAY),
      tokens?.services,
    ])
    expect(Object.fromEntries(told.map(([name, ...rest]) => [name, rest]))).toEqual({
      a: [[1, 2, 3, 4, 5, 6, 7, 8, 9, 10], []],
      all: [[7], []],
      clean: [[3, 10], undefined],
    })
    await clock.advance(5 * DAY)
    const [one] = await rules.plan({ rule: 'all', to: START + 400 * DAY })
    expect(one).toMatchObject({ tokens: { count: 2, services: ['A', 'B'], more: false }, more: false })
    expect(await rules.plan({ rule: 'off', to: START + 400 * DAY })).toEqual([])
    const [many] = await rules.plan({ rule: 'a', from: START + 100 * DAY, to: START + 4000 * DAY })
    expect(many).toMatchObject({ more: true, slots: { length: 100, 0: { slot: START + 100 * DAY } } })
    expect(store.journalHead()).toEqual(before)
    expect(log.done.size).toBe(0)
    await expect(rules.plan({ from: START, to: START - 1 })).rejects.toMatchObject({ field: 'to' })
    await expect(rules.plan({ to: START, rule: 'x' })).rejects.toMatchObject({ code: 'ERR_RULE_NOT_FOUND' })
  })
})
