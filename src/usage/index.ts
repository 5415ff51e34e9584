/** Counts, analytics, the request log and security alerts: the public names of this room. */
export type {
  AgentSubject,
  Alert,
  CanaryUsedEvent,
  FailuresBurstEvent,
  ForbiddenUse,
  LeakedEvent,
  NewNetworkUsedEvent,
  RateChangedEvent,
  RevokedUsedEvent,
  SecurityEvents,
  Signal,
  Signals,
  SignedSubject,
} from './alert.ts'
export {
  type AnalyticsQuery,
  type Coverage,
  type HourUsage,
  type LastUse,
  type RankedQuery,
  type Talker,
  type TalkersQuery,
  type TokenUsage,
  type ToolUsage,
  UsageAnalytics,
  type UsageList,
  type UsageOverview,
} from './analytics.ts'
export type { RequestEntry, RequestQuery } from './request-log.ts'
export { type AlertQuery, type AlertSettings, SecurityAlerts } from './security-alerts.ts'
export type { SignalSettings } from './security-signals.ts'
export type { UsageSummary } from './usage-sum.ts'
export {
  type CallOutcome,
  type UsageDroppedEvent,
  type UsageEvents,
  type UsageFlushedEvent,
  type UsageFlushFailedEvent,
  type UsageOptions,
  UsageTracker,
} from './usage-tracker.ts'
