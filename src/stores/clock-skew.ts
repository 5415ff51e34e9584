import type { Clock } from '../kernel/clock.ts'
import type { EventSink } from '../kernel/emitter.ts'
import { HEALTHY, type HealthSource } from '../kernel/health.ts'
import type { TokenStore } from './token-store.ts'

/** This process's clock and the store's are more than a minute apart: deadlines will not agree among processes. */
export interface ClockSkewedEvent {
  /** The store's time less this process's, ms. */
  readonly offsetMs: number
  /** When, epoch ms. */
  readonly at: number
}

/** Clocks that are further apart than this don't agree on deadlines, ms. */
const MAX_SKEW = 60_000
const CHECK_EVERY = 600_000

/** Compares this process's clock with the store's, by which instances agree. */
export class ClockSkew {
  readonly #store: TokenStore
  readonly #clock: Clock
  readonly #events: EventSink<{ 'clock.skewed': ClockSkewedEvent }>
  #next = 0

  /**
   * @param store - whose time counts
   * @param clock - this process's
   * @param events - where skew is told
   */
  constructor(store: TokenStore, clock: Clock, events: EventSink<{ 'clock.skewed': ClockSkewedEvent }>) {
    this.#store = store
    this.#clock = clock
    this.#events = events
  }

  /**
   * Compares every ten minutes.
   *
   * @event clock.skewed
   */
  async tick(now: number): Promise<void> {
    if (now < this.#next) return
    const offsetMs = await this.#measure()
    this.#next = now + CHECK_EVERY
    if (Math.abs(offsetMs) > MAX_SKEW) this.#events.emit('clock.skewed', { offsetMs, at: now })
  }

  /** Whether the store answers, and agrees on the time. */
  async health(): Promise<HealthSource> {
    const offset = await this.#measure()
    if (Math.abs(offset) <= MAX_SKEW) return HEALTHY
    return { status: 'degraded', reasons: [`its clock is ${Math.round(offset / 1000)} s away from this process's`] }
  }

  /** How far the store's clock is ahead of this process's, ms. */
  async #measure(): Promise<number> {
    const before = this.#clock.now()
    const time = await this.#store.time()
    // Half of the way there and back: what a slow answer adds is no skew.
    return time - (before + this.#clock.now()) / 2
  }
}
