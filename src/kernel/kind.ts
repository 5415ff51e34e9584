/** A value or a promise of it. Branch with `instanceof Promise`; never `await` one on the hot path. */
export type MaybePromise<T> = T | Promise<T>

/** Where one record stands in an order index: at a point of the axis, within a partition if it has one. */
export interface OrderKey {
  /** The position on the axis, mostly an instant in epoch ms; a safe integer. */
  readonly at: number
  /** The partition, such as an owner's name; not empty. */
  readonly in?: string
}

/** A record as a store hands it out. `value` is deeply frozen. */
export interface Stored<T> {
  /** The record's id within its kind. */
  readonly id: string
  /** Grows by one with every write of the record: epoch * 2^32 + n. */
  readonly revision: number
  /** The record itself. */
  readonly value: T
}

/** What remains of a removed record, so that nothing can bring it back. */
export interface Tombstone {
  /** When the record ended, epoch ms. */
  readonly endedAt: number
  /** Why it was removed. */
  readonly reason: string
  /** The keys that it held in the kind's {@link Kind.keeps} index; they stay taken. */
  readonly digests: readonly string[]
}

/**
 * What a store must know of a sort of record. Defined once, in the room that owns the record; a new kind never
 * changes an adapter.
 *
 * @typeParam T - the record, a JSON value
 * @typeParam O - the names of its order indexes
 * @typeParam U - the names of its unique indexes
 */
export interface Kind<T, O extends string = string, U extends string = string> {
  /** The kind's name, `[a-z_]+`. */
  readonly name: string
  /** The version of the record's shape. */
  readonly schema: number
  /** Whether every write needs an expected revision and a journal entry. False: leases, quota blocks, rows of logs. */
  readonly journaled: boolean
  /** Unique indexes: the keys that a record holds, no two records the same. Pure functions, as those of `order`. */
  readonly unique: { readonly [index in U]: (record: T) => readonly string[] }
  /**
   * Order indexes. Sparse: `undefined` means not indexed. A record stands at one point of a partition; of several keys
   * of the same partition the smallest counts.
   */
  readonly order: { readonly [index in O]: (record: T) => OrderKey | readonly OrderKey[] | undefined }
  /** The unique index whose keys a tombstone keeps taken. */
  readonly keeps?: U
  /**
   * What is wrong with a record that must never be stored, in words that end a sentence about it; `undefined` = nothing.
   * A store asks at every commit, as the last guard behind those who made the record. Pure, and of no great cost.
   */
  refuses?(record: T): string | undefined
  /**
   * What a restore makes of an archived record, where `here` is the one in the store; `undefined` = what is here stays.
   * Monotonic: whatever `prefer` says, what was ended here never lives again, and merging the result with the same
   * archived record changes nothing more. Not asked where a tombstone stands: nothing comes back there.
   *
   * @param here - the record in the store, `undefined` where there has been none
   * @param archived - the record in the archive
   * @param prefer - where both will do: the newer one, or the archived one whatever its age (the restore mode `replace`)
   */
  merge(here: T | undefined, archived: T, prefer: 'newer' | 'archived'): T | undefined
  /** Turns a parsed JSON value into the record, sharing what records share. Default: the value as it is. */
  revive?(value: T): T
}

/** Any kind, whatever its record and indexes. */
// biome-ignore lint/suspicious/noExplicitAny: the record's type is the kind's own; a store treats it as opaque
export type AnyKind = Kind<any, any, any>

/** The largest position of an order index: what never ends stands here. */
export const NEVER: number = Number.MAX_SAFE_INTEGER

/** The revision that the write of a record expecting `revision` gets; 0 expects that there is none. */
export function nextRevision(revision: number): number {
  return revision + 1
}

/** The revisions of one epoch: a revision is epoch * 2^32 + n. */
const EPOCH = 2 ** 32

/**
 * The first revision of the epoch after those of two revisions: what a restore gives a record, so that nobody who read it
 * before can write it.
 */
export function nextEpoch(here: number, archived: number): number {
  return (Math.floor(Math.max(here, archived) / EPOCH) + 1) * EPOCH + 1
}

/** Freezes a JSON value with all that it holds. Stops at what is frozen already. */
export function deepFreeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value
  Object.freeze(value)
  for (const key in value) deepFreeze(value[key])
  return value
}
