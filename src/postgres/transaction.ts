import { StoreUnavailableError } from '../stores/errors.ts'
import { isBroken, storeErrorOf } from './engine-errors.ts'
import type { PostgresClient } from './pool.ts'
import type { Statement } from './statements.ts'

/** Sends one statement and waits for its rows. */
export type Ask = (client: PostgresClient, statement: Statement, values: unknown[]) => Promise<unknown[]>

const COMMIT: Statement = { text: 'COMMIT' }
const ROLLBACK: Statement = { text: 'ROLLBACK' }

/** A transaction on a connection that is out of the pool until it has ended. */
export class Transaction {
  readonly #client: PostgresClient
  readonly #ask: Ask
  readonly #store: string
  readonly #doing: string
  #ended = false
  #broken = false

  constructor(client: PostgresClient, ask: Ask, store: string, doing: string) {
    this.#client = client
    this.#ask = ask
    this.#store = store
    this.#doing = doing
  }

  /** Runs one statement. A failure leaves nothing but {@link Transaction.abandon}. */
  async run<R>(statement: Statement, values: unknown[]): Promise<R[]> {
    try {
      return (await this.#ask(this.#client, statement, values)) as R[]
    } catch (error) {
      if (cantBeUsed(error)) {
        this.#broken = true
        this.#end()
      }
      throw storeErrorOf(error, this.#store, this.#doing)
    }
  }

  async commit(): Promise<void> {
    await this.run(COMMIT, [])
    this.#end()
  }

  /** Takes back what was done, if it isn't committed. */
  async abandon(): Promise<void> {
    if (this.#ended) return
    try {
      await this.run(ROLLBACK, [])
    } catch {
      this.#broken = true
    }
    this.#end()
  }

  #end(): void {
    if (this.#ended) return
    this.#ended = true
    this.#client.release(this.#broken)
  }
}

/** Whether a connection is to be closed after this: it is broken, or an answer is still to come on it. */
export function cantBeUsed(error: unknown): boolean {
  return isBroken(error) || error instanceof StoreUnavailableError
}
