import { Buffer } from 'node:buffer'
import { open, rename, unlink } from 'node:fs/promises'
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
 * @param data - the new content; a string is written as UTF-8
 * @param options - its permissions
 * @throws AtomicWriteError when a step fails; its `replaced` tells which content stands
 */
export async function writeFileAtomic(
  path: string,
  data: string | Uint8Array,
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
    const bytes = typeof data === 'string' ? Buffer.from(data) : data
    const folder = dirname(path)
    const suffix = Buffer.from(systemRandom().bytes(12)).toString('hex')
    const temporary = join(folder, `.${basename(path).slice(0, 40)}.${suffix}.tmp`)
    try {
      await writeNew(files, temporary, bytes, options.mode ?? 0o600)
    } catch (error) {
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

/** The file ended up shorter than what was written to it. */
class ShortWrite extends Error {}

/** Writes a file that isn't there yet down to the disk, or leaves nothing behind. */
async function writeNew(files: FileSystem, path: string, bytes: Uint8Array, mode: number): Promise<void> {
  const file = await files.open(path, 'wx', mode)
  try {
    try {
      // The umask may have taken bits from the mode.
      await file.chmod(mode)
      // One write may take only a part: on a full disk it does, and reports success.
      for (let at = 0; at < bytes.length; ) {
        const { bytesWritten } = await file.write(bytes, at, bytes.length - at)
        if (bytesWritten <= 0) throw new ShortWrite('nothing was written')
        at += bytesWritten
      }
      const { size } = await file.stat()
      if (size !== bytes.length) throw new ShortWrite(`${size} of ${bytes.length} bytes`)
      await file.sync()
    } finally {
      await file.close()
    }
  } catch (error) {
    await files.unlink(path).catch(() => {})
    throw error
  }
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
