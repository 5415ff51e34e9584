/** The store didn't answer a verification; the fail mode decided. */
export interface StoreFailedEvent {
  /** The error's code. */
  readonly code: string
  /** Whether an answer was given from what was known before. */
  readonly stale: boolean
  /** When, epoch ms. */
  readonly at: number
}
