import { nextEpoch } from '../kernel/kind.ts'
import type { Attribution, Change, Commits, Row } from '../stores/commit.ts'
import { StaleRevisionError, UniqueConflictError } from '../stores/errors.ts'
import type { ScanRow } from '../stores/token-store.ts'
import type { ArchivedKind } from './archived-kind.ts'
import { type Examination, type Examined, examine } from './examine.ts'
import { graveOf } from './judge.ts'
import type { RestoreTally } from './restore-tally.ts'

/** How often a record is examined anew while others change it. */
const ATTEMPTS = 10

/** What a {@link RestoreWriter} needs. */
export interface RestoreWriterOptions {
  readonly commits: Commits
  readonly now: () => number
  readonly by: Attribution
  /** The archive's id: every entry of the journal tells it. */
  readonly archive: string
}

/**
 * Writes what a restore decides, some hundred records a commit, each with a revision of a new epoch: whoever read one
 * before can't write it. Where others are faster, or a key is taken, the commit is done in halves, down to the record
 * that is in the way.
 */
export class RestoreWriter {
  readonly #options: RestoreWriterOptions

  /** @param options - how changes are made, and who restores */
  constructor(options: RestoreWriterOptions) {
    this.#options = options
  }

  /** Restores records of one kind. */
  async restore(how: Examination, of: ArchivedKind, rows: readonly ScanRow[], tally: RestoreTally): Promise<void> {
    const examined = await examine(how, of, rows)
    await this.#write(how, examined, tally, 1)
  }

  /** Removes records that the archive doesn't have; tombstones stay of journaled kinds. */
  async remove(of: ArchivedKind, rows: readonly ScanRow[], tally: RestoreTally): Promise<void> {
    const { now } = this.#options
    const removals = rows.map((row): Examined => {
      const tombstone = graveOf(of, 'value' in row ? row.value : undefined, now())
      return { of, row, revision: row.revision, fate: 'remove', to: { tombstone } }
    })
    await this.#removeEach(removals, tally)
  }

  async #write(how: Examination, examined: readonly Examined[], tally: RestoreTally, attempt: number): Promise<void> {
    const writing = examined.filter(({ to }) => to !== undefined)
    try {
      if (writing.length > 0) await this.#commit(writing, false)
    } catch (error) {
      const refusal = error instanceof UniqueConflictError ? error : undefined
      if (refusal === undefined && !(error instanceof StaleRevisionError)) throw error
      const [only] = examined
      if (only === undefined) throw error
      if (examined.length > 1) {
        const middle = examined.length >> 1
        for (const half of [examined.slice(0, middle), examined.slice(middle)]) {
          await this.#write(how, await this.#anew(how, half), tally, 1)
        }
        return
      }
      if (refusal !== undefined) {
        count(tally, { ...only, fate: refusal.removed ? 'would_revive' : 'conflict' })
        return
      }
      const [again] = await this.#anew(how, examined)
      // What is there and can't be read is a tombstone, of a store that doesn't tell them.
      const found = error instanceof StaleRevisionError ? error.found : 0
      if (again !== undefined && again.revision === 0 && found > 0) {
        count(tally, { ...only, fate: 'would_revive' })
        return
      }
      if (again === undefined || attempt >= ATTEMPTS) throw error
      await this.#write(how, [again], tally, attempt + 1)
      return
    }
    for (const each of examined) count(tally, each)
  }

  async #anew(how: Examination, examined: readonly Examined[]): Promise<Examined[]> {
    const [first] = examined
    return first === undefined
      ? []
      : examine(
          how,
          first.of,
          examined.map(({ row }) => row),
        )
  }

  async #removeEach(removals: readonly Examined[], tally: RestoreTally): Promise<void> {
    const [only] = removals
    if (only === undefined) return
    try {
      await this.#commit(removals, true)
    } catch (error) {
      if (!(error instanceof StaleRevisionError)) throw error
      // Changed or removed since it was read: what was made or changed after the restore began is not its to remove.
      if (removals.length === 1) return
      const middle = removals.length >> 1
      await this.#removeEach(removals.slice(0, middle), tally)
      await this.#removeEach(removals.slice(middle), tally)
      return
    }
    for (const each of removals) count(tally, each)
  }

  async #commit(examined: readonly Examined[], removing: boolean): Promise<void> {
    const { commits, by, archive } = this.#options
    const changes: Change[] = []
    const rows: Row[] = []
    for (const { of, row, revision, fate, to } of examined) {
      const { kind } = of
      if (to === undefined) continue
      const made = nextEpoch(revision, removing ? 0 : row.revision)
      if (kind.journaled) {
        const action = `${kind.name}.${fate === 'remove' ? 'removed' : 'restored'}`
        changes.push({ kind, id: row.id, revision, makes: made, to, action, detail: { archive } })
      } else if (removing) {
        rows.push({ kind, id: row.id, remove: true, expected: revision })
      } else {
        rows.push({ kind, id: row.id, ...to, revision: made, expected: revision })
      }
    }
    await commits.write(by, changes, rows)
  }
}

/** Counts what became of a record. */
export function count(tally: RestoreTally, { of, row, fate, to }: Examined): void {
  const value = to !== undefined && 'value' in to ? to.value : 'value' in row ? row.value : undefined
  tally.add(row.kind, fate, row.id, value === undefined ? undefined : of.label?.(value))
}
