import { pipeline, Readable } from 'node:stream'
import { createGunzip } from 'node:zlib'
import { type ArchiveHead, readHead } from './archive-head.ts'
import { type CheckedKey, unwrapKey } from './archive-key.ts'
import { type ArchiveCounts, type ArchiveLine, readLines } from './archive-lines.ts'
import { ByteReader } from './byte-reader.ts'
import { bodyKey, openChunks } from './chunks.ts'
import { ArchiveCorruptError, ArchiveError } from './errors.ts'

/**
 * Opens an archive and reads it to its end. What it gives is authentic, line by line; that it is whole is known once
 * it has ended.
 *
 * @param pieces - the archive's bytes
 * @param key - what opens it
 * @param told - gets the head before the first line, and the counts after the last
 * @throws ArchiveError by its kinds
 */
export async function* readArchive(
  pieces: AsyncIterable<Uint8Array>,
  key: CheckedKey,
  told: { readonly head?: (head: ArchiveHead) => void; readonly counts?: (counts: ArchiveCounts) => void } = {},
): AsyncGenerator<ArchiveLine[]> {
  const reader = new ByteReader(pieces)
  try {
    const head = await readHead(reader)
    const { about, bound, slot } = head
    const dataKey = await unwrapKey(slot, bound, key)
    told.head?.(head)
    const plain = openChunks(bodyKey(dataKey, bound), reader, about.chunkBytes)
    const text = about.compression === 'gzip' ? gunzipped(plain) : plain
    yield* readLines(text, (counts) => told.counts?.(counts))
  } finally {
    await reader.close()
  }
}

async function* gunzipped(plain: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  const gunzip = createGunzip({ chunkSize: 65_536 })
  pipeline(Readable.from(plain), gunzip, () => {})
  try {
    yield* gunzip as AsyncIterable<Buffer>
  } catch (error) {
    // An error of the source comes through as it is; zlib's own says that the content isn't what was compressed.
    if (!(error instanceof Error) || error instanceof ArchiveError || !('errno' in error)) throw error
    throw new ArchiveCorruptError('it is not compressed as it says')
  }
}
