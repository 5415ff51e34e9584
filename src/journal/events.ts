import type { BadEntry } from './chain.ts'
import type { Checkpoint } from './checkpoint.ts'

/** A checkpoint was made: keep it where whoever can write to the store can't. */
export interface JournalCheckpointEvent {
  readonly checkpoint: Checkpoint
  /** When, epoch ms. */
  readonly at: number
}

/** A verification of the journal found something that is not as it was written. */
export interface JournalBrokenEvent {
  readonly bad: BadEntry
  /** When, epoch ms. */
  readonly at: number
}

/** The events of this room. */
export interface JournalEvents {
  'journal.checkpoint': JournalCheckpointEvent
  'journal.broken': JournalBrokenEvent
}
