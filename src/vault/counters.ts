import type { VaultFailureKind, VaultOperation } from './errors.ts'

/** What a manager counts. None of it is ever reset, by `stop()` neither. */
export class Counters {
  renewals = 0
  failures = 0
  reauths = 0
  reauthFailures = 0
  leaseRenewals = 0
  leaseFailures = 0
  readonly failuresByKind: Map<VaultFailureKind, number> = new Map()
  readonly requests: Map<VaultOperation, number> = new Map()
  /** Wall time of the last answer of the server about the token, epoch ms. */
  lastCheckAt: number | undefined
  /** Wall time of the last renewal or login that succeeded, epoch ms. */
  lastRenewalAt: number | undefined

  /** Counts a failure of some kind. */
  failed(kind: VaultFailureKind): void {
    this.failuresByKind.set(kind, (this.failuresByKind.get(kind) ?? 0) + 1)
  }

  /** Counts a request. */
  requested(operation: VaultOperation): void {
    this.requests.set(operation, (this.requests.get(operation) ?? 0) + 1)
  }
}
