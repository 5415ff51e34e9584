import type { Clock } from '../kernel/clock.ts'
import type { AnyKind } from '../kernel/kind.ts'
import type { Random } from '../kernel/random.ts'
import { nextTurn, pause } from '../kernel/turn.ts'
import { StoreBusyError } from '../stores/errors.ts'
import type { JournalHead } from '../stores/journal-link.ts'
import { concernsAll, isBusy, isDiskFailure, poisoned, storeErrorOf } from './engine-errors.ts'
import type { CellCache } from './file-cells.ts'
import { type FileEffect, FileTransaction } from './file-transaction.ts'
import type { KindRegistry } from './kind-registry.ts'
import { BUSY_LIMIT_MS, busyWait } from './open-database.ts'
import type { Statements } from './statements.ts'

/** A batch ends after so many jobs, or so many ms: then others have their turn at the lock. */
const BATCH_JOBS = 256
const BATCH_MS = 8

/** How long a lock that was held by others counts as wanted by them, ms. */
const CONTENDED_MS = 100

/** How long the lock is left to others between two batches, ms. */
const YIELD_MS = 1

/** Something to be done within a transaction. It may be run again, after a rollback. */
export interface Job<T> {
  /** The kinds that it needs. */
  readonly kinds: readonly AnyKind[]
  run(tx: FileTransaction): T
}

interface Waiting {
  readonly job: Job<unknown>
  readonly resolve: (value: unknown) => void
  readonly reject: (error: unknown) => void
  /** When it came, monotonic ms. */
  readonly since: number
}

interface Outcome {
  readonly waiting: Waiting
  readonly error?: unknown
  readonly value?: unknown
}

/** A job failed after it had begun to write. */
class HalfDone extends Error {}

/** What a {@link CommitQueue} works on. */
export interface CommitQueueOptions {
  readonly path: string
  readonly isTransaction: () => boolean
  readonly sql: Statements
  readonly kinds: KindRegistry
  readonly cells: CellCache
  readonly clock: Clock
  readonly random: Random
  /** Looks for changes of others before a batch; answers whether there were any. */
  readonly look: () => boolean
  /** Told after a batch is committed: what it changed, and the journal's head before and after. Doesn't throw. */
  readonly committed: (effects: readonly FileEffect[], before: JournalHead, after: JournalHead) => void
}

/**
 * Group commit: what is asked for in one turn of the event loop is done in one transaction, with one wait for the disk.
 *
 * Jobs run one after the other without savepoints. A job refused before it has written is simply left out. If one fails
 * later, the whole batch is rolled back and done again with a savepoint each, so that only the guilty one fails.
 */
export class CommitQueue {
  readonly #options: CommitQueueOptions
  #waiting: Waiting[] = []
  /** How many of the first ones are to be done with savepoints. */
  #careful = 0
  #running: Promise<void> | undefined
  #busyAt = Number.NEGATIVE_INFINITY
  #poisoned: Error | undefined

  constructor(options: CommitQueueOptions) {
    this.#options = options
  }

  /** Does a job in the next batch. */
  add<T>(job: Job<T>): Promise<T> {
    if (this.#poisoned !== undefined) return Promise.reject(this.#poisoned)
    const since = this.#options.clock.monotonic()
    const answer = new Promise<unknown>((resolve, reject) => this.#waiting.push({ job, resolve, reject, since }))
    this.#running ??= this.#run()
    return answer as Promise<T>
  }

  /** Resolves when nothing is left to do. */
  async idle(): Promise<void> {
    await this.#running
  }

  async #run(): Promise<void> {
    // The turn that collects what is asked for together.
    await nextTurn()
    while (this.#waiting.length > 0) {
      const { clock, random, look } = this.#options
      const disturbed = this.#guard(look) ?? false
      if (!this.#guard(() => this.#batch())) {
        this.#busyAt = clock.monotonic()
        this.#giveUp()
        await pause(busyWait(random))
      } else if (this.#waiting.length > 0 || disturbed) {
        if (disturbed || clock.monotonic() - this.#busyAt < CONTENDED_MS) await pause(YIELD_MS)
        else await nextTurn()
      }
    }
    this.#running = undefined
  }

  /** Whatever happens, nobody is left waiting. */
  #guard<T>(action: () => T): T | undefined {
    try {
      return action()
    } catch (error) {
      if (isBusy(error)) return undefined
      this.#failAll(this.#waiting.splice(0), error)
      return undefined
    }
  }

  /** Rejects what has waited for the lock too long. */
  #giveUp(): void {
    const now = this.#options.clock.monotonic()
    const late = this.#waiting.filter(({ since }) => now - since >= BUSY_LIMIT_MS)
    if (late.length === 0) return
    this.#waiting = this.#waiting.filter(({ since }) => now - since < BUSY_LIMIT_MS)
    this.#careful = 0
    for (const { reject, since } of late) reject(new StoreBusyError(`the store ${this.#options.path}`, now - since))
  }

