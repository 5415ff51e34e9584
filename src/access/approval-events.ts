import type { Risk } from '../tokens/risk.ts'

/** What every event about an approval tells. The arguments are read with `approvals.get(id)`. */
export interface ApprovalEvent {
  /** The request's id. */
  readonly id: string
  /** The token's id, or `agent:<name>`. */
  readonly token: string
  readonly service: string
  readonly tool: string
  readonly risk: Risk
  /** When, epoch ms. */
  readonly at: number
}

/** An approval was asked for. */
export interface ApprovalRequestedEvent extends ApprovalEvent {
  /** Until when it can be decided and used, epoch ms. */
  readonly expiresAt: number
}

/** An approval was given or refused. */
export interface ApprovalDecidedEvent extends ApprovalEvent {
  readonly approver: string
  readonly reason?: string
}

/** An approval was used; it can't be used again. */
export interface ApprovalConsumedEvent extends ApprovalEvent {}

/** The events of approvals. */
export interface ApprovalEvents {
  'approval.requested': ApprovalRequestedEvent
  'approval.approved': ApprovalDecidedEvent
  'approval.denied': ApprovalDecidedEvent
  'approval.consumed': ApprovalConsumedEvent
}
