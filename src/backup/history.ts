import type { Kind } from '../kernel/kind.ts'
import type { Commits } from '../stores/commit.ts'
import type { JournalEntry, SealedEntry } from '../stores/journal-link.ts'
import type { TokenStore } from '../stores/token-store.ts'
import type { UsageRow } from '../stores/usage-rows.ts'

/** What became of an archive's journal or usage rows. */
export interface HistoryReport {
  /** Entries or rows written. */
  readonly written: number
  /** Entries that stand in the store as they are in the archive. */
  readonly identical: number
  /** Entries or rows that were left out, because the store has a past of its own. */
  readonly leftOut: number
}

const BATCH = 500

/** A restore that is adding usage rows: it goes on after an interruption, where another would add them twice. */
export interface RestoreMark {
  /** When it began, epoch ms. */
  readonly at: number
  /** How many parts are added: a store remembers only for a day or so what came before. */
  readonly added?: number
}

/** Marks of restores under way; the id is the archive's. */
export const restoreKind: Kind<RestoreMark, 'at', never> = {
  name: 'restore',
  schema: 1,
  journaled: false,
  unique: {},
  order: { at: (mark) => ({ at: mark.at }) },
  merge: () => undefined,
}

/** What the restore of a past needs. */
export interface HistoryOptions {
  readonly store: TokenStore
  readonly commits: Commits
  readonly now: () => number
  readonly archive: string
  /** Only count. */
  readonly dry: boolean
}

/**
 * Appends an archived journal to a store whose journal is empty, or is the beginning of that same journal: a restore
 * that was interrupted goes on so. A store with a past of its own keeps it, for entries have their place in one chain.
 */
export class JournalRestore {
  readonly #options: HistoryOptions
  #state: 'matching' | 'appending' | 'leaving' = 'matching'
  #here: SealedEntry[] = []
  #after = 0
  #batch: JournalEntry[] = []
  #report = { written: 0, identical: 0, leftOut: 0 }

  /** @param options - the store, whose journal is sealed already */
  constructor(options: HistoryOptions) {
    this.#options = options
  }

  get report(): HistoryReport {
    return { ...this.#report }
  }

  async add(entry: JournalEntry): Promise<void> {
    if (this.#state === 'matching') await this.#match(entry)
    if (this.#state === 'leaving') this.#report.leftOut += 1
    if (this.#state !== 'appending') return
    this.#batch.push(entry)
    if (this.#batch.length >= BATCH) await this.end()
  }

  /** Writes what is gathered. */
  async end(): Promise<void> {
    const batch = this.#batch
    if (batch.length === 0) return
    this.#batch = []
    if (!this.#options.dry) await this.#options.commits.append(batch)
    this.#report.written += batch.length
  }

  async #match(entry: JournalEntry): Promise<void> {
    if (this.#here.length === 0) {
      this.#here = [...(await this.#options.store.journal({ after: this.#after, limit: BATCH }))].reverse()
    }
    const next = this.#here.pop()
    if (next === undefined) {
      this.#state = 'appending'
    } else if (next.id === entry.id && next.tag === entry.tag) {
      this.#after = next.seq
      this.#report.identical += 1
    } else {
      this.#state = 'leaving'
    }
  }
}

/** Adds archived usage rows to a store that has none: they are sums, and adding them to others would count twice. */
export class UsageRestore {
  readonly #options: HistoryOptions
  #state: 'new' | 'adding' | 'leaving' = 'new'
  #batch: UsageRow[] = []
  #flushes = 0
  #mark: RestoreMark | undefined
  #report = { written: 0, identical: 0, leftOut: 0 }

  /** @param options - the store */
  constructor(options: HistoryOptions) {
    this.#options = options
  }

  get report(): HistoryReport {
    return { ...this.#report }
  }

  async add(row: UsageRow): Promise<void> {
    if (this.#state === 'new') await this.#begin()
    if (this.#state === 'leaving') {
      this.#report.leftOut += 1
      return
    }
    this.#batch.push(row)
    if (this.#batch.length >= BATCH) await this.#flush()
  }

  /** Writes what is gathered, and takes the mark away. */
  async end(): Promise<void> {
    if (this.#state !== 'adding') return
    await this.#flush()
    const { commits, dry, archive } = this.#options
    if (!dry) await commits.put([{ kind: restoreKind, id: archive, remove: true }])
  }

  async #begin(): Promise<void> {
    const { store, commits, archive, dry, now } = this.#options
    const begun = (await store.get(restoreKind, archive))?.value
    const none = begun !== undefined || (await store.usage({ limit: 1 })).length === 0
    this.#state = none ? 'adding' : 'leaving'
    this.#mark = begun ?? { at: now() }
    if (none && begun === undefined && !dry) await commits.put([{ kind: restoreKind, id: archive, value: this.#mark }])
  }

  async #flush(): Promise<void> {
    const batch = this.#batch
    this.#batch = []
    if (batch.length === 0) return
    const { store, commits, archive, dry } = this.#options
    // The same part has the same id in every run: what was added before an interruption isn't added again.
    const id = `restore.${archive}.${this.#flushes}`
    this.#flushes += 1
    const { at = 0, added = 0 } = this.#mark ?? {}
    if (!dry && this.#flushes > added) {
      await store.addUsage(
        id,
        batch.map((row) => ({ ...row, version: 0 })),
      )
      await commits.put([{ kind: restoreKind, id: archive, value: { at, added: this.#flushes } }])
    }
    this.#report.written += batch.length
  }
}
