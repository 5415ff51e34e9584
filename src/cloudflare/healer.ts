import type { Duration, Instant } from '../kernel/duration.ts'
import { Emitter } from '../kernel/emitter.ts'
import { abbreviated, InvalidInputError } from '../kernel/errors.ts'
import { checkFields } from '../kernel/fields.ts'
import type { HealthSource } from '../kernel/health.ts'
import { RisingIds } from '../kernel/rising-ids.ts'
import { Secret } from '../kernel/secret.ts'
import type { HealerAnalytics } from './analytics.ts'
import { Announcer } from './announcer.ts'
import { CloudflareApi, type Run } from './api.ts'
import { Applier } from './applier.ts'
import type { PlanApproval } from './approval.ts'
import { CatalogueCache } from './catalogue-cache.ts'
import type { ChangeResult } from './change-result.ts'
import { Checker, type Finding } from './checker.ts'
import { HealHeldError, LockOutError, PlanInvalidError } from './errors.ts'
import type { CloudflareEvents } from './events.ts'
import { describeHeld } from './grant.ts'
import {
  type HealReport,
  nothingDone,
  outcomeOfError,
  reportAfter,
  type TargetHeal,
  withoutPlan,
} from './heal-report.ts'
import type { HistoryRow } from './history.ts'
import { inParallel } from './in-parallel.ts'
import { closeCircuit } from './mark.ts'
import { ofState, updateMark } from './marks.ts'
import { Observer } from './observer.ts'
import { type CloudflareTokenHealerOptions, type HealerSettings, readOptions } from './options.ts'
import type { HealPlan } from './plan.ts'
import { checkLockOut, checkPlan, ownPlan, Planner } from './planner.ts'
import { type HealerStatus, type HistoryQuery, Recorder } from './recorder.ts'
import { type CheckReport, missingTogether, summedUp, type TargetReport } from './report.ts'
import { changeOfRollback, Rollback, type RollbackResult } from './rollback.ts'
import { checkRollOptions, Roller, type RollOptions, type RollResult } from './roller.ts'
import { BrokenOff, changeOf, changesOf, checkRun, type RunOptions, Runs } from './runs.ts'
import { SelfIdentity } from './self-identity.ts'
import type { Target } from './targets.ts'

/** How a plan is applied. */
export interface ApplyOptions extends RunOptions {
  /** Somebody's word for this very plan; without it `approve` is asked, or the ceiling stands for it with `autoHeal`. */
  readonly approval?: PlanApproval | undefined
}

/**
 * Looks after Cloudflare API tokens: tells what they lack against what they need and what they hold beyond it, and adds what is
 * missing, by plans that are approved. It reports by default. It extends no expiry, drops no condition, touches no policy that
 * denies, and creates no token.
 *
 * A credential that can write tokens can give itself everything: keep the healer's apart, see docs/cloudflare.md.
 *
 * @example
 * ```ts sketch
 * const healer = new CloudflareTokenHealer({
 *   healerToken: process.env.HEALER_TOKEN,
 *   targets: [{ kind: 'account', accountId, tokenId }],
 *   required: [workersFullStack],
 *   approve: (plan) => askSomebody(plan),
 * })
 * console.log(formatReport(await healer.check()))
 * await healer.heal()
 * ```
 */
export class CloudflareTokenHealer {
  /** What happens, by short names (`healed`); the option `events` passes it on by prefixed ones (`cloudflare.healed`). */
  readonly events: Emitter<CloudflareEvents> = new Emitter<CloudflareEvents>()
  readonly #settings: HealerSettings
  readonly #targets: Target[]
  readonly #secrets: Secret[]
  readonly #catalogues: CatalogueCache
  readonly #checker: Checker
  readonly #observer: Observer
  readonly #self: SelfIdentity
  readonly #planner: Planner
  readonly #applier: Applier
  readonly #roller: Roller
  readonly #rollback: Rollback
  readonly #recorder: Recorder
  readonly #runs: Runs
  readonly #nextId: () => string

