import type { Commits } from '../stores/commit.ts'
import type { TokenStore } from '../stores/token-store.ts'
import { ruleKind } from './rule.ts'
import { runKind } from './run.ts'

/**
 * Knows until when nothing is due, so that a check with nothing to do costs two comparisons. What is known holds until a rule
 * changes here, or (where other processes write to the store too) for `maxStaleness`.
 */
export class Quiet {
  readonly #store: TokenStore
  readonly #maxStaleness: number
  /** Nothing is due from here, and until there; epoch ms. */
  #from = 0
  #until = 0
  /** Grows with every change. */
  #changes = 0
  /** The store's time less this process's, ms. */
  #offset = 0
  readonly #stops: readonly (() => void)[]

  /**
   * @param store - where the rules are
   * @param commits - tells what this process changes
   * @param maxStaleness - how long others' changes may go unseen, ms
   */
  constructor(store: TokenStore, commits: Commits, maxStaleness: number) {
    this.#store = store
    // A store of this process alone tells every change at once; of another, `watch` may come late or not at all.
    const alone = !store.durability().multiProcess && store.watch !== undefined
    this.#maxStaleness = alone ? Number.POSITIVE_INFINITY : maxStaleness
    const changed = (kind: string): void => {
      if (kind === ruleKind.name || kind === runKind.name) this.end()
    }
    const watched = alone ? store.watch?.(({ kind }) => changed(kind)) : undefined
    this.#stops = [commits.onWrite(changed), ...(watched ? [watched] : [])]
  }

  /** The store's time less this process's, ms, as it was measured last. */
  get offset(): number {
    return this.#offset
  }

  /** Whether nothing is due at `now`, by the store's time. */
  holds(now: number): boolean {
    return now < this.#until && now >= this.#from
  }

  /** Takes note of the changes so far, before the store is asked. */
  mark(): number {
    return this.#changes
  }

  /**
   * Asks the store what is due next, and is quiet until then.
   *
   * @param since - the changes when it was found that nothing is due
   * @param at - the instant at which no rule is due, epoch ms
   * @param time - the store's time, at which no run is
   * @param offset - the store's time less this process's, ms
   */
  async begin(since: number, at: number, time: number, offset: number): Promise<void> {
    // What is due already can't be done here: another instance has the action.
    const [rules, runs] = await Promise.all([
      this.#store.list(ruleKind, { index: 'due', from: at + 1, limit: 1 }),
      this.#store.list(runKind, { index: 'due', from: time + 1, limit: 1 }),
    ])
    // What was written meanwhile may be due earlier than what was read.
    if (this.#changes !== since) return
    const { POSITIVE_INFINITY: never } = Number
    const next = Math.min(rules.items[0]?.value.nextDueAt ?? never, runs.items[0]?.value.wakeAt ?? never)
    this.#until = Math.min(next, at + this.#maxStaleness)
    this.#from = at
    this.#offset = offset
  }

  /** Something may be due. */
  end(): void {
    this.#changes += 1
    this.#until = 0
  }

  /** Listens no more. */
  close(): void {
    this.end()
    for (const stop of this.#stops) stop()
  }
}
