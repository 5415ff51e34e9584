import { type Instant, parseInstant } from '../kernel/duration.ts'
import { InvalidInputError } from '../kernel/errors.ts'
import { checkFields } from '../kernel/fields.ts'
import type { Stored } from '../kernel/kind.ts'
import type { TokenStore } from '../stores/token-store.ts'
import { endOfToken, type TokenRecord, tokenKind } from '../tokens/record.ts'
import { decide, jitterOf } from './due.ts'
import { type RuleRecord, ruleKind } from './rule.ts'
import { slotsBetween } from './schedule.ts'
import { ageAsked, type TokenConditions } from './token-conditions.ts'

/** What to look ahead at. */
export interface PlanQuery {
  /** From when on. Default: now. */
  readonly from?: Instant | undefined
  /** Until when, exclusive. */
  readonly to: Instant
  /** Only this rule. Default: all that are enabled, at most 1000. */
  readonly rule?: string | undefined
}

/** What a rule would do. */
export interface PlannedRule {
  readonly rule: string
  readonly action: string
  /** When it would be due, slot by slot, at most 100; epoch ms. */
  readonly slots: readonly { readonly slot: number; readonly dueAt: number }[]
  /** Whether there are more slots in the range. */
  readonly more: boolean
  /** The tokens that its first slot would take if it came now; absent where the action isn't about tokens. */
  readonly tokens?: PlannedTokens
}

/** Which tokens a slot would take. */
export interface PlannedTokens {
  /** How many, of those that were looked at. */
  readonly count: number
  /** The first names, at most 20. */
  readonly services: readonly string[]
  /** Whether not all were looked at: there may be more. */
  readonly more: boolean
}

const MAX_RULES = 1000
const MAX_SLOTS = 100
const MAX_NAMES = 20
/** Tokens that are looked at for one rule. */
const MAX_TOKENS = 1000

/** Tells what rules would do, without doing it. */
export class RulePlan {
  readonly #store: TokenStore
  readonly #conditions: TokenConditions

  /**
   * @param store - where rules and tokens are
   * @param conditions - which tokens a rule takes
   */
  constructor(store: TokenStore, conditions: TokenConditions) {
    this.#store = store
    this.#conditions = conditions
  }

  /**
   * The slots of a range, and the tokens of the first one as of now. Disabled and paused rules have none.
   *
   * @param now - the present, epoch ms
   * @param rules - only these
   * @throws InvalidInputError for bad bounds
   */
  async make(query: PlanQuery, now: number, rules?: readonly Stored<RuleRecord>[]): Promise<readonly PlannedRule[]> {
    checkFields('query', query, ['from', 'to', 'rule'])
    const from = query.from === undefined ? now : parseInstant('from', query.from)
    const to = parseInstant('to', query.to)
    if (to < from) throw new InvalidInputError('to', 'is before from', 'give a later instant')
    const planned: PlannedRule[] = []
    for (const rule of rules ?? (await this.#enabled())) {
      const one = await this.#rule(rule, from, to, now)
      if (one.slots.length > 0) planned.push(one)
    }
    return planned
  }

  async #enabled(): Promise<readonly Stored<RuleRecord>[]> {
    return (await this.#store.list(ruleKind, { index: 'due', limit: MAX_RULES })).items
  }

  async #rule({ value: rule }: Stored<RuleRecord>, from: number, to: number, now: number): Promise<PlannedRule> {
    const { name, action, nextSlot } = rule
    const idle = !rule.enabled || rule.paused !== undefined || nextSlot === undefined
    const coming = idle ? [] : slotsBetween(rule, Math.max(from, nextSlot), to, MAX_SLOTS + 1)
    const found = idle || from > now ? coming : [...pendingSlot(rule, nextSlot, from, now), ...coming]
    const slots = found.slice(0, MAX_SLOTS).map((slot) => ({ slot, dueAt: slot + jitterOf(rule, slot) }))
    const tokens = slots.length === 0 ? undefined : await this.#tokens(rule, now)
    return { rule: name, action, slots, more: found.length > MAX_SLOTS, ...(tokens && { tokens }) }
  }

  async #tokens(rule: RuleRecord, now: number): Promise<PlannedTokens | undefined> {
    const { action, services, conditions } = rule
    if (action !== 'rotate' && action !== 'bulk_rotate') return undefined
    const names: string[] = []
    let count = 0
    const look = async (stored: Stored<TokenRecord> | undefined): Promise<void> => {
      if (stored === undefined || now >= endOfToken(stored.value)) return
      if (stored.value.disabled !== undefined || stored.value.canary) return
      if (!(await this.#conditions.met(stored, conditions, now))) return
      count += 1
      if (names.length < MAX_NAMES) names.push(stored.value.service)
    }
    if (services !== undefined) {
      for (const service of services) await look(await this.#store.find(tokenKind, 'service', [service]))
      return { count, services: names, more: false }
    }
    // Oldest first: those that an age takes are the first of this order, and with it only they are read.
    const byAge =
      conditions?.ageDays !== undefined && (conditions.match === 'all' || conditions.usageCount === undefined)
    const to = byAge ? now - ageAsked(conditions.ageDays) + 1 : undefined
    const page = await this.#store.list(tokenKind, { index: 'rotated', to, limit: MAX_TOKENS })
    for (const stored of page.items) await look(stored)
    return { count, services: names, more: page.cursor !== undefined }
  }
}

/** The slot before `from` that a check would still run: one that is due and was missed, or whose jitter isn't over. */
function pendingSlot(rule: RuleRecord, nextSlot: number, from: number, now: number): readonly number[] {
  const decision = decide(rule, now)
  const slot = decision === undefined ? nextSlot : decision.slot
  return slot >= from || decision?.late === true ? [] : [slot]
}
