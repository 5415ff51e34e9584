/** How many requests a run may send: an error of one target must not use up what all others live on. */
export class RequestBudget {
  readonly #limit: number
  readonly #whole: RequestBudget | undefined
  #spent = 0
  #closedUntil: number | undefined

  /**
   * @param limit - how many
   * @param whole - a budget that these are counted in too, whatever its limit: what follows a change mustn't be cut off
   */
  constructor(limit: number, whole?: RequestBudget) {
    this.#limit = limit
    this.#whole = whole
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
    this.#count()
    return true
  }

  #count(): void {
    this.#spent += 1
    if (this.#whole !== undefined) this.#whole.#count()
  }

  /** Ends the run's requests: Cloudflare asked to wait for longer than a run does. */
  close(until: number): void {
    this.#closedUntil ??= until
    this.#whole?.close(until)
  }
}
