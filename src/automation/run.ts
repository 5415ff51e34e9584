import { deepFreeze, type Kind, type Stored } from '../kernel/kind.ts'

/**
 * Why a slot was skipped: the run before hadn't ended (`overlap`), no token met the conditions (`no_match`), it was too
 * late (`catch_up`), what it would make exists (`exists`), no new value would have reached anyone (`no_recipient`), or its rule was
 * `paused`, `disabled`, `removed`, or `changed` to another action before its turn came. Registered actions may give reasons of their own.
 */
export type SkipReason =
  | 'overlap'
  | 'no_match'
  | 'catch_up'
  | 'exists'
  | 'no_recipient'
  | 'paused'
  | 'disabled'
  | 'removed'
  | 'changed'
  | (string & {})

/** What a run did, by what: `rotated`, `failed`, `removed` … */
export type Counts = { readonly [what: string]: number }

/** One execution of a slot, or of a call of `execute`. */
export interface RunRecord {
  /** The rule's id. */
  readonly rule: string
  /** The rule's name. */
  readonly name: string
  readonly action: string
  /** The slot that it is for, or the instant of the call, epoch ms. */
  readonly slot: number
  /** Counts the runs of the rule, from 1. */
  readonly n: number
  /** `waiting`: for its next attempt. `queued`: for the run before to end. */
  readonly state: 'running' | 'waiting' | 'queued' | 'ended'
  /** Which attempt is the last, from 1; 0 while it is queued. */
  readonly attempt: number
  /** When it was claimed, epoch ms. */
  readonly startedAt: number
  readonly endedAt?: number
  readonly outcome?: 'ok' | 'failed' | 'skipped'
  readonly reason?: SkipReason
  readonly counts?: Counts
  /** The code, or the name, of the error that the last attempt ended with. */
  readonly code?: string
  /** The instance that has it, or had it last. */
  readonly instance: string
  /** Who called `execute`; absent for slots. */
  readonly calledBy?: string
  /** How many slots before this one were missed, and are made up for by it; of patterns at most 100 are counted. */
  readonly missed?: number
  /** `running`: the end of the lease. `waiting`: when it is due. Epoch ms of the store's time. */
  readonly wakeAt?: number
}

/** The order indexes of runs. */
export type RunOrder = 'due' | 'rule' | 'ended'

/**
 * Runs: at most one of a rule is under way, and at most one queued. Whoever has a run changes it by the revision that it wrote
 * last; so an instance that lost its lease can't end what another has taken over.
 */
export const runKind: Kind<RunRecord, RunOrder, 'active' | 'queued'> = {
  name: 'run',
  schema: 1,
  journaled: false,
  unique: {
    active: (run) => (run.state === 'running' || run.state === 'waiting' ? [run.rule] : []),
    queued: (run) => (run.state === 'queued' ? [run.rule] : []),
  },
  order: {
    due: (run) => (run.wakeAt === undefined ? undefined : { at: run.wakeAt }),
    rule: (run) => ({ in: run.rule, at: run.n }),
    ended: (run) => (run.endedAt === undefined ? undefined : { at: run.endedAt }),
  },
  // One that was under way when the archive was made isn't gone on with.
  merge: (here, archived) => (here === undefined && archived.state === 'ended' ? archived : undefined),
}

/** The id of the run of a slot: a slot has one, whoever claims it. */
export function slotRunId(rule: string, slot: number): string {
  return `${rule}.${slot}`
}

/** The id of a run that was called for. */
export function calledRunId(rule: string, slot: number, n: number): string {
  return `${rule}.${slot}.${n}`
}

/** A run as it is shown. */
export interface RunView extends Omit<RunRecord, 'wakeAt'> {
  readonly id: string
  /** When the next attempt is due, epoch ms; only while it waits for one. */
  readonly retryAt?: number
}

/** What is told of a stored run: a plain frozen object. */
export function runView({ id, value }: Stored<RunRecord>): RunView {
  const { wakeAt, ...run } = value
  return deepFreeze({ id, ...run, ...(run.state === 'waiting' && wakeAt !== undefined && { retryAt: wakeAt }) })
}
