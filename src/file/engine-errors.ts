import { TokenwrightError } from '../kernel/errors.ts'
import { StoreBusyError, StoreError, StoreUnavailableError } from '../stores/errors.ts'

/** SQLite's primary result codes that mean something to us. */
const BUSY = 5
const LOCKED = 6
const READONLY = 8
const IOERR = 10
const CORRUPT = 11
const FULL = 13
const CANTOPEN = 14
const NOTADB = 26

/** The extended code of a folder in which no file can be made. */
const READONLY_DIRECTORY = READONLY | (6 << 8)

/** SQLite's extended result code of an error of the engine; undefined for any other error. */
export function engineCode(error: unknown): number | undefined {
  if (!(error instanceof Error)) return undefined
  const { code, errcode } = error as { code?: unknown; errcode?: unknown }
  return code === 'ERR_SQLITE_ERROR' && typeof errcode === 'number' ? errcode : undefined
}

/** Whether another connection holds the lock: trying again helps. */
export function isBusy(error: unknown): boolean {
  const code = engineCode(error)
  return code !== undefined && ((code & 0xff) === BUSY || (code & 0xff) === LOCKED)
}

/** Whether the engine could not open or make a file. */
export function isCantOpen(error: unknown): boolean {
  const code = engineCode(error)
  return code !== undefined && (code & 0xff) === CANTOPEN
}

/** Whether the disk failed under a write: what is in the file can't be trusted until it is opened anew. */
export function isDiskFailure(error: unknown): boolean {
  const code = engineCode(error)
  return code !== undefined && (code & 0xff) === IOERR
}

/** Whether the error concerns every write, not only the one that met it. */
export function concernsAll(error: unknown): boolean {
  const code = engineCode(error)
  if (code === undefined) return false
  return [READONLY, IOERR, CORRUPT, FULL, CANTOPEN, NOTADB].includes(code & 0xff)
}

/**
 * An error of the engine as the error that the store throws; others as they are.
 *
 * @param path - the file
 * @param doing - what was tried, such as `read`
 */
export function storeErrorOf(error: unknown, path: string, doing: string): Error {
  if (error instanceof TokenwrightError) return error
  const extended = engineCode(error)
  if (extended === undefined) return error instanceof Error ? error : new Error(String(error))
  const cause = error
  switch (extended & 0xff) {
    case BUSY:
    case LOCKED:
      return new StoreBusyError(`the store ${path}`, 0)
    case FULL:
      return new StoreError('ERR_STORE_FULL', `the disk that holds ${path} is full; nothing was written`, {
        help: 'make room; the store works again as soon as there is some',
        cause,
      })
    case READONLY:
      return readOnly(
        path,
        extended === READONLY_DIRECTORY ? 'the folder can not be written' : 'it can not be written',
        cause,
      )
    case CANTOPEN:
      return new StoreUnavailableError(`can't open ${path} or the files beside it`, 'SQLITE_CANTOPEN', false)
    case CORRUPT:
    case NOTADB:
      return foreign(path, 'it is damaged or not a database', cause)
    case IOERR:
      return new StoreUnavailableError(
        `the disk failed while the store tried to ${doing} ${path}`,
        `SQLITE_IOERR ${extended}`,
      )
    default:
      return new StoreUnavailableError(`can't ${doing} ${path}`, `SQLITE ${extended}`, false)
  }
}

/** The error for a file that the store may not write. */
export function readOnly(path: string, why: string, cause?: unknown): StoreError {
  return new StoreError('ERR_STORE_READ_ONLY', `${path} is opened for writing, and ${why}`, {
    help: 'give this user the right to write the file and its folder, or open it with readOnly: true',
    cause,
  })
}

/** The error for a file that isn't a store of ours. */
export function foreign(path: string, why: string, cause?: unknown): StoreError {
  return new StoreError('ERR_STORE_FOREIGN_FILE', `${path} is not a token store: ${why}; it was left as it is`, {
    help: 'give the path of a token store, or of a file that does not exist yet; restore a damaged one from a backup',
    cause,
  })
}

/** The error for a file written by a newer version of this library. */
export function newer(path: string, found: number, known: number, what = 'its schema'): StoreError {
  return new StoreError(
    'ERR_STORE_NEWER_FILE',
    `${path} was written by a newer version: ${what} is ${found}, known here is ${known}`,
    {
      help: 'update tokenwright; the file was left as it is',
    },
  )
}

/** The error for a store that met a disk failure while it wrote. */
export function poisoned(path: string, cause?: unknown): StoreError {
  return new StoreError('ERR_STORE_POISONED', `the disk failed while ${path} was written; what it kept is unknown`, {
    help: 'look at the disk, then close the store and open it again',
    cause,
  })
}
