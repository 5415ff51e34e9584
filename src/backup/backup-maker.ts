import { dirname } from 'node:path'
import { codeOf, InvalidInputError } from '../kernel/errors.ts'
import type { RisingIds } from '../kernel/rising-ids.ts'
import type { Attribution } from '../stores/commit.ts'
import type { Foundation } from '../stores/foundation.ts'
import { type ArchiveAbout, CHUNK_BYTES, FORMAT } from './archive-head.ts'
import { type VerifiedArchive, verifiedOf, verifyArchive } from './archive-info.ts'
import type { CheckedKey } from './archive-key.ts'
import type { ArchiveCounts, ArchiveLine } from './archive-lines.ts'
import { type ArchiveTarget, archiveName, targetOf, writeArchive } from './archive-target.ts'
import { draftArchive } from './archive-writer.ts'
import type { ArchivedKind } from './archived-kind.ts'
import type { CheckedSettings, IncludeInput } from './backup-options.ts'
import type { BackupEvents } from './events.ts'
import { prune } from './retention.ts'
import { journalLines, readsOnePoint, storeRows, usageLines } from './store-lines.ts'

/** An archive that was made. */
export interface Backup extends VerifiedArchive {
  /** The file; absent when it went to a stream. */
  readonly file?: string
  /** Its size. */
  readonly bytes: number
  /** SHA-256 of its bytes, hex, as `sha256sum` tells it. */
  readonly sha256: string
  /** Older archives that were removed, by the rule of retention. */
  readonly removed: readonly string[]
}

/** An archive that is to be made. */
export interface BackupOrder {
  /** Absent = a new file in the folder of the settings. */
  readonly to: ArchiveTarget | undefined
  readonly key: CheckedKey
  readonly include: Required<IncludeInput>
  readonly compress: boolean
  readonly verify: boolean
  /** Whether old archives of the folder are removed by the rule of retention. */
  readonly retire: boolean
  readonly by: Attribution
}

/** Makes archives. */
export class BackupMaker {
  readonly #base: Foundation<BackupEvents>
  readonly #settings: CheckedSettings
  readonly #kinds: readonly ArchivedKind[]
  readonly #ids: RisingIds

  constructor(
    base: Foundation<BackupEvents>,
    settings: CheckedSettings,
    kinds: readonly ArchivedKind[],
    ids: RisingIds,
  ) {
    this.#base = base
    this.#settings = settings
    this.#kinds = kinds
    this.#ids = ids
  }

  /** Makes one. */
  async make({ to, key, include, compress, verify, retire, by }: BackupOrder): Promise<Backup> {
    const { directory } = this.#settings
    if (to === undefined && directory === undefined) {
      throw new InvalidInputError('to', 'is missing, and there is no directory', 'say where the archive goes')
    }
    await this.#base.ready()
    const { clock, random, events } = this.#base
    const createdAt = clock.now()
    const draft = await draftArchive(this.#about(include, compress, createdAt), key, random)
    const { about } = draft
    // A folder, whether or not it is there: then writing fails.
    const target = await targetOf('to', to ?? `${directory}/`, archiveName(createdAt, about.archive))
    let counts: ArchiveCounts | undefined
    const bytes = draft.bytes(this.#lines(about), (counted) => {
      counts = counted
    })
    const check = async (path: string): Promise<void> => void (await verifyArchive(path, key))
    const written = await writeArchive(target, bytes, verify ? check : undefined)
    const removed = retire && written.file !== undefined ? await this.#prune(dirname(written.file)) : []
    const backup: Backup = { ...verifiedOf(draft, counts as unknown as ArchiveCounts), ...written, removed }
    events.emit('backup.created', {
      archive: about.archive,
      ...written,
      tokenCount: backup.tokenCount,
      removed,
      at: createdAt,
      ...(by.actor !== undefined && { actor: by.actor }),
      ...(by.reason !== undefined && { reason: by.reason }),
    })
    return backup
  }

  #about(include: Required<IncludeInput>, compress: boolean, createdAt: number): ArchiveAbout {
    const { store } = this.#base
    const { source } = this.#settings
    return {
      format: FORMAT,
      archive: this.#ids.next(createdAt),
      createdAt,
      ...(source !== undefined && { source }),
      consistent: readsOnePoint(store),
      tombstones: store.scan !== undefined,
      schemas: Object.fromEntries(this.#kinds.map(({ kind }) => [kind.name, kind.schema])),
      includes: (['journal', 'usage'] as const).filter((each) => include[each]),
      compression: compress ? 'gzip' : 'none',
      chunkBytes: CHUNK_BYTES,
    }
  }

  async *#lines({ includes }: ArchiveAbout): AsyncGenerator<readonly ArchiveLine[]> {
    const { store } = this.#base
    yield* storeRows(store, this.#kinds)
    // After the records: every change that they show has its entry.
    if (includes.includes('journal')) yield* journalLines(store)
    if (includes.includes('usage')) yield* usageLines(store)
  }

  /** Removes old archives. The new one stands, whether or not they can be removed. */
  async #prune(folder: string): Promise<string[]> {
    const { retention, source } = this.#settings
    if (retention === undefined) return []
    const { clock, events } = this.#base
    try {
      return await prune(folder, retention, source, clock.now())
    } catch (error) {
      events.emit('backup.pruneFailed', { directory: folder, code: codeOf(error), at: clock.now() })
      return []
    }
  }
}
