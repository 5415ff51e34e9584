import type { IssuingEvents } from '../issuing/events.ts'
import type { Foundation } from '../stores/foundation.ts'
import type { RotationEvents } from './events.ts'
import type { NewValues } from './new-values.ts'
import type { RotationDriver } from './rotation-driver.ts'
import type { RotationMoves } from './rotation-moves.ts'
import type { CheckedSettings } from './settings.ts'

/** What the parts of a `Rotator` share. */
export interface RotationParts {
  readonly base: Foundation<IssuingEvents & RotationEvents>
  readonly settings: CheckedSettings
  readonly values: NewValues
  readonly moves: RotationMoves
  readonly driver: RotationDriver
  /** The host's default grace, ms. */
  readonly grace: number
  /** Aborted when the rotator closes. */
  readonly closing: AbortSignal
}