  /**
   * @param options - credential, targets, what they need, who approves
   * @throws InvalidInputError for options that can't be used
   * @throws OutsideCeilingError, SensitivePermissionError for requirements that aren't allowed
   */
  constructor(options: CloudflareTokenHealerOptions) {
    const settings = readOptions(options)
    const { client, clock, random, timeoutMs, retries, state, guard, strict, retentionMs } = settings
    this.#settings = settings
    this.#targets = [...settings.targets]
    this.#secrets = [...settings.secrets]
    const { events } = this
    const ids = new RisingIds(random)
    const nextId = (): string => ids.next(clock.now())
    this.#nextId = nextId
    const api = new CloudflareApi({ client, clock, random, timeoutMs, retries, secrets: () => this.#secrets })
    this.#catalogues = new CatalogueCache(api, clock, settings.catalogueTtlMs)
    this.#checker = new Checker({ ...settings, api, catalogues: this.#catalogues })
    this.#observer = new Observer({ clock, state, events, guard, strict })
    this.#self = new SelfIdentity(api, clock)
    this.#planner = new Planner({ api, clock, self: this.#self, events })
    this.#applier = new Applier({ ...settings, api, events, nextId })
    this.#roller = new Roller({ api, clock, state, events })
    const { allowSelfEscalation } = settings
    this.#rollback = new Rollback({
      ...{ api, clock, state, events, nextId, allowSelfEscalation },
      ...{ checker: this.#checker, self: this.#self, catalogues: this.#catalogues },
    })
    this.#recorder = new Recorder({ state, clock, events, retentionMs, nextId })
    const announcer = new Announcer(events, settings.events, settings.notify, clock)
    this.#runs = new Runs({ recorder: this.#recorder, announcer, clock, maxRequests: settings.maxRequests })
  }

  /**
   * Looks at every target, and writes a row of the history. What Cloudflare refuses, or doesn't answer, is in the report: a failed
   * read is never "valid" and never "all is missing".
   *
   * @throws UnknownPermissionGroupError, OutsideCeilingError, SensitivePermissionError: the catalogue has the requirements otherwise
   * @throws the signal's reason
   * @event checked, degraded, recovered, expiringSoon, circuitOpened
   */
  async check(options: RunOptions = {}): Promise<CheckReport> {
    return this.#runs.recorded('check', options, async (run, at, from) => {
      const { reports } = await this.#look(run)
      const report = this.#sum(reports, at, from, run)
      return { answer: report, reports, changes: [] }
    })
  }

  /** What the last run found, without a request. @throws HealerStateError */
  status(): Promise<HealerStatus> {
    return this.#recorder.status()
  }

  /** The status as a source of `Tokenwright.health()`: `tokens.healthSource('cloudflare', () => healer.health())`. */
  health(): Promise<HealthSource> {
    return this.#recorder.health()
  }

  /**
   * Plans what one target lacks. Nothing is written, to Cloudflare or to the history.
   *
   * @param target - its name; may be left out where there is only one
   * @throws TargetUnreadableError when it can't be used or read
   * @throws CloudflareApiError when the healer's own credential can't be verified
   * @event planned
   */
  async plan(target?: string, options: RunOptions = {}): Promise<HealPlan> {
    const run = this.#runs.begin(options)
    return this.#planner.heal(await this.#checker.check(this.#target(target), run), run)
  }

  /**
   * Plans to take from one target what it doesn't need. It is applied like every other plan, but never by the ceiling alone.
   *
   * @param target - its name; may be left out where there is only one
   * @throws TargetUnreadableError, LockOutError, CloudflareApiError
   * @event planned
   */
  async narrow(target?: string, options: RunOptions = {}): Promise<HealPlan> {
    const run = this.#runs.begin(options)
    return this.#planner.narrow(await this.#checker.check(this.#target(target), run), run)
  }

  /**
   * Applies a plan: once it is approved, under a lease, if the token is still as it was planned for, with one PUT that gives every
   * field back as it was read; then reads back what became of it. Something else that differs is put back.
   *
   * @returns what became of it
   * @throws PlanInvalidError, PlanStaleError, PlanApprovalError, HealHeldError, LockOutError, HealerStateError: nothing was sent
   * @throws CloudflareApiError when the token couldn't be read before; nothing was sent
   * @event healed, healFailed, rolledBack
   */
  async apply(plan: HealPlan, options: ApplyOptions = {}): Promise<ChangeResult> {
    const own = ownPlan(plan)
    const action = own?.type === 'narrow' ? 'narrow' : 'apply'
    return this.#runs.recorded(action, options, async (run) => {
      const target = this.#targetOf(own)
      try {
        const answer = await this.#apply(own, target, options.approval, run)
        const removed = answer.removed > 0 && { removed: own.removed.map(describeHeld) }
        return { answer, reports: [], changes: [{ ...changeOf(answer), ...removed }] }
      } catch (error) {
        const outcome = outcomeOfError(error) ?? 'refused'
        throw new BrokenOff(error, [{ name: target.name, outcome, planHash: own.planHash }])
      }
    })
  }

  /**
   * Looks at every target, plans for those that lack something, and applies what is approved: by `approve`, or with `autoHeal` by the
   * ceiling. Without either it only reports, with the plans.
   *
   * @throws what `check` throws; what goes wrong with one target is in the report
   * @event all of them
   */
  async heal(options: RunOptions = {}): Promise<HealReport> {
    return this.#runs.recorded('heal', options, async (run, at, from) => {
      const { findings, reports } = await this.#look(run)
      const changes: TargetHeal[] = []
      const after: TargetReport[] = []
      try {
        for (const [index, finding] of findings.entries()) {
          const report = reports[index] as TargetReport
          const change = await this.#heal({ ...finding, report }, run)
          changes.push(change)
          after.push(reportAfter(report, change, this.#settings.strict, this.#settings.clock.now()))
        }
        run.signal?.throwIfAborted()
      } catch (error) {
        // What was done before it stands, and only the row tells what takes it back.
        throw new BrokenOff(error, changesOf(changes))
      }
      const answer = { ...this.#sum(after, at, from, run), changes }
      return { answer, reports: after, before: reports, changes: changesOf(changes) }
    })
  }

  /**
   * Puts a token's policies back as they were before a change. Its other fields stay as they are now, and it isn't healed again until
   * `resetCircuit`: whoever takes a change back doesn't want it again.
   *
   * @param snapshot - its id, as `apply` and the history tell it
   * @throws SnapshotError when there is none, it is of no token of this healer's, or the token has changed since
   * @throws HealHeldError, LockOutError, HealerStateError, CloudflareApiError: nothing was sent
   * @event rolledBack
   */
  async rollback(snapshot: string, options: RunOptions = {}): Promise<RollbackResult> {
    return this.#runs.recorded('rollback', options, async (run) => {
      const answer = await this.#rollback.to(snapshot, this.#targets, run)
      return { answer, reports: [], changes: [changeOfRollback(answer)] }
    })
  }

  /**
   * Rolls a token's value: the old one is dead at once, the new one is in the answer, this one time. The request is never repeated.
   *
   * @param target - its name; may be left out where there is only one
   * @param options - the hook that hands it to its consumers
   * @throws RollUnknownError when the answer was lost; LockOutError for the healer's own credential; HealHeldError when another is at
   * the token; TargetUnreadableError when its id can't be found out; CloudflareApiError, HealerStateError: nothing was rolled
   */
  async roll(target?: string, options: RollOptions = {}): Promise<RollResult> {
    checkRun(options, 'roll')
    checkRollOptions(options)
    const wanted = this.#target(target)
    return this.#runs.recorded('roll', options, async (run) => {
      const { family, id } = await this.#checker.identify(wanted, run)
      if ((await this.#self.id(family, run)) === id) throw new LockOutError("its own credential's value would be dead")
      const order = { name: wanted.name, family, tokenId: id, rollId: this.#nextId(), options, run }
      const answer = await this.#roller.roll(order)
      this.#learn(wanted, answer.token)
      return {
        answer,
        reports: [],
        changes: [{ name: wanted.name, outcome: `rolled, published: ${answer.published}` }],
      }
    })
  }

  /**
   * Rows of the history, newest first.
   *
   * @param query - how many, and before which
   * @throws InvalidInputError, HealerStateError
   */
  history(query?: HistoryQuery): Promise<readonly HistoryRow[]> {
    return this.#recorder.history(query)
  }

  /**
   * How the tokens fared: the share of healthy checks, heals tried and succeeded, what was missing most often.
   *
   * @param query - since when: an instant, or a while such as `30d`
   * @throws InvalidInputError, HealerStateError
   */
  analytics(query: { readonly since: Instant | Duration }): Promise<HealerAnalytics> {
    return this.#recorder.analytics(query)
  }

  /**
   * Lets a token be healed again whose grants were taken away repeatedly, or that was rolled back.
   *
   * @param target - its name; may be left out where there is only one
   * @throws TargetUnreadableError when its id can't be found out, CloudflareApiError when nobody could be asked; HealerStateError
   */
  async resetCircuit(target?: string): Promise<void> {
    const wanted = this.#target(target)
    const { id } = await this.#checker.identify(wanted, this.#runs.begin({}))
    await updateMark(this.#settings.state, id, closeCircuit)
  }

  /**
   * Claims an instant for one run of several that may be called for it; whoever shares the state sees the claim for a day.
   *
   * @internal for createScheduledHandler
   */
  async claimSlot(slot: string): Promise<boolean> {
    const { state, clock } = this.#settings
    const now = clock.now()
    return ofState('claiming a slot', () => state.lease(`slot:${slot}`, this.#nextId(), now + 86_400_000, now))
  }

  async #look(run: Run): Promise<{ readonly findings: readonly Finding[]; readonly reports: readonly TargetReport[] }> {
    const { concurrency } = this.#settings
    const findings = await inParallel(this.#targets, concurrency, (target) => this.#checker.check(target, run))
    const reports: TargetReport[] = []
    for (const finding of findings) reports.push(await this.#observer.take(finding))
    return { findings, reports }
  }

  async #heal(finding: Finding, run: Run): Promise<TargetHeal> {
    const { name } = finding.target
    const without = withoutPlan(finding)
    if (without !== undefined) return nothingDone(name, without)
    let plan: HealPlan | undefined
    try {
      run.signal?.throwIfAborted()
      plan = await this.#planner.heal(finding, run)
      const { approve, autoHeal } = this.#settings
      if (approve === undefined && !autoHeal)
        return { ...nothingDone(name, 'report_only'), plan, planHash: plan.planHash }
      const { requests: _, ...result } = await this.#apply(plan, finding.target, undefined, run)
      return { ...result, outcome: result.outcome === 'nothing_to_do' ? 'nothing_missing' : result.outcome }
    } catch (error) {
      const outcome = outcomeOfError(error)
      if (outcome === undefined) throw error
      const { code, message } = error as { code: string; message: string }
      const told = plan === undefined ? {} : { planHash: plan.planHash, ...(outcome === 'not_approved' && { plan }) }
      return { ...nothingDone(name, outcome), ...told, error: { code, message } }
    }
  }

  async #apply(plan: HealPlan, target: Target, approval: PlanApproval | undefined, run: Run): Promise<ChangeResult> {
    const { allowSelfEscalation, autoHeal, ceiling } = this.#settings
    const { kind, accountId, tokenId } = plan.target
    const found = await this.#checker.identify(target, run)
    const same = found.id === tokenId && found.family.kind === kind && found.family.accountId === accountId
    if (!same) throw new PlanInvalidError('is for another token than its target')
    const catalogue = await this.#catalogues.get(found.family, run)
    const { required } = this.#checker.grants(target, found.family, catalogue, undefined)
    await checkPlan(plan, required, catalogue)
    const itself = (await this.#self.id(found.family, run)) === tokenId
    if (itself !== plan.selfEscalation) throw new PlanInvalidError('is wrong about whose credential it changes')
    if (itself && !allowSelfEscalation) throw new HealHeldError(target.name, 'self_escalation')
    checkLockOut(plan, catalogue)
    const byCeiling = autoHeal && ceiling !== undefined && plan.type === 'heal'
    return this.#applier.apply({ plan, target, approval, byCeiling, run })
  }

  #sum(targets: readonly TargetReport[], at: number, from: number, run: Run): CheckReport {
    const requests = run.budget.spent
    const report = summedUp(targets, { at, requests, durationMs: this.#settings.clock.monotonic() - from })
    const missing = missingTogether(targets)
    this.events.emit('checked', { at, health: report.overall_health, targets: targets.length, missing, requests })
    return report
  }

  #target(name: string | undefined): Target {
    const [only] = this.#targets
    if (name === undefined && only !== undefined && this.#targets.length === 1) return only
    const found = this.#targets.find((target) => target.name === name)
    if (found !== undefined) return found
    const names = this.#targets.slice(0, 10).map((target) => target.name)
    const what = name === undefined ? 'is missing' : `'${abbreviated(String(name))}' is not there`
    throw new InvalidInputError('target', what, `name one of ${names.join(', ')}`)
  }

  #targetOf(plan: unknown): Target {
    const { target, planHash } = checkFields('plan', plan, PLAN_FIELDS)
    const name = (target as { readonly name?: unknown } | undefined)?.name
    if (typeof name !== 'string' || typeof planHash !== 'string') throw new PlanInvalidError('is no plan')
    if (!this.#targets.some((each) => each.name === name))
      throw new PlanInvalidError('is for a target that is not there')
    return this.#target(name)
  }

  /** A target whose value was known is verified by its new one from now on. */
  #learn(target: Target, value: string): void {
    const token = new Secret(value)
    this.#secrets.push(token)
    // By its name: another roll may have ended meanwhile.
    const at = this.#targets.findIndex(({ name }) => name === target.name)
    if (target.token !== undefined && at >= 0) this.#targets[at] = { ...target, token }
  }
}

const PLAN_FIELDS: readonly string[] = [
  ...['type', 'target', 'base', 'before', 'after', 'added', 'removed', 'blocked', 'risk', 'selfEscalation'],
  ...['createdAt', 'warnings', 'planHash'],
]
