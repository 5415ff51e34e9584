import type { Clock } from '../kernel/clock.ts'
import type { Kind, MaybePromise } from '../kernel/kind.ts'
import type { Random } from '../kernel/random.ts'
import { RisingIds } from '../kernel/rising-ids.ts'
import { StaleRevisionError } from '../stores/errors.ts'
import type { TokenStore } from '../stores/token-store.ts'
import type { Quota } from '../tokens/policy.ts'
import type { LimitState } from '../tokens/verification.ts'

/** How much of a token's quota has been handed to processes in the current window. Its id is the token's. */
export interface QuotaRecord {
  /** When the window began, epoch ms. */
  readonly window: number
  /** Units handed out in blocks; never more than the limit. */
  readonly granted: number
}

/** Quota rows. Monotonic within a window, so a crash loses the rest of a block and never grants one twice. */
export const quotaKind: Kind<QuotaRecord, 'window', never> = {
  name: 'quota',
  schema: 1,
  journaled: false,
  unique: {},
  order: { window: (row) => ({ at: row.window }) },
  merge: (here, archived) => {
    if (here === undefined || archived.window > here.window) return archived
    return archived.window === here.window && archived.granted > here.granted ? archived : undefined
  },
}

/** The quota of one token in this process: what is left of the block that it holds. */
export interface QuotaSlot {
  readonly token: string
  /** When quota windows began to count, epoch ms. */
  readonly anchor: number
  window: number
  /** Units of the block not yet used. */
  left: number
  /** Units granted to all processes in this window, as far as is known here. */
  granted: number
  fetching: Promise<void> | undefined
}

/** What {@link QuotaBlocks} is made from. */
export interface QuotaOptions {
  readonly store: TokenStore
  readonly clock: Clock
  readonly random: Random
  /** Told when a block could not be fetched ahead of need; the call that needs it will find out. */
  readonly onError?: ((error: unknown) => void) | undefined
}

const MAX_SLOTS = 100_000

/**
 * Quotas that survive restarts without a write per call: units are taken from the store in blocks of
 * `max(1, floor(limit / 100), cost)`, the next one fetched when half of the last is used. Several processes share one
 * quota; each holds at most a block, and what one holds the others can't use. When a window begins is told by the store's
 * clock, on which all agree.
 */
export class QuotaBlocks {
  readonly #store: TokenStore
  readonly #clock: Clock
  readonly #ids: RisingIds
  readonly #onError: (error: unknown) => void
  readonly #slots = new Map<string, QuotaSlot>()
  /** How far the store's clock is ahead of this process's, as of the last block, ms. */
  #offset = 0

  /** @param options - store, time and randomness */
  constructor(options: QuotaOptions) {
    this.#store = options.store
    this.#clock = options.clock
    this.#ids = new RisingIds(options.random)
    this.#onError = options.onError ?? (() => {})
  }

