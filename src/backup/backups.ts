import { InvalidInputError } from '../kernel/errors.ts'
import { checkFields } from '../kernel/fields.ts'
import { RisingIds } from '../kernel/rising-ids.ts'
import { type Attribution, checkAttribution } from '../stores/commit.ts'
import { Foundation } from '../stores/foundation.ts'
import { type ArchiveAbout, headBytes, readHead } from './archive-head.ts'
import { type ArchiveInfo, infoOf, type VerifiedArchive, verifyArchive } from './archive-info.ts'
import { type ArchiveKey, checkKey, unwrapKey, wrapKey } from './archive-key.ts'
import { type ArchiveSource, bytesOf, openSource } from './archive-source.ts'
import { archiveName, targetOf, type Written, writeArchive } from './archive-target.ts'
import { ARCHIVED_KEYS, type ArchivedKind, CORE_KINDS } from './archived-kind.ts'
import { type Backup, BackupMaker } from './backup-maker.ts'
import {
  type BackupsOptions,
  type CheckedRestore,
  type CheckedSettings,
  type CreateBackupOptions,
  checkFlag,
  checkInclude,
  checkRestore,
  checkSettings,
  type PlanOptions,
  type RestoreOptions,
  type RewrapOptions,
} from './backup-options.ts'
import { ByteReader } from './byte-reader.ts'
import { bodyKey, copyChunks } from './chunks.ts'
import type { BackupEvents } from './events.ts'
import type { HistoryReport } from './history.ts'
import type { RestoreMode } from './judge.ts'
import { Restore, type RestoreOutcome } from './restore.ts'
import type { FateCounts, FateExamples } from './restore-tally.ts'

/** What a restore would do. */
export interface RestorePlan {
  readonly archive: ArchiveAbout
  readonly mode: RestoreMode
  /** How many records of each kind have which fate. */
  readonly counts: FateCounts
  /** Up to five of each. */
  readonly examples: FateExamples
  /** Records written. */
  readonly written: number
  /** Records removed. */
  readonly removed: number
  /** Records refused. */
  readonly refused: number
  /** What becomes of the journal; absent when the archive holds none. */
  readonly journal?: HistoryReport
  /** What becomes of the usage rows; absent when the archive holds none. */
  readonly usage?: HistoryReport
}

/** What a restore did. */
export interface RestoreReport extends RestorePlan {
  /** Mode `replace`: the archive of what was here before; absent where it went to a stream. */
  readonly before?: string
}

const BACKUPS_FIELDS = [
  ...['foundation', 'store', 'keys', 'clock', 'random', 'events', 'outbox'],
  ...['kinds', 'directory', 'keep', 'source', 'include'],
]
const KEY_FIELDS = ['keys', 'passphrase']
const PLAN_FIELDS = [...KEY_FIELDS, 'mode', 'rules']
const RESTORE_FIELDS = [...PLAN_FIELDS, 'to', 'actor', 'reason']
const CREATE_FIELDS = ['to', 'include', 'key', 'passphrase', 'compress', 'verify', 'actor', 'reason']

/**
 * Makes encrypted archives of a store, and restores them into any store.
 *
 * An archive holds the records and what remains of removed ones as of one point, where the store can show one. It is
 * encrypted and authenticated as a whole, under a key of the ring or a passphrase; what may be read without the key is told by
 * {@link Backups.inspect}. A restore authenticates all of it before it writes anything, never revives what was revoked or
 * removed, and can be repeated until it comes to its end.
 *
 * @example
 * ```ts
 * const backups = new Backups({ store, keys, directory: '/var/backups/tokens', keep: 14 })
 * const { file, tokenCount } = await backups.create({ actor: 'cron' })
 * const plan = await backups.plan(file)
 * await backups.restore(file, { actor: 'alice', reason: 'disk lost' })
 * ```
 */
