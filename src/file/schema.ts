import type { DatabaseSync } from 'node:sqlite'
import { newer } from './engine-errors.ts'

/** Marks our files (SQLite's application_id): `twrt`. */
export const APPLICATION_ID = 0x74777274

/** One step of the schema: makes version n + 1 of version n. It runs within a transaction. */
export type SchemaStep = (db: DatabaseSync) => void

/**
 * The steps from an empty file to the present schema. A step that was released is never changed; what is new comes as
 * another step at the end.
 *
 * `row` holds every record and tombstone. `uniq` and `ord` are the entries of all unique and order indexes, by the
 * numbers in `ind`; the partition of those that name none is the empty text. `commits` and `flushes` remember what was
 * done, for when it comes again.
 */
export const SCHEMA_STEPS: readonly SchemaStep[] = [
  (db) =>
    db.exec(`
      CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
      CREATE TABLE kind (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, schema INTEGER NOT NULL, shape TEXT NOT NULL) STRICT;
      CREATE TABLE ind (
        id INTEGER PRIMARY KEY, kind INTEGER NOT NULL, sort TEXT NOT NULL, name TEXT NOT NULL, UNIQUE (kind, sort, name)
      ) STRICT;
      CREATE TABLE row (
        n INTEGER PRIMARY KEY, kind INTEGER NOT NULL, id TEXT NOT NULL, revision INTEGER NOT NULL,
        gone INTEGER NOT NULL, body TEXT NOT NULL
      ) STRICT;
      CREATE UNIQUE INDEX row_id ON row (kind, id);
      CREATE TABLE uniq (
        ind INTEGER NOT NULL, key TEXT NOT NULL, n INTEGER NOT NULL, PRIMARY KEY (ind, key)
      ) STRICT, WITHOUT ROWID;
      CREATE TABLE ord (
        ind INTEGER NOT NULL, part TEXT NOT NULL, at INTEGER NOT NULL, id TEXT NOT NULL, n INTEGER NOT NULL,
        PRIMARY KEY (ind, part, at, id)
      ) STRICT, WITHOUT ROWID;
      CREATE TABLE journal (
        seq INTEGER PRIMARY KEY, kind TEXT NOT NULL, subject TEXT NOT NULL, mac TEXT NOT NULL, body TEXT NOT NULL
      ) STRICT;
      CREATE INDEX journal_subject ON journal (subject, seq);
      CREATE TABLE commits (
        n INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, at INTEGER NOT NULL, revisions TEXT NOT NULL
      ) STRICT;
      CREATE TABLE flushes (n INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, at INTEGER NOT NULL) STRICT;
      CREATE TABLE usage (
        hour INTEGER NOT NULL, token TEXT NOT NULL, tool TEXT NOT NULL, outcome TEXT NOT NULL,
        calls INTEGER NOT NULL, cost REAL NOT NULL, failures REAL NOT NULL, duration REAL NOT NULL,
        latency TEXT, last_at INTEGER NOT NULL,
        PRIMARY KEY (hour, token, tool, outcome)
      ) STRICT, WITHOUT ROWID;
      CREATE INDEX usage_token ON usage (token, hour);
    `),
]

/** The number that a pragma answers. */
export function pragma(db: DatabaseSync, name: string): number {
  return Number(Object.values(db.prepare(`PRAGMA ${name}`).get() ?? {})[0])
}

/**
 * Brings a file to the present schema, all steps or none. To be called within a transaction that holds the write lock.
 *
 * @throws StoreError ERR_STORE_NEWER_FILE when the file is ahead of the steps
 */
export function migrate(db: DatabaseSync, path: string, steps: readonly SchemaStep[]): void {
  const version = pragma(db, 'user_version')
  if (version > steps.length) throw newer(path, version, steps.length)
  if (version === steps.length) return
  for (const step of steps.slice(version)) step(db)
  db.exec(`PRAGMA application_id = ${APPLICATION_ID}; PRAGMA user_version = ${steps.length}`)
}
