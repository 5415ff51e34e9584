import { InvalidInputError } from '../kernel/errors.ts'
import type { Stored } from '../kernel/kind.ts'
import type { Attribution } from '../stores/commit.ts'
import type { Foundation } from '../stores/foundation.ts'
import type { Action } from './action.ts'
import { Attempt } from './attempt.ts'
import { type Claimed, Claims, type Holder } from './claims.ts'
import { LONGEST_RETRY } from './due.ts'
import { Endings } from './endings.ts'
import type { AutomationEvents } from './events.ts'
import { Quiet } from './quiet.ts'
import { type RuleRecord, ruleKind } from './rule.ts'
import { type RunRecord, type RunView, runKind, runView } from './run.ts'
import { dueRules, dueRuns, PAGE } from './selection.ts'

/** What a check did. */
export interface CheckReport {
  /** Runs that this instance made an attempt of, as they stand after it. */
  readonly runs: readonly RunView[]
  /** Slots that were skipped, or queued, without an attempt. */
  readonly skipped: number
  /** Rules that are due and whose action isn't registered here. */
  readonly unknown: number
}

/** What a {@link RuleRunner} goes by. */
export interface RunnerOptions extends Holder {
  /** The actions of this instance, by name. */
  readonly actions: ReadonlyMap<string, Action>
  /** Runs at a time. */
  readonly concurrency: number
  /** How old may be what is known of a store that other processes write to, ms. */
  readonly maxStaleness: number
}

/** Rules that were touched ahead of the present are looked for so often, ms; and so far ahead it must be. */
const TURN_BACK_EVERY = 3_600_000
const AHEAD = 60_000
/** The longest lease that an instance may have, ms. */
export const LONGEST_LEASE = 86_400_000
/** How long runs are kept, ms, and how many are removed at a time. */
const RUN_RETENTION = 90 * 86_400_000
const FORGOTTEN = 500

const NOTHING: CheckReport = Object.freeze({ runs: Object.freeze([]), skipped: 0, unknown: 0 })
/** One promise for all checks that have nothing to do: it costs them nothing. */
const IDLE: Promise<CheckReport> = Promise.resolve(NOTHING)

/** Runs what is due. */
export class RuleRunner {
  readonly #base: Foundation<AutomationEvents>
  readonly #options: RunnerOptions
  readonly #claims: Claims
  readonly #endings: Endings
  readonly #quiet: Quiet
  readonly #checks = new Set<Promise<unknown>>()
  readonly #attempts = new Map<Attempt, Promise<unknown>>()
  #stopped = false
  /** The next look for rules ahead of the clock, and for old runs; the store's time. */
  #upkeepAt = 0
  readonly #stopListening: () => void

