import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest'
import { PostgresTokenStore } from '../../src/postgres/postgres-token-store.ts'
import { eventKind } from '../../src/stores/outbox.ts'
import {
  account,
  accountKind,
  brokenAt,
  commit,
  ids,
  listAll,
  wholeJournal,
} from '../../src/testing/store-suite/kit.ts'
import { startChild } from '../child-process.ts'
import { dropSchema, freshSchema, newPool, there } from './database.ts'

const PROCESSES = 4
const MS = 2000

interface Report {
  readonly made: number
  readonly added: number
  readonly stale: number
  readonly sealed: number
  readonly flushes: number
  readonly errors: readonly string[]
}

describe.runIf(there)('several processes', () => {
  const pool = newPool()
  let schema = ''
  beforeEach(() => {
    schema = freshSchema()
  })
  afterEach(() => dropSchema(pool, schema))
  afterAll(() => pool.end())

  it(`${PROCESSES} of them: no update is lost, one chain, events in order, every count counted`, async () => {
    const store = new PostgresTokenStore({ pool, schema })
    await store.migrate()
    await commit(store, account('counter', 0, { rank: 0 }))
    const children = Array.from({ length: PROCESSES }, (_, n) =>
      startChild('postgres/children/writer.ts', schema, `w${n}`, String(MS)),
    )
    await Promise.all(children.map((child) => child.printed(1)))
    for (const child of children) child.process.stdin?.write('go\n')
    await Promise.all(children.map((child) => child.ended))
    const reports = children.map((child) => JSON.parse(child.lines[1] ?? '{}') as Report)

    expect(reports.flatMap((report) => report.errors)).toEqual([])
    const sum = (of: (report: Report) => number): number => reports.reduce((total, report) => total + of(report), 0)
    expect((await store.get(accountKind, 'counter'))?.value.rank).toBe(sum((report) => report.added))
    expect(Math.min(...reports.map((report) => report.added))).toBeGreaterThan(0)
    const made = (await ids(store, accountKind, { index: 'rank', from: 1, to: 2, limit: 1000 })).length
    expect(made).toBe(sum((report) => report.made) + (sum((report) => report.added) === 1 ? 1 : 0))

    // Sealed by all of them, each entry once; the rest here.
    const journal = await wholeJournal(store)
    expect(journal.length).toBe(1 + sum((report) => report.made + report.added))
    expect(journal.map((entry) => entry.seq)).toEqual(journal.map((_, n) => n + 1))
    expect(brokenAt(journal)).toBe(undefined)
    expect(sum((report) => report.sealed)).toBeGreaterThan(0)
    const counted = journal.filter((entry) => entry.subject === 'counter').map((entry) => entry.revision)
    expect(counted).toEqual(counted.map((_, n) => n + 1))

    let events = 0
    for (const token of ['t0', 't1', 't2']) {
      const found = await listAll(store, eventKind, { index: 'order', in: token, limit: 1000 })
      expect(found.map(({ value }) => value.dueAt !== undefined)).toEqual(found.map((_, n) => n === 0))
      events += found.length
    }
    expect(events).toBe(reports.reduce((total, report) => total + Math.floor(report.made / 5), 0))

    const usage = await store.usage({ token: 't', limit: 10 })
    const flushes = sum((report) => report.flushes)
    expect(usage.reduce((total, row) => total + row.calls, 0)).toBe(flushes * 4)
    await store.close()
  }, 30_000)
})
