import { InvalidInputError } from '../kernel/errors.ts'
import { checkFields } from '../kernel/fields.ts'
import { type Attribution, checkAttribution } from '../stores/commit.ts'
import type { FoundationSource } from '../stores/foundation.ts'
import type { ArchiveKey, NewArchiveKey } from './archive-key.ts'
import type { ArchiveTarget } from './archive-target.ts'
import type { ArchivedKind } from './archived-kind.ts'
import type { BackupEvents } from './events.ts'
import type { RestoreMode } from './judge.ts'
import { checkKeep, type Keep, type Retention } from './retention.ts'

/** What else an archive holds beside the records. */
export interface IncludeInput {
  /** The journal. Default false. */
  readonly journal?: boolean | undefined
  /** The usage rows: calls by token, hour, tool and outcome. Default false. */
  readonly usage?: boolean | undefined
}

/** How a host keeps its archives. */
export interface BackupSettings {
  /** The folder for archives. It must exist. */
  readonly directory?: string | undefined
  /** Which archives of the folder stay: `14` (the newest), `{ for: '30d' }`, or both. Default: all. */
  readonly keep?: Keep | undefined
  /** What the store is called, readable in each archive: archives of other names in the same folder are left alone. */
  readonly source?: string | undefined
  /** What else archives hold, where the call doesn't say. */
  readonly include?: IncludeInput | undefined
}

/** What {@link Backups} is made from. */
export type BackupsOptions = FoundationSource<BackupEvents> &
  BackupSettings & {
    /** The kinds that are archived. Default: tokens, what is known of their use, their quotas, and approvals. */
    readonly kinds?: readonly ArchivedKind[] | undefined
  }

/** How to make an archive. Without `passphrase`, it is made under a key of the ring. */
export interface CreateBackupOptions extends Pick<NewArchiveKey, 'key' | 'passphrase'>, Attribution {
  /** Where it goes. Default: a new file in the `directory`. */
  readonly to?: ArchiveTarget | undefined
  /** What else it holds. */
  readonly include?: IncludeInput | undefined
  /** Whether to compress it. Default true. */
  readonly compress?: boolean | undefined
  /** Whether to read the file back, and authenticate all of it, before it gets its name. Default true. */
  readonly verify?: boolean | undefined
}

/** How to look at what a restore would do. */
export interface PlanOptions extends ArchiveKey {
  /** Default `merge`. */
  readonly mode?: RestoreMode | undefined
  /** Whether rules come back paused (default), or as they were. */
  readonly rules?: 'pause' | 'keep' | undefined
}

/** How to restore. */
export interface RestoreOptions extends PlanOptions, Attribution {
  /** Mode `replace`: where the archive of what is here now goes. Default: a new file in the `directory`. */
  readonly to?: ArchiveTarget | undefined
}

/** How to give an archive another key. */
export interface RewrapOptions {
  /** Where the archive with the new key goes. */
  readonly to: ArchiveTarget
  /** What opens it. Default: the ring of the store. */
  readonly from?: ArchiveKey | undefined
  /** What is to open it. Default: the active key of the ring. */
  readonly under?: NewArchiveKey | undefined
}

/** The settings, checked. */
export interface CheckedSettings {
  readonly directory: string | undefined
  readonly retention: Retention | undefined
  readonly source: string | undefined
  readonly include: Required<IncludeInput>
}

const INCLUDE = ['journal', 'usage']

/**
 * Checks the settings.
 *
 * @throws InvalidInputError naming the field
 */
export function checkSettings({ directory, keep, source, include }: BackupSettings): CheckedSettings {
  if (directory !== undefined && (typeof directory !== 'string' || directory === '' || directory.includes('\u0000'))) {
    throw new InvalidInputError('directory', 'is no path', 'give the folder for archives')
  }
  if (keep !== undefined && directory === undefined) {
    throw new InvalidInputError('keep', 'is given without a directory', 'name the folder that it is about')
  }
  if (source !== undefined && (typeof source !== 'string' || source === '' || source.length > 100)) {
    throw new InvalidInputError('source', 'is no text of 1 to 100 characters', 'give the store a short name')
  }
  return {
    directory,
    retention: keep === undefined ? undefined : checkKeep(keep),
    source,
    include: checkInclude(include, { journal: false, usage: false }),
  }
}

/** What else an archive holds, with its defaults. */
export function checkInclude(include: IncludeInput | undefined, defaults: IncludeInput): Required<IncludeInput> {
  const given = include === undefined ? {} : (checkFields('include', include, INCLUDE) as IncludeInput)
  for (const name of INCLUDE) checkFlag(`include.${name}`, given[name as keyof IncludeInput])
  return {
    journal: given.journal ?? defaults.journal ?? false,
    usage: given.usage ?? defaults.usage ?? false,
  }
}

/** Refuses what is neither true nor false. */
export function checkFlag(field: string, value: unknown): void {
  if (value === undefined || typeof value === 'boolean') return
  throw new InvalidInputError(field, 'is neither true nor false', 'give true or false, or leave it out')
}

/** A restore's options, checked, but for its key. */
export interface CheckedRestore {
  readonly mode: RestoreMode
  readonly atRest: boolean
  readonly by: Attribution
}

/**
 * Checks the options of a plan or a restore.
 *
 * @throws InvalidInputError naming the field
 */
export function checkRestore(options: RestoreOptions, fields: readonly string[]): CheckedRestore {
  checkFields('options', options, fields)
  const { mode = 'merge', rules = 'pause' } = options
  if (!['merge', 'missing_only', 'replace'].includes(mode)) {
    throw new InvalidInputError('mode', 'is unknown', "use 'merge', 'missing_only' or 'replace'")
  }
  if (rules !== 'pause' && rules !== 'keep') {
    throw new InvalidInputError('rules', 'is unknown', "use 'pause' or 'keep'")
  }
  if (options.to !== undefined && mode !== 'replace') {
    throw new InvalidInputError('to', "is given, and only mode 'replace' makes an archive first", 'leave it out')
  }
  return { mode, atRest: rules === 'pause', by: checkAttribution(options) }
}
