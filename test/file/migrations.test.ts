import { readFileSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { FileTokenStore } from '../../src/file/file-token-store.ts'
import { APPLICATION_ID, pragma, SCHEMA_STEPS, type SchemaStep } from '../../src/file/schema.ts'
import type { Kind } from '../../src/kernel/kind.ts'
import {
  type Account,
  account,
  accountKind,
  commit,
  draft,
  grave,
  ids,
  outcome,
} from '../../src/testing/store-suite/kit.ts'
import { testFolder } from './folder.ts'

let place: ReturnType<typeof testFolder>

beforeEach(() => {
  place = testFolder()
})

afterEach(() => place.remove())

/** A file as version 1 wrote it, by its own SQL: the first step is never changed once it is released. */
function writeVersion1(): void {
  const db = new DatabaseSync(place.path)
  SCHEMA_STEPS[0]?.(db)
  const body = JSON.stringify({ name: 'n', keys: ['k'], rank: 4 })
  db.exec(`
    PRAGMA application_id = ${APPLICATION_ID}; PRAGMA user_version = 1; PRAGMA journal_mode = WAL;
    INSERT INTO kind VALUES (1, 'suite_account', 1, '[["key","name"],["due","owner","rank","tag"],"key"]');
    INSERT INTO ind VALUES (1, 1, 'u', 'name'), (2, 1, 'u', 'key'), (3, 1, 'o', 'rank'), (4, 1, 'o', 'due'),
      (5, 1, 'o', 'owner'), (6, 1, 'o', 'tag');
    INSERT INTO row VALUES (1, 1, 'old', 1, 0, '${body}');
    INSERT INTO uniq VALUES (1, 'n', 1), (2, 'k', 1);
    INSERT INTO ord VALUES (3, '', 4, 'old', 1);
  `)
  db.close()
}

const next: SchemaStep = (db) => db.exec('ALTER TABLE row ADD COLUMN extra INTEGER NOT NULL DEFAULT 7')

describe('files of older versions', () => {
  it('a file of version 1 is read by the present version', async () => {
    writeVersion1()
    const store = await FileTokenStore.open(place.path, { allowInsecurePermissions: true })
    expect(store.get(accountKind, 'old')?.value).toEqual({ name: 'n', keys: ['k'], rank: 4 })
    expect(store.find(accountKind, 'key', ['k'])?.id).toBe('old')
    expect(await ids(store, accountKind, { index: 'rank' })).toEqual(['old'])
    await commit(store, account('old', 1, { rank: 5 }))
    await store.close()
  })

  it('missing steps are done at open, once, by whoever comes first', async () => {
    writeVersion1()
    const insecure = { allowInsecurePermissions: true }
    let done = 0
    const counted: SchemaStep = (db) => {
      done += 1
      next(db)
    }
    const steps = [...SCHEMA_STEPS, counted, (db: DatabaseSync) => db.exec('CREATE TABLE more (a)')]
    const stores = await Promise.all([1, 2, 3].map(() => FileTokenStore.openWith(place.path, insecure, { steps })))
    expect(done).toBe(1)
    for (const store of stores) expect(store.get(accountKind, 'old')?.value.rank).toBe(4)
    await Promise.all(stores.map((store) => store.close()))
    const db = new DatabaseSync(place.path)
    expect(pragma(db, 'user_version')).toBe(SCHEMA_STEPS.length + 2)
    expect(db.prepare('SELECT extra FROM row').get()).toEqual({ extra: 7 })
    db.close()
    // This version doesn't know that schema.
    expect(await outcome(() => FileTokenStore.open(place.path, insecure))).toBe('ERR_STORE_NEWER_FILE')
  })

  it('a step that fails leaves the file as it was', async () => {
    writeVersion1()
    const before = readFileSync(place.path)
    const steps = [
      ...SCHEMA_STEPS,
      next,
      () => {
        throw new Error('a step that fails')
      },
    ]
    await expect(FileTokenStore.openWith(place.path, { allowInsecurePermissions: true }, { steps })).rejects.toThrow(
      'a step that fails',
    )
    expect(readFileSync(place.path).equals(before)).toBe(true)
    const store = await FileTokenStore.open(place.path, { allowInsecurePermissions: true })
    expect(store.get(accountKind, 'old')?.revision).toBe(1)
    await store.close()
  })

  it('an older file isn’t changed by one who only reads', async () => {
    writeVersion1()
    const before = readFileSync(place.path)
    const steps = [...SCHEMA_STEPS, next]
    const reader = { readOnly: true, allowInsecurePermissions: true }
    expect(await outcome(() => FileTokenStore.openWith(place.path, reader, { steps }))).toBe('ERR_STORE_UNAVAILABLE')
    expect(readFileSync(place.path).equals(before)).toBe(true)
  })
})

describe('kinds that have changed', () => {
  const { rank, due, owner } = accountKind.order
  const changed: Kind<Account, 'rank' | 'due' | 'owner' | 'byName', 'key' | 'rank'> = {
    ...accountKind,
    schema: 2,
    keeps: 'key',
    unique: { key: accountKind.unique.key, rank: (value) => [String(value.rank)] },
    order: { rank, due, owner, byName: (value) => ({ at: value.name.length, in: 'names' }) },
  }

  it('their indexes are made anew, by a read or by a write', async () => {
    for (const first of ['read', 'write'] as const) {
      const { path, remove } = testFolder()
      const old = await FileTokenStore.open(path)
      for (let n = 0; n < 30; n++) await commit(old, account(`a${n}`, 0, { rank: n, tags: ['t'] }))
      await commit(old, grave('a3', 1))
      await old.close()
      const store = await FileTokenStore.open(path)
      if (first === 'write') {
        const value = { name: 'x', keys: [], rank: 99 }
        expect(await outcome(() => store.commit(draft([{ kind: changed, id: 'x', revision: 0, value }])))).toBe('ok')
      }
      expect(store.find(changed, 'rank', ['7'])?.id).toBe('a7')
      expect((await ids(store, changed, { index: 'byName', in: 'names', to: 11 })).length).toBe(
        first === 'read' ? 9 : 10,
      )
      const kept = draft([{ kind: changed, id: 'y', revision: 0, value: { name: 'y', keys: ['key of a3'], rank: 98 } }])
      expect(await outcome(() => store.commit(kept))).toBe('ERR_UNIQUE_CONFLICT')
      await store.close()
      // Once it is done, the former version of the kind is refused.
      const again = await FileTokenStore.open(path)
      expect(await outcome(() => again.get(accountKind, 'a7'))).toBe('ERR_STORE_NEWER_FILE')
      expect(await outcome(() => commit(again, account('z', 0)))).toBe('ERR_STORE_NEWER_FILE')
      expect(again.get(changed, 'a7')?.revision).toBe(1)
      await again.close()
      remove()
    }
  })

  it('if the records don’t fit the new indexes, nothing is changed', async () => {
    const old = await FileTokenStore.open(place.path)
    await commit(old, account('a', 0, { rank: 1 }), account('b', 0, { rank: 1 }))
    await old.close()
    const store = await FileTokenStore.open(place.path)
    const write = { kind: changed, id: 'x', revision: 0, value: { name: 'x', keys: [], rank: 9 } }
    const lease = account('c', 0)
    expect((await outcome(() => store.commit(draft([write])))) === 'ok').toBe(false)
    expect((await outcome(() => store.get(changed, 'a'))) === 'ok').toBe(false)
    expect(await outcome(() => store.commit(draft([lease])))).toBe('ok')
    expect(await ids(store, accountKind, { index: 'rank' })).toEqual(['c', 'a', 'b'])
    await store.close()
  })
})
