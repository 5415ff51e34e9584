import { Buffer } from 'node:buffer'
import { type FileHandle, mkdtemp, open, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { codeOf, InvalidInputError } from '../kernel/errors.ts'
import { ArchiveIoError } from './errors.ts'

/** Where an archive is: a file's path, or a stream of its bytes (a web stream, a stream of Node, any async iterable). */
export type ArchiveSource = string | AsyncIterable<Uint8Array>

/** An archive that can be read more than once. */
export interface ArchiveFile {
  /** Its bytes from the start. */
  bytes(): AsyncGenerator<Uint8Array>
  close(): Promise<void>
}

const READ_BYTES = 2 ** 18

/**
 * The bytes of an archive, to be read once.
 *
 * @throws InvalidInputError, ArchiveIoError
 */
export async function* bytesOf(source: ArchiveSource): AsyncGenerator<Uint8Array> {
  checkSource(source)
  if (typeof source !== 'string') {
    yield* streamed(source)
    return
  }
  const file = await openArchiveFile(source)
  try {
    yield* file.bytes()
  } finally {
    await file.close()
  }
}

/**
 * An archive that is read more than once: a stream is put down in a file of this process's own first. It is encrypted
 * there as everywhere.
 *
 * @throws InvalidInputError, ArchiveIoError
 */
export async function openSource(source: ArchiveSource): Promise<ArchiveFile> {
  checkSource(source)
  return typeof source === 'string' ? openArchiveFile(source) : spool(source)
}

function checkSource(source: unknown): asserts source is ArchiveSource {
  if (typeof source === 'string' && source !== '' && !source.includes('\u0000')) return
  if (typeof source === 'object' && source !== null && Symbol.asyncIterator in source) return
  throw new InvalidInputError('source', 'is no path and no stream of bytes', 'give the path of an archive, or a stream')
}

async function* streamed(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const pieces = piecesOf(source)
  try {
    for (;;) {
      const { value, done } = await pieces.next().catch((error: unknown) => {
        throw new ArchiveIoError(`the stream of the archive failed (${codeOf(error)})`, error)
      })
      if (done === true) return
      if (!(value instanceof Uint8Array)) {
        throw new InvalidInputError('source', 'gives something else than bytes', 'give a stream of Uint8Array')
      }
      yield value
    }
  } finally {
    await pieces.return?.()
  }
}

function piecesOf(source: AsyncIterable<Uint8Array>): AsyncIterator<Uint8Array> {
  try {
    return source[Symbol.asyncIterator]()
  } catch (error) {
    throw new InvalidInputError('source', `can't be read (${codeOf(error)})`, 'give a stream that nobody reads yet')
  }
}

async function openArchiveFile(path: string): Promise<ArchiveFile> {
  const handle = await open(path, 'r').catch((error: unknown) => {
    throw new ArchiveIoError(`${path} can't be read (${codeOf(error)})`, error)
  })
  try {
    if (!(await handle.stat()).isFile())
      throw new InvalidInputError('source', 'is no file', 'give the path of an archive')
  } catch (error) {
    await handle.close()
    throw error
  }
  return { bytes: () => readAll(handle, path), close: () => handle.close() }
}

async function* readAll(handle: FileHandle, path: string): AsyncGenerator<Uint8Array> {
  for (let at = 0; ; ) {
    const { bytesRead, buffer } = await handle
      .read(Buffer.allocUnsafe(READ_BYTES), 0, READ_BYTES, at)
      .catch((error: unknown) => {
        throw new ArchiveIoError(`${path} can't be read (${codeOf(error)})`, error)
      })
    if (bytesRead === 0) return
    at += bytesRead
    yield buffer.subarray(0, bytesRead)
  }
}

async function spool(source: AsyncIterable<Uint8Array>): Promise<ArchiveFile> {
  const folder = await spooling(mkdtemp(join(tmpdir(), 'tokenwright-restore-')))
  const remove = (): Promise<void> => rm(folder, { recursive: true, force: true })
  let handle: FileHandle | undefined
  try {
    handle = await spooling(open(join(folder, 'archive'), 'wx+', 0o600))
    for await (const piece of streamed(source)) await spooling(handle.writeFile(piece))
  } catch (error) {
    await handle?.close()
    await remove()
    throw error
  }
  const file = handle
  // Where an open file can lose its name, nothing stays behind even if the process is killed.
  if (process.platform !== 'win32') await remove()
  return {
    bytes: () => readAll(file, 'the spooled archive'),
    close: async () => {
      await file.close()
      await remove()
    },
  }
}

/** Waits for the temporary file: its failures are told apart from those of the stream. */
async function spooling<T>(step: Promise<T>): Promise<T> {
  try {
    return await step
  } catch (error) {
    throw new ArchiveIoError(`the archive can't be put down in a temporary file (${codeOf(error)})`, error)
  }
}
