/** An event was given up: some subscriber hadn't taken it in time. `outbox.deadLetters()` has it. */
export interface OutboxDeadEvent {
  /** The event's id. */
  readonly id: string
  /** Its name, such as `token.rotated`. */
  readonly event: string
  /** The token that it is about. */
  readonly token: string
  /** The subscribers that hadn't acknowledged it. */
  readonly waiting: readonly string[]
  /** When, epoch ms. */
  readonly at: number
}

/** The events of this room. */
export interface OutboxEvents {
  'outbox.dead': OutboxDeadEvent
}
