import { Turns } from '../kernel/turn.ts'
import { retryStale } from '../stores/commit.ts'
import type { Foundation } from '../stores/foundation.ts'
import { nextWarning, tokenKind } from '../tokens/record.ts'
import type { IssuingEvents } from './events.ts'

const PER_TICK = 500

/**
 * Announces tokens that end soon, once per threshold: 14, 3 and 1 days before the current version's end, where it lives
 * longer than that. After an outage only the nearest threshold is told.
 */
export class ExpiryWarnings {
  readonly #base: Foundation<IssuingEvents>

  /** @param base - store, time and events */
  constructor(base: Foundation<IssuingEvents>) {
    this.#base = base
  }

  /**
   * Announces what is due, at most 500 tokens.
   *
   * @returns how many were announced
   * @event token.expiring
   */
  async tick(now: number): Promise<number> {
    const due = await this.#base.store.list(tokenKind, { index: 'warning', to: now + 1, limit: PER_TICK })
    let told = 0
    const turns = new Turns(this.#base.clock)
    for (const { id } of due.items) {
      await turns.due()
      if (await this.#warn(id, now)) told += 1
    }
    return told
  }

  #warn(id: string, now: number): Promise<boolean> {
    const { store } = this.#base
    return retryStale(async () => {
      const stored = await store.get(tokenKind, id)
      if (stored === undefined) return false
      let token = stored.value
      let crossed: { readonly days: number; readonly endsAt: number } | undefined
      for (let next = nextWarning(token); next !== undefined && next.at <= now; next = nextWarning(token)) {
        crossed = next
        token = { ...token, warnedDays: next.days }
      }
      if (crossed === undefined) return false
      const { days, endsAt } = crossed
      const change = {
        kind: tokenKind,
        id,
        revision: stored.revision,
        to: { value: token },
        action: 'token.expiring',
        detail: { days, endsAt },
      }
      const payload = { id, service: token.service, at: now, days, endsAt }
      // What is past its end already is not about to expire.
      await this.#base.write({}, [change], now < endsAt ? [{ name: 'token.expiring', about: id, payload }] : [])
      return true
    })
  }
}
