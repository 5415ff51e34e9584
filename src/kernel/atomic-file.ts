import { Buffer } from 'node:buffer'
import { lstat, open, readdir, rename, unlink } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { TokenwrightError } from './errors.ts'
import { systemRandom } from './random.ts'

/** A file could not be replaced. */
export class AtomicWriteError extends TokenwrightError<'ERR_ATOMIC_WRITE'> {
  /** The file that was to be replaced. */
  readonly path: string
  /** The system's code, such as `ENOSPC` or `EACCES`; absent when the system reported success but wrote less. */
  readonly errno: string | undefined
  /**
   * Whether the new content stands in place already, and only its survival of a power cut is in doubt. Otherwise the
   * old content, or its absence, is as it was.
   */
  readonly replaced: boolean

  /**
   * @param path - the file
   * @param what - the step that failed
   * @param replaced - whether the new content stands
   * @param cause - the system's error; it names paths, never content
   */
  constructor(path: string, what: string, replaced: boolean, cause?: unknown) {
    const errno = errnoOf(cause)
    const state = replaced ? 'the new content stands but may not survive a power cut' : 'the file is as it was'
    super(
      'ERR_ATOMIC_WRITE',
      `${path} could not be written: ${what}${errno === undefined ? '' : ` (${errno})`}; ${state}`,
      {
        help: 'look at the space, the permissions and the health of the disk, then write again',
        retryable: true,
        cause,
      },
    )
    this.path = path
    this.errno = errno
    this.replaced = replaced
  }
}

function errnoOf(cause: unknown): string | undefined {
  const code = typeof cause === 'object' && cause !== null && 'code' in cause ? cause.code : undefined
  return typeof code === 'string' ? code : undefined
}

/** How {@link writeFileAtomic} writes. */
export interface AtomicWriteOptions {
  /** The permissions of the file, whatever the umask. Default `0o600`. */
  readonly mode?: number
  /**
   * Looks at the new content before it takes its place: the file under its temporary name, down on the disk. When it
   * throws, that file is removed and the error passed on.
   */
  readonly check?: (temporary: string) => unknown
}

/** An open file, as far as {@link atomicWriter} needs one; node's `FileHandle` is one. */
export interface WritableFile {
  write(data: Uint8Array, offset: number, length: number): Promise<{ readonly bytesWritten: number }>
  chmod(mode: number): Promise<void>
  stat(): Promise<{ readonly size: number }>
  sync(): Promise<void>
  close(): Promise<void>
}

/** The part of a file system that {@link atomicWriter} needs; `node:fs/promises` is one. */
export interface FileSystem {
  open(path: string, flags: string, mode?: number): Promise<WritableFile>
  rename(from: string, to: string): Promise<void>
  unlink(path: string): Promise<void>
  /** As `process.platform` tells it. */
  readonly platform: string
}

/**
 * Replaces a file's content so that, whatever happens, it holds all of the old or all of the new: the new is written
 * beside it under a random name, checked, synced, renamed over it, and the folder synced. Of concurrent writers the
 * last one to rename wins whole. A symbolic link is replaced by a file.
 *
 * @param path - the file; its folder must exist and be writable
 * @param data - the new content, whole or piece by piece; a string is written as UTF-8
 * @param options - its permissions, and a last look at it
 * @throws AtomicWriteError when a step fails; its `replaced` tells which content stands. What `data` or `check` throws,
 * as it is
 */
export async function writeFileAtomic(
  path: string,
  data: string | Uint8Array | AsyncIterable<Uint8Array>,
  options: AtomicWriteOptions = {},
): Promise<void> {
  await systemWriter(path, data, options)
}

/**
 * {@link writeFileAtomic} over another file system.
 *
 * @internal for tests, which let its steps fail
 */
