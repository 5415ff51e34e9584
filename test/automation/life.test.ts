import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { RuleInput } from '../../src/automation/rule-input.ts'
import { MemoryTokenStore } from '../../src/index.ts'
import { fakeClock } from '../../src/testing/index.ts'
import { DAY, HOUR, instance, MINUTE, realInstance, START } from './fixture.ts'
import { mortal } from './worlds.ts'

/** Rules whose slots are at most a day apart. */
const RULES: readonly RuleInput[] = [
  { name: 'daily', action: 'note', schedule: 'daily' },
  { name: 'hourly', action: 'note', schedule: { every: '1h' }, jitter: '20m' },
  { name: 'none', action: 'note', schedule: { every: '2h' }, catchUp: 'none' },
  { name: 'cron', action: 'note', schedule: { cron: '*/30 * * * *', timezone: 'America/New_York' }, overlap: 'queue' },
  { name: 'flaky', action: 'flaky', schedule: { cron: '15 * * * *' }, pauseAfter: 0 },
]

type Command =
  | { readonly op: 'pass'; readonly ms: number }
  | { readonly op: 'jump'; readonly ms: number }
  | { readonly op: 'check'; readonly who: number }
  | { readonly op: 'all' }
  | { readonly op: 'die'; readonly at: number; readonly when: 'before' | 'after' }
  | { readonly op: 'execute' | 'disable' | 'enable'; readonly rule: string }

const rule = fc.constantFrom(...RULES.map(({ name }) => name))
const span = fc.oneof(
  fc.constantFrom(1000, 30_000, MINUTE, 61_000, HOUR, 5 * HOUR, DAY),
  fc.integer({ min: 1, max: 3 * DAY }),
)
const command: fc.Arbitrary<Command> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ op: fc.constant('pass' as const), ms: span }) },
  {
    weight: 1,
    arbitrary: fc.record({ op: fc.constant('jump' as const), ms: fc.integer({ min: -200 * DAY, max: 400 * DAY }) }),
  },
  { weight: 3, arbitrary: fc.record({ op: fc.constant('check' as const), who: fc.nat(2) }) },
  { weight: 2, arbitrary: fc.constant({ op: 'all' as const }) },
  {
    weight: 2,
    arbitrary: fc.record({
      op: fc.constant('die' as const),
      at: fc.integer({ min: 1, max: 8 }),
      when: fc.constantFrom('before' as const, 'after' as const),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ op: fc.constantFrom('execute' as const, 'disable' as const, 'enable' as const), rule }),
  },
)

