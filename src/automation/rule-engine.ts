import { type Duration, parseDuration } from '../kernel/duration.ts'
import { InvalidInputError } from '../kernel/errors.ts'
import { checkFields } from '../kernel/fields.ts'
import type { Stored } from '../kernel/kind.ts'
import { RisingIds } from '../kernel/rising-ids.ts'
import { type Attribution, checkAttribution, retryStale } from '../stores/commit.ts'
import { Foundation, type FoundationSource } from '../stores/foundation.ts'
import type { Page } from '../stores/token-store.ts'
import { checkName } from '../tokens/about.ts'
import type { Action, ActionHandler } from './action.ts'
import { type ActionServices, builtInActions } from './built-in-actions.ts'
import { RuleDisabledError, RuleExistsError } from './errors.ts'
import type { AutomationEvents } from './events.ts'
import { type RuleRecord, type RuleView, ruleKind, ruleView } from './rule.ts'
import { type RuleHealth, ruleHealth } from './rule-health.ts'
import { changedInput, parseRule, RULE_FIELDS, type RuleInput, type RuleSpec, type RuleUpdate } from './rule-input.ts'
import { type PlannedRule, type PlanQuery, RulePlan } from './rule-plan.ts'
import { RuleRecords } from './rule-records.ts'
import { type CheckReport, LONGEST_LEASE, RuleRunner } from './rule-runner.ts'
import { type RunView, runKind, runView } from './run.ts'
import { TokenConditions } from './token-conditions.ts'

/** How a {@link RuleEngine} goes about its rules. */
export interface RuleEngineSettings {
  /** This instance's name in the log of runs. Default: a random one. */
  readonly instance?: string | undefined
  /**
   * How long a run is kept for an instance that gives no sign of life; then another goes on with it. Default 60 s, at least
   * 3 s; it is renewed at a third.
   */
  readonly lease?: Duration | undefined
  /** How many runs a check has under way at a time, 1 to 100. Default 4. */
  readonly concurrency?: number | undefined
  /** On a store that other processes write to: how long a change of theirs to a rule may go unseen. Default 5 s. */
  readonly maxStaleness?: Duration | undefined
  /** How long after it was due a rule counts as overdue in `health()`. Default 10 min. */
  readonly overdueAfter?: Duration | undefined
}

/** What a {@link RuleEngine} is made from: a foundation, the services that its actions call, and settings. */
export type RuleEngineOptions = FoundationSource<AutomationEvents> &
  ActionServices &
  RuleEngineSettings & {
    /** Writes usage counts that are still in memory; called before a condition on them is judged. */
    readonly flush?: (() => Promise<void>) | undefined
  }

/** How to run a rule out of turn. */
export interface ExecuteOptions extends Attribution {
  /** Run it though it is disabled or paused. Default false. */
  readonly force?: boolean | undefined
}

/** A page of a list. */
export interface PageInput {
  /** 1 to 1000. Default 100. */
  readonly limit?: number | undefined
  /** Where the page before ended. */
  readonly cursor?: string | undefined
}

/**
 * Rules: what is to be done with tokens, and when. Rules live in the store; any number of instances may {@link RuleEngine.check}
 * them, and each slot is run once.
 *
 * @example
 * ```ts
 * await tokens.rules.put({ name: 'rotate billing', service: 'BILLING', schedule: 'weekly', conditions: { ageDays: 30 } })
 * await tokens.rules.put({ name: 'nightly cleanup', action: 'cleanup', schedule: { cron: '0 3 * * *', timezone: 'Europe/Berlin' } })
 * await tokens.rules.check() // or tokens.tick(), or tokens.scheduler.start()
 * ```
 */
export class RuleEngine {
  readonly #base: Foundation<AutomationEvents>
  readonly #actions: Map<string, Action>
  readonly #runner: RuleRunner
  readonly #plan: RulePlan
  readonly #rules: RuleRecords
  readonly #overdueAfter: number

