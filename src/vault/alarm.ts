import type { Clock, Timer } from '../kernel/clock.ts'
import { sleepFor } from './schedule.ts'

/** One timer at most, set anew after each ring. */
export class Alarm {
  readonly #clock: Clock
  readonly #checkIntervalMs: number
  readonly #keepAlive: boolean
  readonly #ring: () => void
  #timer: Timer | undefined
  #stopListening: (() => void) | undefined

  /**
   * @param clock - sets the timer, and tells of jumps
   * @param checkIntervalMs - the longest sleep
   * @param keepAlive - whether the timer keeps the process alive
   * @param ring - what it wakes
   */
  constructor(clock: Clock, checkIntervalMs: number, keepAlive: boolean, ring: () => void) {
    this.#clock = clock
    this.#checkIntervalMs = checkIntervalMs
    this.#keepAlive = keepAlive
    this.#ring = ring
  }

  /** Rings after so long, or earlier: when the watchdog's interval is over, or the wall clock jumps. */
  set(dueInMs: number): void {
    this.#timer?.cancel()
    this.#stopListening ??= this.#clock.onJump(() => this.#ring())
    const delayMs = sleepFor(dueInMs, this.#checkIntervalMs)
    this.#timer = this.#clock.setTimer(delayMs, this.#ring, { keepAlive: this.#keepAlive })
  }

  /** Rings no more. */
  clear(): void {
    this.#timer?.cancel()
    this.#timer = undefined
    this.#stopListening?.()
    this.#stopListening = undefined
  }
}
