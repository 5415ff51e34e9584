import type { GenerateInput } from '../issuing/generator.ts'
import type { JsonObject } from '../kernel/bytes.ts'
import type { Duration } from '../kernel/duration.ts'
import type { RotationOrigin } from '../rotation/rotation-record.ts'
import type { Attribution } from '../stores/commit.ts'
import type { RuleView } from './rule.ts'
import type { RuleSpec } from './rule-input.ts'
import type { Counts, SkipReason } from './run.ts'

/** What an action is told of the run that it is for. */
export interface ActionContext {
  /** The rule as it was when the slot was claimed. */
  readonly rule: RuleView
  /** The run's id: the same in every attempt. What is made under it once can be recognised by the next attempt. */
  readonly run: string
  /** The slot that it is for, epoch ms; of a run that was called for, the instant of the call. */
  readonly slot: number
  /** Which attempt, from 1. A later one may find the work of an earlier one half done. */
  readonly attempt: number
  /** Aborted when the rule's `maxDuration` is over, the lease is lost, or the engine stops: leave off then. */
  readonly signal: AbortSignal
  /** The store's time when the attempt began, epoch ms. */
  readonly now: number
  /** The rule's `params`; empty where it has none. */
  readonly params: JsonObject
  /** Who called for it, else `rule:` and the rule's name. */
  readonly actor: string
  /** Why, where it was called for with a reason. */
  readonly reason?: string
}

/** How an action ended. What fails throws. */
export interface ActionResult {
  /** `skipped` when there was nothing to do. Default `ok`. */
  readonly outcome?: 'ok' | 'skipped'
  /** Why it was skipped. */
  readonly reason?: SkipReason
  /** What was done, for the log. */
  readonly counts?: Counts
}

/** What a rule does. It may be called twice for one slot, when the instance that ran it died: `attempt` and `run` tell. */
// biome-ignore lint/suspicious/noConfusingVoidType: a handler that answers nothing is the usual one
export type ActionHandler = (context: ActionContext) => Promise<ActionResult | void> | ActionResult | void

/** An action with a check of the rules that want it. */
export interface Action {
  /** Does it. */
  readonly run: ActionHandler
  /** Refuses a rule that it could never do anything with, when the rule is saved. */
  readonly check?: (rule: RuleSpec) => Promise<void> | void
}

/** How a rotation stands. */
export interface RotationStanding {
  readonly rotation: { readonly id: string; readonly status: string }
}

/** What a bulk rotation tells. */
export interface BulkOutcome {
  /** Tokens of the selection. */
  readonly total: number
  readonly rotated: number
  readonly failed: readonly { readonly code: string }[]
  readonly skipped: readonly { readonly code: string }[]
  /** Failed and skipped ones that aren't listed. */
  readonly omitted: number
}

/** How a rule rotates. */
export interface RuleRotateOptions extends Attribution {
  readonly rotationId?: string
  readonly origin: RotationOrigin
  readonly grace?: Duration
  readonly whenInGrace?: 'keep' | 'refuse' | 'endOldest'
  readonly signal?: AbortSignal
}

/** How a rule makes a token. */
export type RuleIssueOptions = Pick<RuleRotateOptions, 'rotationId' | 'origin' | 'actor' | 'reason'>

/** How a rule rotates many. */
export interface RuleBulkOptions extends Attribution {
  readonly services?: readonly string[]
  readonly olderThan?: Duration
  readonly batchId?: string
  readonly origin: RotationOrigin
  readonly grace?: Duration
  readonly whenInGrace?: 'keep' | 'refuse' | 'endOldest'
  readonly concurrency?: number
  readonly signal?: AbortSignal
}

/** What rules need of a Rotator. */
export interface RuleRotator {
  /** Gives a token a new version; the same `rotationId` again is the same rotation. */
  rotate(ref: { readonly id: string }, options: RuleRotateOptions): Promise<RotationStanding>
  /** Makes a token, and hands it over. */
  issue(input: GenerateInput, options: RuleIssueOptions): Promise<RotationStanding>
  /** Rotates many; the same `batchId` again goes on with the same batch. Without a selector: all live tokens. */
  bulkRotate(options: RuleBulkOptions): Promise<BulkOutcome>
  /** Whether a new value that nobody waits for reaches anyone. */
  hasRecipient(service: string, retrievable: boolean): boolean
}

/** What rules need of a Registry. */
export interface RuleRegistry {
  /** Removes what ended long ago, a bounded part at a time. */
  cleanup(
    options: Attribution & { readonly retention?: Duration },
  ): Promise<{ readonly removed: number; readonly tidied: number; readonly more: boolean }>
}

/** What rules need of backups. */
export interface RuleBackups {
  /** Makes one. */
  create(options: { readonly [option: string]: unknown }): Promise<{ readonly tokenCount?: number }>
}
