import { type Clock, systemClock } from '../kernel/clock.ts'
import { Emitter, type EventSink } from '../kernel/emitter.ts'
import { codeOf, InvalidInputError } from '../kernel/errors.ts'
import type { Stored } from '../kernel/kind.ts'
import { type Random, systemRandom } from '../kernel/random.ts'
import { type KeyInput, KeyRing } from '../tokens/key-ring.ts'
import type { ChangeChannel } from './change-channel.ts'
import { ChangeNews, type ChannelFailedEvent } from './change-news.ts'
import { type Attribution, type Change, Commits, type Row, type Told } from './commit.ts'
import { checkKeys } from './key-check.ts'
import type { TokenStore } from './token-store.ts'

/** What every service stands on. Pass the same store, keys and events to services that belong together. */
export interface FoundationOptions<Events extends object> {
  /** Where the records are. */
  readonly store: TokenStore
  /** A secret of at least 32 bytes (`generateSecret()` makes one), several keys with the active one first, or a ring. */
  readonly keys: string | readonly KeyInput[] | KeyRing
  /** Default: the system's. */
  readonly clock?: Clock | undefined
  /** Default: the system's. */
  readonly random?: Random | undefined
  /** Where events go. Default: an emitter of its own. */
  readonly events?: EventSink<Events> | undefined
  /** Whether events are also written to the outbox, which durable subscribers read. Default false. */
  readonly outbox?: boolean | undefined
  /** Tells other processes of changes, and of theirs, where the store's own `watch` doesn't. */
  readonly channel?: ChangeChannel | undefined
}

/** An event with what it is about, as it goes with a change. */
export interface ToldEvent<Events extends object, Name extends keyof Events & string> {
  readonly name: Name
  readonly payload: Events[Name]
  /** The token, or other record, that it is about. */
  readonly about: string
}

/** What a service stands on: options of its own, or a foundation that it shares. */
export type FoundationSource<Events extends object> = FoundationOptions<Events> | SharedFoundation<Events>

/** A foundation that several services share, as the front door gives it to its own. */
export interface SharedFoundation<Events extends object> {
  /** @internal */
  readonly foundation: Foundation<Events>
}

/** Store, keys, time, randomness and events, checked and complete, with the one way to change records. */
export class Foundation<out Events extends object> {
  readonly store: TokenStore
  readonly keys: KeyRing
  readonly clock: Clock
  readonly random: Random
  readonly events: EventSink<Events>
  readonly commits: Commits
  /** Tells of changes whoever holds records in memory. */
  readonly changes: ChangeNews
  #ready: Promise<void> | undefined
  #isReady = false

  private constructor(options: FoundationOptions<Events>) {
    this.store = options.store
    this.keys = KeyRing.from(options.keys)
    this.clock = options.clock ?? systemClock()
    this.random = options.random ?? systemRandom()
    this.events = options.events ?? new Emitter<Events>()
    const { store, clock, random } = this
    const { outbox = false, channel } = options
    this.commits = new Commits({ store, clock, random, outbox, journalKey: this.keys.subkey('journal') })
    const events = this.events as unknown as EventSink<{ 'channel.failed': ChannelFailedEvent }>
    const onFailure = (error: unknown) => events.emit('channel.failed', { code: codeOf(error), at: clock.now() })
    this.changes = new ChangeNews({ store, commits: this.commits, channel, clock, random, onFailure })
  }

  /**
   * The shared foundation, or a new one of these options.
   *
   * @throws InvalidInputError for a missing store or bad keys
   */
  static of<Events extends object>(options: FoundationSource<Events>): Foundation<Events> {
    if (options !== null && typeof options === 'object' && 'foundation' in options) return options.foundation
    if (typeof options?.store?.commit !== 'function') {
      throw new InvalidInputError(
        'store',
        'is not a TokenStore',
        'pass a MemoryTokenStore, a FileTokenStore or an adapter of your own',
      )
    }
    return new Foundation(options)
  }

  /**
   * Checks the key ring against the store, once; later calls answer `undefined` at once.
   *
   * @throws KeyRingMismatchError, KeyInUseError
   */
  ready(): Promise<void> | undefined {
    if (this.#isReady) return undefined
    this.#ready ??= checkKeys(this.store, this.keys, this.clock, this.random).then(
      () => {
        this.#isReady = true
      },
      (error: unknown) => {
        // The next call tries anew: the store may only have been out of reach.
        this.#ready = undefined
        throw error
      },
    )
    return this.#ready
  }

  /**
   * Makes a change and tells of it: records, rows, journal entries and the outbox's events in one commit, then the
   * listeners in this process.
   *
   * @param by - who, and why
   * @param changes - of journaled records
   * @param told - the events that go with them
   * @param rows - of unjournaled kinds
   * @returns the changed records as they now stand (a tombstone as `undefined`)
   * @throws StaleRevisionError, UniqueConflictError, StoreError; then nothing was written, and nobody is told
   */
  async write<T, Name extends keyof Events & string>(
    by: Attribution,
    changes: readonly Change<T>[],
    told: readonly ToldEvent<Events, Name>[],
    rows?: readonly Row[],
  ): Promise<(Stored<T> | undefined)[]> {
    const stored = await this.commits.write(by, changes, rows, told as readonly Told[])
    for (const { name, payload } of told) this.events.emit(name, payload)
    return stored
  }
}
