import type { Attribution, Commits } from '../stores/commit.ts'
import { keyKind } from '../stores/key-check.ts'
import type { ScanRow, TokenStore } from '../stores/token-store.ts'
import type { KeyRing } from '../tokens/key-ring.ts'
import type { ArchiveAbout } from './archive-head.ts'
import type { CheckedKey } from './archive-key.ts'
import type { ArchiveLine } from './archive-lines.ts'
import { readArchive } from './archive-reader.ts'
import type { ArchiveFile } from './archive-source.ts'
import type { ArchivedKind } from './archived-kind.ts'
import { ArchiveNewerError } from './errors.ts'
import { type Examination, examine, isTaken } from './examine.ts'
import { type HistoryOptions, type HistoryReport, JournalRestore, UsageRestore } from './history.ts'
import { IdSet } from './id-set.ts'
import { REFUSED, type RestoreMode } from './judge.ts'
import { KeyFit } from './key-fit.ts'
import { RestoreTally } from './restore-tally.ts'
import { count, RestoreWriter } from './restore-writer.ts'
import { storeRows } from './store-lines.ts'

/** Records of one commit. With more, a store in this process would hold its event loop for too long. */
const BATCH = 100

/** Journal entries linked at a time. */
const SEALED_AT_ONCE = 2000

/** What a restore works on. */
export interface RestoreJob {
  readonly store: TokenStore
  readonly commits: Commits
  readonly ring: KeyRing
  readonly now: () => number
  readonly kinds: readonly ArchivedKind[]
  readonly file: ArchiveFile
  readonly key: CheckedKey
  readonly mode: RestoreMode
  readonly atRest: boolean
  readonly by: Attribution
}

/** What a plan has found, or a restore has done. */
export interface RestoreOutcome {
  readonly about: ArchiveAbout
  readonly tally: RestoreTally
  /** Absent when the archive holds no journal. */
  readonly journal: HistoryReport | undefined
  /** Absent when the archive holds no usage rows. */
  readonly usage: HistoryReport | undefined
}

/** Rows of one kind, none of them twice. */
interface Batch {
  readonly of: ArchivedKind
  readonly rows: readonly ScanRow[]
}

/** A restore, in two steps that read the archive each: all is authenticated and judged before anything is written. */
export class Restore {
  readonly #job: RestoreJob
  readonly #byName: ReadonlyMap<string, ArchivedKind>
  /** The ids in the archive, where those that it lacks are to go. */
  #archived: IdSet | undefined
  /** The ids that the plan refuses. */
  #refused: IdSet | undefined
  #about: ArchiveAbout | undefined

  /** @param job - what it works on */
  constructor(job: RestoreJob) {
    this.#job = job
    this.#byName = new Map(job.kinds.map((of) => [of.kind.name, of]))
  }