  /**
   * @param options - where rules are kept, and what their actions call
   * @throws InvalidInputError for bad options
   */
  constructor(options: RuleEngineOptions) {
    const base = Foundation.of<AutomationEvents>(options)
    this.#base = base
    const { instance, lease = '60s', concurrency = 4, maxStaleness = '5s', overdueAfter = '10m', flush } = options
    if (!Number.isInteger(concurrency) || concurrency < 1 || concurrency > 100) {
      throw new InvalidInputError('concurrency', 'must be a whole number from 1 to 100', 'leave it out for 4')
    }
    const ids = new RisingIds(base.random)
    this.#rules = new RuleRecords(base, ids)
    const conditions = new TokenConditions(base.store, base.events, flush)
    this.#actions = builtInActions(options, base.store, conditions)
    this.#plan = new RulePlan(base.store, conditions)
    this.#overdueAfter = parseDuration('overdueAfter', overdueAfter, { min: 1000 })
    this.#runner = new RuleRunner(base, {
      instance: instance === undefined ? `i${ids.next(base.clock.now())}` : checkName('instance', instance, 128),
      lease: parseDuration('lease', lease, { min: 3000, max: LONGEST_LEASE }),
      maxStaleness: parseDuration('maxStaleness', maxStaleness, { allowZero: true }),
      concurrency,
      actions: this.#actions,
    })
  }

  /**
   * Registers what an action of that name does. Every instance that is to run such rules registers it, at its start.
   *
   * @param name - as rules name it, at most 64 characters
   * @param handler - what it does; it may be called twice for one slot, when an instance died in the middle
   * @throws InvalidInputError for a name that is taken
   */
  action(name: string, handler: ActionHandler | Action): void {
    checkName('name', name, 64)
    if (this.#actions.has(name)) {
      throw new InvalidInputError('name', `'${name}' is an action already`, 'choose another name')
    }
    const action = typeof handler === 'function' ? { run: handler } : handler
    if (typeof action?.run !== 'function') {
      throw new InvalidInputError('handler', 'is not a function', 'give a function, or { run, check }')
    }
    this.#actions.set(name, action)
    // Rules that nobody here could run may be due.
    this.#runner.stir()
  }

  /**
   * Makes a rule. An interval's first slot comes one period from now, or at `startAt`.
   *
   * @throws InvalidInputError naming the field; RuleExistsError; NoRecipientError when its new values would reach nobody
   * @event rule.created
   */
  async create(input: RuleInput): Promise<RuleView> {
    const { by, spec } = await this.#parse(input)
    return this.#rules.insert(spec, by)
  }

  /**
   * Makes a rule, or makes the one of that name what `input` says; fields that it lacks get their defaults, but `enabled` stays as it
   * is. A rule that is so already isn't written, and only another schedule begins anew: call it at every start.
   *
   * @throws InvalidInputError naming the field; NoRecipientError when its new values would reach nobody
   * @event rule.created, rule.updated
   */
  async put(input: RuleInput): Promise<RuleView> {
    const { by, spec } = await this.#parse(input)
    const replace = (stored: Stored<RuleRecord>) =>
      this.#rules.replace(stored, input.enabled === undefined ? { ...spec, enabled: stored.value.enabled } : spec, by)
    return retryStale(async () => {
      const stored = await this.#rules.find(spec.name)
      if (stored !== undefined) return replace(stored)
      try {
        return await this.#rules.insert(spec, by)
      } catch (error) {
        if (!(error instanceof RuleExistsError)) throw error
      }
      // Another instance, which puts the same rules at its start, was faster.
      return replace(await this.#rules.require(spec.name))
    })
  }

  /** The rule of that name; `undefined` when there is none. */
  async get(name: string): Promise<RuleView | undefined> {
    const stored = await this.#rules.find(name)
    return stored && ruleView(stored)
  }

  /**
   * A page of rules, oldest first.
   *
   * @throws InvalidInputError for a bad limit or cursor
   */
  async list(input: PageInput = {}): Promise<Page<RuleView>> {
    const { limit = 100, cursor } = checkFields('input', input, ['limit', 'cursor']) as PageInput
    const page = await this.#base.store.list(ruleKind, { index: 'created', limit, cursor })
    return { ...page, items: page.items.map(ruleView) }
  }

  /**
   * Changes a rule. Another schedule, start or jitter begins anew: one period from now, or at `startAt`.
   *
   * @throws InvalidInputError naming the field; RuleNotFoundError; NoRecipientError
   * @event rule.updated
   */
  async update(name: string, changes: RuleUpdate & Attribution): Promise<RuleView> {
    const { actor, reason, ...fields } = checkFields('changes', changes, [
      ...RULE_FIELDS.slice(1),
      'service',
      'actor',
      'reason',
    ]) as RuleUpdate & Attribution
    const by = checkAttribution({ actor, reason })
    return retryStale(async () => {
      const stored = await this.#rules.require(name)
      const spec = await parseRule(changedInput(stored.value, fields), this.#base.clock.now())
      return this.#rules.replace(stored, await this.#checked(spec), by)
    })
  }

  /**
   * Removes a rule. A run that is under way ends; its log stays until it is old.
   *
   * @throws RuleNotFoundError
   * @event rule.removed
   */
  async remove(name: string, options: Attribution = {}): Promise<void> {
    const by = checkAttribution(checkFields('options', options, ['actor', 'reason']))
    await this.#base.ready()
    await this.#rules.remove(name, by)
  }

  /**
   * Lets a disabled or paused rule run again, and forgets its failures. It runs at its next slot; slots that were missed
   * meanwhile are caught up with as `catchUp` says.
   *
   * @throws RuleNotFoundError
   * @event rule.enabled
   */
  async enable(name: string, options: Attribution = {}): Promise<RuleView> {
    const by = checkAttribution(checkFields('options', options, ['actor', 'reason']))
    await this.#base.ready()
    return this.#rules.enable(name, by)
  }

  /**
   * Lets a rule run no more until it is enabled. A run that is under way ends.
   *
   * @throws RuleNotFoundError
   * @event rule.disabled
   */
  async disable(name: string, options: Attribution = {}): Promise<RuleView> {
    const by = checkAttribution(checkFields('options', options, ['actor', 'reason']))
    await this.#base.ready()
    return this.#rules.disable(name, by)
  }

  /**
   * Runs a rule now, due or not, and waits for it. An interval then counts from now; the slots of a cron pattern or of a calendar
   * stay as they are.
   *
   * @returns the run as it stands after its first attempt: a failure is in `outcome` and `code`, or in `retryAt`
   * @throws RuleNotFoundError; RuleDisabledError; RuleRunningError; InvalidInputError when its action isn't registered here
   * @event rule.executed, rule.failed, rule.skipped
   */
  async execute(name: string, options: ExecuteOptions = {}): Promise<RunView> {
    const { force = false, ...rest } = checkFields('options', options, ['force', 'actor', 'reason']) as ExecuteOptions
    const by = checkAttribution(rest)
    await this.#base.ready()
    const { action, claimed } = await retryStale(async () => {
      const stored = await this.#rules.require(name)
      const { enabled, paused } = stored.value
      if (!force && (!enabled || paused !== undefined)) throw new RuleDisabledError(name, enabled)
      const action = this.#knownAction(stored.value.action)
      return { action, claimed: await this.#runner.claim(stored, by) }
    })
    return runView(await this.#runner.run(claimed, action, by))
  }

  /**
   * Runs what is due, on this instance, and waits until it has ended. Any number of instances may call it at any time: each slot is run by one
   * of them. With nothing due it costs next to nothing, so it may be called often.
   *
   * @param now - the instant that decides what is due, epoch ms. Default: the store's time
   * @throws StoreError when what is due can't be read; what a single rule met with the store is thrown when the others are done
   * @event rule.executed, rule.failed, rule.skipped, rule.paused
   */
  check(now?: number): Promise<CheckReport> {
    return this.#runner.check(now)
  }

  /**
   * What the rules would do in a range of time, without doing it: their slots, and the tokens that the first one would take if it came now.
   *
   * @throws InvalidInputError for bad bounds; RuleNotFoundError
   */
  async plan(query: PlanQuery): Promise<readonly PlannedRule[]> {
    const only = query?.rule === undefined ? undefined : [await this.#rules.require(query.rule)]
    return this.#plan.make(query, this.#base.clock.now(), only)
  }

  /**
   * The runs of a rule, newest first: at least the last 1000 of the last 90 days.
   *
   * @throws RuleNotFoundError; InvalidInputError for a bad limit or cursor
   */
  async runs(name: string, input: PageInput = {}): Promise<Page<RunView>> {
    const { limit = 100, cursor } = checkFields('input', input, ['limit', 'cursor']) as PageInput
    const { id } = await this.#rules.require(name)
    const page = await this.#base.store.list(runKind, { index: 'rule', in: id, reverse: true, limit, cursor })
    return { ...page, items: page.items.map(runView) }
  }

  /**
   * How the rules are: overdue ones, those that never ran though they were due, failing and paused ones. `unhealthy` when a rule
   * doesn't run, `degraded` when one fails.
   */
  async health(): Promise<RuleHealth> {
    return ruleHealth(this.#base.store, await this.#base.store.time(), this.#overdueAfter)
  }

  /** Breaks off what runs, gives it back for another instance to go on with, and runs nothing any more. */
  close(): Promise<void> {
    return this.#runner.stop()
  }

  async #parse(input: RuleInput): Promise<{ by: Attribution; spec: RuleSpec }> {
    checkFields('rule', input, [...RULE_FIELDS, 'service', 'actor', 'reason'])
    const { actor, reason, ...rule } = input
    const by = checkAttribution({ actor, reason })
    return { by, spec: await this.#checked(await parseRule(rule, this.#base.clock.now())) }
  }

  async #checked(spec: RuleSpec): Promise<RuleSpec> {
    await this.#base.ready()
    await this.#knownAction(spec.action).check?.(spec)
    return spec
  }

  #knownAction(name: string): Action {
    const action = this.#actions.get(name)
    if (action !== undefined) return action
    const known = [...this.#actions.keys()].join(', ')
    throw new InvalidInputError(
      'action',
      `is not one that is registered here`,
      `use one of ${known}, or register it first`,
    )
  }
}
