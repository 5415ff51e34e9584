import { TokenwrightError } from '../kernel/errors.ts'

/** The codes of the errors that shared limiters throw. */
export type LimiterErrorCode = 'ERR_LIMITER_UNAVAILABLE'

/** A shared limiter doesn't answer, or not in time. The verifier's `failMode.limiter` decides what happens then. */
export class LimiterUnavailableError extends TokenwrightError<'ERR_LIMITER_UNAVAILABLE'> {
  /** The client's or the server's code for it, such as `ECONNREFUSED` or `57P03`; `timeout` when no answer came in time. */
  readonly engineCode: string

  /**
   * @param what - what failed, without credentials
   * @param engineCode - the client's or the server's code
   */
  constructor(what: string, engineCode: string) {
    super('ERR_LIMITER_UNAVAILABLE', `${what} (${engineCode})`, {
      help: 'try again; if it stays so, look at the server that keeps the limits',
      retryable: true,
    })
    this.engineCode = engineCode
  }
}
