import { chmodSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { FileTokenStore } from '../../src/file/file-token-store.ts'
import { APPLICATION_ID } from '../../src/file/schema.ts'
import { account, accountKind, commit, leaseKind, outcome } from '../../src/testing/store-suite/kit.ts'
import { testFolder } from './folder.ts'
import { asUser } from './other-user.ts'

let place: ReturnType<typeof testFolder>

beforeEach(() => {
  place = testFolder()
})

afterEach(() => {
  chmodSync(place.folder, 0o700)
  place.remove()
})

const mode = (path: string): number => statSync(path).mode & 0o777

describe('who may get at the file', () => {
  it('folder and files are made for this user only, whatever the umask', async () => {
    const umask = process.umask(0)
    try {
      const path = join(place.folder, 'deep', 'er', 'tokens.db')
      const store = await FileTokenStore.open(path)
      await commit(store, account('a', 0))
      expect(mode(join(place.folder, 'deep'))).toBe(0o700)
      expect(mode(join(place.folder, 'deep', 'er'))).toBe(0o700)
      for (const file of [path, `${path}-wal`, `${path}-shm`]) expect([file, mode(file)]).toEqual([file, 0o600])
      await store.close()
    } finally {
      process.umask(umask)
    }
  })

  it('an open folder or file is refused, unless it is allowed', async () => {
    const store = await FileTokenStore.open(place.path)
    await store.close()
    for (const [path, bad, good] of [
      [place.folder, 0o750, 0o700],
      [place.folder, 0o701, 0o700],
      [place.path, 0o640, 0o600],
      [place.path, 0o602, 0o600],
    ] as const) {
      chmodSync(path, bad)
      expect(await outcome(() => FileTokenStore.open(place.path))).toBe('ERR_STORE_PERMISSIONS')
      const allowed = await FileTokenStore.open(place.path, { allowInsecurePermissions: true })
      await allowed.close()
      chmodSync(path, good)
    }
    // The message says which, and what to do.
    chmodSync(place.path, 0o644)
    await expect(FileTokenStore.open(place.path)).rejects.toThrow(/tokens\.db has mode 644.*mode 600/)
  })
})

describe('what is no store of ours is left as it is', () => {
  async function refused(bytes: Buffer | string, code: string): Promise<void> {
    writeFileSync(place.path, bytes)
    chmodSync(place.path, 0o600)
    const before = readFileSync(place.path)
    for (const readOnly of [false, true]) {
      expect(await outcome(() => FileTokenStore.open(place.path, { readOnly }))).toBe(code)
    }
    expect(readFileSync(place.path).equals(before)).toBe(true)
    expect(existsSync(`${place.path}-wal`)).toBe(false)
    expect(existsSync(`${place.path}-journal`)).toBe(false)
  }

  it('garbage, short and long', async () => {
    await refused('hello', 'ERR_STORE_FOREIGN_FILE')
    await refused(Buffer.alloc(10_000, 7), 'ERR_STORE_FOREIGN_FILE')
    await refused(`SQLite format 3\u0000${'x'.repeat(50)}`, 'ERR_STORE_FOREIGN_FILE')
  })

  it('another application’s database', async () => {
    const db = new DatabaseSync(place.path)
    db.exec('CREATE TABLE t (a); PRAGMA user_version = 1')
    db.close()
    await refused(readFileSync(place.path), 'ERR_STORE_FOREIGN_FILE')
  })

  it('a newer version’s store, also when only its log tells', async () => {
    const store = await FileTokenStore.open(place.path)
    await store.close()
    const db = new DatabaseSync(place.path)
    db.exec('PRAGMA wal_autocheckpoint = 0; PRAGMA user_version = 99')
    // The connection stays open: what it wrote is in the log only.
    expect(await outcome(() => FileTokenStore.open(place.path))).toBe('ERR_STORE_NEWER_FILE')
    expect(await outcome(() => FileTokenStore.open(place.path, { readOnly: true }))).toBe('ERR_STORE_NEWER_FILE')
    db.close()
    await refused(readFileSync(place.path), 'ERR_STORE_NEWER_FILE')
  })

  it('a store that was damaged', async () => {
    const store = await FileTokenStore.open(place.path)
    await commit(store, account('a', 0))
    await store.close()
    const bytes = readFileSync(place.path)
    bytes.fill(0x5a, 100)
    writeFileSync(place.path, bytes)
    expect(await outcome(() => FileTokenStore.open(place.path))).toBe('ERR_STORE_FOREIGN_FILE')
    expect(readFileSync(place.path).equals(bytes)).toBe(true)
  })
})

describe('opening', () => {
  it('an empty file becomes a store', async () => {
    writeFileSync(place.path, '', { mode: 0o600 })
    const store = await FileTokenStore.open(place.path)
    expect(await outcome(() => commit(store, account('a', 0)))).toBe('ok')
    await store.close()
  })

  it('the file tells whose it is from its first page on, also before the log was written into it', async () => {
    const store = await FileTokenStore.open(place.path)
    expect(readFileSync(place.path).readUInt32BE(68)).toBe(APPLICATION_ID)
    await store.close()
  })

  it('many at once on a file that isn’t there yet', async () => {
    const stores = await Promise.all(Array.from({ length: 5 }, () => FileTokenStore.open(place.path)))
    await Promise.all(stores.map((store, n) => commit(store, account(`a${n}`, 0))))
    for (const store of stores) expect(store.get(accountKind, 'a4')?.id).toBe('a4')
    await Promise.all(stores.map((store) => store.close()))
  })

  it('what can’t be used is refused before anything is made', async () => {
    const path = join(place.folder, 'none', 'tokens.db')
    for (const bad of ['', 'a\u0000b', 5 as unknown as string]) {
      expect(await outcome(() => FileTokenStore.open(bad))).toBe('ERR_INVALID_INPUT')
    }
    for (const bad of [
      { crossProcessStaleness: -1 },
      { crossProcessStaleness: Number.NaN },
      { maxCells: 0 },
      { maxCells: 1.5 },
    ]) {
      expect(await outcome(() => FileTokenStore.open(path, bad))).toBe('ERR_INVALID_INPUT')
    }
    expect(existsSync(join(place.folder, 'none'))).toBe(false)
    mkdirSync(place.path)
    expect(await outcome(() => FileTokenStore.open(place.path))).toBe('ERR_STORE_UNAVAILABLE')
  })

  it('to read only: reads everything, writes nothing, makes nothing', async () => {
    expect(await outcome(() => FileTokenStore.open(place.path, { readOnly: true }))).toBe('ERR_STORE_UNAVAILABLE')
    expect(existsSync(place.path)).toBe(false)
    const writer = await FileTokenStore.open(place.path)
    await commit(writer, account('a', 0))
    const reader = await FileTokenStore.open(place.path, { readOnly: true, crossProcessStaleness: 0 })
    const cell = reader.cell(accountKind, 'key', 'key of a')
    await commit(writer, account('a', 1, { rank: 3 }))
    expect(cell?.current?.value.rank).toBe(3)
    expect(reader.get(accountKind, 'a')?.revision).toBe(2)
    expect(reader.get(leaseKind, 'a')).toBe(undefined)
    expect(await outcome(() => commit(reader, account('b', 0)))).toBe('ERR_STORE_READ_ONLY')
    expect(
      await outcome(() =>
        reader.addUsage('f', [
          {
            token: 't',
            version: 1,
            hour: 0,
            tool: '',
            outcome: 'ok',
            calls: 1,
            cost: 1,
            failures: 0,
            durationMs: 0,
            lastAt: 0,
          },
        ]),
      ),
    ).toBe('ERR_STORE_READ_ONLY')
    await reader.close()
    await writer.close()
  })

  it('without the right to write it is ERR_STORE_READ_ONLY, and readOnly: true works', async () => {
    const store = await FileTokenStore.open(place.path)
    await commit(store, account('a', 0))
    await store.close()
    await asUser(place, async () => {
      chmodSync(place.path, 0o400)
      expect(await outcome(() => FileTokenStore.open(place.path))).toBe('ERR_STORE_READ_ONLY')
      chmodSync(place.path, 0o600)
      chmodSync(place.folder, 0o500)
      expect(await outcome(() => FileTokenStore.open(place.path))).toBe('ERR_STORE_READ_ONLY')
      expect(await outcome(() => FileTokenStore.open(join(place.folder, 'new.db')))).toBe('ERR_STORE_READ_ONLY')
      const reader = await FileTokenStore.open(place.path, { readOnly: true })
      expect(reader.get(accountKind, 'a')?.revision).toBe(1)
      await reader.close()
      chmodSync(place.folder, 0o700)
      chmodSync(place.path, 0o000)
      expect(await outcome(() => FileTokenStore.open(place.path, { readOnly: true }))).toBe('ERR_STORE_UNAVAILABLE')
      chmodSync(place.path, 0o600)
    })
  })
})
