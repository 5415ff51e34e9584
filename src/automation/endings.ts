import type { Stored } from '../kernel/kind.ts'
import { type Change, type Row, retryStale } from '../stores/commit.ts'
import { StaleRevisionError, UniqueConflictError } from '../stores/errors.ts'
import type { Foundation, ToldEvent } from '../stores/foundation.ts'
import type { Claimed, Holder } from './claims.ts'
import { retryAfter } from './due.ts'
import type { AutomationEvents, RunEvent } from './events.ts'
import { type Pause, pausedRule, type RuleRecord, ruleKind } from './rule.ts'
import { type Counts, type RunRecord, runKind, type SkipReason } from './run.ts'

/** How an attempt ended. */
export type Ending =
  | { readonly outcome: 'ok'; readonly counts: Counts }
  | { readonly outcome: 'skipped'; readonly reason: SkipReason; readonly counts: Counts }
  | { readonly outcome: 'failed'; readonly code: string; readonly retry: boolean; readonly counts?: Counts }

type Told = ToldEvent<AutomationEvents, keyof AutomationEvents>

/** How a run ends whose instance was lost, where no attempt is left. */
const LOST = { outcome: 'failed', code: 'ERR_RULE_LEASE_LOST', retry: false } as const satisfies Ending

/**
 * Ends runs, and takes up those that wait or whose instance is gone. Every change names the revision of the run that was
 * read or written last, so it is refused to whoever has lost the run.
 */
export class Endings {
  readonly #base: Foundation<AutomationEvents>
  readonly #holder: Holder

  /**
   * @param base - store, time and events
   * @param holder - who ends and takes up
   */
  constructor(base: Foundation<AutomationEvents>, holder: Holder) {
    this.#base = base
    this.#holder = holder
  }

  /**
   * Writes how an attempt ended: the run waits for its next attempt, or it is over, and with it a queued one may begin.
   *
   * @returns the run as it stands; `undefined` when another instance has it
   * @event rule.executed, rule.skipped, rule.failed, rule.paused
   */
  async end(run: Stored<RunRecord>, ending: Ending): Promise<Stored<RunRecord> | undefined> {
    const { store } = this.#base
    try {
      return await retryStale(async () => {
        const time = await store.time()
        const rule = await store.get(ruleKind, run.value.rule)
        if (
          ending.outcome === 'failed' &&
          ending.retry &&
          rule !== undefined &&
          run.value.attempt < rule.value.attempts
        ) {
          return this.#wait(run, ending, time)
        }
        return this.#finish(run, rule, ending, time)
      })
    } catch (error) {
      if (error instanceof RunLost) return undefined
      throw error
    }
  }

  /** Gives a run back unfinished: whoever comes next makes the same attempt. */
  async giveBack(run: Stored<RunRecord>): Promise<void> {
    const time = await this.#base.store.time()
    const value: RunRecord = { ...run.value, state: 'waiting', attempt: run.value.attempt - 1, wakeAt: time }
    await this.#base.commits.put([{ kind: runKind, id: run.id, value, expected: run.revision }])
  }

  /**
   * Keeps a run for another lease.
   *
   * @returns the run as it stands; `undefined` when another instance has it
   */
  async renew(run: Stored<RunRecord>): Promise<Stored<RunRecord> | undefined> {
    const wakeAt = (await this.#base.store.time()) + this.#holder.lease
    return this.#put(run, { ...run.value, wakeAt })
  }

  /**
   * Takes up a run that is due: one that waits, or one whose lease is over.
   *
   * @param time - the store's time
   * @param actions - those of this instance
   * @returns the run, if this instance has it now; `done` where it was ended or put off; `left` to those who have its action
   */
  async takeUp(
    run: Stored<RunRecord>,
    time: number,
    actions: ReadonlyMap<string, unknown>,
  ): Promise<Claimed | 'done' | 'left'> {
    const rule = await this.#base.store.get(ruleKind, run.value.rule)
    const { state, attempt, action } = run.value
    const barred = barredBy(rule?.value, run.value)
    if (barred !== undefined) {
      const ending = { outcome: 'skipped', reason: barred, counts: {} } as const
      await this.end(run, state === 'running' ? LOST : ending)
      return 'done'
    }
    if (rule === undefined || !actions.has(action)) return 'left'
    if (state === 'running' && attempt >= rule.value.attempts) {
      await this.end(run, LOST)
      return 'done'
    }
    const taken = await this.#take(run, time)
    return taken === undefined ? 'done' : { rule, run: taken }
  }

  /** Makes a run due that waits for an instant far off: it was put off while some clock was ahead. */
  async turnBack(run: Stored<RunRecord>, time: number): Promise<void> {
    await this.#put(run, { ...run.value, wakeAt: time })
  }

  async #take(run: Stored<RunRecord>, time: number): Promise<Stored<RunRecord> | undefined> {
    const { instance, lease } = this.#holder
    const { state, attempt, rule } = run.value
    const value: RunRecord = { ...run.value, state: 'running', attempt: attempt + 1, instance, wakeAt: time + lease }
    const lost = { ...facts(run, time), code: LOST.code, retryAt: time }
    const told: Told[] = state === 'running' ? [{ name: 'rule.failed', payload: lost, about: rule }] : []
    try {
      return await this.#write(run, value, [], told, [])
    } catch (error) {
      if (error instanceof RunLost) return undefined
      if (!(error instanceof UniqueConflictError)) throw error
      // It is queued, and the run before it is under way still.
      await this.#put(run, { ...run.value, wakeAt: time + lease })
      return undefined
    }
  }

