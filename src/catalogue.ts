import type { LimiterErrorCode } from './access/limiter-error.ts'
import type { OutboxEvents } from './events/events.ts'
import type { IssuingErrorCode } from './issuing/errors.ts'
import type { IssuingEvents } from './issuing/events.ts'
import type { ClockJumpedEvent } from './kernel/clock.ts'
import type { KernelErrorCode } from './kernel/errors.ts'
import type { RotationErrorCode } from './rotation/errors.ts'
import type { RotationEvents } from './rotation/events.ts'
import type { StoreErrorCode } from './stores/errors.ts'
import type { KeyErrorCode } from './tokens/key-ring.ts'
import type { UsageEvents } from './usage/usage-tracker.ts'

/** A part of `tick()` failed; the others ran. */
export interface TickFailedEvent {
  /** Which part, such as `usage` or `expiry warnings`. */
  readonly part: string
  /** The error's code or name. */
  readonly code: string
  readonly at: number
}

/** This process's clock and the store's are more than a minute apart: deadlines will not agree among processes. */
export interface ClockSkewedEvent {
  /** The store's time less this process's, ms. */
  readonly offsetMs: number
  readonly at: number
}

/** Every event that `tokens.events` emits, by its name. */
export interface TokenEvents extends IssuingEvents, RotationEvents, UsageEvents, OutboxEvents {
  'clock.jumped': ClockJumpedEvent
  'clock.skewed': ClockSkewedEvent
  'tick.failed': TickFailedEvent
}

/** Every code that a thrown error of this library has. Each has a section in docs/errors.md. */
export type ErrorCode =
  | KernelErrorCode
  | KeyErrorCode
  | StoreErrorCode
  | IssuingErrorCode
  | RotationErrorCode
  | LimiterErrorCode
  | 'ERR_FORMAT_CLASH'
