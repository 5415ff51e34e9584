import type { AnyKind, Kind, MaybePromise, Stored, Tombstone } from '../kernel/kind.ts'
import type { JournalEntry, JournalHead, Link, SealedEntry } from './journal-link.ts'
import type { OutboxEvent } from './outbox.ts'
import type { UsageIncrement, UsageQuery, UsageRow } from './usage-rows.ts'

/** What a commit insists on: that a record stands at this revision; 0 = that it has never been there. */
export interface Expectation {
  readonly kind: AnyKind
  readonly id: string
  /** The revision that was read; 0 for a record that must not exist (a tombstone counts as existing). */
  readonly revision: number
}

/**
 * One write of a commit. A journaled kind needs an {@link Expectation} for the same record in the same commit;
 * an unjournaled one may go without, and then the last writer wins. A tombstone always needs one, nothing is ever
 * written over a tombstone, and `remove` (without a trace) is for unjournaled kinds only.
 *
 * A value given to a commit belongs to the store from then on, which may freeze it.
 *
 * `revision` is the one that the write makes, instead of the next: a restore opens another epoch with it. It needs an
 * expectation, and is greater than the revision expected.
 */
export type Write =
  | { readonly kind: AnyKind; readonly id: string; readonly value: unknown; readonly revision?: number }
  | { readonly kind: AnyKind; readonly id: string; readonly tombstone: Tombstone; readonly revision?: number }
  | { readonly kind: AnyKind; readonly id: string; readonly remove: true }

/** A change of state with its journal entries and its outbox events: all of it, or none. */
export interface Commit {
  /**
   * Chosen by the caller; committing the same id again answers `replayed` and changes nothing. A store remembers at
   * least the last 10,000 commits.
   */
  readonly id: string
  readonly expect: readonly Expectation[]
  readonly write: readonly Write[]
  /**
   * Tagged entries, in order. Each write of a journaled kind has one; an entry about a record that the commit writes
   * names the revision that the write makes. Entries about other records may stand here too.
   */
  readonly journal: readonly JournalEntry[]
  /** Events for durable subscribers; absent where there is none. */
  readonly outbox?: readonly OutboxEvent[]
  /**
   * Chains the entries to the journal's head; a store that serialises its writers calls it within the commit, and
   * refuses entries without it.
   */
  readonly link?: Link
}

/** What a commit answers. */
export interface CommitResult {
  /** The new revision of each written record, in the order of `write` (0 for `remove`). */
  readonly revisions: readonly number[]
  /** True when this id had been committed before; nothing was done now. */
  readonly replayed: boolean
}

/** A range of one order index: always a limit, never a predicate. */
export interface ListQuery<O extends string = string> {
  readonly index: O
  /** The partition; absent = the keys that name none. */
  readonly in?: string | undefined
  /** First position, inclusive. */
  readonly from?: number | undefined
  /** Last position, exclusive. */
  readonly to?: number | undefined
  /** Largest position first, then largest id. */
  readonly reverse?: boolean | undefined
  /** 1 to 1000. */
  readonly limit: number
  /** Where the page before ended, as that page gave it. */
  readonly cursor?: string | undefined
}

/** A page of records. A short page with a cursor is normal; no cursor means the end. */
export interface Page<T> {
  readonly items: readonly T[]
  readonly cursor?: string
}

/**
 * A live view of one record in an in-process store. `current` is replaced when the record changes and becomes
 * `undefined` when it is removed; it is never changed in place. `memo` belongs to whoever reads the cell: a place to
 * hang what was derived from the record. The store never looks at it.
 */
export interface Cell<T> {
  readonly current: Stored<T> | undefined
  memo: object | undefined
}

/** One row of a {@link TokenStore.scan}: a record or what remains of one. */
export type ScanRow =
  | { readonly kind: string; readonly id: string; readonly revision: number; readonly value: unknown }
  | { readonly kind: string; readonly id: string; readonly revision: number; readonly tombstone: Tombstone }

/** A range of the journal, oldest first unless `reverse`. */
export interface JournalQuery {
  /** Only entries with a greater sequence number (a smaller one with `reverse`). */
  readonly after?: number | undefined
  /** Only entries about this record. */
  readonly subject?: string | undefined
  readonly reverse?: boolean | undefined
  /** 1 to 1000. */
  readonly limit: number
}

/** A change that a store tells its watchers about. */
export interface StoreChange {
  /** The kind's name. */
  readonly kind: string
  readonly id: string
}

