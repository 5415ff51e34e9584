import type { Clock, Timer } from '../kernel/clock.ts'
import { type Duration, parseDuration } from '../kernel/duration.ts'

/** How a {@link Scheduler} works. */
export interface SchedulerOptions {
  /** What is done at each turn. It must not throw; what it throws is given to `onError`. */
  readonly tick: () => Promise<unknown>
  readonly clock: Clock
  /** From the end of one turn to the start of the next. 1 s to 24 d. Default 5 s. */
  readonly interval?: Duration | undefined
  /** Asked after each turn: whether there is more to do already, so that the next comes after a second. Default: never. */
  readonly soon?: (() => boolean) | undefined
  /** Told of what `tick` threw. */
  readonly onError?: ((error: unknown) => void) | undefined
}

/** The wait between turns while there is more to do, ms. */
const SOON = 1000

/**
 * A timer for hosts that have none of their own: it only calls `tick`. It never keeps the process alive, and one turn
 * ends before the next begins.
 *
 * @example
 * ```ts
 * tokens.scheduler.start()
 * process.once('SIGTERM', () => tokens.close())
 * ```
 */
export class Scheduler {
  readonly #tick: () => Promise<unknown>
  readonly #clock: Clock
  readonly #interval: number
  readonly #soon: () => boolean
  readonly #onError: (error: unknown) => void
  #timer: Timer | undefined
  #turn: Promise<void> | undefined
  #running = false

  /**
   * @param options - what to do, by which clock, how often
   * @throws InvalidInputError for an interval under 1 s or over 24 d
   */
  constructor(options: SchedulerOptions) {
    this.#tick = options.tick
    this.#clock = options.clock
    this.#interval = parseDuration('interval', options.interval ?? '5s', { min: 1000, max: 24 * 86_400_000 })
    this.#soon = options.soon ?? (() => false)
    this.#onError = options.onError ?? (() => {})
  }

  /** Whether it has been started and not stopped. */
  get running(): boolean {
    return this.#running
  }

  /** Starts; the first turn comes after one interval. Starting twice is starting once. */
  start(): void {
    if (this.#running) return
    this.#running = true
    if (this.#turn === undefined) this.#wait()
  }

  /** Stops, and waits for a turn that is under way. */
  async stop(): Promise<void> {
    this.#running = false
    this.#timer?.cancel()
    this.#timer = undefined
    await this.#turn
  }

  #wait(delay = this.#interval): void {
    this.#timer = this.#clock.setTimer(delay, () => {
      this.#timer = undefined
      this.#turn = this.#run()
    })
  }

  async #run(): Promise<void> {
    let soon = false
    try {
      await this.#tick()
      soon = this.#soon()
    } catch (error) {
      this.#tell(error)
    }
    this.#turn = undefined
    if (this.#running) this.#wait(soon ? Math.min(SOON, this.#interval) : this.#interval)
  }

  /** Whatever hears of a failed turn, the next one comes. */
  #tell(error: unknown): void {
    try {
      this.#onError(error)
    } catch {
      // There is nobody else to tell.
    }
  }
}
