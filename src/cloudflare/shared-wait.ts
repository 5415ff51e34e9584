import { type Clock, MAX_TIMER_MS } from '../kernel/clock.ts'
import { withTimeLimit } from '../kernel/time-limit.ts'

/** Waits for what others wait for too: whoever gives up leaves, and ends nothing for the rest. */
export function sharedWait<T>(clock: Clock, answer: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  return signal === undefined ? answer : withTimeLimit(clock, MAX_TIMER_MS, () => answer, signal)
}