/** What a store promises of the data that it has acknowledged. */
export interface Durability {
  /** What acknowledged commits survive. */
  readonly survives: 'nothing' | 'process' | 'power'
  /** Whether several processes may use it at once. */
  readonly multiProcess: boolean
  /** Whether {@link TokenStore.scan} reads one consistent point. */
  readonly snapshot: boolean
  /** How old another process's change may be before it is seen here, ms; 0 = never stale. */
  readonly stalenessMs: number
}

/**
 * What tokenwright keeps its records in. An adapter stores rows and index entries and knows no record type but two:
 * events (by `outbox`) and activity (by `addUsage`).
 *
 * `cell`, `watch`, `rows`, `scan` and `sealJournal` are optional; without them the verifier reads by `find` and a bounded
 * cache, a restore reads record by record, backups are fuzzy, and the journal is linked within the commit. Prove an adapter with `tokenStoreSuite` of
 * `tokenwright/testing`; docs/writing-a-store.md tells how.
 */
export interface TokenStore {
  /** The record with this id. */
  get<T>(kind: Kind<T>, id: string): MaybePromise<Stored<T> | undefined>
  /** The record that holds the first of `keys` held by any, in one round trip. */
  find<T, U extends string>(
    kind: Kind<T, string, U>,
    index: U,
    keys: readonly string[],
  ): MaybePromise<Stored<T> | undefined>
  /** In-process stores: the live cell of the record that holds `key`. */
  cell?<T, U extends string>(kind: Kind<T, string, U>, index: U, key: string): Cell<T> | undefined
  /**
   * What stands at each of these ids, tombstones included, in the order of `ids` and in one round trip. At most 1000 ids.
   * Values are deeply frozen, as those of `get`.
   */
  rows?(kind: AnyKind, ids: readonly string[]): MaybePromise<readonly (ScanRow | undefined)[]>
  /** A range of an order index, by position and then by id (in the order of its UTF-8 or UTF-16 code units). */
  list<T, O extends string>(kind: Kind<T, O>, query: ListQuery<O>): MaybePromise<Page<Stored<T>>>
  /**
   * Checks every expectation, then writes everything, atomically. A key that one write of the commit gives up may be
   * taken by another. A store that answers with a value throws where others reject: callers handle both.
   *
   * @throws InvalidCommitError when the commit breaks a rule of this contract
   * @throws StaleRevisionError when a record stands at another revision
   * @throws UniqueConflictError when a key is held by another record or by a tombstone
   * @throws StoreError when the store can't answer
   */
  commit(commit: Commit): MaybePromise<CommitResult>
  /** Every record and tombstone of these kinds, in pages, as of one point where `durability().snapshot`. */
  scan?(kinds: readonly AnyKind[]): AsyncIterable<readonly ScanRow[]>
  /** Links up to `limit` unsealed entries, for stores that append them unsealed. Answers how many it sealed. */
  sealJournal?(link: Link, limit: number): MaybePromise<number>
  /**
   * Lets go of the sealed entries up to `seq`, at most `limit` of them, oldest first. The last sealed entry always stays.
   *
   * @returns how many went
   */
  pruneJournal?(seq: number, limit: number): MaybePromise<number>
  /** Entries of the journal. */
  journal(query: JournalQuery): MaybePromise<readonly SealedEntry[]>
  /** The last sealed entry's place in the chain. */
  journalHead(): MaybePromise<JournalHead>
  /**
   * Adds counts to the usage rows and to the activity rows that exist; the same `flushId` again changes nothing (a
   * store remembers at least the last 10,000). At most 10,000 increments. A call that fails may have added a part: the
   * same flush again adds the rest. Watchers aren't told.
   */
  addUsage(flushId: string, increments: readonly UsageIncrement[]): MaybePromise<void>
  /** Usage rows in order of hour, token, tool and outcome. */
  usage(query: UsageQuery): MaybePromise<readonly UsageRow[]>
  /** The store's own time, epoch ms: what instances agree by. */
  time(): MaybePromise<number>
  /**
   * Calls `onChange` after records change, here or (within the staleness) elsewhere. Of other processes' changes only those of
   * journaled kinds are sure to be told. A store that is told over a network calls `onLost` when some may have been missed.
   * Returns the way to stop.
   */
  watch?(onChange: (change: StoreChange) => void, onLost?: () => void): () => void
  /** What this store promises. */
  durability(): Durability
  /** Finishes what is under way and lets go of everything. Later calls are refused. */
  close(): MaybePromise<void>
}
