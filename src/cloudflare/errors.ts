import { TokenwrightError } from '../kernel/errors.ts'
import type { Fault } from './fault.ts'

/** The codes of the errors that this room throws. */
export type CloudflareErrorCode =
  | 'ERR_CLOUDFLARE_API'
  | 'ERR_UNKNOWN_PERMISSION_GROUP'
  | 'ERR_CATALOGUE_INCOMPLETE'
  | 'ERR_OUTSIDE_CEILING'
  | 'ERR_SENSITIVE_PERMISSION'
  | 'ERR_TARGET_UNREADABLE'
  | 'ERR_PLAN_INVALID'
  | 'ERR_PLAN_STALE'
  | 'ERR_APPROVAL'
  | 'ERR_HEAL_HELD'
  | 'ERR_LOCK_OUT'
  | 'ERR_SNAPSHOT'
  | 'ERR_ROLL_UNKNOWN'
  | 'ERR_HEALER_STATE'

/** Cloudflare's API said no, or didn't answer in a form that is known. `fault` has the status and the pair that it said. */
export class CloudflareApiError extends TokenwrightError<'ERR_CLOUDFLARE_API'> {
  /** What is wrong, with the pair that says so. */
  readonly fault: Fault
  /** How long Cloudflare asked to wait, ms. */
  readonly retryAfterMs: number | undefined

  /**
   * @param what - what was asked for, such as `reading the token …`
   * @param fault - what came
   * @param help - what to do about it
   * @param retryable - whether asking again may help
   * @param retryAfterMs - how long Cloudflare asked to wait
   */
  constructor(what: string, fault: Fault, help: string, retryable: boolean, retryAfterMs?: number) {
    const { status, code, message } = fault
    const pair = code === undefined ? '' : `: ${code}${message === undefined ? '' : ` "${message}"`}`
    super('ERR_CLOUDFLARE_API', `${what} failed (${fault.kind}${status === undefined ? '' : `, ${status}`}${pair})`, {
      help,
      retryable,
    })
    this.fault = fault
    this.retryAfterMs = retryAfterMs
  }
}

/** A required permission group isn't in the catalogue, or its name stands for several. Nothing was written. */
export class UnknownPermissionGroupError extends TokenwrightError<'ERR_UNKNOWN_PERMISSION_GROUP'> {
  /** The group as it was asked for. */
  readonly group: string
  /** What may have been meant. */
  readonly nearest: readonly string[]

  /**
   * @param group - as it was asked for
   * @param what - why it can't be used
   * @param nearest - what may have been meant
   */
  constructor(group: string, what: string, nearest: readonly string[]) {
    super('ERR_UNKNOWN_PERMISSION_GROUP', `the permission group '${group}' ${what}`, {
      help: nearest.length === 0 ? 'see the catalogue for what there is' : `perhaps ${nearest.join(', ')} is meant`,
    })
    this.group = group
    this.nearest = nearest
  }
}

/** The catalogue came without some of its groups: what isn't in it can't be told from what doesn't exist. */
export class CatalogueIncompleteError extends TokenwrightError<'ERR_CATALOGUE_INCOMPLETE'> {
  /**
   * @param rows - how many groups came
   * @param total - how many there are; absent when none of them could be read
   */
  constructor(rows: number, total?: number) {
    const of = total === undefined ? 'no readable permission group' : `${rows} of ${total} permission groups`
    super('ERR_CATALOGUE_INCOMPLETE', `the catalogue came with ${of}`, {
      help: 'nothing is planned from a part of it; try again',
      retryable: true,
    })
  }
}

/** Something required, or planned, isn't within the ceiling. */
export class OutsideCeilingError extends TokenwrightError<'ERR_OUTSIDE_CEILING'> {
  /** What isn't. */
  readonly grants: readonly string[]

  /** @param grants - each as group and resource */
  constructor(grants: readonly string[]) {
    super('ERR_OUTSIDE_CEILING', `outside the ceiling: ${grants.slice(0, 5).join('; ')}`, {
      help: 'take it out of required, or put it into the ceiling if a token may really have it',
    })
    this.grants = grants
  }
}

/** A permission group that can lead to all others, or to money or names, was asked for without being named one by one. */
export class SensitivePermissionError extends TokenwrightError<'ERR_SENSITIVE_PERMISSION'> {
  /** Its name. */
  readonly group: string

  /** @param group - its name */
  constructor(group: string) {
    super('ERR_SENSITIVE_PERMISSION', `the permission group '${group}' is a sensitive one`, {
      help: `if a token must really have it, name it: allowSensitive: ['${group}']`,
    })
    this.group = group
  }
}

/** A token's permissions can't be read, or it isn't usable: nothing can be planned for it. */
export class TargetUnreadableError extends TokenwrightError<'ERR_TARGET_UNREADABLE'> {
  /** The target's name. */
  readonly target: string
  /** Why, as in `TargetReport.reason`. */
  readonly reason: string

  /**
   * @param target - its name
   * @param reason - why
   * @param help - what to do
   */
  constructor(target: string, reason: string, help: string) {
    super('ERR_TARGET_UNREADABLE', `nothing can be planned for the token '${target}' (${reason})`, { help })
    this.target = target
    this.reason = reason
  }
}

