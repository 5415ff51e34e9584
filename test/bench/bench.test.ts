import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { CASES, caseOf, missedBy, SECTIONS } from '../../bench/budgets.ts'
import { measure, median, ratioOf, type Subject, summarize } from '../../bench/measure.ts'
import type { Result } from '../../bench/result.ts'
import { markdownTable, mergeRows, missed, plainTable, readTable, rowsOf } from '../../bench/table.ts'

/** A time that only work moves. */
class WorkClock {
  ms = 0
  readonly now = () => this.ms

  subject(cost: () => number, async = false): Subject {
    return {
      async,
      run: () => {
        this.ms += cost()
        return async ? Promise.resolve() : undefined
      },
    }
  }
}

const QUICK = { pairs: 5, runs: 3, warmUpMs: 50, sliceMs: 10 }

describe('measure', () => {
  it('answers the time of the subject over that of the reference', async () => {
    const clock = new WorkClock()
    const reference = clock.subject(() => 0.5)
    for (const async of [false, true]) {
      const measured = await measure(
        clock.subject(() => 1.25, async),
        reference,
        { ...QUICK, now: clock.now },
      )
      expect(measured).toEqual({ value: 2.5, low: 2.5, high: 2.5 })
    }
  })

  it('is not moved by a machine that slows down for both', async () => {
    const clock = new WorkClock()
    const slow = () => (clock.ms % 200 < 100 ? 1 : 3)
    const measured = await measure(
      clock.subject(() => 2 * slow()),
      clock.subject(() => slow()),
      { ...QUICK, pairs: 101, now: clock.now },
    )
    expect(measured.value).toBeGreaterThan(1.5)
    expect(measured.value).toBeLessThan(2.7)
  })

  it('leaves out what is done before a slice, and keeps to the operations asked for', async () => {
    const clock = new WorkClock()
    let before = 0
    let done = 0
    const subject: Subject = {
      run: () => {
        clock.ms += 2
        done += 1
      },
      before: async () => {
        clock.ms += 1000
        before += 1
      },
      operations: 7,
    }
    const measured = await measure(
      subject,
      clock.subject(() => 1),
      { ...QUICK, now: clock.now },
    )
    expect(measured.value).toBe(2)
    expect(done).toBe(before * 7)
  })

  it('takes medians: of pairs, then of runs', () => {
    expect(median([5, 1, 3])).toBe(3)
    expect(median([4, 1, 3, 2])).toBe(2.5)
    expect(() => median([])).toThrow()
    expect(
      ratioOf([
        { reference: 1, subject: 2 },
        { reference: 2, subject: 6 },
        { reference: 1, subject: 400 },
      ]),
    ).toBe(3)
    expect(summarize([1.2, 0.9, 1])).toEqual({ value: 1, low: 0.9, high: 1.2 })
  })
})

