import { readdir, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { type Duration, parseDuration } from '../kernel/duration.ts'
import { codeOf, InvalidInputError } from '../kernel/errors.ts'
import { checkFields } from '../kernel/fields.ts'
import { type ArchiveAbout, readHead } from './archive-head.ts'
import { bytesOf } from './archive-source.ts'
import { isArchiveName } from './archive-target.ts'
import { ByteReader } from './byte-reader.ts'
import { ArchiveError } from './errors.ts'

/** Which archives of the folder stay: so many of the newest, those not older than, or whichever of the two keeps more. */
export type Keep = number | { readonly last?: number | undefined; readonly for?: Duration | undefined }

/** The rule of retention, checked. */
export interface Retention {
  readonly last: number
  readonly forMs: number
}

/**
 * Checks the rule of retention.
 *
 * @throws InvalidInputError when it would keep nothing
 */
export function checkKeep(keep: Keep): Retention {
  const { last, for: span } =
    typeof keep === 'number'
      ? { last: keep, for: undefined }
      : (checkFields('keep', keep, ['last', 'for']) as Exclude<Keep, number>)
  if (last === undefined && span === undefined) {
    throw new InvalidInputError('keep', 'names neither a number nor a time', 'write for example 14, or { for: "30d" }')
  }
  if (last !== undefined && (!Number.isSafeInteger(last) || last < 1)) {
    throw new InvalidInputError('keep', 'is not a number of archives from 1 up', 'write for example 14')
  }
  return { last: last ?? 1, forMs: span === undefined ? 0 : parseDuration('keep.for', span) }
}

/**
 * Removes archives that no rule keeps: only files that have the name and the head of an archive of the same source, and
 * never the newest. One that is dated in the future stays, and isn't counted: the clock of its maker was wrong, or ours
 * is, and the one that was just made mustn't go for it.
 *
 * @returns the paths removed
 */
export async function prune(
  folder: string,
  { last, forMs }: Retention,
  source: string | undefined,
  now: number,
): Promise<string[]> {
  const found: { readonly path: string; readonly createdAt: number }[] = []
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    if (!entry.isFile() || !isArchiveName(entry.name)) continue
    const path = join(folder, entry.name)
    const about = await aboutOf(path)
    if (about === undefined || about.source !== source || about.createdAt > now) continue
    found.push({ path, createdAt: about.createdAt })
  }
  found.sort((a, b) => b.createdAt - a.createdAt || (a.path < b.path ? 1 : -1))
  const removed: string[] = []
  for (const [n, { path, createdAt }] of found.entries()) {
    if (n < last || now - createdAt < forMs) continue
    await unlink(path).then(
      () => removed.push(path),
      (error: unknown) => {
        // Another instance was faster.
        if (codeOf(error) !== 'ENOENT') throw error
      },
    )
  }
  return removed
}

/** What a file says of itself; undefined when it isn't an archive, or can't be read. */
async function aboutOf(path: string): Promise<ArchiveAbout | undefined> {
  const reader = new ByteReader(bytesOf(path))
  try {
    return (await readHead(reader)).about
  } catch (error) {
    // What can't be told for one of ours isn't removed.
    if (error instanceof ArchiveError || error instanceof InvalidInputError) return undefined
    throw error
  } finally {
    await reader.close()
  }
}
