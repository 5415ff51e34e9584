import type { Clock } from '../kernel/clock.ts'
import { abbreviated, codeOf, InvalidInputError } from '../kernel/errors.ts'
import { checkFields } from '../kernel/fields.ts'
import { withTimeLimit } from '../kernel/time-limit.ts'
import type { OutboxEvent } from '../stores/outbox.ts'

/** An event as a durable subscriber gets it: at least once, in order per token. */
export interface DurableEvent extends OutboxEvent {
  /** 1 for the first delivery; more when an earlier one failed. */
  readonly attempt: number
  /** Aborted when the delivery has taken too long and counts as failed. */
  readonly signal: AbortSignal
}

/** Who gets every event, whatever crashes. */
export interface Subscriber {
  /** Under which its acknowledgements are kept: stays the same from one deployment to the next. At most 64 characters. */
  readonly name: string
  /** Is done when it returns, or its promise is fulfilled. May get an event again: dedupe by `event.id`. */
  readonly handler: (event: DurableEvent) => unknown
}

const MAX_SUBSCRIBERS = 20

/**
 * Checks the subscribers of a host.
 *
 * @throws InvalidInputError for names that are missing, too long or the same, or handlers that are no functions
 */
export function checkSubscribers(subscribers: readonly Subscriber[] | undefined): readonly Subscriber[] {
  if (subscribers === undefined) return []
  if (!Array.isArray(subscribers) || subscribers.length > MAX_SUBSCRIBERS) {
    throw new InvalidInputError('onEvent', `must be a list of at most ${MAX_SUBSCRIBERS}`, 'give [{ name, handler }]')
  }
  const names = new Set<string>()
  for (const subscriber of subscribers as readonly Subscriber[]) {
    checkFields('onEvent', subscriber, ['name', 'handler'])
    const { name, handler } = subscriber
    if (typeof name !== 'string' || name === '' || name.length > 64) {
      throw new InvalidInputError('onEvent', 'has a name that is not 1 to 64 characters', 'give each a short name')
    }
    if (names.has(name)) {
      throw new InvalidInputError('onEvent', `has two of the name '${abbreviated(name)}'`, 'give each its own')
    }
    if (typeof handler !== 'function') {
      throw new InvalidInputError('onEvent', `'${abbreviated(name)}' has no handler`, 'give it a function')
    }
    names.add(name)
  }
  return [...subscribers]
}

/** What came of one delivery to one subscriber. */
export type Delivery = { readonly ok: true } | { readonly ok: false; readonly code: string; readonly error: unknown }

/** Hands one event to one subscriber, and waits for it at most `timeout` ms. Never throws. */
export async function deliver(
  subscriber: Subscriber,
  event: OutboxEvent,
  attempt: number,
  clock: Clock,
  timeout: number,
): Promise<Delivery> {
  try {
    await withTimeLimit(clock, timeout, (signal) => subscriber.handler({ ...event, attempt, signal }))
    return { ok: true }
  } catch (error) {
    return { ok: false, code: codeOf(error), error }
  }
}