  /** Does one batch. Answers false when others hold the lock. */
  #batch(): boolean {
    const { sql, kinds, cells, committed } = this.#options
    const careful = this.#careful > 0
    const taken: Waiting[] = []
    const outcomes: Outcome[] = []
    const tx = new FileTransaction(sql, kinds, cells)
    let before: JournalHead
    try {
      sql.begin.run()
      before = tx.head()
      this.#runJobs(tx, careful, taken, outcomes)
      sql.commit.run()
    } catch (error) {
      this.#rollBack()
      if (error instanceof HalfDone || isBusy(error)) {
        this.#waiting.unshift(...taken)
        if (error instanceof HalfDone) this.#careful = taken.length
        return error instanceof HalfDone
      }
      if (careful) this.#careful = 0
      this.#failAll(taken.length > 0 ? taken : this.#waiting.splice(0), error)
      return true
    }
    kinds.settle(true)
    if (careful) this.#careful -= taken.length
    committed(tx.effects, before, tx.head())
    for (const { waiting, error, value } of outcomes) {
      if (error === undefined) waiting.resolve(value)
      else waiting.reject(error)
    }
    return true
  }

  #runJobs(tx: FileTransaction, careful: boolean, taken: Waiting[], outcomes: Outcome[]): void {
    const { clock, path } = this.#options
    const from = clock.monotonic()
    const most = careful ? Math.min(this.#careful, BATCH_JOBS) : BATCH_JOBS
    while (taken.length < most && this.#waiting.length > 0) {
      const waiting = this.#waiting.shift() as Waiting
      taken.push(waiting)
      const { job } = waiting
      const mark = tx.mark()
      try {
        outcomes.push({ waiting, value: careful ? this.#runCarefully(tx, job) : runJob(tx, job) })
      } catch (error) {
        if (concernsAll(error) || isBusy(error)) throw error
        if (tx.written && !careful) throw new HalfDone()
        tx.reset(mark)
        outcomes.push({ waiting, error: storeErrorOf(error, path, 'write') })
      }
      if (clock.monotonic() - from >= BATCH_MS) return
    }
  }

  #runCarefully(tx: FileTransaction, job: Job<unknown>): unknown {
    const { sql, kinds } = this.#options
    const entered = kinds.entered
    sql.savepoint.run()
    try {
      const value = runJob(tx, job)
      sql.release.run()
      return value
    } catch (error) {
      if (!concernsAll(error)) {
        sql.rollbackTo.run()
        sql.release.run()
        kinds.forget(entered)
      }
      throw error
    }
  }

  #rollBack(): void {
    this.#options.kinds.settle(false)
    try {
      // SQLite may have done it itself.
      if (this.#options.isTransaction()) this.#options.sql.rollback.run()
    } catch (error) {
      this.#poison(error)
    }
  }

  #failAll(failed: readonly Waiting[], error: unknown): void {
    const { path } = this.#options
    if (isDiskFailure(error)) this.#poison(error)
    const told = this.#poisoned ?? storeErrorOf(error, path, 'write')
    for (const { reject } of failed) reject(told)
    if (this.#poisoned !== undefined) for (const { reject } of this.#waiting.splice(0)) reject(told)
  }

  #poison(error: unknown): void {
    this.#poisoned ??= poisoned(this.#options.path, error)
  }
}

function runJob(tx: FileTransaction, job: Job<unknown>): unknown {
  for (const kind of job.kinds) tx.kind(kind)
  return job.run(tx)
}
