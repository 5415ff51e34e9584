import type { Stored } from '../kernel/kind.ts'
import type { Attribution, Change, Row } from '../stores/commit.ts'
import { StaleRevisionError, UniqueConflictError } from '../stores/errors.ts'
import type { Foundation } from '../stores/foundation.ts'
import { type Decision, decide, standingAfter, turnedBack } from './due.ts'
import { RuleRunningError } from './errors.ts'
import type { AutomationEvents, RuleSkippedEvent } from './events.ts'
import { type RuleRecord, ruleKind } from './rule.ts'
import { calledRunId, type RunRecord, runKind, type SkipReason, slotRunId } from './run.ts'

/** A run that this instance has, with its rule as it was claimed. */
export interface Claimed {
  readonly rule: Stored<RuleRecord>
  readonly run: Stored<RunRecord>
}

/** What became of a slot: this instance has it; it was skipped; or another was faster. */
export type Claim = Claimed | 'skipped' | 'lost'

/** How many runs of a rule are kept, at least. */
export const RUNS_KEPT = 1000
/** So often a rule's oldest runs are looked at, in runs; and so many are removed at a time, at most. */
const TRIM_EVERY = 50
const TRIMMED = 2 * TRIM_EVERY

/** Who has runs, and for how long. */
export interface Holder {
  /** This instance's name. */
  readonly instance: string
  /** How long a run is this instance's without a word from it, ms. */
  readonly lease: number
}

/**
 * Takes slots: the rule moves on and the run begins in one commit, which expects the rule as it was read and no run of
 * that slot. So of any number of instances one has the slot, and it is never had twice.
 */
export class Claims {
  readonly #base: Foundation<AutomationEvents>
  readonly #holder: Holder

  /**
   * @param base - store, time and events
   * @param holder - whose claims they are
   */
  constructor(base: Foundation<AutomationEvents>, holder: Holder) {
    this.#base = base
    this.#holder = holder
  }

  /**
   * Takes the slot that a rule is due for.
   *
   * @param at - the instant that decides what is due, epoch ms
   * @param time - the store's time
   */
  async slot(rule: Stored<RuleRecord>, at: number, time: number): Promise<Claim> {
    const decision = decide(rule.value, at)
    if (decision === undefined) return 'lost'
    if (decision.late) return this.#skip(rule, decision, time, 'catch_up')
    const run = this.#run(rule, decision, time)
    try {
      return await this.#begin(rule, run, { ...moved(rule.value, decision.slot), lastRunAt: time })
    } catch (error) {
      if (!isOverlap(error)) return this.#lostOr(error, rule, decision, time)
    }
    return rule.value.overlap === 'queue'
      ? this.#queue(rule, decision, time)
      : this.#skip(rule, decision, time, 'overlap')
  }

  /**
   * Takes a run out of turn. An interval begins anew with it; the slots of a calendar stay.
   *
   * @throws RuleRunningError when a run is under way; StaleRevisionError when the rule has changed
   */
  async called(rule: Stored<RuleRecord>, by: Attribution, time: number): Promise<Claimed> {
    const { id, value } = rule
    const n = value.runs + 1
    const begun = { ...value, lastRunAt: time }
    const next = 'every' in value.schedule ? restarted(begun, time + value.schedule.every) : begun
    const run: Stored<RunRecord> = {
      id: calledRunId(id, time, n),
      revision: 0,
      value: { ...this.#run(rule, { slot: time, missed: 0, late: false }, time).value, calledBy: by.actor ?? 'system' },
    }
    try {
      return await this.#begin(rule, run, next, by)
    } catch (error) {
      if (isOverlap(error)) throw new RuleRunningError(value.name)
      throw error
    }
  }

  /** Sets a rule right that was made, changed or run while some clock was ahead; not if others change it meanwhile. */
  async turnBack(rule: Stored<RuleRecord>, at: number): Promise<void> {
    try {
      await this.#base.write({}, [change(rule, turnedBack(rule.value, at), 'rule.turned_back', { at })], [])
    } catch (error) {
      if (!(error instanceof StaleRevisionError)) throw error
    }
  }

  #run(rule: Stored<RuleRecord>, { slot, missed }: Decision, time: number): Stored<RunRecord> {
    const { id, value } = rule
    const run: RunRecord = {
      rule: id,
      name: value.name,
      action: value.action,
      slot,
      n: value.runs + 1,
      state: 'running',
      attempt: 1,
      startedAt: time,
      instance: this.#holder.instance,
      ...(missed > 0 && { missed }),
      wakeAt: time + this.#holder.lease,
    }
    return { id: slotRunId(id, slot), revision: 0, value: run }
  }

