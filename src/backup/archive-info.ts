import type { ArchiveAbout, ArchiveHead } from './archive-head.ts'
import type { CheckedKey } from './archive-key.ts'
import type { ArchiveCounts } from './archive-lines.ts'
import { readArchive } from './archive-reader.ts'
import { type ArchiveSource, bytesOf } from './archive-source.ts'

/** What may be known of an archive without its key. */
export interface ArchiveInfo extends ArchiveAbout {
  /** The key of the ring that it was made under; absent when it is a passphrase. */
  readonly keyId?: string
}

/** An archive that was read to its end: authentic, and whole. */
export interface VerifiedArchive extends ArchiveInfo {
  readonly counts: ArchiveCounts
  /** How many tokens it holds, revoked ones counted. */
  readonly tokenCount: number
}

/** What a head tells. */
export function infoOf({ about, slot }: Omit<ArchiveHead, 'bound'>): ArchiveInfo {
  return slot.by === 'ring' ? { ...about, keyId: slot.key } : about
}

/** What is known of an archive that is authentic and whole. */
export function verifiedOf(head: Omit<ArchiveHead, 'bound'>, counts: ArchiveCounts): VerifiedArchive {
  return { ...infoOf(head), counts, tokenCount: counts.records['token'] ?? 0 }
}

/**
 * Reads an archive to its end.
 *
 * @throws ArchiveError by its kinds
 */
export async function verifyArchive(source: ArchiveSource, key: CheckedKey): Promise<VerifiedArchive> {
  let verified: VerifiedArchive | undefined
  let head: ArchiveHead | undefined
  const told = {
    head: (read: ArchiveHead) => {
      head = read
    },
    counts: (counts: ArchiveCounts) => {
      verified = verifiedOf(head as ArchiveHead, counts)
    },
  }
  for await (const _ of readArchive(bytesOf(source), key, told));
  return verified as unknown as VerifiedArchive
}
