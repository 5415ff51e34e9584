import type { TokenEvent } from '../issuing/events.ts'

/** A token got a new current version. */
export interface TokenRotatedEvent extends TokenEvent {
  /** The number of the new version. */
  readonly version: number
  /** Until when the version before verifies, epoch ms; absent when it ended at once. */
  readonly graceUntil?: number
}

/** The text of a retrievable token was read back. */
export interface TokenRevealedEvent extends TokenEvent {
  readonly version: number
}

/** The events of this room. */
export interface RotationEvents {
  'token.rotated': TokenRotatedEvent
  'token.revealed': TokenRevealedEvent
}
