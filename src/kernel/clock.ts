import { InvalidInputError } from './errors.ts'

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

/** The longest delay that a timer can hold, ms (about 24.8 days); a longer one would fire at once. */
export const MAX_TIMER_MS: number = 2 ** 31 - 1

/** Steps of the wall clock up to this size are held (backwards) or taken in silence (forwards), ms. */
export const MAX_HELD_STEP_MS: number = 5 * 60_000

/** How much wall time may pass before wall and monotonic time are compared again, ms. */
const CHECK_EVERY_MS = 60_000

/**
 * Refuses a delay that no timer can hold.
 *
 * @param field - the argument's name, for the message
 * @param delayMs - the delay
 * @returns the delay in whole milliseconds, rounded up: a timer may be late, not early
 * @throws InvalidInputError when it isn't a number from 0 to 2^31-1
 */
export function checkDelay(field: string, delayMs: number): number {
  if (typeof delayMs !== 'number' || !(delayMs >= 0 && delayMs <= MAX_TIMER_MS)) {
    throw new InvalidInputError(field, 'is not a delay from 0 to 2147483647 ms', 'split longer waits into several')
  }
  return Math.ceil(delayMs)
}

/**
 * {@link Clock.sleep} by a clock's timers; the listener on the signal is gone when it ends.
 *
 * @internal shared with the fake clock
 */
export async function sleepOn(clock: Clock, delayMs: number, signal: AbortSignal | undefined): Promise<void> {
  const delay = checkDelay('delayMs', delayMs)
  signal?.throwIfAborted()
  await new Promise<void>((resolve, reject) => {
    const onAbort = (): void => {
      timer.cancel()
      reject(signal?.reason)
    }
    const onTime = (): void => {
      signal?.removeEventListener('abort', onAbort)
      resolve()
    }
    const timer = clock.setTimer(delay, onTime, { keepAlive: true })
    signal?.addEventListener('abort', onAbort, { once: true })
  })
}

/** Where a {@link SystemClock} reads the time. */
export interface TimeSources {
  /** Wall time, epoch ms. */
  readonly wall: () => number
  /** Milliseconds since some point, never backwards. */
  readonly monotonic: () => number
}

/**
 * The system's wall time, held by its monotonic time.
 *
 * A backward step of at most 5 minutes is held: time goes on at half the monotonic rate until the wall clock has caught
 * up, so that it never runs backwards and always rejoins. A larger step, back or forth, is taken and told to the
 * `onJump` listeners, in a microtask: `now()` itself never runs foreign code. A machine that slept counts as a step.
 */
class SystemClock implements Clock {
  readonly #wall: () => number
  readonly #mono: () => number
  /** The last answer of `now()`. */
  #last: number
  /** Wall and monotonic time, read together; what wall time is measured against. */
  #anchorWall: number
  #anchorMono: number
  /** The wall time from which the anchor is compared again. */
  #checkAt: number
  #holding = false
  /** Where the hold began: the answer then, and the monotonic time. */
  #heldFrom = 0
  #heldMono = 0
  readonly #listeners = new Set<(event: ClockJumpedEvent) => void>()

  constructor(sources: TimeSources) {
    this.#wall = sources.wall
    this.#mono = sources.monotonic
    this.#last = this.#anchorWall = this.#wall()
    this.#anchorMono = this.#mono()
    this.#checkAt = this.#anchorWall + CHECK_EVERY_MS
  }

  now(): number {
    const wall = this.#wall()
    if (wall >= this.#last && wall < this.#checkAt && !this.#holding) {
      this.#last = wall
      return wall
    }
    return this.#compare(wall)
  }

  monotonic(): number {
    return this.#mono()
  }

  setTimer(delayMs: number, callback: () => void, options?: { keepAlive?: boolean }): Timer {
    const handle = setTimeout(
      () => {
        // A process that only waits on timers would otherwise see a step late.
        this.#compare(this.#wall())
        callback()
      },
      checkDelay('delayMs', delayMs),
    )
    // Not every runtime's timers are objects.
    if (options?.keepAlive !== true && typeof handle === 'object') handle.unref()
    return { cancel: () => clearTimeout(handle) }
  }

  sleep(delayMs: number, options?: WaitOptions): Promise<void> {
    return sleepOn(this, delayMs, options?.signal)
  }

  onJump(listener: (event: ClockJumpedEvent) => void): () => void {
    // A wrapper of its own, so that the same function may listen twice.
    const entry = (event: ClockJumpedEvent): void => listener(event)
    this.#listeners.add(entry)
    return () => void this.#listeners.delete(entry)
  }

  /** Compares wall and monotonic time; holds, rejoins or jumps. Answers the time. */
  #compare(wall: number): number {
    const mono = this.#mono()
    const expected = this.#anchorWall + (mono - this.#anchorMono)
    if (Math.abs(wall - expected) > MAX_HELD_STEP_MS) return this.#jump(wall, mono, expected)
    this.#anchor(wall, mono)
    if (!this.#holding) {
      if (wall >= this.#last) {
        this.#last = wall
        return wall
      }
      this.#holding = true
      this.#heldFrom = this.#last
      this.#heldMono = mono
    }
    const held = Math.floor(this.#heldFrom + (mono - this.#heldMono) / 2)
    // Several small steps can add up to a large one.
    if (held - wall > MAX_HELD_STEP_MS) return this.#jump(wall, mono, held)
    if (wall >= held) {
      this.#holding = false
      this.#last = wall
      return wall
    }
    this.#last = held
    return held
  }

  #anchor(wall: number, mono: number): void {
    this.#anchorWall = wall
    this.#anchorMono = mono
    this.#checkAt = wall + CHECK_EVERY_MS
  }

  #jump(wall: number, mono: number, expected: number): number {
    this.#anchor(wall, mono)
    this.#holding = false
    this.#last = wall
    if (this.#listeners.size > 0) {
      const event = Object.freeze({ expected: Math.round(expected), found: wall })
      queueMicrotask(() => this.#tell(event))
    }
    return wall
  }

  #tell(event: ClockJumpedEvent): void {
    for (const listener of [...this.#listeners]) {
      try {
        listener(event)
      } catch {
        // Nobody called: an emitter that reports failing listeners is put between by whoever listens.
      }
    }
  }
}

/**
 * A clock over given sources of time; its timers are the system's.
 *
 * @internal for tests; services use {@link systemClock}
 * @param sources - where it reads the time
 */
export function createClock(sources: TimeSources): Clock {
  return new SystemClock(sources)
}

let shared: Clock | undefined

/**
 * The system's clock; every call answers the same one.
 *
 * A backward step of the wall clock of at most 5 minutes is held: time goes on at half speed until the wall clock has
 * caught up. A larger step, back or forth (a machine that slept counts), is taken and told to `onJump` listeners.
 *
 * @example
 * ```ts
 * const clock = systemClock()
 * const stop = clock.onJump(({ expected, found }) => console.warn('the clock jumped by', found - expected, 'ms'))
 * ```
 */
export function systemClock(): Clock {
  shared ??= createClock({ wall: () => Date.now(), monotonic: () => performance.now() })
  return shared
}
