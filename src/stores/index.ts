/**
 * For authors of stores: the contract, the two kinds that every store writes by itself, and the rules of commits,
 * ranges and usage as functions, so that an adapter is left with reading and writing rows. docs/writing-a-store.md walks
 * through an adapter made of them; `tokenStoreSuite` of `tokenwright/testing` proves one.
 *
 * @packageDocumentation
 */
export type {
  AnyKind,
  Kind,
  MaybePromise,
  OrderKey,
  Stored,
  Tombstone,
} from '../kernel/kind.ts'
export { deepFreeze, nextRevision } from '../kernel/kind.ts'
export { checkCommit, MAX_WRITES, revisionMade } from './check-commit.ts'
export {
  checkIds,
  checkJournalQuery,
  checkLimit,
  checkList,
  checkUniqueIndex,
  checkUsageQuery,
  cursorAt,
  MAX_PAGE,
  MAX_SEALED,
  MAX_USAGE_PAGE,
  parseCursor,
} from './check-query.ts'
export {
  InvalidCommitError,
  StaleRevisionError,
  StoreClosedError,
  StoreError,
  type StoreErrorCode,
  StoreUnavailableError,
  UniqueConflictError,
} from './errors.ts'
export {
  EMPTY_HEAD,
  type JournalEntry,
  type JournalFacts,
  type JournalHead,
  type Link,
  type SealedEntry,
} from './journal-link.ts'
export { checkOrderKeys, checkUniqueKeys, MAX_KEY_LENGTH, MAX_KEYS, type OrderKeys } from './order-keys.ts'
export type { OrderPoint, OrderRange } from './order-range.ts'
export { type EventRecord, eventKind, type OutboxEvent } from './outbox.ts'
export type {
  Cell,
  Commit,
  CommitResult,
  Durability,
  Expectation,
  JournalQuery,
  ListQuery,
  Page,
  ScanRow,
  StoreChange,
  TokenStore,
  Write,
} from './token-store.ts'
export {
  type ActivityRecord,
  activityId,
  activityKind,
  addActivity,
  addUsageRow,
  checkIncrements,
  dailyBefore,
  LATENCY_BOUNDS,
  MAX_INCREMENTS,
  type UsageIncrement,
  type UsagePoint,
  type UsageQuery,
  type UsageRow,
  usageHour,
} from './usage-rows.ts'
