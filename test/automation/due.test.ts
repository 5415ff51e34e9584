import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { decide, jitterOf, retryAfter, standingAfter, turnedBack } from '../../src/automation/due.ts'
import type { RuleRecord } from '../../src/automation/rule.ts'
import { DAY, HOUR, MINUTE, START } from './fixture.ts'

const RULE: RuleRecord = {
  id: 'rule_1',
  name: 'r',
  action: 'work',
  schedule: { every: HOUR },
  catchUp: 'one',
  overlap: 'skip',
  attempts: 3,
  maxDuration: HOUR,
  pauseAfter: 5,
  enabled: true,
  createdAt: START,
  updatedAt: START,
  begunAt: START,
  anchor: START + HOUR,
  runs: 0,
}

function rule(more: Partial<RuleRecord>): RuleRecord {
  const made = { ...RULE, ...more }
  return { ...made, ...standingAfter(made, START) }
}

describe('decide', () => {
  it('takes the last slot that is due with its jitter, and counts those before it', () => {
    fc.assert(
      fc.property(fc.string({ minLength: 1 }), fc.integer({ min: 0, max: 10 * DAY }), (id, passed) => {
        const one = rule({ id, jitter: 50 * MINUTE })
        const now = START + passed
        const decision = decide(one, now)
        const due: number[] = []
        for (let slot = START + HOUR; slot <= now; slot += HOUR) if (slot + jitterOf(one, slot) <= now) due.push(slot)
        const first = one.nextSlot ?? 0
        if (due[0] !== first) expect(decision).toBe(undefined)
        else
          expect(decision).toEqual({ slot: due.at(-1), missed: ((due.at(-1) as number) - first) / HOUR, late: false })
      }),
      { numRuns: 2000 },
    )
  })

  it('is late when the window is over, to the millisecond, jitter not counted', () => {
    const one = rule({ jitter: 10 * MINUTE, catchUpWindow: 5 * MINUTE })
    const dueAt = one.nextDueAt ?? 0
    expect(decide(one, dueAt - 1)).toBe(undefined)
    expect(decide(one, dueAt + 5 * MINUTE)).toMatchObject({ late: false })
    expect(decide(one, dueAt + 5 * MINUTE + 1)).toMatchObject({ late: true })
    expect(decide({ ...rule({}), catchUp: 'none' }, START + HOUR + MINUTE)).toMatchObject({ late: false })
    expect(decide({ ...rule({}), catchUp: 'none' }, START + HOUR + MINUTE + 1)).toMatchObject({ late: true })
  })

  it('counts missed slots of a pattern up to a hundred, whatever it is', () => {
    const one = rule({ schedule: { cron: '* * * * *', timezone: 'UTC' }, anchor: START })
    expect(decide(one, START + 10 * 365 * DAY)).toMatchObject({ slot: START + 10 * 365 * DAY, missed: 100 })
    expect(decide(rule({ schedule: { every: 1000 } }), START + 365 * DAY)?.missed).toBe(365 * 86_400 - 3600)
  })
})

describe('turnedBack', () => {
  it('keeps the phase of an interval, and a start that was asked for', () => {
    const ahead = rule({
      anchor: START + 400 * DAY + 10 * MINUTE,
      begunAt: START + 400 * DAY,
      lastSlot: START + 400 * DAY,
    })
    const set = turnedBack(ahead, START)
    expect(set).toMatchObject({ nextSlot: START + 10 * MINUTE, begunAt: START })
    expect(set).not.toHaveProperty('lastSlot')
    const asked = { ...ahead, startAt: START + 400 * DAY + 10 * MINUTE }
    expect(turnedBack(asked, START)).toMatchObject({ nextSlot: START + 400 * DAY + 10 * MINUTE })
    expect(turnedBack(rule({ lastSlot: START - HOUR }), START)).toMatchObject({ lastSlot: START - HOUR })
  })
})

describe('retryAfter', () => {
  it('doubles from half a minute, up to a quarter of an hour', () => {
    expect([1, 2, 3, 4, 5, 6, 7, 20].map(retryAfter).map((ms) => ms / MINUTE)).toEqual([0.5, 1, 2, 4, 8, 15, 15, 15])
  })
})
