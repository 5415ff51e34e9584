import type { JsonObject } from '../kernel/bytes.ts'
import { deepFreeze, type Kind, type OrderKey, type Stored } from '../kernel/kind.ts'
import type { Schedule } from './schedule.ts'

/** Which tokens a rule takes. Without any, all that it names. */
export interface Conditions {
  /** The current version is at least so old, days of 24 h. */
  readonly ageDays?: number
  /** The current version was used at least so often. */
  readonly usageCount?: number
  /** Whether both must hold, or one. */
  readonly match: 'all' | 'any'
}

/** Why a rule runs no more until it is enabled. */
export interface Pause {
  /** When it was paused, epoch ms. */
  readonly at: number
  /** It failed too often in a row, or came out of a backup. */
  readonly reason: 'failures' | 'restored'
  /** The code of the last failure. */
  readonly code?: string
}

/** A rule as it is stored: what the host asked for, and where it stands. */
export interface RuleRecord {
  readonly id: string
  /** Unique among rules; never changed. */
  readonly name: string
  readonly action: string
  /** The tokens that it names; absent = none named. */
  readonly services?: readonly string[]
  readonly schedule: Schedule
  readonly conditions?: Conditions
  readonly catchUp: 'one' | 'none'
  /** How late a slot may begin, ms. */
  readonly catchUpWindow?: number
  readonly overlap: 'skip' | 'queue'
  /** The longest wait after a slot, ms. */
  readonly jitter?: number
  /** How often a run is tried. */
  readonly attempts: number
  /** How long one attempt may take, ms. */
  readonly maxDuration: number
  /** So many failed runs in a row pause it; 0 = never. */
  readonly pauseAfter: number
  readonly enabled: boolean
  /** What the action is given. */
  readonly params?: JsonObject
  readonly createdAt: number
  readonly updatedAt: number
  /** When its first slot was asked to be, epoch ms. */
  readonly startAt?: number
  /** The first slot of an interval; of other schedules, the instant before which there are none. Epoch ms. */
  readonly anchor: number
  /** When its schedule was begun, epoch ms. */
  readonly begunAt: number
  /** The next slot, epoch ms; absent = there is none left. */
  readonly nextSlot?: number
  /** When it is due: the next slot and its jitter, epoch ms. */
  readonly nextDueAt?: number
  /** The last slot that was run or skipped, epoch ms. */
  readonly lastSlot?: number
  /** When its last run began, epoch ms. */
  readonly lastRunAt?: number
  /** How many runs it has had, those skipped counted. */
  readonly runs: number
  /** Failed runs in a row; absent = the last one was none. */
  readonly failures?: number
  readonly paused?: Pause
}

/** The order indexes of rules. */
export type RuleOrder = 'due' | 'created' | 'trouble' | 'touched'

/** Rules: found by name, and by when they are due. */
export const ruleKind: Kind<RuleRecord, RuleOrder, 'name'> = {
  name: 'rule',
  schema: 1,
  journaled: true,
  unique: { name: (rule) => [rule.name] },
  order: {
    due: (rule) => (rule.enabled && rule.paused === undefined ? point(rule.nextDueAt) : undefined),
    created: (rule) => ({ at: rule.createdAt }),
    trouble: (rule) => {
      if (rule.paused !== undefined) return { in: 'paused', at: rule.paused.at }
      return rule.failures === undefined ? undefined : { in: 'failing', at: rule.failures }
    },
    touched: (rule) => ({ at: Math.max(rule.begunAt, rule.lastSlot ?? 0, rule.lastRunAt ?? 0) }),
  },
  merge: (here, archived) => (here === undefined ? archived : undefined),
}

function point(at: number | undefined): OrderKey | undefined {
  return at === undefined ? undefined : { at }
}

/** A rule as it is shown. Instants are epoch ms, durations ms. */
export interface RuleView extends Omit<RuleRecord, 'anchor' | 'begunAt'> {
  /** Grows by one with every change. */
  readonly revision: number
}

/** What is told of a stored rule: a plain frozen object. */
export function ruleView({ value, revision }: Stored<RuleRecord>): RuleView {
  const { anchor: _, begunAt: __, ...rule } = value
  return deepFreeze({ ...rule, revision })
}

/** The rule, paused until it is enabled. For restores too: a rule that comes out of a backup is mostly overdue. */
export function pausedRule(rule: RuleRecord, pause: Pause): RuleRecord {
  return { ...rule, paused: pause }
}