export function atomicWriter(files: FileSystem): typeof writeFileAtomic {
  return async (path, data, options = {}) => {
    const pieces = Symbol.asyncIterator in Object(data) ? foreign(data as AsyncIterable<Uint8Array>) : [bytesOf(data)]
    const folder = dirname(path)
    const suffix = Buffer.from(systemRandom().bytes(SUFFIX_BYTES)).toString('hex')
    const temporary = join(folder, `.${basename(path).slice(0, NAME_KEPT)}.${suffix}${TEMPORARY}`)
    try {
      await writeNew(files, temporary, pieces, options)
    } catch (error) {
      if (error instanceof Foreign) throw error.cause
      throw new AtomicWriteError(
        path,
        error instanceof ShortWrite ? 'the disk took less than it confirmed' : 'writing failed',
        false,
        error,
      )
    }
    try {
      await files.rename(temporary, path)
    } catch (error) {
      await files.unlink(temporary).catch(() => {})
      throw new AtomicWriteError(path, 'the new file could not be renamed over it', false, error)
    }
    await syncFolder(files, path, folder)
  }
}

const systemWriter = atomicWriter({ open, rename, unlink, platform: process.platform })

/** Temporary names: a dot, the start of the file's name, random hex digits, this. */
const TEMPORARY = '.tmp'
const SUFFIX_BYTES = 12
const NAME_KEPT = 40
const TEMPORARY_NAME = /\.[0-9a-f]{24}\.tmp$/

/** The file ended up shorter than what was written to it. */
class ShortWrite extends Error {}

/** What the caller's own code threw, on its way through ours. */
class Foreign extends Error {}

async function* foreign(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  try {
    yield* pieces
  } catch (cause) {
    throw new Foreign('', { cause })
  }
}

function bytesOf(data: string | Uint8Array | AsyncIterable<Uint8Array>): Uint8Array {
  return typeof data === 'string' ? Buffer.from(data) : (data as Uint8Array)
}

/** Writes a file that isn't there yet down to the disk, or leaves nothing behind. */
async function writeNew(
  files: FileSystem,
  path: string,
  pieces: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
  { mode = 0o600, check }: AtomicWriteOptions,
): Promise<void> {
  const file = await files.open(path, 'wx', mode)
  let written = 0
  try {
    try {
      // The umask may have taken bits from the mode.
      await file.chmod(mode)
      // One write may take only a part: on a full disk it does, and reports success.
      for await (const bytes of pieces) {
        for (let at = 0; at < bytes.length; ) {
          const { bytesWritten } = await file.write(bytes, at, bytes.length - at)
          if (bytesWritten <= 0) throw new ShortWrite('nothing was written')
          at += bytesWritten
        }
        written += bytes.length
      }
      const { size } = await file.stat()
      if (size !== written) throw new ShortWrite(`${size} of ${written} bytes`)
      await file.sync()
    } finally {
      await file.close()
    }
    if (check !== undefined) await checked(check, path)
  } catch (error) {
    await files.unlink(path).catch(() => {})
    throw error
  }
}

async function checked(check: (temporary: string) => unknown, temporary: string): Promise<void> {
  try {
    await check(temporary)
  } catch (cause) {
    throw new Foreign('', { cause })
  }
}

/**
 * Removes what {@link writeFileAtomic} left under temporary names where a process was killed over it: for files whose
 * name begins with `start`, and that nobody has written to for `idleMs`. One that can't be removed is left for the next
 * time.
 *
 * @param folder - the folder of the files
 * @param start - how their names begin
 * @param idleMs - how long nothing was written, ms
 * @returns how many were removed
 */
export async function removeAbandoned(folder: string, start: string, idleMs: number): Promise<number> {
  let removed = 0
  const begin = `.${start.slice(0, NAME_KEPT)}`
  for (const name of await readdir(folder)) {
    if (!name.startsWith(begin) || !TEMPORARY_NAME.test(name)) continue
    const path = join(folder, name)
    try {
      const found = await lstat(path)
      if (!found.isFile() || Date.now() - found.mtimeMs < idleMs) continue
      await unlink(path)
      removed += 1
    } catch {
      // Gone meanwhile, or another user's.
    }
  }
  return removed
}

/** Makes the renaming itself durable. */
async function syncFolder(files: FileSystem, path: string, folder: string): Promise<void> {
  try {
    const handle = await files.open(folder, 'r')
    try {
      await handle.sync()
    } finally {
      await handle.close()
    }
  } catch (error) {
    // Windows can't sync folders; NTFS journals renames by itself.
    if (files.platform === 'win32' && ['EPERM', 'EISDIR', 'EACCES'].includes(errnoOf(error) ?? '')) return
    throw new AtomicWriteError(path, 'its folder could not be synced', true, error)
  }
}
