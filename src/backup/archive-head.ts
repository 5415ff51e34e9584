import { Buffer } from 'node:buffer'
import { isJsonObject } from '../kernel/bytes.ts'
import type { ByteReader } from './byte-reader.ts'
import { ArchiveCorruptError, ArchiveForeignError, ArchiveNewerError, ArchiveTruncatedError } from './errors.ts'

/** What an archive begins with. */
const MAGIC = Buffer.from('twbackup', 'latin1')

/** The version of the format. A released one is readable for ever; its golden files are under test/backup/golden. */
export const FORMAT = 1

/** The plain bytes of a chunk. */
export const CHUNK_BYTES = 65_536

/** A part of the head is a length of four bytes and JSON; this is the longest that is read. */
const MAX_PART = 65_536

/** What may be known of an archive without its key. Bound to the body: changing it makes the body unreadable. */
export interface ArchiveAbout {
  readonly format: number
  /** The archive's id. */
  readonly archive: string
  /** When it was begun, epoch ms. */
  readonly createdAt: number
  /** What its maker calls the store. */
  readonly source?: string
  /** Whether it shows one point in time. Otherwise records were read one after another while others may have written. */
  readonly consistent: boolean
  /** Whether it knows what had been removed. */
  readonly tombstones: boolean
  /** The version of each kind's records. */
  readonly schemas: { readonly [kind: string]: number }
  /** What else it holds. */
  readonly includes: readonly ('journal' | 'usage')[]
  readonly compression: 'gzip' | 'none'
  readonly chunkBytes: number
}

/** How the archive's own key is kept in its head: wrapped by a key of a ring, or by a passphrase. Can be exchanged. */
export type KeySlot = {
  /** Base64url, as all that follows. */
  readonly salt: string
  readonly nonce: string
  /** Tells a wrong key from a damaged slot. */
  readonly check: string
  readonly wrapped: string
} & (
  | { readonly by: 'ring'; readonly key: string }
  | { readonly by: 'passphrase'; readonly n: number; readonly r: number; readonly p: number }
)

/** The head of an archive, read. */
export interface ArchiveHead {
  readonly about: ArchiveAbout
  /** `about` as it stands in the archive: what the body and the slot are bound to. */
  readonly bound: Buffer
  readonly slot: KeySlot
}

/** `about` as it stands in an archive. */
export function boundBytes(about: ArchiveAbout): Buffer {
  return part(about)
}

/** The bytes of a head. */
export function headBytes(bound: Buffer, slot: KeySlot): Buffer {
  return Buffer.concat([MAGIC, bound, part(slot)])
}

function part(value: object): Buffer {
  const json = Buffer.from(JSON.stringify(value))
  const bytes = Buffer.alloc(4 + json.length)
  bytes.writeUInt32BE(json.length)
  json.copy(bytes, 4)
  return bytes
}

/**
 * Reads the head of an archive.
 *
 * @throws ArchiveForeignError, ArchiveTruncatedError, ArchiveCorruptError, ArchiveNewerError
 */
export async function readHead(reader: ByteReader): Promise<ArchiveHead> {
  const magic = await reader.upTo(MAGIC.length)
  if (!magic.equals(MAGIC.subarray(0, magic.length))) throw new ArchiveForeignError()
  if (magic.length < MAGIC.length) throw new ArchiveTruncatedError()
  const bound = await readPart(reader)
  const about = aboutOf(parsePart(bound))
  return { about, bound, slot: slotOf(parsePart(await readPart(reader))) }
}

async function readPart(reader: ByteReader): Promise<Buffer> {
  const length = await reader.exactly(4)
  const size = length.readUInt32BE()
  if (size > MAX_PART) throw new ArchiveCorruptError('a part of its head is too long')
  return Buffer.concat([length, await reader.exactly(size)])
}

function parsePart(bytes: Buffer): { readonly [name: string]: unknown } {
  try {
    const value: unknown = JSON.parse(bytes.subarray(4).toString())
    if (isJsonObject(value)) return value
  } catch {
    // The parser's message would quote what it found.
  }
  throw new ArchiveCorruptError('its head is no JSON')
}

function aboutOf(value: { readonly [name: string]: unknown }): ArchiveAbout {
  const { format, archive, createdAt, source, consistent, tombstones, schemas, includes, compression, chunkBytes } =
    value
  if (!isCount(format)) throw badHead('format')
  if (format > FORMAT) {
    throw new ArchiveNewerError(`the archive is of format ${format}, and this version knows up to ${FORMAT}`)
  }
  if (typeof archive !== 'string' || !/^[\w-]{1,64}$/.test(archive)) throw badHead('archive')
  if (!Number.isSafeInteger(createdAt)) throw badHead('createdAt')
  if (source !== undefined && (typeof source !== 'string' || source.length > 256)) throw badHead('source')
  if (typeof consistent !== 'boolean' || typeof tombstones !== 'boolean') throw badHead('consistent')
  if (
    !isJsonObject(schemas) ||
    !Object.entries(schemas).every(([name, n]) => /^[a-z_]{1,64}$/.test(name) && isCount(n))
  )
    throw badHead('schemas')
  if (!Array.isArray(includes) || !includes.every((each) => each === 'journal' || each === 'usage'))
    throw badHead('includes')
  if (compression !== 'gzip' && compression !== 'none') throw badHead('compression')
  if (!isCount(chunkBytes) || chunkBytes > 1 << 20) throw badHead('chunkBytes')
  return value as unknown as ArchiveAbout
}

function slotOf(value: { readonly [name: string]: unknown }): KeySlot {
  for (const name of ['salt', 'nonce', 'check', 'wrapped'] as const) {
    const text = value[name]
    if (typeof text !== 'string' || !/^[\w-]{16,128}$/.test(text)) throw badHead(name)
  }
  if (value['by'] === 'ring') {
    if (typeof value['key'] !== 'string' || !/^[A-Za-z0-9][A-Za-z0-9_-]{0,31}$/.test(value['key'])) throw badHead('key')
  } else if (value['by'] !== 'passphrase' || !isCount(value['n']) || !isCount(value['r']) || !isCount(value['p'])) {
    throw badHead('by')
  }
  return value as unknown as KeySlot
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) > 0
}

function badHead(field: string): ArchiveCorruptError {
  return new ArchiveCorruptError(`'${field}' in its head can't be read`)
}