  async #begin(
    rule: Stored<RuleRecord>,
    run: Stored<RunRecord>,
    next: RuleRecord,
    by: Attribution = {},
  ): Promise<Claimed> {
    const { slot, n, missed = 0 } = run.value
    const changes = [change(rule, { ...next, runs: n }, 'rule.claimed', { slot, missed, run: n })]
    const [changed] = await this.#base.write(by, changes, [], [inserted(run), ...(await this.#old(rule.id, n))])
    return { rule: changed as Stored<RuleRecord>, run: { ...run, revision: 1 } }
  }

  async #queue(rule: Stored<RuleRecord>, decision: Decision, time: number): Promise<Claim> {
    const { id, revision, value } = this.#run(rule, decision, time)
    // It comes up again when the lease of the run before could be over, should nobody have ended that.
    const run = { id, revision, value: { ...value, state: 'queued', attempt: 0 } as const }
    try {
      await this.#begin(rule, run, moved(rule.value, decision.slot))
      return 'skipped'
    } catch (error) {
      if (!isOverlap(error)) return this.#lostOr(error, rule, decision, time)
    }
    return this.#skip(rule, decision, time, 'overlap')
  }

  async #skip(rule: Stored<RuleRecord>, decision: Decision, time: number, why: SkipReason): Promise<Claim> {
    const { slot, missed } = decision
    const { id, value: claimed } = this.#run(rule, decision, time)
    const { wakeAt: _, ...run } = claimed
    const value: RunRecord = { ...run, state: 'ended', attempt: 0, endedAt: time, outcome: 'skipped', reason: why }
    const { name, runs } = rule.value
    const payload: RuleSkippedEvent = { id: rule.id, rule: name, at: time, run: id, slot, attempt: 0, missed, why }
    const changes = [
      change(rule, { ...moved(rule.value, slot), runs: runs + 1 }, 'rule.skipped', { slot, missed, why }),
    ]
    const rows = [inserted({ id, revision: 0, value }), ...(await this.#old(rule.id, runs + 1))]
    try {
      await this.#base.write({}, changes, [{ name: 'rule.skipped', payload, about: rule.id }], rows)
      return 'skipped'
    } catch (error) {
      return this.#lostOr(error, rule, decision, time)
    }
  }

  /** Another instance was faster, or the slot has been run before: then the rule only moves on. */
  async #lostOr(error: unknown, rule: Stored<RuleRecord>, { slot }: Decision, at: number): Promise<Claim> {
    if (!(error instanceof StaleRevisionError)) throw error
    if (error.kind !== runKind.name) return 'lost'
    try {
      await this.#base.write({}, [change(rule, moved(rule.value, slot), 'rule.moved', { slot, at })], [])
    } catch (again) {
      if (!(again instanceof StaleRevisionError)) throw again
    }
    return 'lost'
  }

  /** The runs of a rule that are more than are kept, now and then. */
  async #old(rule: string, n: number): Promise<Row[]> {
    if (n % TRIM_EVERY !== 0 || n <= RUNS_KEPT) return []
    const { items } = await this.#base.store.list(runKind, {
      index: 'rule',
      in: rule,
      to: n - RUNS_KEPT,
      limit: TRIMMED,
    })
    return items.flatMap(({ id, value }) => (value.state === 'ended' ? [{ kind: runKind, id, remove: true }] : []))
  }
}

/** The rule after a slot of it was decided. */
function moved(rule: RuleRecord, slot: number): RuleRecord {
  const { nextSlot: _, nextDueAt: __, ...rest } = rule
  return { ...rest, ...standingAfter(rule, slot), lastSlot: slot }
}

/** The rule with its interval counted from another first slot. */
function restarted(rule: RuleRecord, anchor: number): RuleRecord {
  const { nextSlot: _, nextDueAt: __, ...rest } = rule
  return { ...rest, anchor, ...standingAfter({ ...rest, anchor }, anchor - 1) }
}

function change(
  rule: Stored<RuleRecord>,
  value: RuleRecord,
  action: string,
  detail: { readonly [name: string]: string | number },
): Change<RuleRecord> {
  return { kind: ruleKind, id: rule.id, revision: rule.revision, to: { value }, action, detail }
}

function inserted({ id, value }: Stored<RunRecord>): Row {
  return { kind: runKind, id, value, expected: 0 }
}

function isOverlap(error: unknown): boolean {
  return error instanceof UniqueConflictError && error.kind === runKind.name
}
