import { createHash } from 'node:crypto'
import { stat } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { finished, type Writable } from 'node:stream'
import { removeAbandoned, writeFileAtomic } from '../kernel/atomic-file.ts'
import { codeOf, InvalidInputError } from '../kernel/errors.ts'
import { ArchiveIoError } from './errors.ts'

/** Where an archive goes: a file, a folder (which gets a file named by the time), a web stream, or a stream of Node. */
export type ArchiveTarget = string | WritableStream<Uint8Array> | Writable

/** What became of the bytes. */
export interface Written {
  /** The file's path; absent for a stream. */
  readonly file?: string
  readonly bytes: number
  /** Hex. */
  readonly sha256: string
}

/** The names of archives in a folder begin with it, and with a dot before it while they are written. */
export const NAME_START = 'tokenwright-'
const NAME_END = '.twb'

/** A temporary file that nobody has written to for so long is what a killed process left, ms. */
const ABANDONED_MS = 3_600_000

/** The name of an archive in a folder: by time, with something random, so that names sort and never meet. */
export function archiveName(createdAt: number, archive: string): string {
  const time = new Date(createdAt).toISOString().replaceAll(/[-:.]/g, '')
  return `${NAME_START}${time}-${archive.slice(-8)}${NAME_END}`
}

/** Whether a file's name is one that {@link archiveName} gives. */
export function isArchiveName(name: string): boolean {
  return /^tokenwright-\d{8}T\d{9}Z-[0-9A-Za-z]{8}\.twb$/.test(name)
}

/**
 * Finds out where an archive is to go.
 *
 * @returns the file's path, or the stream
 * @throws InvalidInputError for what is neither a path nor a stream
 */
export async function targetOf(
  field: string,
  to: ArchiveTarget,
  name: string,
): Promise<string | Exclude<ArchiveTarget, string>> {
  if (typeof to !== 'string') {
    if (to instanceof WritableStream && to.locked) {
      throw new InvalidInputError(field, 'is a stream that has a writer already', 'release its lock first')
    }
    if (to instanceof WritableStream || (typeof to === 'object' && to !== null && typeof to.write === 'function'))
      return to
    throw new InvalidInputError(field, 'is no path and no writable stream', 'give a path, a folder or a stream')
  }
  if (to === '' || to.includes('\u0000')) throw new InvalidInputError(field, 'is no path', 'give a path or a folder')
  const path = resolve(to)
  const folder = /[/\\]$/.test(to) || (await isFolder(path))
  return folder ? join(path, name) : path
}

async function isFolder(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  )
}

/**
 * Writes an archive: a file under a temporary name first, which takes its own once it is on the disk and `check` has
 * passed it; or a stream, to its end.
 *
 * @throws AtomicWriteError, ArchiveIoError; what `bytes` and `check` throw
 */
export async function writeArchive(
  target: Exclude<ArchiveTarget, string> | string,
  bytes: AsyncIterable<Uint8Array>,
  check: ((path: string) => Promise<void>) | undefined,
): Promise<Written> {
  const hash = createHash('sha256')
  let size = 0
  async function* counted(): AsyncGenerator<Uint8Array> {
    for await (const piece of bytes) {
      hash.update(piece)
      size += piece.length
      yield piece
    }
  }
  if (typeof target === 'string') {
    await sweep(target)
    await writeFileAtomic(target, counted(), check === undefined ? {} : { check })
  } else {
    await (target instanceof WritableStream ? writeWeb(target, counted()) : writeNode(target, counted()))
  }
  return { ...(typeof target === 'string' && { file: target }), bytes: size, sha256: hash.digest('hex') }
}

/** Removes what archives left that were killed before they had their name. */
async function sweep(path: string): Promise<void> {
  const name = basename(path)
  try {
    await removeAbandoned(dirname(path), isArchiveName(name) ? NAME_START : `${name}.`, ABANDONED_MS)
  } catch (error) {
    throw new ArchiveIoError(`the folder ${dirname(path)} can't be read (${codeOf(error)})`, error)
  }
}

async function writeWeb(stream: WritableStream<Uint8Array>, bytes: AsyncIterable<Uint8Array>): Promise<void> {
  const writer = stream.getWriter()
  try {
    for await (const piece of bytes) await outward(writer.write(piece))
    await outward(writer.close())
  } catch (error) {
    // Whoever reads the other end must not take what there is for all.
    await writer.abort(error).catch(() => {})
    throw error
  } finally {
    writer.releaseLock()
  }
}

async function writeNode(stream: Writable, bytes: AsyncIterable<Uint8Array>): Promise<void> {
  const ended = new Promise<void>((resolve, reject) =>
    finished(stream, { readable: false }, (error) => (error ? reject(error) : resolve())),
  )
  // A failure is heard of where it is awaited.
  ended.catch(() => {})
  try {
    for await (const piece of bytes) {
      await stillOpen(stream, ended)
      if (stream.write(piece)) continue
      await outward(Promise.race([ended, new Promise((resolve) => stream.once('drain', resolve))]))
    }
    await stillOpen(stream, ended)
    stream.end()
    await outward(ended)
  } catch (error) {
    stream.destroy(error instanceof Error ? error : undefined)
    throw error
  }
}

/** A stream that others have ended would take the rest in silence, and end well. */
async function stillOpen(stream: Writable, ended: Promise<void>): Promise<void> {
  if (stream.writable && !stream.writableEnded) return
  await outward(ended)
  throw new ArchiveIoError('the stream that the archive goes to was ended before it had all', undefined)
}

/** Waits for the stream, and tells its failures from those of the archive. */
async function outward(step: Promise<unknown>): Promise<void> {
  try {
    await step
  } catch (error) {
    throw new ArchiveIoError(`the stream that the archive goes to failed (${codeOf(error)})`, error)
  }
}
