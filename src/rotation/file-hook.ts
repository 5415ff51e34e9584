import { type FileHandle, open } from 'node:fs/promises'
import { resolve } from 'node:path'
import { writeFileAtomic } from '../kernel/atomic-file.ts'
import { InvalidInputError } from '../kernel/errors.ts'
import { checkFields } from '../kernel/fields.ts'
import { setDotenv, UNWRITABLE } from './dotenv.ts'
import type { HookAnswer, ValueContext } from './hooks.ts'

/** How {@link publishToFile} writes. */
export interface PublishToFileOptions {
  /** The file, or what tells it by the service. Its folder must be there. */
  readonly path: string | ((context: ValueContext) => string)
  /** The key of a dotenv file that gets the value; the rest of the file stays. Default: the value is the whole file. */
  readonly key?: string | undefined
  /** The file's permissions. Default `0o600`. */
  readonly mode?: number | undefined
}

const MAX_FILE = 1024 * 1024

/** What is being done to each file: two services may have their keys in one. */
const writing = new Map<string, Promise<unknown>>()

/**
 * A `publish` hook that writes the new value to a file: whole or not at all, whatever crashes, readable by its owner only.
 * Of several processes that set keys of one dotenv file at once the last one wins.
 *
 * @param options - the file, and the key in it
 * @throws InvalidInputError for options that can't be used
 * @example
 * ```ts
 * const rotation = { hooks: { MY_API: { publish: publishToFile({ path: '/etc/app/.env', key: 'MY_API_TOKEN' }) } } }
 * ```
 */
export function publishToFile(options: PublishToFileOptions): (context: ValueContext) => Promise<HookAnswer> {
  checkFields('options', options, ['path', 'key', 'mode'])
  const { path, key, mode = 0o600 } = options
  if (typeof path !== 'function' && (typeof path !== 'string' || path === '')) {
    throw new InvalidInputError('path', 'is not a path', 'give the path of a file, or a function that tells it')
  }
  if (key !== undefined && !(typeof key === 'string' && /^[A-Za-z_][A-Za-z0-9_]{0,127}$/.test(key))) {
    throw new InvalidInputError('key', 'is not a name of letters, digits and underscores', "write 'MY_API_TOKEN'")
  }
  if (!Number.isInteger(mode) || mode < 0 || mode > 0o777) {
    throw new InvalidInputError('mode', 'is not a file mode', 'leave it out for 0o600')
  }
  return (context) => {
    const file = resolve(typeof path === 'function' ? path(context) : path)
    const write = async (): Promise<HookAnswer> => {
      // It may have waited for others: an attempt that was given up meanwhile must not write over what came after it.
      context.signal.throwIfAborted()
      const text = key === undefined ? context.token : setDotenv(await readText(file), key, context.token)
      // Another value will do.
      if (text === UNWRITABLE) return 'rejected'
      await writeFileAtomic(file, text, { mode })
      return 'ok'
    }
    const turn = (writing.get(file) ?? Promise.resolve()).then(write, write)
    writing.set(file, turn)
    const done = (): void => {
      if (writing.get(file) === turn) writing.delete(file)
    }
    turn.then(done, done)
    return turn
  }
}

/** The text of a dotenv file; empty when it isn't there yet. What can't be given back as it was is refused. */
async function readText(file: string): Promise<string> {
  let handle: FileHandle
  try {
    handle = await open(file)
  } catch (error) {
    if ((error as { readonly code?: unknown }).code === 'ENOENT') return ''
    throw error
  }
  try {
    if ((await handle.stat()).size > MAX_FILE) {
      throw new InvalidInputError('path', 'leads to a file of over 1 MB', 'name a dotenv file')
    }
    const bytes = await handle.readFile()
    try {
      return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
    } catch {
      throw new InvalidInputError(
        'path',
        "leads to a file that isn't UTF-8",
        'convert it, so that its other lines are kept',
      )
    }
  } finally {
    await handle.close()
  }
}