  /**
   * @param base - store, time and events
   * @param options - whose runs they are, and what it can do
   */
  constructor(base: Foundation<AutomationEvents>, options: RunnerOptions) {
    this.#base = base
    this.#options = options
    this.#claims = new Claims(base, options)
    this.#endings = new Endings(base, options)
    this.#quiet = new Quiet(base.store, base.commits, options.maxStaleness)
    this.#stopListening = base.clock.onJump(() => {
      this.#upkeepAt = 0
      this.#quiet.end()
    })
  }

  /**
   * Takes up and runs what is due, and resolves when it has ended. With nothing due it costs a comparison.
   *
   * @param now - the instant that decides what is due, epoch ms. Default: the store's time
   * @throws StoreError when what is due can't be read; what a single run met is thrown when all others are done
   */
  check(now?: number): Promise<CheckReport> {
    if (this.#quiet.holds(now ?? this.#base.clock.now() + this.#quiet.offset) || this.#stopped) return IDLE
    const checking = this.#check(now)
    this.#checks.add(checking)
    const done = (): void => void this.#checks.delete(checking)
    checking.then(done, done)
    return checking
  }

  /**
   * Takes a run of a rule out of turn.
   *
   * @throws RuleRunningError; StaleRevisionError when the rule has changed
   */
  async claim(rule: Stored<RuleRecord>, by: Attribution): Promise<Claimed> {
    const claimed = await this.#claims.called(rule, by, await this.#base.store.time())
    this.#quiet.end()
    return claimed
  }

  /** Makes the first attempt of a run that was taken so. Answers the run as it stands then. */
  async run(claimed: Claimed, action: Action, by: Attribution): Promise<Stored<RunRecord>> {
    const run = await this.#attempt(claimed, action, claimed.run.value.startedAt, by)
    // Broken off: as whoever has it now left it.
    return run ?? (await this.#base.store.get(runKind, claimed.run.id)) ?? claimed.run
  }

  /** Something has changed that the store doesn't tell of: an action was registered. */
  stir(): void {
    this.#quiet.end()
  }

  /** Breaks off what runs, gives it back for others to go on with, and waits for that. Later checks do nothing. */
  async stop(): Promise<void> {
    this.#stopped = true
    this.#stopListening()
    this.#quiet.close()
    for (const attempt of this.#attempts.keys()) attempt.stop()
    await Promise.allSettled([...this.#attempts.values(), ...this.#checks])
  }

  async #check(now: number | undefined): Promise<CheckReport> {
    if (now !== undefined && !Number.isFinite(now)) {
      throw new InvalidInputError('now', 'is not an instant', 'give epoch milliseconds, or leave it out')
    }
    await this.#base.ready()
    const { store } = this.#base
    const since = this.#quiet.mark()
    const time = await store.time()
    const at = now ?? time
    await this.#upkeep(at, time)
    const { clock } = this.#base
    const read = clock.monotonic()
    // A lease counts from its claim, which may come long after this check began.
    const work = new Work(() => time + Math.round(clock.monotonic() - read))
    await this.#takeUpRuns(time, work)
    const unknown = await this.#runRules(at, work)
    if (work.found === 0) await this.#quiet.begin(since, at, time, time - this.#base.clock.now())
    else this.#quiet.end()
    if (work.failed) throw work.error
    return work.found + unknown === 0 ? NOTHING : { runs: work.runs, skipped: work.skipped, unknown }
  }

  /** Runs that wait for an attempt, and those whose instance is gone. */
  async #takeUpRuns(time: number, work: Work): Promise<void> {
    const { actions } = this.#options
    // Page by page: those of actions that aren't here stay where they are, and hide none behind them.
    for (let cursor: string | undefined; ; ) {
      const due = await dueRuns(this.#base.store, time, cursor)
      await this.#each(due.items, work, async (run) => {
        const taken = await this.#endings.takeUp(run, work.time(), actions)
        if (taken === 'left') return
        work.found += 1
        if (taken !== 'done') await this.#runClaimed(taken, work)
      })
      cursor = due.cursor
      if (cursor === undefined || this.#stopped) return
    }
  }

  /** Rules that are due. Answers how many of them have an action that isn't here. */
  async #runRules(at: number, work: Work): Promise<number> {
    let unknown = 0
    for (let cursor: string | undefined; ; ) {
      const page = await dueRules(this.#base.store, at, cursor)
      const known = page.items.filter(({ value }) => this.#options.actions.has(value.action))
      unknown += page.items.length - known.length
      work.found += known.length
      await this.#each(this.#turned(known), work, async (rule) => {
        const claim = await this.#claims.slot(rule, at, work.time())
        if (claim === 'skipped') work.skipped += 1
        else if (claim !== 'lost') await this.#runClaimed(claim, work)
      })
      cursor = page.cursor
      if (cursor === undefined || this.#stopped) return unknown
    }
  }

  async #runClaimed(claimed: Claimed, work: Work): Promise<void> {
    const action = this.#options.actions.get(claimed.run.value.action)
    if (action === undefined) return
    const run = await this.#attempt(claimed, action, work.time(), { actor: claimed.run.value.calledBy })
    if (run !== undefined) work.runs.push(runView(run))
  }

  async #attempt(
    claimed: Claimed,
    action: Action,
    time: number,
    by: Attribution,
  ): Promise<Stored<RunRecord> | undefined> {
    const attempt = new Attempt(claimed, this.#endings, this.#base.clock, this.#options.lease)
    const made = attempt.make(action, time, by)
    this.#attempts.set(attempt, made)
    // It may have been claimed while the engine stopped.
    if (this.#stopped) attempt.stop()
    try {
      return await made
    } finally {
      this.#attempts.delete(attempt)
      // The run has ended, waits, or has made room for a queued one.
      this.#quiet.end()
    }
  }

  /** Does the work of every item, so many at a time. What one meets doesn't keep the others from theirs. */
  async #each<T>(items: readonly T[], work: Work, each: (item: T) => Promise<void>): Promise<void> {
    let next = 0
    const worker = async (): Promise<void> => {
      while (next < items.length && !this.#stopped) {
        const item = items[next] as T
        next += 1
        try {
          await each(item)
        } catch (error) {
          work.fail(error)
        }
      }
    }
    await Promise.all(Array.from({ length: Math.min(this.#options.concurrency, items.length) }, worker))
  }

  /** The same rules, begun somewhere else: instances that check at the same time then mostly want different ones. */
  #turned<T>(items: readonly T[]): readonly T[] {
    const from = Math.floor(this.#base.random.float() * items.length)
    return from === 0 ? items : [...items.slice(from), ...items.slice(0, from)]
  }

  /** Once an hour, and after the clock has jumped: what is ahead of it is turned back, and old runs are removed. */
  async #upkeep(at: number, time: number): Promise<void> {
    if (time < this.#upkeepAt && this.#upkeepAt <= time + TURN_BACK_EVERY) return
    const { store, commits } = this.#base
    const present = Math.max(at, time)
    const ahead = await store.list(ruleKind, { index: 'touched', from: present + AHEAD, limit: PAGE })
    for (const rule of ahead.items) await this.#claims.turnBack(rule, present)
    await this.#turnBackRuns(time)
    const old = await store.list(runKind, { index: 'ended', to: time - RUN_RETENTION, limit: FORGOTTEN })
    await commits.put(old.items.map(({ id }) => ({ kind: runKind, id, remove: true })))
    // A full page leaves some for the next check.
    const more = ahead.cursor !== undefined || old.cursor !== undefined
    this.#upkeepAt = more ? 0 : time + TURN_BACK_EVERY
  }

  /** Runs that were put off while some clock was ahead: they would hold up their rules until it is right. */
  async #turnBackRuns(time: number): Promise<void> {
    const from = time + LONGEST_RETRY + AHEAD
    const { items } = await this.#base.store.list(runKind, { index: 'due', from, limit: PAGE })
    const here = new Set([...this.#attempts.keys()].map(({ runId }) => runId))
    for (const run of items) {
      const { state, wakeAt = 0 } = run.value
      // One that is under way has its lease set right by its instance; of another no lease reaches so far.
      const late = state === 'waiting' || (wakeAt > time + LONGEST_LEASE + AHEAD && !here.has(run.id))
      if (late) await this.#endings.turnBack(run, time)
    }
  }
}

/** What one check has found and done so far. */
class Work {
  /** The store's time, as it goes on from when it was read. */
  readonly time: () => number
  found = 0
  skipped = 0
  failed = false
  error: unknown
  readonly runs: RunView[] = []

  constructor(time: () => number) {
    this.time = time
  }

  /** Keeps the first of what went wrong; the code of each is in its event or its run, if it got so far. */
  fail(error: unknown): void {
    if (!this.failed) this.error = error
    this.failed = true
  }
}
