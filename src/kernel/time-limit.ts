import type { Clock } from './clock.ts'

/** An action took longer than it may. It may still be running: what it answers later is ignored. */
export class TimeLimitError extends Error {
  /** What an event or a log tells of it. */
  readonly code = 'timeout'

  /** @param limitMs - how long it might have taken, ms */
  constructor(limitMs: number) {
    super(`it took longer than ${limitMs} ms`)
    this.name = 'TimeLimitError'
  }
}

/**
 * Runs a host's callback, and waits for it no longer than `limitMs`. Its signal is aborted then, and when `outer` is.
 *
 * @param action - may throw, reject, or never answer
 * @param outer - ends the wait earlier; its reason is thrown
 * @throws TimeLimitError, the reason of `outer`, or what the action throws
 */
export async function withTimeLimit<T>(
  clock: Clock,
  limitMs: number,
  action: (signal: AbortSignal) => T | PromiseLike<T>,
  outer?: AbortSignal,
): Promise<T> {
  outer?.throwIfAborted()
  const own = new AbortController()
  let cleanUp = (): void => {}
  const ended = new Promise<never>((_, reject) => {
    const end = (reason: unknown): void => {
      own.abort(reason)
      reject(reason)
    }
    const onOuter = (): void => end(outer?.reason)
    const timer = clock.setTimer(limitMs, () => end(new TimeLimitError(limitMs)), { keepAlive: true })
    outer?.addEventListener('abort', onOuter, { once: true })
    cleanUp = () => {
      timer.cancel()
      outer?.removeEventListener('abort', onOuter)
    }
  })
  try {
    return await Promise.race([(async () => action(own.signal))(), ended])
  } finally {
    cleanUp()
  }
}
