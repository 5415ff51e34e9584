import type { Clock } from '../kernel/clock.ts'
import type { EventSink } from '../kernel/emitter.ts'
import { codeOf } from '../kernel/errors.ts'
import { type Aftermath, aftermathOf } from './aftermath.ts'
import type { CloudflareApi, Family, Run } from './api.ts'
import { type ApproveCallback, approvedBy, type PlanApproval } from './approval.ts'
import type { ChangeOutcome, ChangeResult } from './change-result.ts'
import { CloudflareApiError, HealHeldError, PlanStaleError } from './errors.ts'
import type { CloudflareEvents } from './events.ts'
import { isClosed } from './fault.ts'
import { describe, describeHeld, type Grant } from './grant.ts'
import { underLease } from './lease.ts'
import { type GuardSettings, holdOf, NO_MARK, noteChange, noteGiven } from './mark.ts'
import { ofState, updateMark } from './marks.ts'
import { contentHash, type HealPlan } from './plan.ts'
import { PROPAGATION_DELAYS, probeOf } from './propagation.ts'
import { PUT_BACK_REQUESTS, putBack } from './put-back.ts'
import { RequestBudget } from './request-budget.ts'
import { type Sent, sendUpdate } from './sent-update.ts'
import type { HealerState, Snapshot } from './state.ts'
import type { Target } from './targets.ts'
import { bodyOf, policiesKey, readToken, type TokenFields, type TokenRecord } from './token-record.ts'

/** What an {@link Applier} is made from. */
export interface ApplierOptions {
  readonly api: CloudflareApi
  readonly clock: Clock
  readonly state: HealerState
  readonly events: EventSink<CloudflareEvents>
  readonly guard: GuardSettings
  readonly approve: ApproveCallback | undefined
  readonly approvalTimeoutMs: number
  /** Makes ids of leases and snapshots. */
  readonly nextId: () => string
}

/** One change to be made. */
export interface ChangeOrder {
  readonly plan: HealPlan
  readonly target: Target
  readonly approval: PlanApproval | undefined
  /** Whether the ceiling stands for an approval. */
  readonly byCeiling: boolean
  readonly run: Run
}

/** How many groups a message names. */
const MAX_NAMES = 10
/** How many requests may follow a change. */
const FOLLOW_UPS = 7

/** Makes one change: approval, lease, fresh read, snapshot, one PUT, read back, and back again if something else differs. */
export class Applier {
  readonly #options: ApplierOptions

  /** @param options - API, state, approval, guard */
  constructor(options: ApplierOptions) {
    this.#options = options
  }

