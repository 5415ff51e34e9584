import type { Kind } from '../kernel/kind.ts'

/** An event as a commit hands it to the outbox. */
export interface OutboxEvent {
  /** Unique; subscribers dedupe by it. */
  readonly id: string
  /** What happened, such as `token.rotated`. */
  readonly name: string
  /** The token that it is about: events are in order per token. */
  readonly token: string
  /** When, epoch ms. */
  readonly at: number
  /** The event's payload, a JSON value without secrets. */
  readonly payload: unknown
}

/** An outbox row: an event, its place among its token's events, and who still waits for it. */
export interface EventRecord extends OutboxEvent {
  /** The store's running number of events, 1, 2, 3 …; per token it only grows. */
  readonly order: number
  /** When it is due; only on the oldest row of each token. */
  readonly dueAt?: number
  /** The subscribers that have acknowledged it. */
  readonly acknowledged?: readonly string[]
  /** How often its delivery has failed. */
  readonly attempts?: number
}

/** Outbox rows. A store writes them from {@link Commit.outbox}: `order` counts up, `dueAt` = `at` if the token has no older row. */
export const eventKind: Kind<EventRecord, 'due' | 'order', never> = {
  name: 'event',
  schema: 1,
  journaled: false,
  unique: {},
  order: {
    due: (event) => (event.dueAt === undefined ? undefined : { at: event.dueAt }),
    order: (event) => ({ at: event.order, in: event.token }),
  },
  merge: () => undefined,
}
