import { codeOf, TokenwrightError } from '../kernel/errors.ts'
import type { ActionResult } from './action.ts'
import { RulePartFailedError } from './errors.ts'
import type { Counts, SkipReason } from './run.ts'

/** Counts what became of the tokens of a run, and makes its result of that. */
export class Tally {
  readonly #counts: Record<string, number> = {}
  #first: unknown
  #code: string | undefined
  #retryable = false

  /** Counts something done. */
  add(what: string, count = 1): void {
    if (count > 0) this.#counts[what] = (this.#counts[what] ?? 0) + count
  }

  /** Counts a token that failed. What isn't ours may pass by itself; of ours, the error knows. */
  fail(error: unknown): void {
    this.failed(codeOf(error), !(error instanceof TokenwrightError) || error.retryable)
    this.#first ??= error
  }

  /** Counts tokens that failed where only a code is known. */
  failed(code: string, retryable: boolean, count = 1): void {
    this.add('failed', count)
    this.#code ??= code
    this.#retryable ||= retryable
  }

  /** What was done. */
  get counts(): Counts {
    return { ...this.#counts }
  }

  /**
   * The result of the run.
   *
   * @param done - the counts of which one shows that something was done
   * @param otherwise - why it is skipped when nothing was
   * @throws the failure, where all failed; RulePartFailedError where some did
   */
  result(rule: string, done: readonly string[], otherwise: SkipReason): ActionResult {
    const { counts } = this
    const some = done.some((what) => (counts[what] ?? 0) > 0)
    if (this.#code !== undefined) {
      if (!some && counts['failed'] === 1 && this.#first !== undefined) throw this.#first
      throw new RulePartFailedError(rule, counts, this.#code, this.#retryable)
    }
    return some ? { counts } : { outcome: 'skipped', reason: otherwise, counts }
  }
}
