import type { MaybePromise } from '../kernel/kind.ts'
import type { HistoryRow } from './history.ts'
import type { TargetMark } from './mark.ts'
import type { TokenFields } from './token-record.ts'

/** A token as it stood before it was changed: enough to put it back. No secret is in it, for Cloudflare tells none. */
export interface Snapshot {
  readonly id: string
  /** When it was taken, epoch ms. */
  readonly at: number
  /** Whose token. */
  readonly kind: 'account' | 'user'
  readonly accountId?: string
  readonly tokenId: string
  /** The target's name. */
  readonly target: string
  /** What it was. */
  readonly fields: TokenFields
  /** SHA-256 of what the change was to make of it. */
  readonly after: string
  readonly planHash: string
}

/** A place in the history: rows before it are older, or as old and of a smaller id. */
export interface HistoryPosition {
  /** Epoch ms. */
  readonly at: number
  /** A row's id; absent = before every row of that instant. */
  readonly id?: string | undefined
}

/**
 * What the healer remembers between runs, and shares with others that look after the same tokens: rows of its history, snapshots,
 * what was changed lately, and leases. `memoryState()`, `storeState()` and `d1State()` are three; another needs these methods, and
 * passes `healerStateSuite` of `tokenwright/testing`.
 */
export interface HealerState {
  /** Appends a row. The same id again changes nothing. */
  append(row: HistoryRow): MaybePromise<void>
  /** Rows by time and then id, newest first. */
  rows(query: { readonly limit: number; readonly before?: HistoryPosition }): MaybePromise<readonly HistoryRow[]>
  /** Removes rows and snapshots from before `at`, and leases that were over by then, at most `limit` of each. Answers how many went. */
  prune(at: number, limit: number): MaybePromise<number>
  /** Keeps a snapshot. */
  saveSnapshot(snapshot: Snapshot): MaybePromise<void>
  /** A snapshot that was kept. */
  snapshot(id: string): MaybePromise<Snapshot | undefined>
  /** What is remembered of a token, with the revision of that. */
  mark(token: string): MaybePromise<{ readonly revision: number; readonly mark: TargetMark } | undefined>
  /** Remembers, if the revision is still this one (0 = nothing was remembered yet). Answers whether it did. */
  saveMark(token: string, revision: number, mark: TargetMark): MaybePromise<boolean>
  /** Takes a lease that is free or over, or that the same holder has. Answers whether it did. One instant, one taker. */
  lease(name: string, holder: string, until: number, now: number): MaybePromise<boolean>
  /** Gives a lease back, if it is still this holder's. */
  release(name: string, holder: string): MaybePromise<void>
}
