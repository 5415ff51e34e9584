/** How many requests a run may send: an error of one target must not use up what all others live on. */
export class RequestBudget {
  readonly #limit: number
  #spent = 0
  #closedUntil: number | undefined

  /** @param limit - how many */
  constructor(limit: number) {
    this.#limit = limit
  }

  /** How many were sent. */
  get spent(): number {
    return this.#spent
  }

  /** Until when Cloudflare takes none, epoch ms: over its limit it blocks all calls for the window. */
  get closedUntil(): number | undefined {
    return this.#closedUntil
  }

  /** Takes one. False when there is none left. */
  take(): boolean {
    if (this.#closedUntil !== undefined || this.#spent >= this.#limit) return false
    this.#spent += 1
    return true
  }

  /** Ends the run's requests: Cloudflare asked to wait for longer than a run does. */
  close(until: number): void {
    this.#closedUntil ??= until
  }
}