  /**
   * Finds out what the restore would do. Writes nothing.
   *
   * @throws ArchiveError when the archive isn't whole and authentic, or is ahead of this version
   * @throws KeyInUseError, KeyRingMismatchError when the ring couldn't prove the tokens that it would bring
   */
  async plan(): Promise<RestoreOutcome> {
    const { store, mode, atRest, ring, now } = this.#job
    if (mode === 'replace') await this.#gatherIds()
    const tally = new RestoreTally()
    const fit = new KeyFit(ring, now())
    const how: Examination = { store, mode, atRest, willCome: (kind, id) => !this.#refused?.has(kind, id) }
    const goes = (kind: string, id: string): boolean => this.#archived?.has(kind, id) === false
    for await (const { of, rows } of this.#batches()) {
      const examined = await examine(how, of, rows)
      const taken = await Promise.all(examined.map((each) => isTaken(store, each, goes)))
      for (const [i, each] of examined.entries()) {
        const judged = taken[i] === true ? { ...each, fate: 'conflict' as const } : each
        fit.see(each.row, taken[i] === true ? undefined : each.to)
        if (REFUSED.includes(judged.fate)) {
          this.#refused ??= await IdSet.open()
          this.#refused.add(each.row.kind, each.row.id)
        }
        count(tally, judged)
      }
    }
    fit.check()
    const lost = this.#lost()
    for await (const { of, rows } of lost) {
      for (const row of rows) count(tally, { of, row, revision: row.revision, fate: 'remove' })
    }
    return this.#outcome(tally, await this.#history(true))
  }

  /** Does it. To be called after {@link Restore.plan}, which authenticates the archive. */
  async run(): Promise<RestoreOutcome> {
    const { store, commits, now, by, mode, atRest } = this.#job
    const history = await this.#history(false)
    const writer = new RestoreWriter({ commits, now, by, archive: this.#known.archive })
    const tally = new RestoreTally()
    for await (const { of, rows } of this.#lost()) await writer.remove(of, rows, tally)
    const how: Examination = { store, mode, atRest, willCome: () => false }
    for await (const { of, rows } of this.#batches()) await writer.restore(how, of, rows, tally)
    // A name may be held by a record that gives it up further on.
    for (let conflicts = tally.total(['conflict']); conflicts > 0; ) {
      const again = new RestoreTally()
      for await (const { of, rows } of this.#batches()) await writer.restore(how, of, rows, again)
      tally.settle(again)
      const left = again.total(['conflict'])
      if (left >= conflicts) break
      conflicts = left
    }
    return this.#outcome(tally, history)
  }

  /** Lets go of what it keeps beside the store. */
  close(): void {
    this.#archived?.close()
    this.#refused?.close()
  }

  get #known(): ArchiveAbout {
    if (this.#about === undefined) throw new TypeError('the archive has not been read')
    return this.#about
  }

  #outcome(tally: RestoreTally, history: Pick<RestoreOutcome, 'journal' | 'usage'>): RestoreOutcome {
    return { about: this.#known, tally, ...history }
  }

  #lines(): AsyncGenerator<ArchiveLine[]> {
    const { file, key } = this.#job
    return readArchive(file.bytes(), key, {
      head: ({ about }) => {
        this.#checkKnown(about)
        this.#about = about
      },
    })
  }

  #checkKnown({ schemas }: ArchiveAbout): void {
    for (const { kind } of this.#job.kinds) {
      const schema = schemas[kind.name] ?? 0
      if (schema <= kind.schema) continue
      throw new ArchiveNewerError(
        `the archive's ${kind.name} records are of schema ${schema}, and this version knows up to ${kind.schema}`,
      )
    }
  }

  #kindOf(row: ScanRow): ArchivedKind {
    const of = this.#byName.get(row.kind)
    if (of !== undefined) return of
    throw new ArchiveNewerError(`the archive holds records of the kind '${row.kind}', which is not known here`)
  }

  async *#batches(): AsyncGenerator<Batch> {
    let of: ArchivedKind | undefined
    let rows: ScanRow[] = []
    const seen = new Set<string>()
    for await (const page of this.#lines()) {
      for (const line of page) {
        if (!('kind' in line)) continue
        const next = this.#kindOf(line)
        if (of !== undefined && (next !== of || rows.length >= BATCH || seen.has(line.id))) {
          yield { of, rows }
          rows = []
          seen.clear()
        }
        of = next
        rows.push(line)
        seen.add(line.id)
      }
    }
    if (of !== undefined) yield { of, rows }
  }

  async #gatherIds(): Promise<void> {
    const archived = await IdSet.open()
    this.#archived = archived
    for await (const page of this.#lines()) {
      for (const line of page) if ('kind' in line) archived.add(line.kind, line.id)
    }
  }

  /** The records of the store that the archive doesn't have, of the kinds that it was made of. */
  async *#lost(): AsyncGenerator<Batch> {
    const archived = this.#archived
    if (archived === undefined) return
    const { schemas } = this.#known
    const kinds = this.#job.kinds.filter(({ kind }) => Object.hasOwn(schemas, kind.name) && kind !== keyKind)
    for await (const page of storeRows(this.#job.store, kinds)) {
      const lost = page.filter((row) => 'value' in row && !archived.has(row.kind, row.id))
      for (const { kind } of kinds) {
        const rows = lost.filter((row) => row.kind === kind.name)
        const of = this.#byName.get(kind.name)
        if (of === undefined) continue
        for (let from = 0; from < rows.length; from += BATCH) yield { of, rows: rows.slice(from, from + BATCH) }
      }
    }
  }

  /** Restores journal and usage, or counts what would be restored. */
  async #history(dry: boolean): Promise<Pick<RestoreOutcome, 'journal' | 'usage'>> {
    const { store, commits, now } = this.#job
    const { includes, archive } = this.#known
    if (includes.length === 0) return { journal: undefined, usage: undefined }
    if (!dry) while ((await commits.seal(SEALED_AT_ONCE)) === SEALED_AT_ONCE);
    const options: HistoryOptions = { store, commits, now, archive, dry }
    const journal = new JournalRestore(options)
    const usage = new UsageRestore(options)
    for await (const page of this.#lines()) {
      for (const line of page) {
        if ('entry' in line) await journal.add(line.entry)
        else if ('usage' in line) await usage.add(line.usage)
      }
    }
    await journal.end()
    await usage.end()
    return {
      journal: includes.includes('journal') ? journal.report : undefined,
      usage: includes.includes('usage') ? usage.report : undefined,
    }
  }
}
