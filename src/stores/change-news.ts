import type { Clock, Timer } from '../kernel/clock.ts'
import type { MaybePromise } from '../kernel/kind.ts'
import type { Random } from '../kernel/random.ts'
import { fullJitter } from '../kernel/retry.ts'
import type { ChangeChannel } from './change-channel.ts'
import type { Commits } from './commit.ts'
import type { StoreChange, TokenStore } from './token-store.ts'

/** The channel that tells of changes failed: others' changes are seen within `maxStaleness`. */
export interface ChannelFailedEvent {
  /** The error's code or name. */
  readonly code: string
  /** When, epoch ms. */
  readonly at: number
}

/** How long to wait at least before a channel is tried again, and how much longer at most, ms. */
const LEAST_DELAY = 500
const MOST_DELAY = 29_500

/** Somebody who holds records in memory. */
export interface ChangeListener {
  /** The names of the kinds that it holds records of. */
  readonly kinds: readonly string[]
  /** Told of each record of these kinds that was changed, or may have been. */
  readonly onChange: (change: StoreChange) => void
  /** Told when any of them may have changed unheard. */
  readonly onLost: () => void
}

/** What {@link ChangeNews} is made from. */
export interface ChangeNewsOptions {
  readonly store: TokenStore
  readonly commits: Commits
  /** Tells other processes of changes, and of theirs. */
  readonly channel: ChangeChannel | undefined
  readonly clock: Clock
  readonly random: Random
  /** Told when the channel fails. */
  readonly onFailure: (error: unknown) => void
}

/**
 * Tells of changed records whoever holds some in memory: of this process's own writes at once, of others' as soon as the
 * store (`watch`) or a channel does. Its own writes of the kinds that somebody listens for go out by the channel. All
 * listeners share one subscription, which lasts as long as there is one.
 */
export class ChangeNews {
  readonly #options: ChangeNewsOptions
  readonly #listeners = new Set<ChangeListener>()
  #subscription: Subscription | undefined

  /** @param options - store, commits and channel */
  constructor(options: ChangeNewsOptions) {
    this.#options = options
  }

  /**
   * Listens.
   *
   * @returns the way to stop
   */
  hear(listener: ChangeListener): () => void {
    this.#listeners.add(listener)
    this.#subscription ??= this.#subscribe()
    return () => {
      this.#listeners.delete(listener)
      if (this.#listeners.size > 0) return
      const subscription = this.#subscription
      this.#subscription = undefined
      if (subscription === undefined) return
      subscription.ended = true
      subscription.timer?.cancel()
      for (const stop of subscription.stop) void this.#attempt(stop)
    }
  }

  #subscribe(): Subscription {
    const { store, commits, channel } = this.#options
    const tell = (change: StoreChange) => this.#tell(change)
    const lost = () => this.#lost()
    const written = (kind: string, id: string) => {
      const heard = this.#tell({ kind, id })
      if (heard && channel !== undefined) void this.#attempt(() => channel.publish({ kind, id }))
    }
    const subscription: Subscription = { ended: false, timer: undefined, stop: [commits.onWrite(written)] }
    const watched = store.watch?.(tell, lost)
    if (watched !== undefined) subscription.stop.push(watched)
    if (channel !== undefined) void this.#listen(channel, subscription, 1)
    return subscription
  }

  /** Subscribes to the channel; one that fails is told once, and tried again for as long as somebody listens. */
  async #listen(channel: ChangeChannel, subscription: Subscription, attempt: number): Promise<void> {
    const { clock, random, onFailure } = this.#options
    try {
      const stop = await channel.subscribe(
        (change) => this.#tell(change),
        () => this.#lost(),
      )
      if (subscription.ended) return await stop()
      subscription.stop.push(stop)
      // What changed while there was no subscription was not told.
      this.#lost()
    } catch (error) {
      if (attempt === 1) onFailure(error)
      if (subscription.ended) return
      const delay = LEAST_DELAY + fullJitter({ base: LEAST_DELAY, cap: MOST_DELAY, random })(attempt)
      subscription.timer = clock.setTimer(delay, () => void this.#listen(channel, subscription, attempt + 1))
    }
  }

  /** @returns whether anybody listens for changes of that kind */
  #tell(change: StoreChange): boolean {
    let heard = false
    for (const { kinds, onChange } of this.#listeners) {
      if (!kinds.includes(change.kind)) continue
      heard = true
      onChange(change)
    }
    return heard
  }

  #lost(): void {
    for (const { onLost } of this.#listeners) onLost()
  }

  /** A channel that fails takes nothing with it: what it doesn't tell is seen within `maxStaleness`. */
  async #attempt(action: () => MaybePromise<void>): Promise<void> {
    try {
      await action()
    } catch (error) {
      this.#options.onFailure(error)
    }
  }
}

interface Subscription {
  ended: boolean
  /** The next attempt to subscribe to the channel. */
  timer: Timer | undefined
  readonly stop: (() => MaybePromise<void>)[]
}
