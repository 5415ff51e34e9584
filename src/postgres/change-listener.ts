import type { Clock, Timer } from '../kernel/clock.ts'
import type { Random } from '../kernel/random.ts'
import type { StoreChange } from '../stores/token-store.ts'
import { readNotification } from './notifications.ts'
import type { PostgresListener } from './pool.ts'

/** How often a quiet connection is asked whether it is still there, and how long its answer is waited for, ms. */
const CHECK_EVERY_MS = 5000
const ANSWER_MS = 5000

/** The waits before connecting again, ms: the first, doubling up to the last, each by chance down to half of it. */
const FIRST_WAIT_MS = 100
const LAST_WAIT_MS = 10_000

/** What a {@link ChangeListener} works with. */
export interface ChangeListenerOptions {
  /** Makes a connection, not yet connected. */
  readonly listen: () => PostgresListener | Promise<PostgresListener>
  readonly channel: string
  /** The name under which this store notifies. */
  readonly origin: string
  readonly clock: Clock
  readonly random: Random
  /** Told of each change that another instance made. Doesn't throw. */
  readonly onChange: (change: StoreChange) => void
  /** Told when changes may have been missed. Doesn't throw. */
  readonly onLost: () => void
}

/**
 * Listens to other instances on a connection of its own, for as long as it is started; when the connection breaks,
 * another one is made. What was changed meanwhile is told as lost, once when it breaks and once when it is back.
 */
export class ChangeListener {
  readonly #options: ChangeListenerOptions
  #wanted = false
  #client: PostgresListener | undefined
  #timer: Timer | undefined
  #failures = 0
  #connecting: Promise<void> | undefined

  constructor(options: ChangeListenerOptions) {
    this.#options = options
  }

  start(): void {
    if (this.#wanted) return
    this.#wanted = true
    this.#failures = 0
    this.#connect()
  }

  /** Lets go of the connection. */
  async stop(): Promise<void> {
    this.#wanted = false
    this.#timer?.cancel()
    const client = this.#client
    this.#client = undefined
    if (client !== undefined) await end(client)
    // One that is being opened ends itself, unless somebody has begun to listen again meanwhile.
    await this.#connecting
  }

  #connect(): void {
    this.#connecting ??= this.#open().then(() => {
      this.#connecting = undefined
    })
  }

  async #open(): Promise<void> {
    const { listen, channel, onLost } = this.#options
    let client: PostgresListener | undefined
    try {
      const opened = await listen()
      client = opened
      client.on('error', () => this.#broken(opened))
      client.on('end', () => this.#broken(opened))
      client.on('notification', ({ payload }) => this.#heard(payload))
      await this.#bounded(client.connect())
      await this.#bounded(client.query(`LISTEN ${channel}`))
    } catch {
      if (client !== undefined) void end(client)
      this.#again()
      return
    }
    if (!this.#wanted) {
      await end(client)
      return
    }
    this.#client = client
    this.#failures = 0
    onLost()
    this.#watchOver(client)
  }

  #heard(payload: string | undefined): void {
    for (const change of readNotification(this.#options.origin, payload)) this.#options.onChange(change)
  }

  /** A connection may be dead without a word: it is asked now and then. */
  #watchOver(client: PostgresListener): void {
    if (!this.#wanted || this.#client !== client) return
    this.#timer = this.#options.clock.setTimer(CHECK_EVERY_MS, () => {
      this.#bounded(client.query('SELECT 1')).then(
        () => this.#watchOver(client),
        () => this.#broken(client),
      )
    })
  }

  #broken(client: PostgresListener): void {
    if (this.#client !== client) return
    this.#client = undefined
    this.#timer?.cancel()
    void end(client)
    if (!this.#wanted) return
    this.#options.onLost()
    this.#again()
  }

  #again(): void {
    if (!this.#wanted) return
    const { clock, random } = this.#options
    const most = Math.min(LAST_WAIT_MS, FIRST_WAIT_MS * 2 ** this.#failures)
    this.#failures += 1
    this.#timer = clock.setTimer((most * (1 + random.float())) / 2, () => {
      if (this.#wanted) this.#connect()
    })
  }

  #bounded(answer: Promise<unknown>): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const timer = this.#options.clock.setTimer(ANSWER_MS, () => reject(new Error('no answer')))
      answer.then(resolve, reject).finally(() => timer.cancel())
    })
  }
}

async function end(client: PostgresListener): Promise<void> {
  try {
    await client.end()
  } catch {
    // It is gone anyway.
  }
}
