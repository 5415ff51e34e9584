/** A pending timer. */
export interface Timer {
  /** Prevents the call, if it hasn't happened yet. */
  cancel(): void
}

/** How a wait may be ended. */
export interface WaitOptions {
  /** Ends the wait at once; the promise rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined
}

/** A wall clock that moved by more than its timers can explain. */
export interface ClockJumpedEvent {
  /** The wall time expected at that moment, epoch ms. */
  readonly expected: number
  /** The wall time found and taken, epoch ms. */
  readonly found: number
}

/**
 * Where all time comes from. Take it through constructor options: `systemClock()` in a service, the fake clock of
 * `tokenwright/testing` in tests.
 */
export interface Clock {
  /** Wall time, epoch ms, never backwards by a small step. */
  now(): number
  /** Milliseconds since some point, never backwards: for measuring how long things take. */
  monotonic(): number
  /** Calls `callback` once after `delayMs` (0 to 2^31-1). The timer doesn't keep the process alive unless `keepAlive`. */
  setTimer(delayMs: number, callback: () => void, options?: { keepAlive?: boolean }): Timer
  /** Resolves after `delayMs`, keeping the process alive; rejects with the signal's reason when aborted. */
  sleep(delayMs: number, options?: WaitOptions): Promise<void>
  /** Tells of steps that were too large to be held. Returns the way to stop listening. */
  onJump(listener: (event: ClockJumpedEvent) => void): () => void
}
