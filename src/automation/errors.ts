import { abbreviated, TokenwrightError } from '../kernel/errors.ts'

/** The codes of the errors that rules throw, or that their runs end with. */
export type AutomationErrorCode =
  | 'ERR_RULE_EXISTS'
  | 'ERR_RULE_NOT_FOUND'
  | 'ERR_RULE_DISABLED'
  | 'ERR_RULE_RUNNING'
  | 'ERR_RULE_TIMEOUT'
  | 'ERR_RULE_LEASE_LOST'
  | 'ERR_RULE_PART_FAILED'

/** A rule of that name is there already. */
export class RuleExistsError extends TokenwrightError<'ERR_RULE_EXISTS'> {
  /** @param rule - the name */
  constructor(rule: string) {
    super('ERR_RULE_EXISTS', `there is a rule '${rule}' already`, {
      help: 'update it, or put it (which creates or updates)',
    })
  }
}

/** There is no such rule. */
export class RuleNotFoundError extends TokenwrightError<'ERR_RULE_NOT_FOUND'> {
  /** @param rule - the name that was asked for */
  constructor(rule: string) {
    super('ERR_RULE_NOT_FOUND', `there is no rule '${abbreviated(rule)}'`, { help: 'see list() for what there is' })
  }
}

/** The rule is disabled or paused, and wasn't to be run all the same. */
export class RuleDisabledError extends TokenwrightError<'ERR_RULE_DISABLED'> {
  /**
   * @param rule - its name
   * @param paused - whether it paused itself
   */
  constructor(rule: string, paused: boolean) {
    super('ERR_RULE_DISABLED', `the rule '${rule}' is ${paused ? 'paused' : 'disabled'}`, {
      help: 'enable it, or execute it with force: true',
    })
  }
}

/** A run of the rule is under way; it can't be run a second time meanwhile. */
export class RuleRunningError extends TokenwrightError<'ERR_RULE_RUNNING'> {
  /** @param rule - its name */
  constructor(rule: string) {
    super('ERR_RULE_RUNNING', `a run of the rule '${rule}' is under way`, {
      help: 'wait for it to end; runs(name) shows it',
      retryable: true,
    })
  }
}

/** The action took longer than the rule's `maxDuration`; its signal was aborted and its run ended. */
export class RuleTimeoutError extends TokenwrightError<'ERR_RULE_TIMEOUT'> {
  /**
   * @param rule - its name
   * @param maxDuration - how long it may take, ms
   */
  constructor(rule: string, maxDuration: number) {
    super('ERR_RULE_TIMEOUT', `the action of the rule '${rule}' took longer than ${maxDuration} ms`, {
      help: 'look at what it waits for, or raise maxDuration',
      retryable: true,
    })
  }
}

/** Some of the tokens of a run failed; the others are done. */
export class RulePartFailedError extends TokenwrightError<'ERR_RULE_PART_FAILED'> {
  /** What was done all the same. */
  readonly counts: { readonly [what: string]: number }

  /**
   * @param rule - its name
   * @param counts - what was done, and how many failed
   * @param code - the code of the first failure
   * @param retryable - whether another attempt may help
   */
  constructor(rule: string, counts: { readonly [what: string]: number }, code: string, retryable: boolean) {
    super('ERR_RULE_PART_FAILED', `some tokens of the rule '${rule}' failed, the first with ${code}`, {
      help: 'see the counts of the run, and the history of its tokens',
      retryable,
    })
    this.counts = counts
  }
}
