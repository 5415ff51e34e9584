import { constants } from 'node:fs'
import { type FileHandle, mkdir, open, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { pathToFileURL } from 'node:url'
import type { Clock } from '../kernel/clock.ts'
import type { Random } from '../kernel/random.ts'
import { pause } from '../kernel/turn.ts'
import { StoreBusyError, StoreError, StoreUnavailableError } from '../stores/errors.ts'
import { foreign, isBusy, isCantOpen, newer, readOnly, storeErrorOf } from './engine-errors.ts'
import { APPLICATION_ID, migrate, pragma, SCHEMA_STEPS, type SchemaStep } from './schema.ts'

/** How long SQLite itself may wait for a lock, ms: it blocks the event loop meanwhile. */
export const BUSY_TIMEOUT_MS = 2

/** How long a write is tried while others hold the lock, ms. */
export const BUSY_LIMIT_MS = 5000

/** The first bytes of every SQLite file. */
const MAGIC = 'SQLite format 3\u0000'
const HEADER_BYTES = 100
const USER_VERSION_AT = 60
const APPLICATION_ID_AT = 68

/** Group's and others' rights in a file's mode. */
const FOREIGN_RIGHTS = 0o077

/** What opening needs to know. */
export interface OpenDatabase {
  /** Absolute. */
  readonly path: string
  readonly readOnly: boolean
  readonly allowInsecurePermissions: boolean
  readonly clock: Clock
  readonly random: Random
  /** The schema. Default: the present one. */
  readonly steps?: readonly SchemaStep[] | undefined
}

/** A random wait before a lock is tried for again, ms. */
export function busyWait(random: Random): number {
  return 1 + random.float() * 4
}

/**
 * Opens the file, making it and its folder if they aren't there, and brings it to the present schema.
 *
 * @throws StoreError with the codes that {@link FileTokenStore.open} names; the file is then as it was
 */
export async function openDatabase(options: OpenDatabase): Promise<DatabaseSync> {
  try {
    if (!options.readOnly) await makeFile(options)
    await checkFile(options)
    return options.readOnly ? openToRead(options) : await openToWrite(options)
  } catch (error) {
    throw fileError(error, options)
  }
}

/** Opens another connection that only reads, for a long snapshot. */
export function openReader(path: string): DatabaseSync {
  return new DatabaseSync(path, { readOnly: true, timeout: BUSY_TIMEOUT_MS })
}

async function makeFile({ path }: OpenDatabase): Promise<void> {
  const folder = dirname(path)
  await mkdir(folder, { recursive: true, mode: 0o700 })
  let file: FileHandle
  try {
    // Made before SQLite sees it: the files beside it take over its mode.
    file = await open(path, 'wx', 0o600)
  } catch (error) {
    if (errnoOf(error) === 'EEXIST') return
    throw error
  }
  await file.close()
  if (process.platform === 'win32') return
  // The file's name has to survive a power failure too.
  const made = await open(folder, 'r')
  await made.sync().finally(() => made.close())
}

async function checkFile(options: OpenDatabase): Promise<void> {
  const { path } = options
  const file = await open(path, options.readOnly ? constants.O_RDONLY : constants.O_RDWR)
  try {
    const { mode, size } = await file.stat()
    if (!options.allowInsecurePermissions && process.platform !== 'win32') {
      checkRights(path, mode)
      checkRights(dirname(path), (await stat(dirname(path))).mode)
    }
    if (size > 0) checkHeader(options, await readHeader(file))
  } finally {
    await file.close()
  }
}

function checkRights(path: string, mode: number): void {
  if ((mode & FOREIGN_RIGHTS) === 0) return
  const rights = (mode & 0o777).toString(8).padStart(3, '0')
  throw new StoreError(
    'ERR_STORE_PERMISSIONS',
    `${path} has mode ${rights}: other users of this machine can get at the store`,
    {
      help: 'use a folder of its own with mode 700 and a file with mode 600, or pass allowInsecurePermissions: true',
    },
  )
}

async function readHeader(file: FileHandle): Promise<Buffer> {
  const header = Buffer.alloc(HEADER_BYTES)
  const { bytesRead } = await file.read(header, 0, HEADER_BYTES, 0)
  return header.subarray(0, bytesRead)
}

/** Judges a file by its first bytes, so that what isn't ours is never touched. */
function checkHeader({ path, steps = SCHEMA_STEPS }: OpenDatabase, header: Buffer): void {
  if (header.length < HEADER_BYTES || header.toString('latin1', 0, MAGIC.length) !== MAGIC) {
    throw foreign(path, 'it is not a SQLite database')
  }
  if (header.readUInt32BE(APPLICATION_ID_AT) !== APPLICATION_ID)
    throw foreign(path, 'it belongs to another application')
  const version = header.readUInt32BE(USER_VERSION_AT)
  if (version > steps.length) throw newer(path, version, steps.length)
}

function openToRead(options: OpenDatabase): DatabaseSync {
  const { path, steps = SCHEMA_STEPS } = options
  let db = openReader(path)
  let version: number
  try {
    version = pragma(db, 'user_version')
  } catch (error) {
    db.close()
    // In a folder that can't be written SQLite can't make the files beside it. Nobody else can then, either.
    db = new DatabaseSync(new URL(`${pathToFileURL(path).href}?immutable=1`), { readOnly: true })
    try {
      version = pragma(db, 'user_version')
    } catch {
      db.close()
      throw error
    }
  }
  if (version === steps.length) return db
  db.close()
  if (version > steps.length) throw newer(path, version, steps.length)
  throw new StoreUnavailableError(`${path} is of an older version; open it once for writing`, undefined, false)
}

async function openToWrite(options: OpenDatabase): Promise<DatabaseSync> {
  const { path, steps = SCHEMA_STEPS } = options
  const db = new DatabaseSync(path, { timeout: BUSY_TIMEOUT_MS })
  try {
    // 16 MB of cache; the log goes into the file every 4000 pages: more often, and pages that many commits touch are
    // written too many times, less often, and a commit that does it takes too long.
    db.exec(
      'PRAGMA trusted_schema = OFF; PRAGMA synchronous = FULL; PRAGMA cache_size = -16384; PRAGMA wal_autocheckpoint = 4000',
    )
    // The log may hold a newer schema than the file's first page tells.
    const version = await retryBusy(options, () => pragma(db, 'user_version'))
    if (version > steps.length) throw newer(path, version, steps.length)
    // The schema is made before the write-ahead log is: so the first page always tells whose file it is.
    if (version < steps.length) await retryBusy(options, () => inTransaction(db, () => migrate(db, path, steps)))
    await retryBusy(options, () => db.exec('PRAGMA journal_mode = WAL'))
    return db
  } catch (error) {
    db.close()
    throw error
  }
}

function inTransaction(db: DatabaseSync, action: () => void): void {
  db.exec('BEGIN IMMEDIATE')
  try {
    action()
    db.exec('COMMIT')
  } catch (error) {
    if (db.isTransaction) db.exec('ROLLBACK')
    throw error
  }
}

async function retryBusy<T>({ path, clock, random }: OpenDatabase, action: () => T): Promise<T> {
  const from = clock.monotonic()
  for (;;) {
    try {
      return action()
    } catch (error) {
      if (!isBusy(error)) throw error
      const waited = clock.monotonic() - from
      if (waited >= BUSY_LIMIT_MS) throw new StoreBusyError(`the store ${path}`, waited)
      await pause(busyWait(random))
    }
  }
}

function errnoOf(error: unknown): string | undefined {
  const code = error instanceof Error ? (error as { code?: unknown }).code : undefined
  return typeof code === 'string' ? code : undefined
}

/** Errors of the file system and of the engine, as the store's. */
function fileError(error: unknown, { path, readOnly: toRead }: OpenDatabase): Error {
  const errno = errnoOf(error)
  switch (errno) {
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
      if (toRead) return new StoreUnavailableError(`${path} may not be read by this user`, errno, false)
      return readOnly(path, 'this user may not write the file or its folder', error)
    case 'ENOSPC':
      return new StoreError('ERR_STORE_FULL', `the disk that is to hold ${path} is full`, {
        help: 'make room',
        cause: error,
      })
    case 'ENOENT':
    case 'ENOTDIR':
    case 'EISDIR':
      return new StoreUnavailableError(`${path} can not be opened as a file`, errno, false)
    default:
      // The file itself could be opened before: it is the ones beside it that can't be made.
      if (!toRead && isCantOpen(error)) return readOnly(path, 'SQLite can not make its files in the folder', error)
      return storeErrorOf(error, path, 'open')
  }
}
