/**
 * Issue, check, limit, rotate and account for API tokens, on a store of your choice.
 *
 * @example
 * ```ts
 * import { generateSecret, MemoryTokenStore, Tokenwright } from 'tokenwright'
 *
 * const tokens = new Tokenwright({ store: new MemoryTokenStore(), keys: generateSecret() })
 * const { token } = await tokens.generate({ service: 'MY_API', scopes: ['orders:read'], expiresIn: '30d' })
 * const answer = await tokens.verify(token, { scopes: ['orders:read'] })
 * ```
 * @packageDocumentation
 */
export {
  type ApprovalErrorCode,
  ApprovalNotFoundError,
  ApprovalStateError,
  SelfApprovalError,
} from './access/approval-errors.ts'
export type {
  ApprovalConsumedEvent,
  ApprovalDecidedEvent,
  ApprovalEvent,
  ApprovalEvents,
  ApprovalRequestedEvent,
} from './access/approval-events.ts'
export {
  type ApprovalDecision,
  ApprovalGate,
  type ApprovalGateOptions,
  type ApprovalSettings,
  type ApprovalView,
} from './access/approval-gate.ts'
export type { ApprovalPolicyInput } from './access/approval-policy.ts'
export type { ApprovalRecord, ApprovalStatus } from './access/approval-record.ts'
export type { ApprovalRequest } from './access/approval-request.ts'
export { hostOperationsCatalog } from './access/host-operations.ts'
export type { PrivilegeReport } from './access/least-privilege.ts'
export type { LimitSlot } from './access/limit-slot.ts'
export { type LimiterErrorCode, LimiterUnavailableError } from './access/limiter-error.ts'
export type { LimiterFailMode } from './access/limits.ts'
export { LocalRateLimiter, type LocalRateLimiterOptions } from './access/local-rate-limiter.ts'
export type { PolicyInput, QuotaInput } from './access/policy-input.ts'
export type { LimitMemo, RateLimiter, Reservation } from './access/rate-limiter.ts'
export type { RateLimitOptions } from './access/rate-limits.ts'
export {
  type Authorization,
  DEFAULT_MAX_TTL,
  type Grant,
  type MaxTtl,
  type Operation,
  ScopeAuthorizer,
  type ScopeAuthorizerOptions,
} from './access/scope-authorizer.ts'
export {
  defineScopes,
  type ScopeCatalog,
  type ScopeCatalogOptions,
  type ScopeDefinition,
} from './access/scope-catalog.ts'
export type {
  Action,
  ActionContext,
  ActionHandler,
  ActionResult,
  BulkOutcome,
  RotationStanding,
  RuleBackups,
  RuleBulkOptions,
  RuleIssueOptions,
  RuleRegistry,
  RuleRotateOptions,
  RuleRotator,
} from './automation/action.ts'
export type { ActionServices } from './automation/built-in-actions.ts'
export {
  type AutomationErrorCode,
  RuleDisabledError,
  RuleExistsError,
  RuleNotFoundError,
  RulePartFailedError,
  RuleRunningError,
  RuleTimeoutError,
} from './automation/errors.ts'
export type {
  AutomationEvents,
  RuleCreatedEvent,
  RuleDisabledEvent,
  RuleEnabledEvent,
  RuleEvent,
  RuleExecutedEvent,
  RuleFailedEvent,
  RulePausedEvent,
  RuleRemovedEvent,
  RuleSkippedEvent,
  RuleUpdatedEvent,
  RunEvent,
  VersionMisdatedEvent,
} from './automation/events.ts'
export type { Conditions, Pause, RuleRecord, RuleView } from './automation/rule.ts'
export {
  type ExecuteOptions,
  type PageInput,
  RuleEngine,
  type RuleEngineOptions,
  type RuleEngineSettings,
} from './automation/rule-engine.ts'
export type { RuleHealth, RuleList } from './automation/rule-health.ts'
export type { ConditionsInput, RuleInput, RuleSpec, RuleUpdate } from './automation/rule-input.ts'
export type { PlannedRule, PlannedTokens, PlanQuery } from './automation/rule-plan.ts'
export type { CheckReport } from './automation/rule-runner.ts'
export type { Counts, RunRecord, RunView, SkipReason } from './automation/run.ts'
export type {
  CalendarSchedule,
  CronSchedule,
  IntervalSchedule,
  Schedule,
  ScheduleInput,
} from './automation/schedule.ts'
export { Scheduler, type SchedulerOptions } from './automation/scheduler.ts'
export type { ArchiveAbout } from './backup/archive-head.ts'
export type { ArchiveInfo, VerifiedArchive } from './backup/archive-info.ts'
export type { ArchiveKey, NewArchiveKey } from './backup/archive-key.ts'
export type { ArchiveCounts } from './backup/archive-lines.ts'
export type { ArchiveSource } from './backup/archive-source.ts'
export type { ArchiveTarget, Written } from './backup/archive-target.ts'
export { type ArchivedKind, type ArchivedKindOptions, archived, CORE_KINDS } from './backup/archived-kind.ts'
export type { Backup } from './backup/backup-maker.ts'
export type {
  BackupSettings,
  BackupsOptions,
  CreateBackupOptions,
  IncludeInput,
  PlanOptions,
  RestoreOptions,
  RewrapOptions,
} from './backup/backup-options.ts'
export {
  type BackupHost,
  BackupWorker,
  type BackupWorkerOptions,
  type InProcess,
  type ToPath,
} from './backup/backup-worker.ts'
export { Backups, type RestorePlan, type RestoreReport } from './backup/backups.ts'
export {
  ArchiveCorruptError,
  ArchiveError,
  type ArchiveErrorCode,
  ArchiveForeignError,
  ArchiveIoError,
  ArchiveKeyError,
  ArchiveNewerError,
  ArchiveTruncatedError,
  BackupWorkerError,
} from './backup/errors.ts'
export type {
  BackupCreatedEvent,
  BackupEvents,
  BackupPruneFailedEvent,
  StoreRestoredEvent,
} from './backup/events.ts'
export type { HistoryReport } from './backup/history.ts'
export type { Fate, RestoreMode } from './backup/judge.ts'
export type { FateCounts, FateExample, FateExamples } from './backup/restore-tally.ts'
export type { Keep } from './backup/retention.ts'
export type { ErrorCode, TickFailedEvent, TokenEvents } from './catalogue.ts'
export type { DeadLetter } from './events/dead-letter.ts'
export type { OutboxDeadEvent, OutboxEvents } from './events/events.ts'
export {
  Outbox,
  type OutboxOptions,
  type OutboxQuery,
  type OutboxReport,
  type OutboxSettings,
} from './events/outbox.ts'
export type { DurableEvent, Subscriber } from './events/subscribers.ts'
export type { CleanupOptions, CleanupReport } from './issuing/cleanup.ts'
export {
  type IssuingErrorCode,
  ServiceExistsError,
  TokenExistsError,
  TokenNotFoundError,
  TokenRevokedError,
  TokenStateError,
} from './issuing/errors.ts'
export type {
  IssuingEvents,
  LimiterFailedEvent,
  TokenDeniedEvent,
  TokenDisabledEvent,
  TokenEnabledEvent,
  TokenEvent,
  TokenExpiringEvent,
  TokenGeneratedEvent,
  TokenRedigestedEvent,
  TokenRemovedEvent,
  TokenRevokedEvent,
  TokenUpdatedEvent,
} from './issuing/events.ts'
export {
  type GenerateDefaults,
  type Generated,
  type GenerateInput,
  Generator,
  type ImportInput,
  type IssuingOptions,
  type IssuingSettings,
  type LifetimeInput,
} from './issuing/generator.ts'
export { KeyManager, type KeyStatus, type KeyUse, type RekeyReport } from './issuing/key-manager.ts'
export type { TokenRef } from './issuing/lookup.ts'
export {
  type IdentifiedToken,
  type ListInput,
  Registry,
  type RevokeOptions,
  type RevokeTarget,
  type UpdateInput,
} from './issuing/registry.ts'
export { TokenAgeHealth, type TokenAges, type TokenAgesSettings, type TokenList } from './issuing/token-age-health.ts'
export type { TokenFilter } from './issuing/token-filter.ts'
export { type FailMode, Verifier, type VerifierOptions, type VerifierSettings } from './issuing/verifier.ts'
export { type AuditEntry, AuditLog, type AuditOptions, type AuditSettings } from './journal/audit-log.ts'
export type { AuditQuery } from './journal/audit-query.ts'
export type { BadEntry, JournalProblem } from './journal/chain.ts'
export type { Checkpoint } from './journal/checkpoint.ts'
export type { JournalBrokenEvent, JournalCheckpointEvent, JournalEvents } from './journal/events.ts'
export { type JournalErrorCode, type PruneReport, PruneUnsupportedError } from './journal/retention.ts'
export type { JournalVerification, VerifyJournalOptions } from './journal/verification.ts'
export { type ExportVerification, verifyExport } from './journal/verify-export.ts'
export { AtomicWriteError, type AtomicWriteOptions, writeFileAtomic } from './kernel/atomic-file.ts'
export type { Json, JsonObject } from './kernel/bytes.ts'
export { type Clock, type ClockJumpedEvent, systemClock, type Timer, type WaitOptions } from './kernel/clock.ts'
export { type Duration, type DurationBounds, type Instant, parseDuration } from './kernel/duration.ts'
export {
  type AnyListener,
  Emitter,
  type EventName,
  type EventPayload,
  type EventSink,
  type Listener,
  type ListenerErrorEvent,
} from './kernel/emitter.ts'
export {
  type ErrorDetails,
  InvalidInputError,
  type KernelErrorCode,
  MissingPackageError,
  TokenwrightError,
} from './kernel/errors.ts'
export type { Health, HealthSource } from './kernel/health.ts'
export {
  type AnyKind,
  deepFreeze,
  type Kind,
  type MaybePromise,
  NEVER,
  nextRevision,
  type OrderKey,
  type Stored,
  type Tombstone,
} from './kernel/kind.ts'
export { type Logger, type LogLevel, type LogToOptions, logTo } from './kernel/log-to.ts'
export { type Random, systemRandom } from './kernel/random.ts'
export { Secret } from './kernel/secret.ts'
export {
  type FetchHeaders,
  type ReceivedHeaders,
  type SignWebhookOptions,
  signWebhook,
  type VerifyWebhookOptions,
  verifyWebhook,
  type WebhookHeaders,
  type WebhookKey,
  type WebhookVerification,
} from './kernel/signed-webhook.ts'
export * from './leaks/index.ts'
export type { BulkItem, BulkReport, BulkRotated, BulkRotateOptions } from './rotation/bulk-rotation.ts'
export type { BulkSelection } from './rotation/bulk-selection.ts'
export {
  InGraceError,
  NoRecipientError,
  NotRetrievableError,
  type RotationErrorCode,
  RotationInProgressError,
  RotationNotFoundError,
  RotationStateError,
  TooManyLiveVersionsError,
} from './rotation/errors.ts'
export type {
  RotationAbandonedEvent,
  RotationAdoptedEvent,
  RotationEvent,
  RotationEvents,
  RotationRegeneratedEvent,
  RotationRolledBackEvent,
  RotationStalledEvent,
  RotationStartedEvent,
  TokenRevealedEvent,
  TokenRotatedEvent,
} from './rotation/events.ts'
export { type PublishToFileOptions, publishToFile } from './rotation/file-hook.ts'
export type { HookAnswer, HookContext, RotationHooks, ValueContext } from './rotation/hooks.ts'
export type { RotateOptions } from './rotation/rotate-options.ts'
export type {
  RotationFailure,
  RotationOrigin,
  RotationRecord,
  RotationStatus,
  RotationStep,
  RotationView,
} from './rotation/rotation-record.ts'
export type { RotationTick } from './rotation/rotation-turn.ts'
export {
  type IssueOptions,
  type ResumeOptions,
  type RollbackOptions,
  type Rotated,
  type RotatedAgain,
  Rotator,
  type RotatorOptions,
  type Undone,
} from './rotation/rotator.ts'
export type { RotationSettings } from './rotation/settings.ts'
export type { WhenInGrace } from './rotation/start.ts'
export { type PublishToWebhookOptions, publishToWebhook, WebhookError } from './rotation/webhook-hook.ts'
export * from './signed/public.ts'
export type { ChangeChannel } from './stores/change-channel.ts'
export type { ChannelFailedEvent } from './stores/change-news.ts'
export type { ClockSkewedEvent } from './stores/clock-skew.ts'
export type { Attribution } from './stores/commit.ts'
export {
  InvalidCommitError,
  StaleRevisionError,
  StoreClosedError,
  StoreError,
  type StoreErrorCode,
  StoreUnavailableError,
  UniqueConflictError,
} from './stores/errors.ts'
export type { FoundationOptions, FoundationSource, SharedFoundation } from './stores/foundation.ts'
export type { JournalEntry, JournalFacts, JournalHead, Link, SealedEntry } from './stores/journal-link.ts'
export { KeyInUseError, KeyRingMismatchError } from './stores/key-check.ts'
export { MemoryTokenStore, type MemoryTokenStoreOptions } from './stores/memory-token-store.ts'
export type { EventRecord, OutboxEvent } from './stores/outbox.ts'
export type { StoreFailedEvent } from './stores/store-failed.ts'
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
} from './stores/token-store.ts'
export {
  type ActivityRecord,
  LATENCY_BOUNDS,
  type UsageIncrement,
  type UsageQuery,
  type UsageRow,
} from './stores/usage-rows.ts'
export type { AboutInput } from './tokens/about.ts'
export type { Charset, CharsetName } from './tokens/alphabet.ts'
export type { ForeignDigest, ImportScheme } from './tokens/digest.ts'
export type { FormatInput, TokenFormat, TokenType } from './tokens/format.ts'
export {
  generateSecret,
  type KeyErrorCode,
  type KeyInput,
  type KeyPurpose,
  KeyRing,
  UnsealError,
} from './tokens/key-ring.ts'
export { FormatClashError, KnownFormats } from './tokens/known-formats.ts'
export type { ArgValue, Level, Policy, Quota, RateLimit, ToolRule } from './tokens/policy.ts'
export type { Risk } from './tokens/risk.ts'
export type { SignedFacts, TokenView, VersionView } from './tokens/token-view.ts'
export {
  type CheckStep,
  DENIAL_STATUS,
  type DenialCode,
  type Denied,
  type LimitState,
  type Verification,
  type Verified,
  type VerifyContext,
} from './tokens/verification.ts'
export type { VersionState } from './tokens/versions.ts'
export { Tokenwright } from './tokenwright.ts'
export type { TickReport, TokenwrightOptions } from './tokenwright-options.ts'
export * from './usage/index.ts'
