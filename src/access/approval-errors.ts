import { TokenwrightError } from '../kernel/errors.ts'
import type { ApprovalStatus } from './approval-record.ts'

/** The codes of the errors about approvals. */
export type ApprovalErrorCode = 'ERR_APPROVAL_NOT_FOUND' | 'ERR_APPROVAL_STATE' | 'ERR_SELF_APPROVAL'

/** There is no such request. */
export class ApprovalNotFoundError extends TokenwrightError<'ERR_APPROVAL_NOT_FOUND'> {
  constructor() {
    super('ERR_APPROVAL_NOT_FOUND', 'there is no request for an approval with this id', { help: 'see list()' })
  }
}

/** The request is decided, used, or too old. */
export class ApprovalStateError extends TokenwrightError<'ERR_APPROVAL_STATE'> {
  readonly status: ApprovalStatus

  /**
   * @param id - the request's id
   * @param status - where it stands
   */
  constructor(id: string, status: ApprovalStatus) {
    super('ERR_APPROVAL_STATE', `the request ${id} is ${status}`, { help: 'ask again' })
    this.status = status
  }
}

/** Whoever has the token can't approve what it does. */
export class SelfApprovalError extends TokenwrightError<'ERR_SELF_APPROVAL'> {
  /** @param id - the request's id */
  constructor(id: string) {
    super('ERR_SELF_APPROVAL', `the approver of ${id} is the token's own owner`, { help: 'ask somebody else' })
  }
}