describe('budgets', () => {
  const sources = readdirSync(new URL('../../bench/', import.meta.url)).filter((name) => name.endsWith('.ts'))
  const code = sources.map((name) => readFileSync(new URL(`../../bench/${name}`, import.meta.url), 'utf8')).join('\n')

  it('has each case once, in a section that there is', () => {
    expect(new Set(CASES.map(({ id }) => id)).size).toBe(CASES.length)
    for (const { section } of CASES) expect(SECTIONS).toContain(section)
    for (const section of SECTIONS) expect(CASES.some((one) => one.section === section)).toBe(true)
    for (const { peers = [] } of CASES) for (const id of peers) expect(caseOf(id).section).toBe('peers')
  })

  it('has every case that a section reports, and no other', () => {
    const reported = new Set<string>()
    for (const [, id] of code.matchAll(
      /['`]((?:verify|signed|authorize|generate|limiter|memory|file|rules|bulk|journal|backup|postgres|redis|middleware|imports|peer)\.[\w.${}-]+)['`]/g,
    )) {
      reported.add(id as string)
    }
    const patterns = [...reported].map(
      (id) => new RegExp(`^${id.replaceAll('.', '\\.').replaceAll(/\$\{\w+\}/g, '\\w+')}$`),
    )
    for (const { id } of CASES) expect(patterns.filter((pattern) => pattern.test(id)).length, id).toBeGreaterThan(0)
    for (const pattern of patterns)
      expect(CASES.filter(({ id }) => pattern.test(id)).length, String(pattern)).toBeGreaterThan(0)
  })

  it('gates what the project has promised', () => {
    const budgets = Object.fromEntries(CASES.flatMap(({ id, budget }) => (budget === undefined ? [] : [[id, budget]])))
    expect(budgets).toEqual({
      'verify.seen.100k': { atMost: 1 },
      'verify.first.100k': { atMost: 1.9 },
      'verify.seen.1m': { atMost: 1.1 },
      'verify.first.1m': { atMost: 2 },
      'signed.hmac.first': { atMost: 1.6 },
      'signed.hmac.again': { atMost: 1 },
      'signed.jwt.first': { atMost: 1.1 },
      'signed.jwt.again': { atMost: 1 },
      'authorize.growth': { atMost: 1.2 },
      'generate.text': { atMost: 0.35 },
      'generate.memory': { atMost: 6 },
      'limiter.reserve': { atMost: 0.09 },
      'memory.token': { atMost: 900 },
      'file.commit.cost': { atMost: 1.5 },
      'file.commit.group': { atLeast: 8 },
      'file.writers.delay': { atMost: 50 },
      'file.writers.share': { atLeast: 0.5 },
      'file.open.ms': { atMost: 100 },
      'file.open.rss': { atMost: 200 },
      'file.verify.warm': { atMost: 1.2 },
      'file.verify.exact': { atMost: 2 },
      'file.verify.cold': { atMost: 12 },
      'postgres.verify.warm': { atMost: 1 },
      'postgres.verify.cold': { atMost: 1.3 },
      'postgres.commit': { atMost: 1.5 },
      'postgres.processes': { atLeast: 1.7 },
      'postgres.revocation.listen': { atMost: 1000 },
      'postgres.1m.cold': { atMost: 1.5 },
      'postgres.1m.due': { atMost: 1.5 },
      'redis.limiter': { atMost: 1.2 },
      'redis.revocation': { atMost: 1000 },
      'journal.append': { atMost: 1.15 },
      'journal.append.one': { atMost: 1.15 },
      'journal.verify.rss': { atMost: 100 },
      'bulk.speed': { atLeast: 2 },
      'bulk.delay': { atMost: 50 },
      'rules.idle': { atMost: 0.01 },
      'rules.select.100': { atMost: 0.5 },
      'rules.select.1999': { atMost: 0.5 },
      'rules.scan': { atLeast: 100 },
      'rules.tokens.1999': { atMost: 0.5 },
      'backup.create.rss': { atMost: 150 },
      'backup.restore.rss': { atMost: 150 },
      'backup.replace.rss': { atMost: 150 },
      'middleware.express': { atMost: 3 },
      'middleware.fastify': { atMost: 3 },
      'imports.core': { atMost: 60 },
      'imports.peers': { atMost: 0 },
    })
  })

  it('tells by how much a budget is missed', () => {
    expect(missedBy(caseOf('verify.seen.100k'), 1)).toBe(0)
    expect(missedBy(caseOf('verify.seen.100k'), 1.25)).toBe(0.25)
    expect(missedBy(caseOf('file.commit.group'), 6)).toBe(0.25)
    expect(missedBy(caseOf('file.commit.group'), 9)).toBe(0)
    expect(missedBy(caseOf('imports.peers'), 2)).toBe(2)
    expect(missedBy(caseOf('verify.uniform.1m'), 99)).toBe(0)
  })
})

describe('the table', () => {
  const results: Result[] = [
    { id: 'generate.text', value: 0.42, low: 0.4, high: 0.456 },
    { id: 'peer.nanoid', value: 0.3, low: 0.3, high: 0.3 },
    { id: 'verify.seen.100k', value: 0.7, low: 0.69, high: 0.71, note: 'a | b' },
  ]

  it('has what was measured in the order of the budgets, with verdict and peers', () => {
    const rows = rowsOf(results)
    expect(rows.slice(1)).toEqual([
      ['verify, 100,000 stored, seen before', '0.70 H (0.69-0.71)', '<= 1 H', 'ok', '', 'a | b'],
      ['generate, text alone', '0.42 H (0.40-0.46)', '<= 0.35 H', 'MISSED by 20 %', 'nanoid 0.30', ''],
      ['nanoid customAlphabet, 64 characters', '0.30 H', '', 'not gated', '', ''],
    ])
    expect(missed(results).map(({ id }) => id)).toEqual(['generate.text'])
    const markdown = markdownTable(rows).split('\n')
    expect(markdown).toHaveLength(5)
    expect(markdown[2]).toContain('a \\| b')
    expect(plainTable(rows).split('\n')).toHaveLength(4)
  })

  it('is read back, and new rows take the place of old ones', () => {
    const rows = rowsOf(results)
    expect(readTable(`a line\n\n${markdownTable(rows)}\n`)).toEqual(rows)
    const fresh = rowsOf([
      { id: 'verify.seen.1m', value: 1, low: 1, high: 1 },
      { id: 'generate.text', value: 0.3, low: 0.3, high: 0.3 },
    ])
    const merged = mergeRows(readTable(markdownTable(rows)), fresh)
    expect(merged.map(([what, measured]) => [what, measured]).slice(1)).toEqual([
      ['verify, 100,000 stored, seen before', '0.70 H (0.69-0.71)'],
      ['verify, 1,000,000 stored, seen before', '1 H'],
      ['generate, text alone', '0.30 H'],
      ['nanoid customAlphabet, 64 characters', '0.30 H'],
    ])
  })
})
