import { execFileSync } from 'node:child_process'
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { DatabaseSync } from 'node:sqlite'
import { describe, expect, it } from 'vitest'
import { FileTokenStore } from '../../src/file/file-token-store.ts'
import {
  account,
  accountKind,
  brokenAt,
  commit,
  draft,
  ids,
  outcome,
  wholeJournal,
} from '../../src/testing/store-suite/kit.ts'
import { testFolder } from './folder.ts'

/** A small disk, if this process may mount one. */
function mountSmall(folder: string): boolean {
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1536k,mode=700', 'none', folder], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

/** A disk that fills up, and the way to make room: a real one, or else SQLite's own limit of pages. */
async function openOnSmallDisk(
  folder: string,
): Promise<{ store: FileTokenStore; makeRoom: () => void; release: () => void }> {
  const path = join(folder, 'tokens.db')
  if (mountSmall(folder)) {
    const filler = join(folder, 'filler')
    writeFileSync(filler, Buffer.alloc(512 * 1024))
    const store = await FileTokenStore.open(path)
    return { store, makeRoom: () => rmSync(filler), release: () => void execFileSync('umount', [folder]) }
  }
  let limited: DatabaseSync | undefined
  const connected = (db: DatabaseSync): void => {
    limited = db
    db.exec('PRAGMA max_page_count = 120')
  }
  const store = await FileTokenStore.openWith(path, {}, { connected })
  return { store, makeRoom: () => limited?.exec('PRAGMA max_page_count = 100000'), release: () => undefined }
}

describe('a disk that fails', () => {
  it('full: the commit is refused, what was there can be read, and it works again once there is room', async () => {
    const { folder, remove } = testFolder()
    const { store, makeRoom, release } = await openOnSmallDisk(folder)
    const note = { lines: ['x'.repeat(8000)] }
    let [done, code] = [0, 'ok']
    while (code === 'ok' && done < 1000) {
      code = await outcome(() => commit(store, account(`a${done}`, 0, { rank: done, note })))
      if (code === 'ok') done += 1
    }
    expect(code).toBe('ERR_STORE_FULL')
    expect(done).toBeGreaterThan(3)
    // Several of one batch are all refused, and none is there.
    const together = [1, 2, 3].map((n) => outcome(() => commit(store, account(`late${n}`, 0, { note }))))
    expect(await Promise.all(together)).toEqual(Array(3).fill('ERR_STORE_FULL'))
    expect((await ids(store, accountKind, { index: 'rank', limit: 1000 })).length).toBe(done)
    expect(brokenAt(await wholeJournal(store))).toBe(undefined)
    makeRoom()
    expect(await outcome(() => commit(store, account(`a${done}`, 0, { rank: done, note })))).toBe('ok')
    expect(brokenAt(await wholeJournal(store))).toBe(undefined)
    await store.close()
    release()
    remove()
  })

  it('failing under a commit: the store takes no more until it is opened again', async () => {
    const { path, remove } = testFolder()
    let broken = false
    const connected = (db: DatabaseSync): void => {
      const prepare = db.prepare.bind(db)
      db.prepare = (text) => {
        const statement = prepare(text)
        if (text !== 'COMMIT') return statement
        const run = statement.run.bind(statement)
        statement.run = () => {
          // SQLITE_IOERR_FSYNC, as node:sqlite throws it.
          if (broken)
            throw Object.assign(new Error('disk I/O error'), {
              code: 'ERR_SQLITE_ERROR',
              errcode: 1034,
              errstr: 'disk I/O error',
            })
          return run()
        }
        return statement
      }
    }
    const store = await FileTokenStore.openWith(path, {}, { connected })
    await commit(store, account('a', 0))
    const cell = store.cell(accountKind, 'key', 'key of a')
    broken = true
    const failed = [
      outcome(() => commit(store, account('a', 1, { rank: 5 }))),
      outcome(() => commit(store, account('b', 0))),
    ]
    expect(await Promise.all(failed)).toEqual(['ERR_STORE_POISONED', 'ERR_STORE_POISONED'])
    broken = false
    expect(await outcome(() => commit(store, account('c', 0)))).toBe('ERR_STORE_POISONED')
    expect(store.get(accountKind, 'a')?.revision).toBe(1)
    expect(cell?.current?.revision).toBe(1)
    await store.close()
    const again = await FileTokenStore.open(path)
    expect(await outcome(() => again.commit(draft([account('a', 1)])))).toBe('ok')
    await again.close()
    remove()
  })
})
