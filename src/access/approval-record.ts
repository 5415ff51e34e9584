import type { JsonObject } from '../kernel/bytes.ts'
import type { Kind } from '../kernel/kind.ts'
import type { Risk } from '../tokens/risk.ts'

/** Where a request for an approval stands; one that nobody decided, or used, in time is `expired`. */
export type ApprovalStatus = 'pending' | 'approved' | 'denied' | 'consumed' | 'expired'

/** A request for an approval, and what became of it. */
export interface ApprovalRecord {
  readonly id: string
  /** The token's id, or `agent:<name>`. */
  readonly token: string
  readonly service: string
  /** Whose token it is: that one can't approve. */
  readonly owner?: string
  readonly tool: string
  readonly args: JsonObject
  readonly risk: Risk
  /**
   * HMAC-SHA256 of token, service, owner, tool, risk and canonical arguments under the approval subkey, base64url: an approval is for
   * this very call, and was decided by what is true of it.
   */
  readonly digest: string
  /** As it was left; what has run out since is `expired`. */
  readonly status: ApprovalStatus
  readonly requestedAt: number
  /** Nothing can be decided or used from then on, epoch ms. */
  readonly expiresAt: number
  readonly decidedAt?: number
  /** Who decided. */
  readonly approver?: string
  /** Why. */
  readonly reason?: string
  /** When it was used, epoch ms. */
  readonly consumedAt?: number
}

/** Approvals. Journaled: every step is an entry. */
export const approvalKind: Kind<ApprovalRecord, 'ends' | 'status', 'pending'> = {
  name: 'approval',
  schema: 1,
  journaled: true,
  // One open request for one call.
  unique: { pending: (approval) => (approval.status === 'pending' ? [approval.digest] : []) },
  order: {
    ends: (approval) => ({ at: approval.expiresAt }),
    status: (approval) => ({ in: approval.status, at: approval.requestedAt }),
  },
  // An approval that was open when the archive was made is not good any more.
  merge: (here, archived) => {
    if (here !== undefined) return undefined
    return archived.status === 'pending' || archived.status === 'approved'
      ? { ...archived, status: 'denied' }
      : archived
  },
}

/** Where a request stands at an instant. */
export function statusAt(approval: ApprovalRecord, now: number): ApprovalStatus {
  const open = approval.status === 'pending' || approval.status === 'approved'
  return open && now >= approval.expiresAt ? 'expired' : approval.status
}
