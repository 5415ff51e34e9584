import { InvalidInputError } from '../kernel/errors.ts'
import { NoRecipientError } from '../rotation/errors.ts'
import type { TokenStore } from '../stores/token-store.ts'
import { activityKind } from '../stores/usage-rows.ts'
import { tokenKind } from '../tokens/record.ts'
import { currentOf } from '../tokens/versions.ts'
import type { Action, ActionContext, BulkOutcome, RuleBulkOptions, RuleRotator } from './action.ts'
import { checkRotationParams, rotationParams, workId } from './rotate-action.ts'
import type { RuleSpec } from './rule-input.ts'
import { Tally } from './tally.ts'
import { ageAsked, type TokenConditions } from './token-conditions.ts'

/** Tokens that are looked at before a batch of those that are taken is rotated. */
const PAGE = 500

/** Rotates many tokens at once: those that a rule names, or all live ones, as far as they meet its conditions. */
export class BulkRotateAction implements Action {
  readonly #store: TokenStore
  readonly #rotator: RuleRotator
  readonly #conditions: TokenConditions

  /**
   * @param store - where the tokens are
   * @param rotator - what rotates them
   * @param conditions - which of them are taken
   */
  constructor(store: TokenStore, rotator: RuleRotator, conditions: TokenConditions) {
    this.#store = store
    this.#rotator = rotator
    this.#conditions = conditions
  }

  /**
   * Refuses a rule none of whose tokens could be rotated unattended.
   *
   * @throws NoRecipientError, InvalidInputError
   */
  readonly check = async (rule: RuleSpec): Promise<void> => {
    checkRotationParams(rule, ['concurrency'])
    const concurrency = rule.params?.['concurrency']
    if (concurrency !== undefined && !(Number.isInteger(concurrency) && (concurrency as number) >= 1)) {
      throw new InvalidInputError('params.concurrency', 'is not a whole number from 1', 'leave it out')
    }
    const { services = [] } = rule
    for (const service of services) {
      const stored = await this.#store.find(tokenKind, 'service', [service])
      if (this.#rotator.hasRecipient(service, stored?.value.format.retrievable ?? true)) return
    }
    if (services[0] !== undefined) throw new NoRecipientError(services[0])
  }

  readonly run = async (context: ActionContext) => {
    const { rule, signal } = context
    const tally = new Tally()
    let why: string | undefined
    await this.#conditions.prepare(rule.conditions)
    for await (const selection of this.#selections(context)) {
      signal.throwIfAborted()
      const report = await this.#rotator.bulkRotate(this.#options(context, selection))
      tally.add('rotated', rotatedBy(report, context.attempt))
      tally.add('skipped', report.skipped.length)
      tally.add('omitted', report.omitted)
      why ??= report.skipped[0]?.code
      const [first] = report.failed
      // A batch that is called again tries only those that failed.
      if (first !== undefined) tally.failed(first.code, true, report.failed.length)
    }
    signal.throwIfAborted()
    return tally.result(rule.name, ['rotated'], why ?? 'no_match')
  }

  #options(context: ActionContext, selection: Selection): RuleBulkOptions {
    const { rule, run, slot, params, signal, actor, reason } = context
    const batchId = workId('bat', run, selection.olderThan === undefined ? '' : 'old', ...(selection.services ?? []))
    return {
      ...rotationParams(params),
      ...selection,
      batchId,
      origin: { rule: rule.name, slot, batch: batchId },
      signal,
      actor,
      ...(reason !== undefined && { reason }),
    }
  }

  /** The tokens that are taken, in parts of which each is a batch. Indexes hold them: no more than a page is in memory. */
  async *#selections({ rule, now }: ActionContext): AsyncGenerator<Selection> {
    const { services, conditions } = rule
    if (services !== undefined) {
      for (let from = 0; from < services.length; from += PAGE) {
        const names: string[] = []
        for (const service of services.slice(from, from + PAGE)) {
          const stored = await this.#store.find(tokenKind, 'service', [service])
          if (stored !== undefined && (await this.#conditions.met(stored, conditions, now))) names.push(service)
        }
        if (names.length > 0) yield { services: names }
      }
      return
    }
    if (conditions === undefined) yield {}
    else {
      const { ageDays, usageCount, match } = conditions
      const alone = usageCount === undefined || match === 'any'
      if (ageDays !== undefined && alone) yield olderThan(ageAsked(ageDays))
      if (usageCount !== undefined) yield* this.#used(usageCount, conditions, now)
    }
  }

  /** The tokens whose current version was used often enough, and which meet the rest of the conditions. */
  async *#used(usageCount: number, conditions: RuleConditions, now: number): AsyncGenerator<Selection> {
    for (let cursor: string | undefined; ; ) {
      const page = await this.#store.list(activityKind, { index: 'calls', from: usageCount, limit: PAGE, cursor })
      const names: string[] = []
      for (const { id } of page.items) {
        const dot = id.lastIndexOf('.')
        const stored = await this.#store.get(tokenKind, id.slice(0, dot))
        if (stored === undefined || stored.value.revoked !== undefined || stored.value.nameReleased) continue
        if (String(currentOf(stored.value.versions).n) !== id.slice(dot + 1)) continue
        if (await this.#conditions.met(stored, conditions, now)) names.push(stored.value.service)
      }
      if (names.length > 0) yield { services: names }
      cursor = page.cursor
      if (cursor === undefined) return
    }
  }
}

/**
 * How many tokens have a new version by a batch. What an attempt before this one has rotated, the batch finds done; whether it
 * was counted depends on when that attempt died.
 */
function rotatedBy({ total, rotated, failed, skipped, omitted }: BulkOutcome, attempt: number): number {
  return attempt === 1 ? rotated : Math.max(rotated, total - failed.length - skipped.length - omitted)
}

/** A batch takes an age of a second at least: below, all are old enough. */
function olderThan(ms: number): Selection {
  return ms === 0 ? {} : { olderThan: Math.max(ms, 1000) }
}

type RuleConditions = NonNullable<RuleSpec['conditions']>

interface Selection {
  readonly services?: readonly string[]
  readonly olderThan?: number
}
