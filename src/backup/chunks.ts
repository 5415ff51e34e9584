import { Buffer } from 'node:buffer'
import { createCipheriv, createDecipheriv, createHash, createSecretKey, hkdfSync, type KeyObject } from 'node:crypto'
import { CHUNK_BYTES } from './archive-head.ts'
import type { ByteReader } from './byte-reader.ts'
import { ArchiveCorruptError } from './errors.ts'

// The body is a stream of chunks, each sealed by AES-256-GCM under a key of this archive alone, with a nonce that counts
// and tells the last one (the STREAM construction of Hoang, Reyhanitabar, Rogaway and Vizár): a chunk opens in its place only,
// and the end can't be cut off. Before each stand four bytes: its plain length, with the highest bit set on the last.

const TAG_BYTES = 16
const LAST = 2 ** 31

/** The key of the body: bound to what the archive says of itself. */
export function bodyKey(dataKey: Buffer, bound: Buffer): KeyObject {
  const salt = createHash('sha256').update(bound).digest()
  return createSecretKey(Buffer.from(hkdfSync('sha256', dataKey, salt, 'tokenwright backup body v1', 32)))
}

/** Seals bytes as a body. */
export async function* sealChunks(key: KeyObject, plain: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer> {
  let held: Uint8Array[] = []
  let size = 0
  let n = 0
  for await (const piece of plain) {
    if (piece.length === 0) continue
    held.push(piece)
    size += piece.length
    // A full chunk is kept back until something follows it: the last one is sealed differently.
    if (size <= CHUNK_BYTES) continue
    const all = held.length === 1 ? piece : Buffer.concat(held, size)
    let at = 0
    for (; all.length - at > CHUNK_BYTES; at += CHUNK_BYTES) {
      yield sealChunk(key, n, all.subarray(at, at + CHUNK_BYTES), false)
      n += 1
    }
    held = [all.subarray(at)]
    size = all.length - at
  }
  yield sealChunk(key, n, Buffer.concat(held, size), true)
}

function sealChunk(key: KeyObject, n: number, plain: Uint8Array, last: boolean): Buffer {
  const cipher = createCipheriv('aes-256-gcm', key, nonceOf(n, last))
  const length = Buffer.alloc(4)
  length.writeUInt32BE(plain.length + (last ? LAST : 0))
  return Buffer.concat([length, cipher.update(plain), cipher.final(), cipher.getAuthTag()])
}

/**
 * Opens a body, chunk by chunk: what it gives is authentic, and whole only once it has ended.
 *
 * @throws ArchiveTruncatedError, ArchiveCorruptError
 */
export async function* openChunks(key: KeyObject, reader: ByteReader, chunkBytes: number): AsyncGenerator<Buffer> {
  for await (const { plain } of readChunks(key, reader, chunkBytes)) yield plain
}

/**
 * A body as it stands, each chunk of which has been found to be authentic: for a copy, which is whole once this has ended.
 *
 * @throws ArchiveTruncatedError, ArchiveCorruptError
 */
export async function* copyChunks(key: KeyObject, reader: ByteReader, chunkBytes: number): AsyncGenerator<Buffer> {
  for await (const { bytes } of readChunks(key, reader, chunkBytes)) yield bytes
}

interface Chunk {
  readonly bytes: Buffer
  readonly plain: Buffer
}

async function* readChunks(key: KeyObject, reader: ByteReader, chunkBytes: number): AsyncGenerator<Chunk> {
  for (let n = 0; ; n++) {
    const prefix = await reader.exactly(4)
    const head = prefix.readUInt32BE()
    const last = head >= LAST
    const length = head % LAST
    if (length > chunkBytes || (!last && length < chunkBytes))
      throw new ArchiveCorruptError(`the length of chunk ${n + 1}`)
    const sealed = await reader.exactly(length + TAG_BYTES)
    yield { bytes: Buffer.concat([prefix, sealed]), plain: openChunk(key, n, sealed, last) }
    if (!last) continue
    if ((await reader.upTo(1)).length > 0) throw new ArchiveCorruptError('it goes on after its end')
    return
  }
}

function openChunk(key: KeyObject, n: number, sealed: Buffer, last: boolean): Buffer {
  try {
    const decipher = createDecipheriv('aes-256-gcm', key, nonceOf(n, last), { authTagLength: TAG_BYTES })
    decipher.setAuthTag(sealed.subarray(-TAG_BYTES))
    return Buffer.concat([decipher.update(sealed.subarray(0, -TAG_BYTES)), decipher.final()])
  } catch {
    throw new ArchiveCorruptError(`chunk ${n + 1}`)
  }
}

/** 7 bytes of nothing (the key is used for one stream only), the chunk's number, whether it is the last. */
function nonceOf(n: number, last: boolean): Buffer {
  const nonce = Buffer.alloc(12)
  // Throws before the count begins anew, after 256 TB.
  nonce.writeUInt32BE(n, 7)
  nonce[11] = last ? 1 : 0
  return nonce
}