/** A plan isn't one of this healer's, or was changed after it was made. */
export class PlanInvalidError extends TokenwrightError<'ERR_PLAN_INVALID'> {
  /** @param what - what is wrong with it */
  constructor(what: string) {
    super('ERR_PLAN_INVALID', `the plan ${what}`, { help: 'make another with plan()' })
  }
}

/** The token has changed since the plan was made. Nothing was written. */
export class PlanStaleError extends TokenwrightError<'ERR_PLAN_STALE'> {
  /** @param target - the target's name */
  constructor(target: string) {
    super('ERR_PLAN_STALE', `the token '${target}' has changed since the plan was made`, {
      help: 'make another plan and have it approved',
      retryable: true,
    })
  }
}

/** Why a plan isn't approved. */
export type ApprovalProblem = 'missing' | 'rejected' | 'expired' | 'other_plan' | 'failed' | 'timeout'

/** A plan isn't approved. Nothing was written. */
export class PlanApprovalError extends TokenwrightError<'ERR_APPROVAL'> {
  /** Why not. */
  readonly reason: ApprovalProblem

  /** @param reason - why not */
  constructor(reason: ApprovalProblem) {
    const what: { readonly [reason in ApprovalProblem]: string } = {
      missing: 'was approved by nobody',
      rejected: 'was rejected',
      expired: 'has an approval that is over',
      other_plan: 'has the approval of another plan',
      failed: 'could not be put to approval: the callback failed',
      timeout: 'was not approved in time',
    }
    super('ERR_APPROVAL', `the plan ${what[reason]}`, {
      help: 'give apply an approval of its planHash, or the healer an approve callback or autoHeal with a ceiling',
    })
    this.reason = reason
  }
}

/** Why a token isn't healed now. */
export type HoldReason = 'busy' | 'cooldown' | 'daily_cap' | 'circuit' | 'self_escalation'

/** A token isn't healed now, whatever the plan. Nothing was written. */
export class HealHeldError extends TokenwrightError<'ERR_HEAL_HELD'> {
  /** Why. */
  readonly reason: HoldReason
  /** From when on it may be, epoch ms; absent where time alone doesn't help. */
  readonly until: number | undefined

  /**
   * @param target - the target's name
   * @param reason - why
   * @param until - from when on it may be
   */
  constructor(target: string, reason: HoldReason, until?: number) {
    const help: { readonly [reason in HoldReason]: string } = {
      busy: 'another process is changing it; wait',
      cooldown: 'it was changed a short while ago; wait',
      daily_cap: 'it was changed often enough today; find out why that was needed',
      circuit: 'somebody keeps taking the grant away; talk to them, then call resetCircuit',
      self_escalation: 'give the healer a credential of its own, or set allowSelfEscalation',
    }
    super('ERR_HEAL_HELD', `the token '${target}' isn't changed now (${reason})`, {
      help: help[reason],
      retryable: reason === 'busy' || reason === 'cooldown',
    })
    this.reason = reason
    this.until = until
  }
}

/** The change would take from the healer's own credential what it needs to change tokens. Nothing was written. */
export class LockOutError extends TokenwrightError<'ERR_LOCK_OUT'> {
  /** @param what - how */
  constructor(what: string) {
    super('ERR_LOCK_OUT', `the healer would lock itself out: ${what}`, {
      help: 'give the healer a credential of its own, and change this one by hand',
    })
  }
}

/** A snapshot isn't there, or the token is no longer as the change left it. */
export class SnapshotError extends TokenwrightError<'ERR_SNAPSHOT'> {
  /**
   * @param id - the snapshot's
   * @param what - what is wrong
   * @param help - what to do
   */
  constructor(id: string, what: string, help: string) {
    super('ERR_SNAPSHOT', `the snapshot ${id} ${what}`, { help })
  }
}

/** The answer to a roll was lost: the old value may be dead, and the new one is known to nobody. */
export class RollUnknownError extends TokenwrightError<'ERR_ROLL_UNKNOWN'> {
  /** What came instead of an answer. */
  readonly fault: Fault

  /**
   * @param target - the target's name
   * @param fault - what came instead of an answer
   */
  constructor(target: string, fault: Fault) {
    super('ERR_ROLL_UNKNOWN', `it isn't known whether the token '${target}' was rolled (${fault.kind})`, {
      help: 'check whether the old value still works; if not, roll again: nothing does it by itself',
    })
    this.fault = fault
  }
}

/** The healer's state can't be read or written, and the change needs it. Nothing was sent to Cloudflare. */
export class HealerStateError extends TokenwrightError<'ERR_HEALER_STATE'> {
  /**
   * @param operation - what was to be done
   * @param cause - the state's own error
   */
  constructor(operation: string, cause: unknown) {
    super('ERR_HEALER_STATE', `the healer's state failed (${operation})`, {
      help: 'look at the database behind it; nothing is changed without a lease and a snapshot',
      retryable: true,
      cause,
    })
  }
}
