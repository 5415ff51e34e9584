import { DatabaseSync } from 'node:sqlite'
import { expect, it } from 'vitest'
import { FileTokenStore } from '../../src/file/file-token-store.ts'
import { seededRandom } from '../../src/kernel/random.ts'
import { eventKind } from '../../src/stores/outbox.ts'
import { accountKind, brokenAt, ids, leaseKind, wholeJournal } from '../../src/testing/store-suite/kit.ts'
import { startChild } from '../child-process.ts'
import { testFolder } from './folder.ts'

const ROUNDS = 12

it(`loses nothing acknowledged and keeps nothing half when it is killed, ${ROUNDS} times over`, async () => {
  const { path, remove } = testFolder()
  const random = seededRandom('kill')
  const acknowledged: string[] = []
  for (let round = 0; round < ROUNDS; round++) {
    const child = startChild('file/children/kill-target.ts', path, `r${round}`)
    await child.printed(1 + Math.floor(random.float() * 150))
    child.process.kill('SIGKILL')
    await child.ended
    acknowledged.push(...child.lines)

    const store = await FileTokenStore.open(path)
    const missing = acknowledged.filter(
      (id) =>
        store.get(accountKind, id) === undefined ||
        store.get(accountKind, `${id}/b`) === undefined ||
        store.get(leaseKind, `${id}/l`) === undefined ||
        store.get(eventKind, `${id}/e`) === undefined,
    )
    expect(missing).toEqual([])
    const accounts = await ids(store, accountKind, { index: 'rank', limit: 1000 })
    const leases = await ids(store, leaseKind, { index: 'ends', limit: 1000 })
    expect(accounts.length).toBe(leases.length * 2)
    const journal = await wholeJournal(store)
    expect(journal.length).toBe(accounts.length)
    expect(brokenAt(journal)).toBe(undefined)
    await store.close()
    const db = new DatabaseSync(path)
    expect(db.prepare('PRAGMA integrity_check').get()).toEqual({ integrity_check: 'ok' })
    db.close()
  }
  expect(acknowledged.length).toBeGreaterThan(ROUNDS * 5)
  remove()
}, 60_000)
