import type { Row } from '../stores/commit.ts'
import { type EventRecord, eventKind } from '../stores/outbox.ts'
import { type DeadLetter, deadLetterKind } from './dead-letter.ts'

/** An event that is this instance's to deliver until its lease ends. */
export interface Claimed {
  readonly id: string
  /** Where the row stands since the claim. */
  readonly revision: number
  readonly event: EventRecord
}

/** What came of one delivery. */
export interface Outcome {
  /** Whether every subscriber has it, and there is one. */
  readonly done: boolean
  /** The subscribers that took it now. */
  readonly taken: readonly string[]
  /** Those that failed to take it. */
  readonly waiting: readonly string[]
  /** The code of the last failure. */
  readonly code: string | undefined
}

/** What becomes of an event. */
export interface Settlement {
  readonly fate: 'delivered' | 'failed' | 'dead'
  readonly rows: readonly Row[]
}

const LONGEST_BACKOFF = 3_600_000

/** How long after its `attempts`-th failure an event is tried again, ms: 1 s, doubling, at most 1 h. */
export function backoff(attempts: number): number {
  return Math.min(1000 * 2 ** Math.max(0, attempts - 1), LONGEST_BACKOFF)
}

/**
 * What becomes of an event after a delivery: it goes when everyone has it, is put off when someone hasn't, and is given
 * up when that has gone on for too long.
 *
 * @param now - when the delivery was over, epoch ms
 * @param deadAfter - the age at which an event is given up, ms
 */
export function settle({ id, revision, event }: Claimed, outcome: Outcome, now: number, deadAfter: number): Settlement {
  const { done, taken, waiting, code } = outcome
  const gone: Row = { kind: eventKind, id, remove: true, expected: revision }
  if (done) return { fate: 'delivered', rows: [gone] }
  const attempts = (event.attempts ?? 0) + (code === undefined ? 0 : 1)
  if (now - event.at >= deadAfter) {
    const { name, token, at, payload } = event
    const letter: DeadLetter = {
      ...{ id, name, token, at, payload, waiting, attempts, diedAt: now },
      ...(code !== undefined && { lastError: code }),
    }
    return { fate: 'dead', rows: [gone, { kind: deadLetterKind, id, value: letter }] }
  }
  const acknowledged = [...new Set([...(event.acknowledged ?? []), ...taken])]
  // Never put off beyond the instant at which it is given up.
  const dueAt = Math.min(now + backoff(attempts), event.at + deadAfter)
  return {
    fate: 'failed',
    rows: [{ kind: eventKind, id, value: { ...event, acknowledged, attempts, dueAt }, expected: revision }],
  }
}
