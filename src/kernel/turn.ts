import type { Clock } from './clock.ts'

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

/** Other work of the process gets its turn this often, ms. */
const TURN_EVERY = 8

/**
 * Gives the process's other work its turn every 8 ms: a store in this process answers without waiting, and a long row of
 * commits would hold the event loop. Tasks that run side by side share one: each with its own would hold it as many times as long.
 */
export class Turns {
  readonly #clock: Clock
  #since: number
  #giving: Promise<void> | undefined

  /** @param clock - tells how long it has been */
  constructor(clock: Clock) {
    this.#clock = clock
    this.#since = clock.monotonic()
  }

  /** What to wait for before going on; `undefined` while there is time left. */
  due(): Promise<void> | undefined {
    if (this.#giving === undefined && this.#clock.monotonic() - this.#since >= TURN_EVERY) {
      this.#giving = nextTurn().then(() => {
        this.#since = this.#clock.monotonic()
        this.#giving = undefined
      })
    }
    return this.#giving
  }
}
