import type { Clock } from '../kernel/clock.ts'
import { InvalidInputError } from '../kernel/errors.ts'
import { checkFields } from '../kernel/fields.ts'
import type { Announcer } from './announcer.ts'
import type { Run } from './api.ts'
import type { ChangeResult } from './change-result.ts'
import { describe } from './grant.ts'
import type { TargetHeal } from './heal-report.ts'
import type { HistoryAction, TargetChange } from './history.ts'
import type { Recorder } from './recorder.ts'
import { type TargetReport, worst } from './report.ts'
import { RequestBudget } from './request-budget.ts'

/** How a run is called. */
export interface RunOptions {
  /** Ends it: no further request is sent, waits end at once, and the call rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined
  /** Who asked for it; stands in the history. Default `system`. */
  readonly actor?: string | undefined
}

/** What {@link Runs} are made from. */
export interface RunsOptions {
  readonly recorder: Recorder
  readonly announcer: Announcer
  readonly clock: Clock
  readonly maxRequests: number
}

/** What came of an action, with what its row tells. */
export interface Done<T> {
  readonly answer: T
  readonly reports: readonly TargetReport[]
  /** The reports from before anything was done, where that differs. */
  readonly before?: readonly TargetReport[]
  readonly changes: readonly TargetChange[]
}

/** An error on its way out, with what its row tells all the same: the change that was refused, those that were made before it. */
export class BrokenOff extends Error {
  readonly error: unknown
  readonly changes: readonly TargetChange[]

  constructor(error: unknown, changes: readonly TargetChange[]) {
    super('broken off')
    this.error = error
    this.changes = changes
  }
}

/** The runs of a healer: each with its budget, and its row. */
export class Runs {
  readonly #options: RunsOptions

  /** @param options - where rows go */
  constructor(options: RunsOptions) {
    this.#options = options
  }

  /**
   * A run that leaves no row.
   *
   * @throws InvalidInputError for options that can't be used
   */
  begin(options: RunOptions): Run {
    checkRun(options)
    return this.#run(options)
  }

  #run({ signal }: RunOptions): Run {
    return { budget: new RequestBudget(this.#options.maxRequests), signal }
  }

  /**
   * Does something, and writes its row: also when it fails.
   *
   * @throws InvalidInputError for options that can't be used: then there is no row
   */
  async recorded<T>(
    action: HistoryAction,
    options: RunOptions,
    act: (run: Run, at: number, from: number) => Promise<Done<T>>,
  ): Promise<T> {
    checkRun(options, action)
    const { clock, recorder, announcer } = this.#options
    const at = clock.now()
    const from = clock.monotonic()
    const row = { at, from, action, actor: options.actor ?? 'system' }
    const run = this.#run(options)
    try {
      options.signal?.throwIfAborted()
      const { answer, reports, before, changes } = await act(run, at, from)
      const overall = reports.length === 0 ? null : worst(reports.map(({ health }) => health))
      await recorder.write({ ...row, reports, ...(before && { before }), changes, overall })
      return answer
    } catch (thrown) {
      const { error, changes } = thrown instanceof BrokenOff ? thrown : { error: thrown, changes: [] }
      await recorder.write({ ...row, reports: [], changes, overall: null }, error)
      throw error
    } finally {
      await announcer.settled()
    }
  }
}

/** What a row tells of a run's changes. */
export function changesOf(changes: readonly TargetHeal[]): TargetChange[] {
  return changes.filter(({ outcome }) => outcome !== 'nothing_missing').map(changeOf)
}

/** What a row tells of a change. */
export function changeOf(change: ChangeResult | TargetHeal): TargetChange {
  const { target, outcome, planHash, added, snapshot, approvedBy, error } = change
  return {
    name: target,
    outcome,
    ...(planHash !== undefined && { planHash }),
    ...(added.length > 0 && { added: added.map(describe) }),
    ...(snapshot !== undefined && { snapshot }),
    ...(approvedBy !== undefined && { approvedBy }),
    ...(error !== undefined && { errorCode: error.code, errorMessage: error.message }),
  }
}

/** What the options of some actions have beside what all have. */
const MORE: { readonly [action in HistoryAction]?: readonly string[] } = {
  apply: ['approval'],
  narrow: ['approval'],
  roll: ['publish', 'service'],
}

/**
 * Checks how a run is called.
 *
 * @param action - what is called; `undefined` = what leaves no row
 * @throws InvalidInputError for a misspelt option, and values that can't be used
 */
export function checkRun(options: unknown, action?: HistoryAction): void {
  const more = action === undefined ? [] : (MORE[action] ?? [])
  const { actor, signal } = checkFields('options', options, ['signal', 'actor', ...more])
  if (actor !== undefined && (typeof actor !== 'string' || actor === '' || actor.length > 256)) {
    throw new InvalidInputError('actor', 'must be a text of 1 to 256 characters', 'leave it out, or shorten it')
  }
  if (signal !== undefined && typeof (signal as AbortSignal | null)?.throwIfAborted !== 'function') {
    throw new InvalidInputError('signal', 'is no AbortSignal', 'give the signal of an AbortController, or leave it out')
  }
}