export class Backups {
  readonly #base: Foundation<BackupEvents>
  readonly #settings: CheckedSettings
  readonly #kinds: readonly ArchivedKind[]
  readonly #maker: BackupMaker

  /**
   * @param options - store, keys, and where archives are kept
   * @throws InvalidInputError for bad options
   */
  constructor(options: BackupsOptions) {
    checkFields('options', options, BACKUPS_FIELDS)
    this.#base = Foundation.of(options)
    this.#settings = checkSettings(options)
    this.#kinds = [ARCHIVED_KEYS, ...(options.kinds ?? CORE_KINDS)]
    const ids = new RisingIds(this.#base.random)
    this.#maker = new BackupMaker(this.#base, this.#settings, this.#kinds, ids)
  }

  /**
   * Makes an archive. A file gets its name only when it is whole, on the disk, and was read back.
   *
   * @throws InvalidInputError; AtomicWriteError or ArchiveIoError when it can't be written; ArchiveError when what was
   * written can't be read back; KeyRingMismatchError, KeyInUseError; StoreError
   * @event backup.created, backup.pruneFailed
   */
  async create(options: CreateBackupOptions = {}): Promise<Backup> {
    checkFields('options', options, CREATE_FIELDS)
    const { to, compress = true, verify = true } = options
    checkFlag('compress', compress)
    checkFlag('verify', verify)
    if (options.verify === true && to !== undefined && typeof to !== 'string') {
      throw new InvalidInputError('verify', 'is given for a stream, which can not be read back', 'leave it out')
    }
    const by = checkAttribution(options)
    const include = checkInclude(options.include, this.#settings.include)
    const key = checkKey('', { key: options.key, passphrase: options.passphrase }, this.#base.keys)
    return this.#maker.make({ to, key, include, compress, verify, retire: to === undefined, by })
  }

  /**
   * Reads what an archive says of itself. Needs no key, and so proves nothing: {@link Backups.verify} does.
   *
   * @throws ArchiveForeignError, ArchiveTruncatedError, ArchiveCorruptError, ArchiveNewerError, ArchiveIoError
   */
  async inspect(source: ArchiveSource): Promise<ArchiveInfo> {
    const reader = new ByteReader(bytesOf(source))
    try {
      return infoOf(await readHead(reader))
    } finally {
      await reader.close()
    }
  }

  /**
   * Reads an archive to its end and authenticates all of it. Writes nothing.
   *
   * @throws ArchiveError by its kinds
   */
  async verify(source: ArchiveSource, options: ArchiveKey = {}): Promise<VerifiedArchive> {
    checkFields('options', options, KEY_FIELDS)
    return verifyArchive(source, checkKey('', options, this.#base.keys))
  }

  /**
   * Finds out what {@link Backups.restore} would do, and writes nothing of it. Another record's name may turn out to be free
   * by then, where its holder gives it up in the same restore.
   *
   * @throws as {@link Backups.restore}
   */
  async plan(source: ArchiveSource, options: PlanOptions = {}): Promise<RestorePlan> {
    const checked = checkRestore(options, PLAN_FIELDS)
    await this.#base.ready()
    return this.#open(source, options, checked, async (restore) => planOf(await restore.plan(), checked.mode))
  }

  /**
   * Restores an archive into the store. All of it is authenticated, and judged, before anything is written. If it is
   * interrupted, call it again: what stands already is passed over.
   *
   * @throws InvalidInputError; ArchiveError by its kinds
   * @throws KeyInUseError, KeyRingMismatchError when the ring couldn't prove the tokens that it would bring
   * @throws StoreError; what was written until then stays
   * @event store.restored
   */
  async restore(source: ArchiveSource, options: RestoreOptions = {}): Promise<RestoreReport> {
    const checked = checkRestore(options, RESTORE_FIELDS)
    const { mode, by } = checked
    if (mode === 'replace' && options.to === undefined && this.#settings.directory === undefined) {
      const what = "is missing, and there is no directory: mode 'replace' makes an archive of what is here first"
      throw new InvalidInputError('to', what, 'say where that archive goes')
    }
    await this.#base.ready()
    return this.#open(source, options, checked, async (restore) => {
      await restore.plan()
      const before = mode === 'replace' ? await this.#makeBefore(options, by) : undefined
      const outcome = await restore.run()
      const report: RestoreReport = {
        ...planOf(outcome, mode),
        ...(before?.file !== undefined && { before: before.file }),
      }
      const { archive, written, removed, refused } = report
      const told = {
        archive: archive.archive,
        mode,
        written,
        removed,
        refused,
        ...(report.before !== undefined && { before: report.before }),
        at: this.#base.clock.now(),
        ...(by.actor !== undefined && { actor: by.actor }),
        ...(by.reason !== undefined && { reason: by.reason }),
      }
      await this.#base.write(by, [], [{ name: 'store.restored', payload: told, about: archive.archive }])
      return report
    })
  }

  /**
   * Copies an archive under another key. Its body stays as it is, byte for byte, and is authenticated on its way.
   *
   * @throws InvalidInputError; ArchiveError by its kinds; AtomicWriteError
   */
  async rewrap(source: ArchiveSource, options: RewrapOptions): Promise<ArchiveInfo & Written> {
    checkFields('options', options, ['to', 'from', 'under'])
    const { keys, random } = this.#base
    const from = checkKey('from', checkedFields('from', options.from, KEY_FIELDS), keys)
    const under = checkKey('under', checkedFields('under', options.under, [...KEY_FIELDS, 'key']), keys)
    if (options.to === undefined) throw new InvalidInputError('to', 'is missing', 'say where the copy goes')
    const reader = new ByteReader(bytesOf(source))
    try {
      const { about, bound, slot } = await readHead(reader)
      const dataKey = await unwrapKey(slot, bound, from)
      const fresh = await wrapKey(dataKey, bound, under, random)
      async function* copied(): AsyncGenerator<Uint8Array> {
        yield headBytes(bound, fresh)
        yield* copyChunks(bodyKey(dataKey, bound), reader, about.chunkBytes)
      }
      const target = await targetOf('to', options.to, archiveName(about.createdAt, about.archive))
      const check = async (path: string): Promise<void> => void (await verifyArchive(path, under))
      return { ...infoOf({ about, slot: fresh }), ...(await writeArchive(target, copied(), check)) }
    } finally {
      await reader.close()
    }
  }

  async #open<T>(
    source: ArchiveSource,
    { keys, passphrase }: ArchiveKey,
    checked: CheckedRestore,
    work: (restore: Restore) => Promise<T>,
  ): Promise<T> {
    const { store, commits, keys: ring, clock } = this.#base
    const key = checkKey('', { keys, passphrase }, ring)
    const file = await openSource(source)
    const base = { store, commits, ring, now: () => clock.now(), kinds: this.#kinds }
    const restore = new Restore({ ...base, ...checked, file, key })
    try {
      return await work(restore)
    } finally {
      restore.close()
      await file.close()
    }
  }

  /** The archive of what is here before all of it is replaced. None is removed for it. */
  #makeBefore({ to }: RestoreOptions, by: Attribution): Promise<Backup> {
    const key = checkKey('', {}, this.#base.keys)
    const { include } = this.#settings
    return this.#maker.make({ to, key, include, compress: true, verify: true, retire: false, by })
  }
}

function planOf({ about, tally, journal, usage }: RestoreOutcome, mode: RestoreMode): RestorePlan {
  const { counts, examples, written, removed, refused } = tally
  return {
    archive: about,
    mode,
    counts,
    examples,
    written,
    removed,
    refused,
    ...(journal !== undefined && { journal }),
    ...(usage !== undefined && { usage }),
  }
}

function checkedFields<T extends object>(field: string, given: T | undefined, fields: readonly string[]): T {
  return given === undefined ? ({} as T) : (checkFields(field, given, fields) as T)
}