  /**
   * Makes a change.
   *
   * @throws PlanApprovalError, HealHeldError, PlanStaleError, HealerStateError, CloudflareApiError: nothing was sent
   * @event healed, healFailed, rolledBack
   */
  async apply(order: ChangeOrder): Promise<ChangeResult> {
    const { clock, events, approve, approvalTimeoutMs, nextId } = this.#options
    const { plan, run, approval, byCeiling } = order
    const { tokenId, name } = plan.target
    const spent = run.budget.spent
    if (plan.added.length === 0 && plan.removed.length === 0) return result(order, 'nothing_to_do', spent)
    await this.#checkHold(plan)
    const by = await approvedBy({
      plan,
      given: approval,
      approve,
      byCeiling,
      clock,
      timeoutMs: approvalTimeoutMs,
      signal: run.signal,
      onError: (error) => events.listenerFailed('approve', error),
    })
    return underLease(this.#options, { id: tokenId, name, holder: nextId() }, async () => {
      // Another may have changed it between the first look and the lease.
      await this.#checkHold(plan)
      return this.#change(order, by, spent)
    })
  }

  async #checkHold({ target }: HealPlan): Promise<void> {
    const { state, clock, guard } = this.#options
    const known = await ofState('reading what is remembered', () => state.mark(target.tokenId))
    const hold = holdOf(known?.mark ?? NO_MARK, clock.now(), guard)
    if (hold !== undefined) throw new HealHeldError(target.name, hold.reason, hold.until)
  }

  async #change(order: ChangeOrder, by: string, spent: number): Promise<ChangeResult> {
    const { api, state, clock, nextId } = this.#options
    const { plan, run } = order
    const { name, tokenId, kind, accountId } = plan.target
    const family: Family = { kind, accountId }
    const before = readToken((await api.token(family, tokenId, run)).result)
    const fresh = typeof before !== 'string' && before.id === tokenId ? before : undefined
    const unchanged =
      fresh !== undefined &&
      (await contentHash(fresh)) === plan.base.content &&
      (fresh.modifiedOn ?? null) === plan.base.modifiedOn &&
      // The plan's own word for what the token was is what its `after` was made of.
      policiesKey(plan.before) === policiesKey(fresh.fields.policies)
    if (fresh === undefined || !unchanged) throw new PlanStaleError(name)
    const id = nextId()
    const after = await contentHash(fresh, plan.after)
    const { fields } = fresh
    const snapshot: Snapshot = {
      id,
      at: clock.now(),
      kind,
      ...(accountId !== undefined && { accountId }),
      tokenId,
      target: name,
      fields,
      after,
      planHash: plan.planHash,
    }
    await ofState('keeping a snapshot', () => state.saveSnapshot(snapshot))
    await updateMark(state, tokenId, (mark) => noteChange(mark, clock.now()))
    run.signal?.throwIfAborted()

    const sent = await sendUpdate(api, family, tokenId, bodyOf(fields, plan.after), run)
    const told = { by, id, spent, sent }
    if (sent.state === 'refused') return this.#failed(order, told, 'failed')
    const follow: Run = { budget: new RequestBudget(FOLLOW_UPS, run.budget), signal: run.signal }
    const seen = await this.#readBack(family, fresh, plan, follow, sent.state === 'lost')
    const more = { ...told, follow }
    if (seen === undefined) return this.#failed(order, more, 'unknown')
    switch (seen.aftermath.state) {
      case 'as_planned':
        return this.#done(order, more, seen.record)
      case 'as_before':
        return this.#failed(order, more, sent.state === 'lost' ? 'failed' : 'incomplete', plan.added)
      case 'incomplete':
        await this.#remember(plan.target.tokenId, without(plan.added, seen.aftermath.lacking))
        more.id = await this.#keepPartly(snapshot, seen.record)
        return this.#failed(order, more, 'incomplete', seen.aftermath.lacking)
      case 'different':
        return this.#different(order, more, seen.aftermath, fields, seen.record)
    }
  }

  /** Reads the token until it shows the change, at most as often as it may. `undefined` = it can't be read. */
  async #readBack(
    family: Family,
    was: TokenRecord,
    plan: HealPlan,
    run: Run,
    lost: boolean,
  ): Promise<{ readonly aftermath: Aftermath; readonly record: TokenRecord } | undefined> {
    const { api, clock } = this.#options
    // A change whose answer was lost may never come: fewer looks.
    const delays = lost ? PROPAGATION_DELAYS.slice(0, 3) : PROPAGATION_DELAYS
    let last: { readonly aftermath: Aftermath; readonly record: TokenRecord } | undefined
    for (const delay of [0, ...delays]) {
      try {
        if (delay > 0) await clock.sleep(delay, run.signal === undefined ? {} : { signal: run.signal })
        const record = readToken((await api.token(family, was.id, run)).result)
        if (typeof record === 'string') continue
        last = { record, aftermath: aftermathOf(was.fields, plan.after, plan.added, record) }
      } catch (error) {
        if (!(error instanceof CloudflareApiError) || isClosed(error.fault)) return last
        continue
      }
      if (last.aftermath.state !== 'as_before') return last
    }
    return last
  }

  async #done(order: ChangeOrder, told: Told, record: TokenRecord): Promise<ChangeResult> {
    const { events, clock } = this.#options
    const { plan, target } = order
    // First: it may be a minute's wait, and whoever ends in it must not forget what was given.
    await this.#remember(record.id, plan.added)
    const propagated = await this.#awaitPropagation(plan, target, told.follow as Run)
    const outcome = plan.type === 'heal' ? 'healed' : 'narrowed'
    events.emit('healed', {
      at: clock.now(),
      target: plan.target,
      planHash: plan.planHash,
      added: plan.added.map(describe),
      removed: plan.removed.map(describeHeld),
      approvedBy: told.by,
      snapshot: told.id,
      propagated,
    })
    return { ...result(order, outcome, told.spent, told), added: plan.added, removed: plan.removed.length, propagated }
  }

  /** Asks an endpoint that needs a fresh grant, with the token itself, until it lets it in. `null` = there is nothing to ask. */
  async #awaitPropagation(plan: HealPlan, { token }: Target, run: Run): Promise<boolean | null> {
    const path = probeOf(plan.added, plan.target.accountId)
    if (path === undefined || token === undefined) return null
    for (const delay of [0, ...PROPAGATION_DELAYS]) {
      try {
        if (delay > 0) await this.#options.clock.sleep(delay, run.signal === undefined ? {} : { signal: run.signal })
        const fault = await this.#options.api.probe(path, token, run)
        if (fault === undefined) return true
        if (fault.kind === 'budget') return false
        // Anything but "you may not" says nothing of the grant: a product that isn't switched on, an address that isn't allowed.
        if (fault.kind !== 'forbidden') return null
      } catch {
        return null
      }
    }
    return false
  }

  /** Something differs that wasn't to be touched: put back, unless somebody else did it. */
  async #different(
    order: ChangeOrder,
    told: Told,
    { what, made }: Extract<Aftermath, { readonly state: 'different' }>,
    fields: TokenFields,
    record: TokenRecord,
  ): Promise<ChangeResult> {
    const { api, events, clock } = this.#options
    const { sent } = told
    const code = 'ERR_UNINTENDED_CHANGE'
    const message = `what wasn't to be touched is otherwise now: ${what.join(', ')}`
    // Of a change that never came, nothing is to be seen: what differs is another's then, and must stand.
    const elsewhere =
      sent.state === 'lost'
        ? !made
        : sent.modifiedOn !== undefined && record.modifiedOn !== undefined && sent.modifiedOn !== record.modifiedOn
    const failed = (outcome: ChangeOutcome, text: string): ChangeResult =>
      this.#failed(order, { ...told, sent: { ...sent, error: { code, message: text } } }, outcome)
    if (elsewhere) return failed('changed_elsewhere', message)
    const { kind, accountId, tokenId, name } = order.plan.target
    const run: Run = { budget: new RequestBudget(PUT_BACK_REQUESTS, order.run.budget), signal: order.run.signal }
    const family: Family = { kind, accountId }
    const back = await putBack({ api, clock }, { family, id: tokenId, fields, policies: fields.policies, run })
    if (!back.restored) return failed('rollback_failed', `${message}; putting it back failed: ${back.error?.message}`)
    events.emit('rolledBack', { at: clock.now(), target: name, snapshot: told.id, automatic: true })
    return failed('rolled_back', message)
  }

  /** Remembers what was given, so that its removal is noticed. The grant stands, whether or not that succeeds. */
  async #remember(tokenId: string, grants: readonly Grant[]): Promise<void> {
    const { state, clock, events } = this.#options
    try {
      await updateMark(state, tokenId, (mark) => noteGiven(mark, grants, clock.now()))
    } catch (error) {
      events.emit('stateFailed', { at: clock.now(), operation: 'remembering a grant', code: codeOf(error) })
    }
  }

  /** A snapshot that a rollback finds good after a part of a change. Answers its id. */
  async #keepPartly(snapshot: Snapshot, record: TokenRecord): Promise<string> {
    const { state, clock, events, nextId } = this.#options
    const partly = { ...snapshot, id: nextId(), after: await contentHash(record) }
    try {
      await state.saveSnapshot(partly)
      return partly.id
    } catch (error) {
      events.emit('stateFailed', { at: clock.now(), operation: 'keeping a snapshot', code: codeOf(error) })
      return snapshot.id
    }
  }

  #failed(order: ChangeOrder, told: Told, outcome: ChangeOutcome, lacking?: readonly Grant[]): ChangeResult {
    const { events, clock } = this.#options
    const { plan } = order
    const notGranted = lacking ?? plan.added
    const [did, of] =
      plan.type === 'narrow'
        ? ['take away', plan.removed.map(({ name, group }) => name ?? group)]
        : ['grant', notGranted.map(({ name }) => name)]
    const names = [...of.slice(0, MAX_NAMES), ...(of.length > MAX_NAMES ? [`${of.length - MAX_NAMES} more`] : [])].join(
      ', ',
    )
    const error =
      outcome === 'incomplete'
        ? { code: 'ERR_INCOMPLETE', message: `Cloudflare said yes and didn't ${did}: ${names}` }
        : { ...(told.sent.error ?? { code: 'ERR_UNKNOWN_OUTCOME', message: 'the token could not be read back' }) }
    if (outcome === 'failed') error.message = `${error.message} (asked for: ${names})`
    events.emit('healFailed', {
      at: clock.now(),
      target: plan.target.name,
      planHash: plan.planHash,
      outcome,
      code: error.code,
    })
    const added = outcome === 'incomplete' ? without(plan.added, notGranted) : []
    return { ...result(order, outcome, told.spent, told), added, notGranted, error }
  }
}

/** What is known of a change on its way. */
interface Told {
  readonly by: string
  /** The snapshot's id. */
  readonly id: string
  /** How many requests the run had made before it. */
  readonly spent: number
  readonly sent: Sent
  readonly follow?: Run
}

function without(grants: readonly Grant[], lacking: readonly Grant[]): Grant[] {
  return grants.filter((grant) => !lacking.includes(grant))
}

function result({ plan, run }: ChangeOrder, outcome: ChangeOutcome, spent: number, told?: Told): ChangeResult {
  return {
    target: plan.target.name,
    outcome,
    planHash: plan.planHash,
    added: [],
    notGranted: [],
    removed: 0,
    propagated: null,
    ...(told !== undefined && { snapshot: told.id, approvedBy: told.by }),
    requests: run.budget.spent - spent,
  }
}
