import process from 'node:process'
import type { Clock } from '../kernel/clock.ts'
import type { Verification, VerifyContext } from '../tokens/verification.ts'
import type { CallOutcome } from '../usage/usage-tracker.ts'
import { asError } from './errors.ts'

/** What the HTTP rooms need of a `Tokenwright`. A service of the host's own, or a stand-in of a test, fits as well. */
export interface TokenService {
  /** The answer to "may this string do this, from here, now?" Rejects only when infrastructure is broken. */
  verify(presented: unknown, context?: VerifyContext): Promise<Verification>
  /** Where the outcome of calls is recorded; absent = nowhere. */
  readonly usage?: CallRecorder | undefined
  /** Where durations come from. */
  readonly clock: Pick<Clock, 'monotonic'>
}

/** Takes the outcome of calls. */
export interface CallRecorder {
  /** Records what became of the call that `verification` was the answer for. */
  finish(verification: Verification, outcome: CallOutcome): void
}

/** The status recorded when the client left before there was an answer, after the custom of proxies. */
export const CLIENT_CLOSED_REQUEST = 499

/** A call on its way, from the verification to the end of the response. */
export class HttpCall {
  readonly #tokens: TokenService
  readonly #verification: Verification
  readonly #startedAt: number
  readonly #ip: string | undefined
  readonly #caller: string | undefined
  #finished = false

  /** @internal */
  constructor(
    tokens: TokenService,
    verification: Verification,
    startedAt: number,
    ip: string | undefined,
    caller: string | undefined,
  ) {
    this.#tokens = tokens
    this.#verification = verification
    this.#startedAt = startedAt
    this.#ip = ip
    this.#caller = caller
  }

  /**
   * Records the outcome, once; later calls do nothing. Call it when the response has ended, with its status. Never throws: by then
   * there is nobody to catch it, so an error of the recorder is a process warning.
   */
  finish(status: number): void {
    if (this.#finished) return
    this.#finished = true
    try {
      const durationMs = Math.max(0, this.#tokens.clock.monotonic() - this.#startedAt)
      this.#tokens.usage?.finish(this.#verification, { status, durationMs, ip: this.#ip, caller: this.#caller })
    } catch (error) {
      process.emitWarning(asError(error))
    }
  }
}
