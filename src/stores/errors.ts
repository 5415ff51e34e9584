import { TokenwrightError } from '../kernel/errors.ts'

/** The codes of the errors that stores throw. */
export type StoreErrorCode =
  | 'ERR_STALE_REVISION'
  | 'ERR_UNIQUE_CONFLICT'
  | 'ERR_INVALID_COMMIT'
  | 'ERR_STORE_CLOSED'
  | 'ERR_STORE_UNAVAILABLE'
  | 'ERR_STORE_BUSY'
  | 'ERR_STORE_FULL'
  | 'ERR_STORE_READ_ONLY'
  | 'ERR_STORE_FOREIGN_FILE'
  | 'ERR_STORE_NEWER_FILE'
  | 'ERR_STORE_NEWER_SCHEMA'
  | 'ERR_STORE_NOT_MIGRATED'
  | 'ERR_STORE_PERMISSIONS'
  | 'ERR_STORE_POISONED'

/** A store that can't do what was asked. `retryable` tells whether waiting helps. */
export class StoreError extends TokenwrightError<StoreErrorCode> {}

/** The record has changed since it was read: another writer was faster. Nothing was written. */
export class StaleRevisionError extends StoreError {
  readonly kind: string
  readonly id: string
  readonly expected: number
  /** The revision found; 0 = none. */
  readonly found: number

  /**
   * @param kind - the record's kind
   * @param id - the record's id
   * @param expected - the revision that the commit named
   * @param found - the revision that stands there
   */
  constructor(kind: string, id: string, expected: number, found: number) {
    super(
      'ERR_STALE_REVISION',
      `${kind} ${id} is at revision ${found}, not at ${expected}; another change came first`,
      {
        help: 'read it again and repeat the change',
        retryable: true,
      },
    )
    this.kind = kind
    this.id = id
    this.expected = expected
    this.found = found
  }
}

/** A key that must be unique is held by another record, or by what remains of a removed one. Nothing was written. */
export class UniqueConflictError extends StoreError {
  readonly kind: string
  readonly index: string
  /** The record that holds the key. */
  readonly holder: string
  /** Whether the holder is a tombstone. */
  readonly removed: boolean

  /**
   * @param kind - the kind
   * @param index - its unique index
   * @param holder - the id of the record that holds the key
   * @param removed - whether that record is a tombstone
   */
  constructor(kind: string, index: string, holder: string, removed: boolean) {
    super('ERR_UNIQUE_CONFLICT', `a ${kind} with the same ${index} exists${removed ? ' (removed)' : ''}: ${holder}`, {
      help: removed ? 'use another value; removed ones never come back' : 'use another value or change that record',
    })
    this.kind = kind
    this.index = index
    this.holder = holder
    this.removed = removed
  }
}

/** A commit that contradicts the rules of the store's contract: a fault of the caller's code. */
export class InvalidCommitError extends StoreError {
  /** @param what - what is wrong with it */
  constructor(what: string) {
    super('ERR_INVALID_COMMIT', what, { help: 'mend the code that makes the commit' })
  }
}

/** The store doesn't answer, or answers with an error of its own. */
export class StoreUnavailableError extends StoreError {
  /** The engine's own code, such as `57P03` or `SQLITE_IOERR`. */
  readonly engineCode: string | undefined

  /**
   * @param what - what failed, without credentials
   * @param engineCode - the engine's own code
   * @param retryable - whether waiting helps; default true
   */
  constructor(what: string, engineCode?: string, retryable = true) {
    super('ERR_STORE_UNAVAILABLE', engineCode === undefined ? what : `${what} (${engineCode})`, {
      help: retryable ? 'try again; if it stays so, look at the store' : 'look at the store',
      retryable,
    })
    this.engineCode = engineCode
  }
}

/** The store was used after `close()`. */
export class StoreClosedError extends StoreError {
  constructor() {
    super('ERR_STORE_CLOSED', 'the store is closed', { help: 'open it again' })
  }
}

/** Other writers held the store for too long. Nothing was written. */
export class StoreBusyError extends StoreError {
  /** How long it was tried, ms. */
  readonly waitedMs: number

  /**
   * @param what - the store, as its user knows it
   * @param waitedMs - how long it was tried, ms
   */
  constructor(what: string, waitedMs: number) {
    super('ERR_STORE_BUSY', `${what} was held by other writers for ${Math.round(waitedMs)} ms`, {
      help: 'try again; if it stays so, look for a process that holds it',
      retryable: true,
    })
    this.waitedMs = waitedMs
  }
}
