import type { ChangeOutcome, ChangeResult } from './change-result.ts'
import { type Finding, judged } from './checker.ts'
import {
  CatalogueIncompleteError,
  CloudflareApiError,
  HealerStateError,
  HealHeldError,
  LockOutError,
  PlanApprovalError,
  PlanInvalidError,
  PlanStaleError,
  TargetUnreadableError,
} from './errors.ts'
import type { HealPlan } from './plan.ts'
import type { CheckReport, TargetReport } from './report.ts'

/**
 * What became of a target in a run of `heal`. Beside the outcomes of a change that was sent:
 *
 * - `report_only`: nobody approves plans here; the plan is told
 * - `not_approved`: it was put to approval, and not approved
 * - `held`: not now: cooldown, cap of the day, circuit, another process, the healer's own credential
 * - `stale`: somebody changed it meanwhile
 * - `unusable`, `unreadable`: nothing can be planned
 * - `blocked`: all that it lacks is denied by a policy
 * - `nothing_missing`
 * - `not_sent`: Cloudflare or the state didn't answer before anything was sent
 */
export type TargetOutcome =
  | ChangeOutcome
  | 'report_only'
  | 'not_approved'
  | 'held'
  | 'stale'
  | 'unusable'
  | 'unreadable'
  | 'blocked'
  | 'nothing_missing'
  | 'not_sent'

/** What was done for one target. */
export interface TargetHeal extends Omit<ChangeResult, 'outcome' | 'planHash' | 'requests'> {
  readonly outcome: TargetOutcome
  /** Absent where nothing was planned. */
  readonly planHash?: string
  /** The plan, where nobody approves plans here, or it wasn't approved. */
  readonly plan?: HealPlan
}

/** What `heal` answers: what a check finds, as it is afterwards, and what was done. */
export interface HealReport extends CheckReport {
  readonly changes: readonly TargetHeal[]
}

/** What is done with a finding before any plan: nothing, and why; `undefined` = it is to be planned for. */
export function withoutPlan({ report, found }: Finding): TargetOutcome | undefined {
  if (report.valid === false) return 'unusable'
  if (found === undefined || report.missing === null) return 'unreadable'
  if (report.missing.length === 0) return 'nothing_missing'
  return report.missing.every((grant) => report.blocked?.includes(grant) === true) ? 'blocked' : undefined
}

/** The outcome that an error of planning or applying stands for; `undefined` = it is no outcome but a fault. */
export function outcomeOfError(error: unknown): TargetOutcome | undefined {
  if (error instanceof PlanApprovalError) return 'not_approved'
  if (error instanceof HealHeldError || error instanceof LockOutError) return 'held'
  if (error instanceof PlanStaleError) return 'stale'
  if (error instanceof TargetUnreadableError) return 'unreadable'
  const unanswered = [CloudflareApiError, CatalogueIncompleteError, HealerStateError]
  if (unanswered.some((kind) => error instanceof kind)) return 'not_sent'
  return error instanceof PlanInvalidError ? 'stale' : undefined
}

/** An answer in which nothing happened. */
export function nothingDone(target: string, outcome: TargetOutcome): TargetHeal {
  return { target, outcome, added: [], notGranted: [], removed: 0, propagated: null }
}

/** A target's report as it is after what was done. */
export function reportAfter(report: TargetReport, change: TargetHeal, strict: boolean, now: number): TargetReport {
  const missing = missingAfter(report, change)
  if (missing === report.missing) return report
  const { health: _, recommendations: __, ...facts } = report
  return judged({ ...facts, missing }, strict, now)
}

function missingAfter(report: TargetReport, { outcome, notGranted }: TargetHeal): TargetReport['missing'] {
  if (report.missing === null) return null
  const blocked = report.missing.filter((grant) => report.blocked?.includes(grant) === true)
  if (outcome === 'healed') return blocked
  if (outcome === 'incomplete') return [...notGranted, ...blocked]
  return outcome === 'unknown' ? null : report.missing
}
