import type { DatabaseSync } from 'node:sqlite'
import { ArchiveIoError } from './errors.ts'

/** A set of ids of any size in a few MB of memory: a temporary table of SQLite, on the disk when it grows, without a name there. */
export class IdSet {
  readonly #db: DatabaseSync
  readonly #add: (kind: string, id: string) => void
  readonly #has: (kind: string, id: string) => boolean

  private constructor(db: DatabaseSync) {
    this.#db = db
    // Nobody else sees it, and nothing of it is to last: one transaction that is never committed.
    db.exec(`PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -4096;
      CREATE TABLE ids (kind TEXT, id TEXT, PRIMARY KEY (kind, id)) WITHOUT ROWID; BEGIN`)
    const add = db.prepare('INSERT OR IGNORE INTO ids VALUES (?, ?)')
    const has = db.prepare('SELECT 1 FROM ids WHERE kind = ? AND id = ?')
    this.#add = (kind, id) => void add.run(kind, id)
    this.#has = (kind, id) => has.get(kind, id) !== undefined
  }

  /** An empty one. */
  static async open(): Promise<IdSet> {
    // Few restores need it: hosts that can't import it can do the others.
    const { DatabaseSync } = await import('node:sqlite')
    return new IdSet(new DatabaseSync(''))
  }

  /**
   * Adds an id.
   *
   * @throws ArchiveIoError when there is no room on the disk
   */
  add(kind: string, id: string): void {
    onDisk(() => this.#add(kind, id))
  }

  /** Whether an id was added. */
  has(kind: string, id: string): boolean {
    return onDisk(() => this.#has(kind, id))
  }

  /** Lets go of it. */
  close(): void {
    this.#db.close()
  }
}

function onDisk<T>(action: () => T): T {
  try {
    return action()
  } catch (error) {
    throw new ArchiveIoError('the temporary table of the ids can not be used', error)
  }
}
