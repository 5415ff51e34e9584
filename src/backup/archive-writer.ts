import { Buffer } from 'node:buffer'
import { pipeline, Readable } from 'node:stream'
import { createGzip } from 'node:zlib'
import type { Random } from '../kernel/random.ts'
import { type ArchiveAbout, boundBytes, headBytes, type KeySlot } from './archive-head.ts'
import { type CheckedKey, wrapKey } from './archive-key.ts'
import { type ArchiveCounts, type ArchiveLine, writeLines } from './archive-lines.ts'
import { bodyKey, sealChunks } from './chunks.ts'

/** An archive that is being written. */
export interface ArchiveDraft {
  readonly about: ArchiveAbout
  readonly slot: KeySlot
  /** Its bytes; to be read once. */
  bytes(lines: AsyncIterable<readonly ArchiveLine[]>, counted: (counts: ArchiveCounts) => void): AsyncGenerator<Buffer>
}

/** Begins an archive under a key of its own. */
export async function draftArchive(about: ArchiveAbout, key: CheckedKey, random: Random): Promise<ArchiveDraft> {
  const dataKey = Buffer.from(random.bytes(32))
  const bound = boundBytes(about)
  const slot = await wrapKey(dataKey, bound, key, random)
  const body = bodyKey(dataKey, bound)
  return {
    about,
    slot,
    async *bytes(lines, counted) {
      yield headBytes(bound, slot)
      const text = writeLines(lines, counted)
      yield* sealChunks(body, about.compression === 'gzip' ? gzipped(text) : text)
    },
  }
}

/** Compressed in threads of their own. The fastest level: a higher one costs three times as much for a tenth of the size. */
function gzipped(text: AsyncIterable<Buffer>): AsyncIterable<Buffer> {
  const gzip = createGzip({ level: 1, chunkSize: 65_536 })
  // An error of the source reaches whoever reads the end of the pipe.
  pipeline(Readable.from(text), gzip, () => {})
  return gzip
}
