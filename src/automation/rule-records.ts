import { canonicalJson } from '../kernel/bytes.ts'
import type { Stored } from '../kernel/kind.ts'
import type { RisingIds } from '../kernel/rising-ids.ts'
import { type Attribution, type Change, retryStale } from '../stores/commit.ts'
import { UniqueConflictError } from '../stores/errors.ts'
import type { Foundation, ToldEvent } from '../stores/foundation.ts'
import { checkName } from '../tokens/about.ts'
import { begin } from './due.ts'
import { RuleExistsError, RuleNotFoundError } from './errors.ts'
import type { AutomationEvents } from './events.ts'
import { type RuleRecord, type RuleView, ruleKind, ruleView } from './rule.ts'
import { RULE_FIELDS, type RuleSpec } from './rule-input.ts'

/** The events about rules themselves, not about their runs. */
type Changed = 'rule.created' | 'rule.updated' | 'rule.enabled' | 'rule.disabled' | 'rule.removed'

/** A change of any of these begins a rule's schedule anew. */
const TIMING: readonly string[] = ['schedule', 'startAt', 'jitter']

/** Reads and writes rules: each change with its journal entry and its event in one commit. */
export class RuleRecords {
  readonly #base: Foundation<AutomationEvents>
  readonly #ids: RisingIds

  /**
   * @param base - store, time and events
   * @param ids - for new rules
   */
  constructor(base: Foundation<AutomationEvents>, ids: RisingIds) {
    this.#base = base
    this.#ids = ids
  }

  /** The rule of that name; `undefined` when there is none. */
  async find(name: string): Promise<Stored<RuleRecord> | undefined> {
    return this.#base.store.find(ruleKind, 'name', [checkName('name', name, 128)])
  }

  /**
   * The rule of that name.
   *
   * @throws RuleNotFoundError
   */
  async require(name: string): Promise<Stored<RuleRecord>> {
    const stored = await this.find(name)
    if (stored === undefined) throw new RuleNotFoundError(name)
    return stored
  }

  /**
   * Makes a rule.
   *
   * @throws RuleExistsError
   */
  async insert(spec: RuleSpec, by: Attribution): Promise<RuleView> {
    const at = this.#base.clock.now()
    const id = `rule_${this.#ids.next(at)}`
    const value: RuleRecord = {
      id,
      ...spec,
      createdAt: at,
      updatedAt: at,
      runs: 0,
      ...begin(id, spec, at, spec.startAt),
    }
    const told = this.#told('rule.created', value, at, by, { action: spec.action })
    try {
      return await this.#write({ id, revision: 0, value }, { value }, by, told)
    } catch (error) {
      if (error instanceof UniqueConflictError) throw new RuleExistsError(spec.name)
      throw error
    }
  }

  /** Makes a rule what `spec` says; one that is so already isn't written. */
  async replace(stored: Stored<RuleRecord>, spec: RuleSpec, by: Attribution): Promise<RuleView> {
    const { value: rule } = stored
    const fields = RULE_FIELDS.filter(
      (field) => canonicalJson(rule[field] ?? null) !== canonicalJson(spec[field] ?? null),
    )
    if (fields.length === 0) return ruleView(stored)
    const at = this.#base.clock.now()
    const restarts = fields.some((field) => TIMING.includes(field))
    const told = this.#told('rule.updated', rule, at, by, { fields })
    return this.#write(stored, { value: changed(rule, spec, at, restarts) }, by, told, { fields: fields.join(' ') })
  }

  /** Lets a disabled or paused rule run again, and forgets its failures. */
  enable(name: string, by: Attribution): Promise<RuleView> {
    return this.#switch(name, by, 'rule.enabled', (rule) => {
      const { paused, failures: _, ...rest } = rule
      return rule.enabled && paused === undefined ? undefined : { ...rest, enabled: true }
    })
  }

  /** Lets a rule run no more. */
  disable(name: string, by: Attribution): Promise<RuleView> {
    return this.#switch(name, by, 'rule.disabled', (rule) => (rule.enabled ? { ...rule, enabled: false } : undefined))
  }

  /** Removes a rule; a tombstone stays. */
  async remove(name: string, by: Attribution): Promise<void> {
    await retryStale(async () => {
      const { id, revision, value } = await this.require(name)
      const at = this.#base.clock.now()
      const to = { tombstone: { endedAt: at, reason: 'removed', digests: [] } }
      const told = this.#told('rule.removed', value, at, by)
      await this.#base.write(by, [{ kind: ruleKind, id, revision, to, action: told.name }], [told])
    })
  }

  #switch(
    name: string,
    by: Attribution,
    event: 'rule.enabled' | 'rule.disabled',
    decide: (rule: RuleRecord) => RuleRecord | undefined,
  ): Promise<RuleView> {
    return retryStale(async () => {
      const stored = await this.require(name)
      const decided = decide(stored.value)
      if (decided === undefined) return ruleView(stored)
      const at = this.#base.clock.now()
      return this.#write(stored, { value: { ...decided, updatedAt: at } }, by, this.#told(event, stored.value, at, by))
    })
  }

  async #write<Name extends Changed>(
    { id, revision }: Stored<RuleRecord>,
    to: { readonly value: RuleRecord },
    by: Attribution,
    told: ToldEvent<AutomationEvents, Name>,
    detail?: { readonly fields: string },
  ): Promise<RuleView> {
    const change: Change<RuleRecord> = {
      kind: ruleKind,
      id,
      revision,
      to,
      action: told.name,
      ...(detail && { detail }),
    }
    const [stored] = await this.#base.write(by, [change], [told])
    return ruleView(stored as Stored<RuleRecord>)
  }

  #told<Name extends Changed>(
    name: Name,
    rule: RuleRecord,
    at: number,
    { actor, reason }: Attribution,
    more?: Omit<AutomationEvents[Name], 'id' | 'rule' | 'at' | 'actor' | 'reason'>,
  ): ToldEvent<AutomationEvents, Name> {
    const event = {
      id: rule.id,
      rule: rule.name,
      at,
      ...(actor !== undefined && { actor }),
      ...(reason !== undefined && { reason }),
      ...more,
    }
    return { name, payload: event as unknown as AutomationEvents[Name], about: rule.id }
  }
}

/** A rule as it is to be: what it has been through stays, and where it stands too unless it `restarts`. */
function changed(rule: RuleRecord, spec: RuleSpec, at: number, restarts: boolean): RuleRecord {
  const { id, createdAt, runs, anchor, begunAt, nextSlot, nextDueAt, lastSlot, lastRunAt, failures, paused } = rule
  const standing = restarts
    ? begin(id, spec, at, spec.startAt)
    : { anchor, begunAt, ...(nextSlot !== undefined && { nextSlot }), ...(nextDueAt !== undefined && { nextDueAt }) }
  return {
    id,
    ...spec,
    createdAt,
    updatedAt: at,
    runs,
    ...standing,
    ...(lastSlot !== undefined && { lastSlot }),
    ...(lastRunAt !== undefined && { lastRunAt }),
    ...(failures !== undefined && { failures }),
    ...(paused !== undefined && { paused }),
  }
}
