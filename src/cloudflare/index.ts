/**
 * Looks after Cloudflare API tokens: what they lack against what they need, what they hold beyond it, and how to heal that by plans
 * that somebody approves. For Node and for Workers; the guide is docs/cloudflare.md.
 *
 * @example
 * ```ts
 * import { CloudflareTokenHealer, formatReport, workersFullStack } from 'tokenwright/cloudflare'
 *
 * const healer = new CloudflareTokenHealer({
 *   healerToken: process.env['HEALER_TOKEN'] ?? '',
 *   targets: [{ kind: 'account', accountId: process.env['ACCOUNT_ID'], tokenId: process.env['TOKEN_ID'] }],
 *   required: [workersFullStack],
 * })
 * console.log(formatReport(await healer.check()))
 * ```
 * @packageDocumentation
 */
export { type ActionHealer, type ActionRegistry, registerCloudflareActions } from './actions.ts'
export type { HealerAnalytics } from './analytics.ts'
export type { ApproveCallback, ApproveContext, PlanApproval } from './approval.ts'
export type { ChangeOutcome, ChangeResult } from './change-result.ts'
export {
  type CloudflareAnswer,
  type CloudflareClient,
  type CloudflareClientOptions,
  type CloudflareRequest,
  createCloudflareClient,
} from './client.ts'
export type { HeldGrant } from './compare.ts'
export { type D1DatabaseLike, type D1Statement, type D1StateOptions, d1State } from './d1-state.ts'
export {
  type ApprovalProblem,
  CatalogueIncompleteError,
  CloudflareApiError,
  type CloudflareErrorCode,
  HealerStateError,
  HealHeldError,
  type HoldReason,
  LockOutError,
  OutsideCeilingError,
  PlanApprovalError,
  PlanInvalidError,
  PlanStaleError,
  RollUnknownError,
  SensitivePermissionError,
  SnapshotError,
  TargetUnreadableError,
  UnknownPermissionGroupError,
} from './errors.ts'
export type {
  CheckedEvent,
  CircuitOpenedEvent,
  CloudflareEvents,
  DegradedEvent,
  ExpiringSoonEvent,
  HealedEvent,
  HealFailedEvent,
  PlannedEvent,
  RecoveredEvent,
  RolledBackEvent,
  SharedCloudflareEvents,
  StateFailedEvent,
} from './events.ts'
export type { Expiry, ExpirySeverity } from './expiry.ts'
export type { Fault, FaultKind } from './fault.ts'
export { formatReport } from './format-report.ts'
export {
  fromCloudflare,
  type OfficialClient,
  type OfficialRequest,
  type OfficialRequestOptions,
  type OfficialRequests,
} from './from-cloudflare.ts'
export type { Grant } from './grant.ts'
export type { HealReport, TargetHeal, TargetOutcome } from './heal-report.ts'
export { type ApplyOptions, CloudflareTokenHealer } from './healer.ts'
export type { HistoryAction, HistoryRow, HistoryTarget, TargetChange } from './history.ts'
export type { GivenGrant, TargetMark } from './mark.ts'
export { memoryState } from './memory-state.ts'
export type { Notice, Notify } from './notify.ts'
export { type NotifyByWebhookOptions, NotifyError, notifyByWebhook } from './notify-webhook.ts'
export type { CloudflareTokenHealerOptions } from './options.ts'
export type { HealPlan, PlanTarget } from './plan.ts'
export type { HealerStatus, HistoryQuery } from './recorder.ts'
export type { CheckReport, OverallHealth, TargetReason, TargetReport } from './report.ts'
export {
  defineTemplate,
  type RequiredInput,
  type RequirementInput,
  type RequirementSpec,
  type ResourceInput,
  type Template,
} from './requirement.ts'
export type { ResourceMap } from './resources.ts'
export type { RollbackResult } from './rollback.ts'
export type { RollOptions, RollResult } from './roller.ts'
export { createHealerRoutes, type HealerRoutesOptions, type RoutedHealer } from './routes.ts'
export type { RunOptions } from './runs.ts'
export {
  createScheduledHandler,
  type ScheduledController,
  type ScheduledHandler,
  type ScheduledHealer,
  type ScheduledOptions,
} from './scheduled.ts'
export type { HealerState, HistoryPosition, Snapshot } from './state.ts'
export {
  type HealerLease,
  healerLeaseKind,
  healerMarkKind,
  healerRowKind,
  healerSnapshotKind,
  type StoreStateOptions,
  storeState,
} from './store-state.ts'
export type { TargetInput } from './targets.ts'
export { readOnlyMonitoring, tokenAdministration, workersFullStack } from './templates.ts'
export type { HeldGroup, Policy, TokenFields } from './token-record.ts'