  async #put(run: Stored<RunRecord>, value: RunRecord): Promise<Stored<RunRecord> | undefined> {
    const { id, revision } = run
    const stands = await this.#base.commits.put([{ kind: runKind, id, value, expected: revision }])
    return stands ? { id, revision: revision + 1, value } : undefined
  }

  async #wait(run: Stored<RunRecord>, { code, counts }: Failure, time: number): Promise<Stored<RunRecord>> {
    const retryAt = time + retryAfter(run.value.attempt)
    const value: RunRecord = { ...run.value, state: 'waiting', code, wakeAt: retryAt, ...(counts && { counts }) }
    return this.#write(
      run,
      value,
      [],
      [{ name: 'rule.failed', payload: { ...facts(run, time), code, retryAt }, about: run.value.rule }],
      [],
    )
  }

  async #finish(
    run: Stored<RunRecord>,
    rule: Stored<RuleRecord> | undefined,
    ending: Ending,
    time: number,
  ): Promise<Stored<RunRecord>> {
    // What the attempt before told of itself goes.
    const { wakeAt: _, code: __, counts: ___, ...rest } = run.value
    const { outcome, counts } = ending
    const value: RunRecord = {
      ...rest,
      state: 'ended',
      endedAt: time,
      outcome,
      ...(counts !== undefined && Object.keys(counts).length > 0 && { counts }),
      ...(ending.outcome === 'skipped' && { reason: ending.reason }),
      ...(ending.outcome === 'failed' && { code: ending.code }),
    }
    const about = run.value.rule
    const told: Told[] = [eventOf(run, ending, time)]
    const after = rule && afterEnding(rule.value, ending, time)
    const changes: Change<RuleRecord>[] = []
    if (rule !== undefined && after !== undefined && after !== rule.value) {
      const { failures = 0 } = after
      const action = after.paused === rule.value.paused ? 'rule.judged' : 'rule.paused'
      changes.push({
        kind: ruleKind,
        id: rule.id,
        revision: rule.revision,
        to: { value: after },
        action,
        detail: { failures },
      })
      if (action === 'rule.paused' && ending.outcome === 'failed') {
        told.push({
          name: 'rule.paused',
          payload: { id: about, rule: after.name, at: time, failures, code: ending.code },
          about,
        })
      }
    }
    const queued = run.value.state === 'queued' ? undefined : await this.#base.store.find(runKind, 'queued', [about])
    return this.#write(run, value, changes, told, queued === undefined ? [] : [this.#next(queued, time)])
  }

  /** The queued run, which is due now; whoever takes it up sees whether its rule still wants it. */
  #next({ id, revision, value }: Stored<RunRecord>, time: number): Row {
    return { kind: runKind, id, value: { ...value, state: 'waiting', wakeAt: time }, expected: revision }
  }

  async #write(
    run: Stored<RunRecord>,
    value: RunRecord,
    changes: readonly Change<RuleRecord>[],
    told: readonly Told[],
    rows: readonly Row[],
  ): Promise<Stored<RunRecord>> {
    const { id, revision } = run
    try {
      await this.#base.write({}, changes, told, [{ kind: runKind, id, value, expected: revision }, ...rows])
    } catch (error) {
      // The rule, or the queued run, may have changed: that is decided anew. The run itself is another's.
      if (error instanceof StaleRevisionError && error.id === id && error.kind === runKind.name) throw new RunLost()
      throw error
    }
    return { id, revision: revision + 1, value }
  }
}

type Failure = Extract<Ending, { outcome: 'failed' }>

/** Another instance has the run: what this one did about it is not to be written. */
class RunLost extends Error {}

/** What an ending makes of its rule: failures in a row are counted, and pause it when they are too many. */
export function afterEnding(rule: RuleRecord, ending: Ending, at: number): RuleRecord {
  if (ending.outcome === 'skipped') return rule
  const { failures: before = 0, ...rest } = rule
  if (ending.outcome === 'ok') return before === 0 ? rule : rest
  const failures = before + 1
  const failing = { ...rest, failures }
  if (rule.pauseAfter === 0 || failures < rule.pauseAfter || rule.paused !== undefined) return failing
  const pause: Pause = { at, reason: 'failures', code: ending.code }
  return pausedRule(failing, pause)
}

/** Why a run isn't to go on. One that was called for goes on though its rule is disabled or paused. */
function barredBy(rule: RuleRecord | undefined, { action, calledBy }: RunRecord): SkipReason | undefined {
  if (rule === undefined) return 'removed'
  if (rule.action !== action) return 'changed'
  if (calledBy !== undefined) return undefined
  if (!rule.enabled) return 'disabled'
  return rule.paused === undefined ? undefined : 'paused'
}

function facts({ id, value }: Stored<RunRecord>, at: number): RunEvent {
  const { rule, name, slot, attempt, missed = 0, calledBy } = value
  return {
    id: rule,
    rule: name,
    at,
    run: id,
    slot,
    attempt,
    missed,
    ...(calledBy !== undefined && { actor: calledBy }),
  }
}

function eventOf(run: Stored<RunRecord>, ending: Ending, time: number): Told {
  const about = run.value.rule
  const event = facts(run, time)
  switch (ending.outcome) {
    case 'ok': {
      const durationMs = Math.max(0, time - run.value.startedAt)
      return { name: 'rule.executed', payload: { ...event, durationMs, counts: ending.counts }, about }
    }
    case 'skipped':
      return { name: 'rule.skipped', payload: { ...event, why: ending.reason }, about }
    case 'failed':
      return { name: 'rule.failed', payload: { ...event, code: ending.code }, about }
  }
}
