import type { TokenEvent } from '../issuing/events.ts'
import type { RotationStep } from './rotation-record.ts'

/** A token got a new current version. */
export interface TokenRotatedEvent extends TokenEvent {
  /** The number of the new version. */
  readonly version: number
  /** The rotation's id. */
  readonly rotation: string
  /** Until when the version before verifies, epoch ms; absent when it ended at once. */
  readonly graceUntil?: number
  /** The rule that asked for it. */
  readonly rule?: string
}

/** The text of a retrievable token was read back. */
export interface TokenRevealedEvent extends TokenEvent {
  readonly version: number
}

/** What every event about a rotation tells. */
export interface RotationEvent extends TokenEvent {
  /** The rotation's id. */
  readonly rotation: string
  /** The number of the version that it makes. */
  readonly version: number
}

/** A pending version was committed; its consumers are told next. */
export interface RotationStartedEvent extends RotationEvent {
  /** Until when the pending version verifies unless it becomes current, epoch ms. */
  readonly pendingUntil: number
}

/** A hook rejected the new value, and another was drawn. */
export interface RotationRegeneratedEvent extends RotationEvent {
  /** The step at which it was rejected. */
  readonly step: RotationStep
}

/** A rotation has stopped and waits for somebody: `resume`, or `abandon`. */
export interface RotationStalledEvent extends RotationEvent {
  readonly step: RotationStep
  /** How often the step was tried. */
  readonly attempts: number
  /** The code of the last failure. */
  readonly code: string
}

/** A rotation was given up before its version became current. */
export interface RotationAbandonedEvent extends RotationEvent {
  /** Until when its version verifies on, epoch ms, for those who may have it already; absent when it ended. */
  readonly keptUntil?: number
}

/** A finished rotation was taken back: the version before is current again. */
export interface RotationRolledBackEvent extends RotationEvent {
  /** The version that is current again. */
  readonly current: number
  /** Until when the version that was taken back verifies, epoch ms; absent when it ended. */
  readonly graceUntil?: number
}

/** No older version has been used for a while: every consumer has the new one. */
export interface RotationAdoptedEvent extends RotationEvent {
  /** When an older version was last used, or superseded, epoch ms. */
  readonly quietSince: number
  /** Whether the older versions were ended because of it. */
  readonly retired: boolean
}

/** The events of this room. */
export interface RotationEvents {
  'token.rotated': TokenRotatedEvent
  'token.revealed': TokenRevealedEvent
  'rotation.started': RotationStartedEvent
  'rotation.regenerated': RotationRegeneratedEvent
  'rotation.stalled': RotationStalledEvent
  'rotation.abandoned': RotationAbandonedEvent
  'rotation.rolledBack': RotationRolledBackEvent
  'rotation.adopted': RotationAdoptedEvent
}
