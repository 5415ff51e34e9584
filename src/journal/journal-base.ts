import type { Kind } from '../kernel/kind.ts'
import type { Checkpoint } from './checkpoint.ts'

/** The place after which the journal is kept; what is before was let go of. */
export interface JournalBase {
  /** Signed for this use alone. */
  readonly place: Checkpoint
}

/** The one record of its kind, `base`. Journaled: that entries were let go of is told by an entry. */
export const journalBaseKind: Kind<JournalBase, never, never> = {
  name: 'journal_base',
  schema: 1,
  journaled: true,
  unique: {},
  order: {},
  // It speaks of the chain of one store.
  merge: () => undefined,
}

/** The id of the one record. */
export const BASE_ID = 'base'
