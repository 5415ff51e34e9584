import { describe, expect, it } from 'vitest'
import type { RuleInput } from '../../src/automation/rule-input.ts'
import type { RunView } from '../../src/automation/run.ts'
import { runKind } from '../../src/automation/run.ts'
import { fakeClock } from '../../src/testing/index.ts'
import { DAY, realInstance } from './fixture.ts'
import { mortal, WORLDS, type World } from './worlds.ts'

const RULES: readonly RuleInput[] = [
  { name: 'rotate', services: ['A', 'B'], schedule: 'daily' },
  { name: 'aged', service: 'C', schedule: 'daily', conditions: { ageDays: 1 } },
  { name: 'bulk', action: 'bulk_rotate', services: ['D', 'E'], schedule: 'daily' },
  { name: 'make', action: 'generate', service: 'F', schedule: 'daily', params: { retrievable: true } },
  { name: 'none', service: 'G', schedule: 'daily', conditions: { ageDays: 1000 } },
  { name: 'late', service: 'G', schedule: 'daily', catchUp: 'none' },
  { name: 'bad', action: 'bad', schedule: 'daily', attempts: 1, pauseAfter: 1 },
]

/** One life: rules fall due, a process dies at its n-th commit, another one comes later. Answers how many commits the check had. */
async function live(world: World, at: number, when: 'before' | 'after'): Promise<number> {
  const bad = (): never => {
    throw new Error('always')
  }
  const home = realInstance(await world.open(), world.clock, { maxStaleness: 0, instance: 'home' })
  home.rules.action('bad', bad)
  for (const service of ['A', 'B', 'C', 'D', 'E', 'G']) {
    await home.generator.generate({ service, retrievable: service === 'A' || service === 'D' })
  }
  for (const rule of RULES) await home.rules.create(rule)
  await world.pass(DAY + 2 * 60_000)

  const { store, commits } = mortal(await world.open(), at, when)
  const victim = realInstance(store, fakeClock({ now: world.clock.now() }), { concurrency: 2, instance: 'victim' })
  victim.rules.action('bad', bad)
  const survived = await victim.rules.check().then(
    () => true,
    () => false,
  )
  const made = commits()
  if (survived) expect(made).toBeLessThan(at)

  // Rounds of another instance, each after all leases and waits are over.
  for (let round = 0; round < 3; round++) {
    await world.pass(10 * 60_000)
    await home.rules.check()
    await home.rotator.tick()
  }
  const runs: RunView[] = []
  for (const { name } of RULES) runs.push(...(await home.rules.runs(name)).items)
  // Every slot has one run, and it is over, whatever happened.
  expect(runs.map(({ name, state }) => [name, state]).sort()).toEqual(RULES.map(({ name }) => [name, 'ended']).sort())
  const outcomes = Object.fromEntries(runs.map(({ name, outcome, reason, code }) => [name, reason ?? code ?? outcome]))
  expect(outcomes).toMatchObject({ rotate: 'ok', aged: 'ok', bulk: 'ok', none: 'no_match', late: 'catch_up' })
  expect(['ok', 'exists']).toContain(outcomes['make'])
  expect(['Error', 'ERR_RULE_LEASE_LOST']).toContain(outcomes['bad'])
  for (const { counts = {}, name } of runs) {
    if (name === 'rotate') expect(Object.values(counts).reduce((sum, count) => sum + count, 0)).toBe(2)
  }
  // Every token was rotated once for the slot, none twice, and those that no rule takes not at all.
  const slot = runs[0]?.slot
  for (const service of ['A', 'B', 'C', 'D', 'E']) {
    const history = (await home.rotator.history(service)).items
    expect(history.filter(({ status }) => status === 'done')).toMatchObject([{ slot }])
    expect(history.filter(({ status }) => status !== 'done' && status !== 'abandoned')).toEqual([])
  }
  expect((await home.registry.get('G'))?.versions).toHaveLength(1)
  expect((await home.registry.get('F'))?.status).toBe('active')
  for (const { name } of RULES) {
    const rule = await home.rules.get(name)
    expect(rule?.runs).toBe(1)
    expect(rule?.nextSlot).toBeGreaterThan(world.clock.now())
  }
  expect(await home.rules.get('bad')).toMatchObject({ failures: 1, paused: { reason: 'failures' } })
  // Nothing is left lying about.
  const waiting = await (await world.open()).list(runKind, { index: 'due', limit: 10 })
  expect(waiting.items).toEqual([])
  return made
}

describe('a process that dies at any commit of a check', () => {
  it.each(WORLDS)('leaves each slot to be run once: %s', { timeout: 120_000 }, async (where, make) => {
    // Whether the commit was done is the same to every store; a database takes its time for each life.
    for (const when of where === 'in PostgreSQL' ? (['after'] as const) : (['before', 'after'] as const)) {
      let at = 0
      for (let made = 1; made >= at; ) {
        at += 1
        const world = await make()
        try {
          made = await live(world, at, when)
        } catch (error) {
          throw new Error(`it died ${when} commit ${at}`, { cause: error })
        } finally {
          await world.end()
        }
      }
      // Claims, endings and rotations of seven rules.
      expect(at).toBeGreaterThan(16)
    }
  })
})
