import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  begin,
  currentOf,
  endOf,
  type Lifetime,
  lastEnd,
  liveVersions,
  nextHousekeeping,
  promote,
  prune,
  retire,
  settle,
  supersede,
  type Version,
} from '../../src/tokens/versions.ts'

const first = (now: number): Version[] => [{ n: 1, state: 'current', createdAt: now }]

describe('transitions', () => {
  it('supersede gives the version before a deadline, never beyond its own end', () => {
    const lifetime: Lifetime = { expiresIn: 100 }
    const versions = supersede(first(0), {}, lifetime, 60, 1000)
    expect(versions).toEqual([
      { n: 1, state: 'previous', createdAt: 0, supersededAt: 60, graceUntil: 100 },
      { n: 2, state: 'current', createdAt: 60 },
    ])
    expect(endOf(versions[1] as Version, lifetime)).toBe(160)
  })

  it('grace 0 ends every older version at once', () => {
    const chain = supersede(supersede(first(0), {}, undefined, 10, 100), {}, undefined, 20, 0)
    expect(chain.map((v) => [v.n, v.state, v.ended, v.endedAt])).toEqual([
      [1, 'retired', 'revoked', 20],
      [2, 'retired', 'revoked', 20],
      [3, 'current', undefined, undefined],
    ])
  })

  it('grace 0 ends a pending version too', () => {
    const chain = supersede(begin(first(0), {}, 10, 500), {}, undefined, 20, 0)
    expect(chain.map((v) => [v.n, v.state])).toEqual([
      [1, 'retired'],
      [2, 'retired'],
      [3, 'current'],
    ])
  })

  it('a second rotation keeps the deadline that was announced', () => {
    const chain = supersede(supersede(first(0), {}, undefined, 10, 100), {}, undefined, 50, 100)
    expect(chain.map((v) => v.graceUntil)).toEqual([110, 150, undefined])
  })

  it('settle writes down what has ended, prune forgets it later', () => {
    const chain = supersede(first(0), {}, undefined, 10, 100)
    expect(settle(chain, undefined, 109)).toBe(chain)
    const settled = settle(chain, undefined, 110)
    expect(settled[0]).toMatchObject({ state: 'retired', ended: 'expired', endedAt: 110 })
    expect(prune(settled, 1109, 1000)).toBe(settled)
    expect(prune(settled, 1110, 1000)).toHaveLength(1)
    expect(nextHousekeeping(chain, 1000)).toBe(110)
    expect(nextHousekeeping(settled, 1000)).toBe(1110)
    expect(nextHousekeeping(first(0), 1000)).toBeUndefined()
  })

  it('never gives a number twice, although old versions are forgotten', () => {
    const abandoned = retire(begin(first(0), {}, 10, 500), undefined, 2, 20)
    const later = prune(abandoned, 10_000, 1000)
    expect(later.map((v) => v.n)).toEqual([1, 2])
    expect(nextHousekeeping(later, 1000)).toBeUndefined()
    expect(begin(later, {}, 10_001, 20_000).map((v) => v.n)).toEqual([1, 2, 3])
  })

  it('refuses what would break the rules', () => {
    const pending = begin(first(0), {}, 1, 100)
    expect(() => begin(pending, {}, 2, 100)).toThrow('2 versions would be pending')
    expect(() => promote(first(0), undefined, 5, 100)).toThrow('0 versions would be current')
    expect(() => retire(first(0), undefined, 1, 5)).toThrow('0 versions would be current')
    expect(() => currentOf([])).toThrow()
  })
})

describe('any sequence of transitions', () => {
  type Command = {
    readonly op: 'rotate' | 'emergency' | 'begin' | 'promote' | 'retire' | 'settle' | 'prune'
    readonly wait: number
    readonly grace: number
  }
  const command = fc.record<Command>({
    op: fc.constantFrom('rotate', 'emergency', 'begin', 'promote', 'retire', 'settle', 'prune'),
    wait: fc.integer({ min: 0, max: 50 }),
    grace: fc.integer({ min: 1, max: 120 }),
  })

  it('leaves one current version, no superseded one without a deadline, and never lengthens a life', () => {
    fc.assert(
      fc.property(
        fc.array(command, { maxLength: 30 }),
        fc.option(fc.integer({ min: 10, max: 400 }), { nil: undefined }),
        (commands, expiresIn) => {
          const lifetime = expiresIn === undefined ? undefined : { expiresIn }
          let now = 0
          let versions: readonly Version[] = first(0)
          for (const { op, wait, grace } of commands) {
            now += wait
            const before = versions
            const ends = new Map(before.map((v) => [v.n, endOf(v, lifetime)]))
            const pending = before.some((v) => v.state === 'pending')
            if (op === 'rotate' && !pending) versions = supersede(before, {}, lifetime, now, grace)
            if (op === 'emergency') versions = supersede(before, {}, lifetime, now, 0)
            if (op === 'begin' && !pending) versions = begin(before, {}, now, now + grace)
            if (op === 'promote' && pending) versions = promote(before, lifetime, now, grace)
            if (op === 'retire') {
              const target = before.find((v) => v.state === 'previous' || v.state === 'pending')
              if (target !== undefined) versions = retire(before, lifetime, target.n, now)
            }
            if (op === 'settle') versions = settle(before, lifetime, now)
            if (op === 'prune') versions = prune(before, now, 100)

            expect(versions.filter((v) => v.state === 'current')).toHaveLength(1)
            for (const v of versions) {
              if (v.state === 'previous') expect(v.graceUntil).toBeTypeOf('number')
              if (v.state === 'pending') expect(v.pendingUntil).toBeTypeOf('number')
              const end = ends.get(v.n)
              // Only being taken up as current may lift a deadline: that of a pending version.
              if (end !== undefined && !(v.state === 'current')) expect(endOf(v, lifetime)).toBeLessThanOrEqual(end)
            }
            if (op === 'emergency')
              expect(liveVersions(versions, lifetime, now).map((v) => v.n)).toEqual([versions.at(-1)?.n])
            if (expiresIn === undefined) expect(liveVersions(versions, lifetime, now).length).toBeGreaterThan(0)
            expect(lastEnd(versions, lifetime)).toBeGreaterThanOrEqual(endOf(currentOf(versions), lifetime))
            expect(new Set(versions.map((v) => v.n)).size).toBe(versions.length)
          }
        },
      ),
      { numRuns: 500 },
    )
  })
})
