import type { EventSink } from '../kernel/emitter.ts'
import type { Stored } from '../kernel/kind.ts'
import type { TokenStore } from '../stores/token-store.ts'
import { activityId, activityKind } from '../stores/usage-rows.ts'
import { dateOf, type TokenRecord } from '../tokens/record.ts'
import { currentOf } from '../tokens/versions.ts'
import type { AutomationEvents } from './events.ts'
import type { Conditions } from './rule.ts'

const DAY = 86_400_000

/** What a condition asks of the age of a version, ms. */
export function ageAsked(ageDays: number): number {
  // Halves of a millisecond don't exist; whole days are exact.
  return Math.ceil(ageDays * DAY)
}

/** Tells whether a token meets the conditions of a rule. */
export class TokenConditions {
  readonly #store: TokenStore
  readonly #events: EventSink<AutomationEvents>
  readonly #flush: (() => Promise<void>) | undefined

  /**
   * @param store - where tokens and their activity are
   * @param events - where a version dated in the future is told
   * @param flush - writes the counts that are still in memory
   */
  constructor(store: TokenStore, events: EventSink<AutomationEvents>, flush: (() => Promise<void>) | undefined) {
    this.#store = store
    this.#events = events
    this.#flush = flush
  }

  /** Makes the counts of this process part of what {@link TokenConditions.met} sees. Other processes' come as they flush. */
  async prepare(conditions: Conditions | undefined): Promise<void> {
    if (conditions?.usageCount !== undefined) await this.#flush?.()
  }

  /** Whether a token meets them, as of `now`. Age is counted to the millisecond. */
  async met(
    { id, value: token }: Stored<TokenRecord>,
    conditions: Conditions | undefined,
    now: number,
  ): Promise<boolean> {
    if (conditions === undefined) return true
    const { ageDays, usageCount, match } = conditions
    const old = ageDays === undefined ? undefined : this.#isOld(token, ageDays, now)
    if (usageCount === undefined) return old ?? true
    // One is enough, or one is missing: the other needn't be looked at.
    if (old === (match === 'any')) return old
    const row = await this.#store.get(activityKind, activityId(id, currentOf(token.versions).n))
    return (row?.value.calls ?? 0) >= usageCount
  }

  #isOld(token: TokenRecord, ageDays: number, now: number): boolean {
    const datedAt = dateOf(currentOf(token.versions))
    if (datedAt > now) {
      this.#events.emit('token.misdated', { id: token.id, service: token.service, datedAt, at: now })
      return false
    }
    return now - datedAt >= ageAsked(ageDays)
  }
}
