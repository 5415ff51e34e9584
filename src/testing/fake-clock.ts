import {
  type Clock,
  type ClockJumpedEvent,
  checkDelay,
  createClock,
  sleepOn,
  type Timer,
  type WaitOptions,
} from '../kernel/clock.ts'
import { type Duration, type Instant, parseDuration, parseInstant } from '../kernel/duration.ts'

/** What a {@link FakeClock} starts with. */
export interface FakeClockOptions {
  /** The wall time at the start. Default: `2030-01-01T00:00:00Z`. */
  readonly now?: Instant
}

/** A clock that stands still until a test moves it. */
export interface FakeClock extends Clock {
  /**
   * Moves wall and monotonic time on, firing the timers that fall due in the order of their due times (equal ones in
   * the order in which they were set), each at its own time. After each, the promises that it settled run on, so that
   * code that waits in a loop sets its next timer and is fired again. Real I/O isn't waited for.
   *
   * @param by - how far
   * @throws what a timer's callback throws, and InvalidInputError for what is no duration
   */
  advance(by: Duration): Promise<void>
  /**
   * Steps the wall clock, as an operator or a time server does: monotonic time and timers stay as they are. As with
   * `systemClock()`, a backward step of up to 5 minutes is held (time goes on at half speed until it has caught up),
   * and a larger step, back or forth, is told to `onJump` listeners.
   *
   * @param wall - the wall time to set
   */
  set(wall: Instant): Promise<void>
  /** How many timers are waiting. */
  pending(): number
}

/**
 * A clock for tests: time stands still until `advance` or `set`.
 *
 * @param options - where it starts
 * @example
 * ```ts
 * const clock = fakeClock({ now: '2030-01-01T00:00:00Z' })
 * const tokens = new Tokenwright({ store, keys, clock })
 * await tokens.generate({ service: 'billing', expiresIn: '30d' })
 * await clock.advance('30d') // everything that falls due in these 30 days happens, in order
 * ```
 */
export function fakeClock(options: FakeClockOptions = {}): FakeClock {
  return new TestClock(parseInstant('now', options.now ?? '2030-01-01T00:00:00Z'))
}

interface Waiting {
  readonly due: number
  readonly callback: () => void
}

/** How often the event loop turns after a timer has fired; each turn runs all promises that can run. */
const TURNS = 3

async function drain(): Promise<void> {
  for (let i = 0; i < TURNS; i++) await new Promise<void>((resolve) => setImmediate(resolve))
}

class TestClock implements FakeClock {
  #wall: number
  #mono = 0
  /** The real clock over time that only this class moves: what it holds and what it tells is the same. */
  readonly #clock: Clock
  /** By due time; equal ones in the order in which they came. */
  readonly #waiting: Waiting[] = []
  /** Moves are made one after the other. */
  #moving: Promise<void> = Promise.resolve()

  constructor(wall: number) {
    this.#wall = wall
    this.#clock = createClock({ wall: () => this.#wall, monotonic: () => this.#mono })
  }

  now(): number {
    return this.#clock.now()
  }

  monotonic(): number {
    return this.#mono
  }

  setTimer(delayMs: number, callback: () => void): Timer {
    const entry: Waiting = { due: this.#mono + checkDelay('delayMs', delayMs), callback }
    let at = this.#waiting.length
    while (at > 0 && (this.#waiting[at - 1] as Waiting).due > entry.due) at -= 1
    this.#waiting.splice(at, 0, entry)
    return {
      cancel: () => {
        const index = this.#waiting.indexOf(entry)
        if (index >= 0) this.#waiting.splice(index, 1)
      },
    }
  }

  sleep(delayMs: number, options?: WaitOptions): Promise<void> {
    return sleepOn(this, delayMs, options?.signal)
  }

  onJump(listener: (event: ClockJumpedEvent) => void): () => void {
    return this.#clock.onJump(listener)
  }

  async advance(by: Duration): Promise<void> {
    const ms = parseDuration('by', by, { allowZero: true })
    await this.#move(() => this.#advance(ms))
  }

  async set(wall: Instant): Promise<void> {
    const at = parseInstant('wall', wall)
    await this.#move(async () => {
      this.#wall = at
      this.#clock.now()
      await drain()
    })
  }

  pending(): number {
    return this.#waiting.length
  }

  #move(step: () => Promise<void>): Promise<void> {
    const moved = this.#moving.then(step)
    this.#moving = moved.catch(() => {})
    return moved
  }

  async #advance(ms: number): Promise<void> {
    const target = this.#mono + ms
    // What was just called may still be on its way to its first timer.
    await drain()
    for (;;) {
      const next = this.#waiting[0]
      if (next === undefined || next.due > target) break
      this.#waiting.shift()
      this.#passTo(next.due)
      this.#clock.now()
      next.callback()
      await drain()
    }
    this.#passTo(target)
    this.#clock.now()
    await drain()
  }

  #passTo(mono: number): void {
    this.#wall += mono - this.#mono
    this.#mono = mono
  }
}