  /**
   * The slot of a token.
   *
   * @param token - its id
   * @param anchor - when its windows began to count: its creation, epoch ms
   */
  slot(token: string, anchor: number): QuotaSlot {
    let slot = this.#slots.get(token)
    if (slot === undefined) {
      // A slot that is let go loses the rest of its block, which errs on the side of too little.
      if (this.#slots.size >= MAX_SLOTS) this.#slots.delete(this.#slots.keys().next().value as string)
      slot = { token, anchor, window: Number.NaN, left: 0, granted: 0, fetching: undefined }
      this.#slots.set(token, slot)
    }
    return slot
  }

  /**
   * Takes `cost` units, or none: a value while the block lasts, a promise when a new one is needed.
   *
   * @returns the window that they are of, for {@link QuotaBlocks.giveBack}; undefined = they aren't there
   */
  reserve(slot: QuotaSlot, quota: Quota, cost: number, now: number): MaybePromise<number | undefined> {
    const held = this.reserveHeld(slot, quota, cost, now)
    return held === 'fetch' ? this.#reserveAfterFetch(slot, quota, cost) : held
  }

  /**
   * As {@link QuotaBlocks.reserve}, from the block that is held.
   *
   * @returns `fetch` when a new one is needed
   */
  reserveHeld(slot: QuotaSlot, quota: Quota, cost: number, now: number): number | undefined | 'fetch' {
    this.#turn(slot, quota, now)
    if (slot.left >= cost) {
      slot.left -= cost
      if (slot.left < blockSize(quota, 0) / 2 && slot.fetching === undefined && slot.granted < quota.limit) {
        this.#fetch(slot, quota, 0).catch(this.#onError)
      }
      return slot.window
    }
    // What others were granted never comes back within the window, so what is known here can only be too hopeful.
    return slot.left + quota.limit - slot.granted < cost ? undefined : 'fetch'
  }

  /**
   * Gives units back that a refused call had taken. Those of a window that is over are gone with it.
   *
   * @param window - as {@link QuotaBlocks.reserve} answered
   */
  giveBack(slot: QuotaSlot, cost: number, window: number): void {
    if (slot.window === window) slot.left += cost
  }

  /** What is left of a quota, as far as is known here. */
  state(slot: QuotaSlot, quota: Quota, now: number): LimitState {
    this.#turn(slot, quota, now)
    const remaining = Math.max(0, slot.left + quota.limit - slot.granted)
    if (quota.per === undefined) return { name: 'quota', kind: 'quota', limit: quota.limit, remaining }
    return {
      name: 'quota',
      kind: 'quota',
      limit: quota.limit,
      per: quota.per,
      remaining,
      resetMs: slot.window + quota.per - (now + this.#offset),
    }
  }

  async #reserveAfterFetch(slot: QuotaSlot, quota: Quota, cost: number): Promise<number | undefined> {
    for (;;) {
      // One fetch at a time for a token; whoever finds the block used up by others waits for the next.
      if (slot.fetching !== undefined) await slot.fetching
      else await this.#fetch(slot, quota, cost)
      this.#turn(slot, quota, this.#clock.now())
      if (slot.left >= cost) {
        slot.left -= cost
        return slot.window
      }
      if (slot.left + quota.limit - slot.granted < cost) return undefined
    }
  }

  #fetch(slot: QuotaSlot, quota: Quota, cost: number): Promise<void> {
    const fetching = this.#fetchBlock(slot, quota, cost).finally(() => {
      slot.fetching = undefined
    })
    slot.fetching = fetching
    return fetching
  }

  async #fetchBlock(slot: QuotaSlot, quota: Quota, cost: number): Promise<void> {
    const id = slot.token
    for (;;) {
      const asked = this.#clock.now()
      const [stored, time] = await Promise.all([this.#store.get(quotaKind, id), this.#store.time()])
      this.#offset = Math.round(time - (asked + this.#clock.now()) / 2)
      // One that begins in the future has begun: the store's clock was set back.
      const began = stored !== undefined && stored.value.window > time ? stored.value.window : undefined
      const window = began ?? windowStart(quota, slot.anchor, time)
      if (slot.window !== window) startWindow(slot, window)
      const granted = stored !== undefined && stored.value.window === window ? stored.value.granted : 0
      const size = Math.min(blockSize(quota, cost - slot.left), quota.limit - granted)
      // Too little for this call: leave it to smaller ones.
      if (size <= 0 || slot.left + size < cost) {
        if (slot.window === window) slot.granted = Math.max(slot.granted, granted)
        return
      }
      const value: QuotaRecord = { window, granted: granted + size }
      const commit = this.#ids.next(this.#clock.now())
      try {
        await this.#store.commit({
          id: commit,
          expect: [{ kind: quotaKind, id, revision: stored?.revision ?? 0 }],
          write: [{ kind: quotaKind, id, value }],
          journal: [],
        })
      } catch (error) {
        if (error instanceof StaleRevisionError) continue
        throw error
      }
      if (slot.window === window) {
        slot.left += size
        slot.granted = granted + size
      }
      return
    }
  }

  #turn(slot: QuotaSlot, quota: Quota, now: number): void {
    const window = windowStart(quota, slot.anchor, now + this.#offset)
    // A window that has begun stays, even if the clock is set back.
    if (slot.window === window || slot.window > window) return
    startWindow(slot, window)
  }
}

function startWindow(slot: QuotaSlot, window: number): void {
  slot.window = window
  slot.left = 0
  slot.granted = 0
}

function blockSize(quota: Quota, needed: number): number {
  return Math.max(1, Math.floor(quota.limit / 100), needed)
}

/** When the quota window at `now` began, epoch ms. Windows are counted from `anchor`. */
export function windowStart(quota: Quota, anchor: number, now: number): number {
  if (quota.per === undefined) return anchor
  return anchor + Math.floor((now - anchor) / quota.per) * quota.per
}
