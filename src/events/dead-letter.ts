import type { Kind } from '../kernel/kind.ts'
import type { OutboxEvent } from '../stores/outbox.ts'

/** An event that some subscriber never took. */
export interface DeadLetter extends OutboxEvent {
  /** The subscribers that hadn't acknowledged it. */
  readonly waiting: readonly string[]
  /** How often its delivery had failed. */
  readonly attempts: number
  /** The code of the last failure; absent when it was never tried. */
  readonly lastError?: string
  /** When it was given up, epoch ms. */
  readonly diedAt: number
}

/** Events that were given up. They hold nothing back any more. */
export const deadLetterKind: Kind<DeadLetter, 'died', never> = {
  name: 'dead_letter',
  schema: 1,
  journaled: false,
  unique: {},
  order: { died: (letter) => ({ at: letter.diedAt }) },
  merge: () => undefined,
}
