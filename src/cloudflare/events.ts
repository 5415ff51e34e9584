import type { Risk } from '../tokens/risk.ts'
import type { Expiry } from './expiry.ts'
import type { PlanTarget } from './plan.ts'
import type { OverallHealth } from './report.ts'

/** A check ended, whatever it found. */
export interface CheckedEvent {
  readonly at: number
  /** `healthy`, `degraded` or `unhealthy`. */
  readonly health: OverallHealth
  /** How many tokens were looked at. */
  readonly targets: number
  /** How many permissions they lack together; `null` = not known. */
  readonly missing: number | null
  /** How many requests it took. */
  readonly requests: number
}

/** A token isn't as it should be, and wasn't so at the last check, or there was none. */
export interface DegradedEvent {
  readonly at: number
  /** The target's name. */
  readonly target: string
  readonly health: 'degraded' | 'unhealthy'
  /** How many permissions it lacks; `null` = not known. */
  readonly missing: number | null
  /** Why, where it isn't for what it lacks. */
  readonly reason?: string
}

/** A token is as it should be again. */
export interface RecoveredEvent {
  readonly at: number
  /** The target's name. */
  readonly target: string
}

/** A change was thought out. */
export interface PlannedEvent {
  readonly at: number
  /** The target's name. */
  readonly target: string
  readonly planHash: string
  readonly risk: Risk
  /** How many grants it would add. */
  readonly added: number
  /** How many it would take away. */
  readonly removed: number
}

/** A token has what it lacked: read back after the change. */
export interface HealedEvent {
  readonly at: number
  readonly target: PlanTarget
  readonly planHash: string
  /** What it got, each as group and resource. */
  readonly added: readonly string[]
  /** What it lost, by `narrow`. */
  readonly removed: readonly string[]
  /** Who approved it; `ceiling` where `autoHeal` did. */
  readonly approvedBy: string
  /** What takes it back. */
  readonly snapshot: string
  /** Whether it was seen to be in force; `null` = not looked for. */
  readonly propagated: boolean | null
}

/** A change wasn't made, or isn't what it should be. */
export interface HealFailedEvent {
  readonly at: number
  /** The target's name. */
  readonly target: string
  readonly planHash: string
  readonly outcome: string
  /** The error's code. */
  readonly code: string
}

/** A token is as it was before a change. */
export interface RolledBackEvent {
  readonly at: number
  /** The target's name. */
  readonly target: string
  readonly snapshot: string
  /** Whether the healer did it by itself, since something differed that it hadn't meant to change. */
  readonly automatic: boolean
}

/** A token's end has come within 30, 7 or 1 days: told once for each. */
export interface ExpiringSoonEvent {
  readonly at: number
  /** The target's name. */
  readonly target: string
  /** Epoch ms. */
  readonly expiresAt: number
  readonly days: number
  readonly severity: Expiry['severity']
}

/** Grants were taken away again and again: the token isn't changed any more until `resetCircuit`. */
export interface CircuitOpenedEvent {
  readonly at: number
  /** The target's name. */
  readonly target: string
  /** The names of the groups. */
  readonly groups: readonly string[]
}

/** The healer's state couldn't be read or written; what was found stands all the same. */
export interface StateFailedEvent {
  readonly at: number
  readonly operation: string
  /** The error's code. */
  readonly code: string
}

/** The events of a healer, by their short names. */
export interface CloudflareEvents {
  checked: CheckedEvent
  degraded: DegradedEvent
  recovered: RecoveredEvent
  planned: PlannedEvent
  healed: HealedEvent
  healFailed: HealFailedEvent
  rolledBack: RolledBackEvent
  expiringSoon: ExpiringSoonEvent
  circuitOpened: CircuitOpenedEvent
  stateFailed: StateFailedEvent
}

/** The same events as an emitter shared with others has them: `cloudflare.healed`. */
export type SharedCloudflareEvents = {
  [Name in keyof CloudflareEvents as `cloudflare.${Name}`]: CloudflareEvents[Name]
}