describe('rules through clock jumps, deaths and many instances', () => {
  it('run each slot once, and go on', { timeout: 120_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(command, { minLength: 3, maxLength: 30 }), async (commands) => {
        const clock = fakeClock({ now: START + 300 * DAY })
        const store = new MemoryTokenStore({ clock, journalLimit: 100 })
        const attempts: string[] = []
        const engine = (on: MemoryTokenStore) => {
          const one = instance(on, clock)
          one.rules.action('note', ({ run, attempt }) => void attempts.push(`${run} ${attempt}`))
          one.rules.action('flaky', ({ run, attempt, slot }) => {
            attempts.push(`${run} ${attempt}`)
            if (slot % 3 === 0 || attempt === 1) throw new Error('now and then')
          })
          return one.rules
        }
        const engines = [engine(store), engine(store), engine(store)]
        const [first] = engines as [ReturnType<typeof engine>]
        for (const input of RULES) await first.create(input)
        for (const each of commands) {
          switch (each.op) {
            case 'pass':
              await clock.advance(each.ms)
              break
            case 'jump':
              await clock.set(Math.max(START, clock.now() + each.ms))
              break
            case 'check':
              await engines[each.who]?.check()
              break
            case 'all':
              await Promise.all(engines.map((one) => one.check()))
              break
            case 'die':
              await engine(mortal(store, each.at, each.when).store as MemoryTokenStore)
                .check()
                .catch(() => {})
              break
            case 'execute':
              await first.execute(each.rule, { force: true }).catch((error: { code: string }) => {
                expect(error.code).toBe('ERR_RULE_RUNNING')
              })
              break
            default:
              await first[each.op](each.rule)
          }
        }
        // No attempt was made twice, whoever died, and whatever the clock said.
        expect(new Set(attempts).size).toBe(attempts.length)
        // Nor has any slot two runs; and every rule goes on, at its next slot, however far ahead a clock once was.
        for (const { name } of RULES) await first.enable(name)
        for (let i = 0; i < 40; i++) {
          await clock.advance(i % 2 === 0 ? '1h' : '31m')
          await first.check()
        }
        for (const { name } of RULES) {
          const { items } = await first.runs(name, { limit: 1000 })
          const slots = items.filter((run) => run.calledBy === undefined).map(({ slot }) => slot)
          expect(new Set(slots).size).toBe(slots.length)
          const { nextDueAt = 0 } = (await first.get(name)) ?? {}
          expect(nextDueAt).toBeGreaterThan(clock.now())
          expect(nextDueAt).toBeLessThanOrEqual(clock.now() + DAY)
        }
      }),
      { numRuns: 100 },
    )
  })

  it('a clock far ahead, set right: slots that were run are not run again, and the others are', async () => {
    const clock = fakeClock({ now: START })
    const store = new MemoryTokenStore({ clock })
    const { rules } = instance(store, clock)
    const slots: number[] = []
    rules.action('note', ({ slot }) => void slots.push((slot - START) / DAY))
    await rules.create({ name: 'r', action: 'note', schedule: 'daily' })
    await clock.advance(DAY)
    await rules.check()
    await clock.set(START + 400 * DAY)
    await rules.check()
    expect(slots).toEqual([1, 400])
    await clock.set(START + 2 * DAY - HOUR)
    await rules.check()
    expect(slots).toEqual([1, 400])
    for (let day = 2; day < 402; day++) {
      await clock.advance(DAY)
      await rules.check()
    }
    expect(slots.filter((day) => day === 400)).toHaveLength(1)
    expect([...slots].sort((a, b) => a - b)).toEqual(Array.from({ length: 401 }, (_, i) => i + 1))
  })

  it('a bulk rotation goes by the store’s time, as its rule does, on an instance whose clock is behind', async () => {
    const right = fakeClock({ now: START + 10_000 })
    const behind = fakeClock({ now: START })
    const { rules, generator } = realInstance(new MemoryTokenStore({ clock: right }), behind)
    await generator.generate({ service: 'SHOP' })
    const conditions = { ageDays: 30 }
    await rules.create({ name: 'r', action: 'bulk_rotate', schedule: 'monthly', conditions })
    for (const clock of [right, behind]) await clock.advance(30 * DAY - 10_000)
    expect((await rules.check()).runs).toMatchObject([{ outcome: 'ok', counts: { rotated: 1 } }])
    for (const clock of [right, behind]) await clock.advance(30 * DAY)
    expect((await rules.check()).runs).toMatchObject([{ outcome: 'ok', counts: { rotated: 1 } }])
  })

  it('a run that waits, or whose instance died, while the clock was far ahead does not hold up its rule', async () => {
    const clock = fakeClock({ now: START })
    const store = new MemoryTokenStore({ clock })
    const { rules } = instance(store, clock)
    let broken = true
    rules.action('work', () => {
      if (broken) throw new Error('not today')
    })
    // Its time stands still, as that of a dead process does.
    const dead = instance(store, fakeClock({ now: START }))
    dead.rules.action('slow', () => new Promise(() => {}))
    await rules.create({ name: 'waits', action: 'work', schedule: 'daily' })
    await dead.rules.create({ name: 'dead', action: 'slow', schedule: 'daily' })
    await clock.set(START + 400 * DAY)
    void dead.rules.check(clock.now())
    await clock.advance(1)
    await rules.check()
    broken = false
    rules.action('slow', () => {})
    await clock.set(START + 2 * DAY - HOUR)
    await rules.check()
    expect((await rules.runs('waits')).items).toMatchObject([{ attempt: 2, outcome: 'ok' }])
    expect((await rules.runs('dead')).items).toMatchObject([{ attempt: 2, outcome: 'ok' }])
    await clock.advance(DAY)
    await rules.check()
    expect((await rules.runs('waits')).items).toMatchObject([{ slot: START + 2 * DAY, outcome: 'ok' }, {}])
    expect((await rules.runs('dead')).items).toMatchObject([{ slot: START + 2 * DAY, outcome: 'ok' }, {}])
  })
})
