import type { Counts, SkipReason } from './run.ts'

/** What every event about a rule tells. */
export interface RuleEvent {
  /** The rule's id. */
  readonly id: string
  /** Its name. */
  readonly rule: string
  /** When, epoch ms. */
  readonly at: number
  /** Who did it; absent where nobody called for it. */
  readonly actor?: string
  /** Why. */
  readonly reason?: string
}

/** A rule was made. */
export interface RuleCreatedEvent extends RuleEvent {
  readonly action: string
}

/** A rule was changed. */
export interface RuleUpdatedEvent extends RuleEvent {
  /** What of it. */
  readonly fields: readonly string[]
}

/** A rule was disabled: it runs no more until it is enabled. */
export interface RuleDisabledEvent extends RuleEvent {}

/** A disabled or paused rule was enabled. */
export interface RuleEnabledEvent extends RuleEvent {}

/** A rule was removed; its runs stay until they are old. */
export interface RuleRemovedEvent extends RuleEvent {}

/** What every event about a run tells. */
export interface RunEvent extends RuleEvent {
  /** The run's id. */
  readonly run: string
  /** The slot that it was for, epoch ms. */
  readonly slot: number
  /** Which attempt, from 1; 0 when nothing was tried. */
  readonly attempt: number
  /** How many slots before this one were missed, and are made up for by it. */
  readonly missed: number
}

/** A run ended well. */
export interface RuleExecutedEvent extends RunEvent {
  /** From the claim of the slot to its end, ms. */
  readonly durationMs: number
  /** What was done. */
  readonly counts: Counts
}

/** An attempt failed. */
export interface RuleFailedEvent extends RunEvent {
  /** The error's code or name. */
  readonly code: string
  /** When the next attempt is due, epoch ms; absent = that was the last. */
  readonly retryAt?: number
}

/** A slot was not run. */
export interface RuleSkippedEvent extends RunEvent {
  /** Why not. */
  readonly why: SkipReason
}

/** A rule failed so often in a row that it runs no more until it is enabled. */
export interface RulePausedEvent extends RuleEvent {
  /** Failed runs in a row. */
  readonly failures: number
  /** The code of the last failure. */
  readonly code: string
}

/** A version is dated in the future, so that its age can't be told and no `ageDays` takes it: some clock was wrong. */
export interface VersionMisdatedEvent {
  /** The token's id. */
  readonly id: string
  /** Its name. */
  readonly service: string
  /** The instant from which its age would count, epoch ms. */
  readonly datedAt: number
  /** When, epoch ms. */
  readonly at: number
}

/** The events of this room. */
export interface AutomationEvents {
  'rule.created': RuleCreatedEvent
  'rule.updated': RuleUpdatedEvent
  'rule.disabled': RuleDisabledEvent
  'rule.enabled': RuleEnabledEvent
  'rule.removed': RuleRemovedEvent
  'rule.executed': RuleExecutedEvent
  'rule.failed': RuleFailedEvent
  'rule.skipped': RuleSkippedEvent
  'rule.paused': RulePausedEvent
  'token.misdated': VersionMisdatedEvent
}
