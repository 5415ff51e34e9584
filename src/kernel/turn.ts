/**
 * Resolves in the next turn of the event loop, after the I/O that is ready. For giving way, not for waiting: no time has
 * to pass, and a fake clock doesn't hold it.
 */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

/**
 * Resolves after about `ms` of real time, keeping the process alive. For waiting on another process, as on I/O: it goes
 * on whatever the time is, and a fake clock doesn't hold it. Everything else waits by a Clock.
 */
export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
