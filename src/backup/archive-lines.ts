import { createHash } from 'node:crypto'
import { isJsonObject } from '../kernel/bytes.ts'
import type { JournalEntry } from '../stores/journal-link.ts'
import type { ScanRow } from '../stores/token-store.ts'
import type { UsageRow } from '../stores/usage-rows.ts'
import { ArchiveCorruptError } from './errors.ts'

/** One line of an archive's body: a record or what remains of one, a journal entry, or a usage row. */
export type ArchiveLine = ScanRow | { readonly entry: JournalEntry } | { readonly usage: UsageRow }

/** How much an archive holds. */
export interface ArchiveCounts {
  /** Records by kind. */
  readonly records: { readonly [kind: string]: number }
  /** Tombstones by kind. */
  readonly tombstones: { readonly [kind: string]: number }
  /** Journal entries. */
  readonly journal: number
  /** Usage rows. */
  readonly usage: number
}

/** The last line begins with it; no other does. */
const END = '{"end":'

/** The longest line that is read. */
const MAX_LINE = 2 ** 24

/** Counts lines and digests their text: what the last line tells. */
class Tally {
  readonly #hash = createHash('sha256')
  readonly #records: { [kind: string]: number } = {}
  readonly #tombstones: { [kind: string]: number } = {}
  #journal = 0
  #usage = 0

  add(line: ArchiveLine): void {
    if ('entry' in line) this.#journal += 1
    else if ('usage' in line) this.#usage += 1
    else {
      const by = 'tombstone' in line ? this.#tombstones : this.#records
      by[line.kind] = (by[line.kind] ?? 0) + 1
    }
  }

  digest(text: string): void {
    this.#hash.update(text)
  }

  get counts(): ArchiveCounts {
    return {
      records: { ...this.#records },
      tombstones: { ...this.#tombstones },
      journal: this.#journal,
      usage: this.#usage,
    }
  }

  end(): string {
    return JSON.stringify({ end: { counts: this.counts, sha256: this.#hash.digest('base64url') } })
  }
}

/**
 * The text of a body: a line of JSON for each, and one that tells their number and digest.
 *
 * @param pages - the lines
 * @param counted - gets the counts at the end
 */
export async function* writeLines(
  pages: AsyncIterable<readonly ArchiveLine[]>,
  counted: (counts: ArchiveCounts) => void,
): AsyncGenerator<Buffer> {
  const tally = new Tally()
  for await (const page of pages) {
    let text = ''
    for (const line of page) {
      tally.add(line)
      text += `${JSON.stringify(line)}\n`
    }
    tally.digest(text)
    yield Buffer.from(text)
  }
  counted(tally.counts)
  yield Buffer.from(`${tally.end()}\n`)
}

/**
 * Reads the text of a body back, page by page.
 *
 * @param pieces - the text's bytes
 * @param counted - gets the counts at the end, once they are found to be right
 * @throws ArchiveCorruptError when it isn't what {@link writeLines} wrote
 */
export async function* readLines(
  pieces: AsyncIterable<Uint8Array>,
  counted: (counts: ArchiveCounts) => void,
): AsyncGenerator<ArchiveLine[]> {
  const tally = new Tally()
  let rest = Buffer.alloc(0)
  let ended = false
  for await (const piece of pieces) {
    const bytes = rest.length === 0 ? Buffer.from(piece) : Buffer.concat([rest, piece])
    const cut = bytes.lastIndexOf(10) + 1
    rest = bytes.subarray(cut)
    if (rest.length > MAX_LINE) throw new ArchiveCorruptError('a line is too long')
    if (cut === 0) continue
    if (ended) throw new ArchiveCorruptError('it goes on after its end')
    const text = bytes.toString('utf8', 0, cut)
    const last = text.lastIndexOf('\n', text.length - 2) + 1
    ended = text.startsWith(END, last)
    const lines = ended ? text.slice(0, last) : text
    tally.digest(lines)
    const page = parseLines(lines)
    for (const line of page) tally.add(line)
    if (page.length > 0) yield page
    if (ended && text.slice(last, -1) !== tally.end()) throw new ArchiveCorruptError('its end tells of other content')
  }
  if (!ended || rest.length > 0) throw new ArchiveCorruptError('it has no end')
  counted(tally.counts)
}

function parseLines(text: string): ArchiveLine[] {
  if (text === '') return []
  let page: unknown[]
  try {
    // One call for all lines is a third faster than one each.
    page = JSON.parse(`[${text.slice(0, -1).replaceAll('\n', ',')}]`) as unknown[]
  } catch {
    throw new ArchiveCorruptError('a line is no JSON')
  }
  for (const line of page) if (!isLine(line)) throw new ArchiveCorruptError('a line is no record')
  return page as ArchiveLine[]
}

function isLine(line: unknown): boolean {
  if (!isJsonObject(line)) return false
  if (isJsonObject(line['entry']) || isJsonObject(line['usage'])) return true
  const { kind, id, revision, value, tombstone } = line
  const named = typeof kind === 'string' && typeof id === 'string' && Number.isSafeInteger(revision)
  if (!named) return false
  if (tombstone === undefined) return value !== undefined && value !== null
  return isJsonObject(tombstone) && Array.isArray(tombstone['digests']) && value === undefined
}
