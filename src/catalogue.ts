import type { ApprovalErrorCode } from './access/approval-errors.ts'
import type { ApprovalEvents } from './access/approval-events.ts'
import type { LimiterErrorCode } from './access/limiter-error.ts'
import type { AutomationErrorCode } from './automation/errors.ts'
import type { AutomationEvents } from './automation/events.ts'
import type { ArchiveErrorCode, BackupWorkerError } from './backup/errors.ts'
import type { BackupEvents } from './backup/events.ts'
import type { CloudflareErrorCode } from './cloudflare/errors.ts'
import type { SharedCloudflareEvents } from './cloudflare/events.ts'
import type { OutboxEvents } from './events/events.ts'
import type { IssuingErrorCode } from './issuing/errors.ts'
import type { IssuingEvents } from './issuing/events.ts'
import type { JournalEvents } from './journal/events.ts'
import type { JournalErrorCode } from './journal/retention.ts'
import type { ClockJumpedEvent } from './kernel/clock.ts'
import type { KernelErrorCode } from './kernel/errors.ts'
import type { LeakErrorCode } from './leaks/errors.ts'
import type { LeakEvents } from './leaks/events.ts'
import type { RotationErrorCode } from './rotation/errors.ts'
import type { RotationEvents } from './rotation/events.ts'
import type { SignedErrorCode } from './signed/errors.ts'
import type { SignedEvents } from './signed/events.ts'
import type { ClockSkewedEvent } from './stores/clock-skew.ts'
import type { StoreErrorCode } from './stores/errors.ts'
import type { KeyErrorCode } from './tokens/key-ring.ts'
import type { UsageEvents } from './usage/usage-tracker.ts'
import type { VaultErrorCode } from './vault/errors.ts'
import type { VaultEvents } from './vault/events.ts'

/** A part of `tick()` failed; the others ran. */
export interface TickFailedEvent {
  /** Which part, such as `usage` or `expiry warnings`. */
  readonly part: string
  /** The error's code or name. */
  readonly code: string
  readonly at: number
}

/** Every event that `tokens.events` emits, by its name. */
export interface TokenEvents
  extends IssuingEvents,
    RotationEvents,
    AutomationEvents,
    UsageEvents,
    OutboxEvents,
    JournalEvents,
    LeakEvents,
    BackupEvents,
    ApprovalEvents,
    SignedEvents,
    VaultEvents,
    SharedCloudflareEvents {
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
  | ApprovalErrorCode
  | AutomationErrorCode
  | JournalErrorCode
  | ArchiveErrorCode
  | BackupWorkerError['code']
  | SignedErrorCode
  | LeakErrorCode
  | VaultErrorCode
  | CloudflareErrorCode
  | 'ERR_FORMAT_CLASH'
