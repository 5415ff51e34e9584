import { DatabaseSync } from 'node:sqlite'
import { describe, expect, it } from 'vitest'
import { FileTokenStore } from '../../src/file/file-token-store.ts'
import { createClock } from '../../src/kernel/clock.ts'
import {
  account,
  accountKind,
  brokenAt,
  commit,
  draft,
  ids,
  leaseKind,
  outcome,
  wholeJournal,
} from '../../src/testing/store-suite/kit.ts'
import { startChild } from '../child-process.ts'
import { testFolder } from './folder.ts'

const PROCESSES = 4
const MS = 2000

interface Report {
  readonly made: number
  readonly added: number
  readonly stale: number
  readonly errors: readonly string[]
  readonly maxDelayMs: number
}

describe('several processes on one file', () => {
  it(`${PROCESSES} writers: no update is lost, one chain, a fair share each, the event loop stays free`, async () => {
    const { path, remove } = testFolder()
    const store = await FileTokenStore.open(path)
    await commit(store, account('counter', 0, { rank: 0 }))
    const children = Array.from({ length: PROCESSES }, (_, n) =>
      startChild('file/children/writer.ts', path, `w${n}`, String(MS)),
    )
    await Promise.all(children.map((child) => child.printed(1)))
    for (const child of children) child.process.stdin?.write('go\n')
    await Promise.all(children.map((child) => child.ended))
    const reports = children.map((child) => JSON.parse(child.lines[1] ?? '{}') as Report)

    expect(reports.flatMap((report) => report.errors)).toEqual([])
    const sum = (of: (report: Report) => number): number => reports.reduce((total, report) => total + of(report), 0)
    expect(store.get(accountKind, 'counter')?.value.rank).toBe(sum((report) => report.added))
    expect((await ids(store, accountKind, { index: 'rank', from: 1, to: 2, limit: 1000 })).length).toBe(
      sum((report) => report.made) + (store.get(accountKind, 'counter')?.value.rank === 1 ? 1 : 0),
    )
    const journal = await wholeJournal(store)
    expect(journal.length).toBe(1 + sum((report) => report.made + report.added))
    expect(brokenAt(journal)).toBe(undefined)
    // Each has at least a third of its share.
    const least = Math.min(...reports.map((report) => report.made))
    expect(least).toBeGreaterThan(sum((report) => report.made) / PROCESSES / 3)
    // It is some 12 ms when the machine has a core for each; a lock waited for in SQLite would make it seconds.
    expect(Math.max(...reports.map((report) => report.maxDelayMs))).toBeLessThan(250)
    await store.close()
    remove()
  }, 30_000)

  it('a lock that is never given back is StoreBusyError after 5 s, and the commit can be repeated', async () => {
    const { path, remove } = testFolder()
    let offset = 0
    const clock = createClock({ wall: () => Date.now(), monotonic: () => performance.now() + offset })
    const store = await FileTokenStore.open(path, { clock })
    await commit(store, account('a', 0))
    const holder = new DatabaseSync(path)
    holder.exec('BEGIN IMMEDIATE')
    const late = draft([account('b', 0)])
    const waiting = outcome(() => store.commit(late))
    // Reading goes on.
    expect(store.get(accountKind, 'a')?.revision).toBe(1)
    offset += 4000
    expect(await Promise.race([waiting, new Promise((resolve) => setTimeout(resolve, 50, 'waits'))])).toBe('waits')
    offset += 1000
    expect(await waiting).toBe('ERR_STORE_BUSY')
    const again = outcome(() => store.commit(late))
    holder.exec('ROLLBACK')
    holder.close()
    expect(await again).toBe('ok')
    await store.close()
    remove()
  })

  it('a cell shows another process’s change within the staleness, and only then', async () => {
    const { path, remove } = testFolder()
    let offset = 0
    const clock = createClock({ wall: () => Date.now(), monotonic: () => offset })
    const here = await FileTokenStore.open(path, { clock, crossProcessStaleness: 10 })
    const there = await FileTokenStore.open(path)
    await commit(here, account('a', 0), account('b', 0))
    await commit(here, { kind: leaseKind, id: 'l', value: { holder: 'h', endsAt: 1 } })
    const a = here.cell(accountKind, 'key', 'key of a')
    const b = here.cell(accountKind, 'key', 'key of b')
    const lease = here.cell(leaseKind, 'holder', 'h')
    const before = b?.current
    await commit(there, account('a', 1, { rank: 7 }), { kind: leaseKind, id: 'l', value: { holder: 'h', endsAt: 2 } })
    expect(a?.current?.revision).toBe(1)
    offset += 9
    expect(a?.current?.revision).toBe(1)
    offset += 1
    expect(a?.current?.value.rank).toBe(7)
    expect(lease?.current?.value.endsAt).toBe(2)
    // What hasn't changed wasn't read again.
    expect(b?.current).toBe(before)
    // This process's own changes are there at once.
    await commit(here, account('b', 1, { rank: 5 }))
    expect(b?.current?.value.rank).toBe(5)
    // A key that has moved is looked up anew.
    await commit(there, account('a', 2, { keys: ['other'] }))
    offset += 10
    expect(here.cell(accountKind, 'key', 'key of a')).toBe(undefined)
    expect(here.cell(accountKind, 'key', 'other')).toBe(a)
    await here.close()
    await there.close()
    remove()
  })

  it('with staleness 0 a cell shows every change at once', async () => {
    const { path, remove } = testFolder()
    const here = await FileTokenStore.open(path, { crossProcessStaleness: 0 })
    const there = await FileTokenStore.open(path)
    await commit(there, account('a', 0))
    const cell = here.cell(accountKind, 'key', 'key of a')
    for (let revision = 1; revision < 20; revision++) {
      await commit(there, account('a', revision, { rank: revision }))
      expect(cell?.current?.value.rank).toBe(revision)
    }
    await here.close()
    await there.close()
    remove()
  })

  it('watchers hear of another process’s changes', async () => {
    const { path, remove } = testFolder()
    const here = await FileTokenStore.open(path)
    const there = await FileTokenStore.open(path)
    await commit(there, account('before', 0))
    const heard: string[] = []
    const all = new Promise<void>((resolve) => {
      here.watch(({ id }) => {
        heard.push(id)
        if (heard.length === 3) resolve()
      })
    })
    await commit(there, account('a', 0), account('b', 0))
    await commit(here, account('c', 0))
    await all
    expect(heard.sort()).toEqual(['a', 'b', 'c'])
    await here.close()
    await there.close()
    remove()
  })
})
