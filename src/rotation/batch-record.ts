import type { Kind } from '../kernel/kind.ts'

/** A bulk rotation: what it is about, and when it began, so that it can be carried on. */
export interface BatchRecord {
  readonly id: string
  /** A digest of the selection: the same id can't be used for another. */
  readonly selection: string
  /** When it began, epoch ms: versions made later aren't its business. */
  readonly startedAt: number
  /** Tokens of the selection, as counted then. */
  readonly total: number
}

/** Batches of rotations. */
export const batchKind: Kind<BatchRecord, 'started', never> = {
  name: 'batch',
  schema: 1,
  journaled: false,
  unique: {},
  order: { started: (batch) => ({ at: batch.startedAt }) },
  merge: (here, archived) => (here === undefined ? archived : undefined),
}
