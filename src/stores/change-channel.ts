import type { MaybePromise } from '../kernel/kind.ts'
import type { StoreChange } from './token-store.ts'

/**
 * Tells other processes what was changed, for stores that are elsewhere: faster than `maxStaleness`, and allowed to lose
 * messages. A store may have one of its own (`watch`); `RedisChangeChannel` of `tokenwright/redis` is another.
 */
export interface ChangeChannel {
  /** Tells the others of a change. May fail; what it would have told is then seen within `maxStaleness`. */
  publish(change: StoreChange): MaybePromise<void>
  /**
   * Calls `onChange` for changes that others tell of, and `onLost` when some may have been missed.
   *
   * @returns the way to stop
   */
  subscribe(onChange: (change: StoreChange) => void, onLost: () => void): MaybePromise<() => MaybePromise<void>>
}
