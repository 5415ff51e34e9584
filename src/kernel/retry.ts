import pRetry from 'p-retry'
import { type Clock, MAX_TIMER_MS } from './clock.ts'
import { InvalidInputError } from './errors.ts'
import type { Random } from './random.ts'

/** A retry that is about to happen. */
export interface RetryEvent {
  /** Which attempt failed; 1 = the first. */
  readonly attempt: number
  /** What it threw. */
  readonly error: unknown
  /** How long until the next, ms. */
  readonly delayMs: number
}

/** How {@link retry} goes about it. */
export interface RetryOptions {
  /** Waits and tells the time. */
  readonly clock: Clock
  /** How many attempts may follow the first; `Infinity` needs a `deadline` or a `signal` to end. */
  readonly retries: number
  /** How long to wait after attempt number `attempt` (1 = the first) failed, ms. See {@link fullJitter}. */
  readonly delay: (attempt: number, error: unknown) => number
  /** Whether this failure may pass by itself. Default: every failure may. */
  readonly shouldRetry?: ((error: unknown) => boolean) | undefined
  /** No attempt starts after this instant of `clock.monotonic()`; a wait that would reach beyond it isn't begun. */
  readonly deadline?: number | undefined
  /** Ends it: no further attempt starts, a wait ends at once, and the promise rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined
  /** Called before each wait. Must not throw. */
  readonly onRetry?: ((event: RetryEvent) => void) | undefined
}

/**
 * A failed attempt on its way through p-retry, which unpacks, replaces or refuses to retry some errors (its own
 * AbortError, what is no Error, every TypeError that isn't a network's). Those decisions are `shouldRetry`'s.
 */
class AttemptFailure extends Error {
  readonly error: unknown

  constructor(error: unknown) {
    super('attempt failed')
    this.error = error
  }
}

/**
 * Calls `fn` until it succeeds, its failure is final, or attempts or time run out; then the last failure is thrown as
 * it came. The result of an attempt that succeeded is returned even if the signal was aborted meanwhile: what was
 * done must not get lost.
 *
 * @param fn - the attempt; gets its number, 1 for the first
 * @param options - how often, how long, until when
 * @throws what the last attempt threw; the signal's reason once aborted; InvalidInputError for `retries` that is no count
 * @example
 * ```ts
 * const answer = await retry(() => ask(), {
 *   clock, retries: 5, delay: fullJitter({ base: 200, cap: 10_000, random }), deadline: clock.monotonic() + 30_000, signal,
 * })
 * ```
 */
export async function retry<T>(fn: (attempt: number) => T | Promise<T>, options: RetryOptions): Promise<T> {
  const { retries, signal } = options
  if (retries !== Number.POSITIVE_INFINITY && !(Number.isSafeInteger(retries) && retries >= 0)) {
    throw new InvalidInputError('retries', 'is not a count', 'give a whole number from 0, or Infinity')
  }
  signal?.throwIfAborted()
  try {
    // Neither the wait nor the time limit is p-retry's: with minTimeout 0 it doesn't wait, and shouldRetry, which it
    // calls only while a retry is left, does.
    return await pRetry(
      async (attempt) => {
        try {
          return await fn(attempt)
        } catch (error) {
          throw new AttemptFailure(error)
        }
      },
      {
        retries,
        minTimeout: 0,
        shouldRetry: ({ error, attemptNumber }) =>
          waitForNext(options, attemptNumber, error instanceof AttemptFailure ? error.error : error),
      },
    )
  } catch (error) {
    if (signal?.aborted === true) throw signal.reason
    throw error instanceof AttemptFailure ? error.error : error
  }
}

/** Whether there is a next attempt; resolves when it is time for it. */
async function waitForNext(options: RetryOptions, attempt: number, error: unknown): Promise<boolean> {
  const { clock, deadline, signal } = options
  signal?.throwIfAborted()
  if (options.shouldRetry !== undefined && !options.shouldRetry(error)) return false
  const asked = options.delay(attempt, error)
  const delayMs = asked > 0 ? Math.min(Math.ceil(asked), MAX_TIMER_MS) : 0
  if (deadline !== undefined && clock.monotonic() + delayMs > deadline) return false
  options.onRetry?.(Object.freeze({ attempt, error, delayMs }))
  await clock.sleep(delayMs, { signal })
  return true
}

/** What {@link fullJitter} makes its delays of. */
export interface JitterOptions {
  /** The upper end of the first delay, ms; it doubles with each attempt. */
  readonly base: number
  /** The upper end of every delay, ms. */
  readonly cap: number
  /** Where chance comes from. */
  readonly random: Random
}

/**
 * A delay policy: after attempt n a random time from 0 up to `min(cap, base * 2^(n-1))`, so that clients that failed
 * together don't come back together. ("Exponential Backoff And Jitter", AWS Architecture Blog, 2015.)
 *
 * @returns the delay in ms for the number of the attempt that failed
 */
export function fullJitter({ base, cap, random }: JitterOptions): (attempt: number) => number {
  return (attempt) => random.float() * Math.min(cap, base * 2 ** (attempt - 1))
}
