import { TokenwrightError } from '../kernel/errors.ts'

/** The codes of the errors that the HTTP rooms throw. */
export type HttpErrorCode = 'ERR_CALLBACK_FAILED'

/**
 * A function of the host, given as an option, threw a value that is no Error (in `cause`). Frameworks take `undefined` or `'route'`
 * for "go on", so such a value is never passed on as it is.
 */
export class CallbackError extends TokenwrightError<HttpErrorCode> {
  /** @param thrown - what was thrown */
  constructor(thrown: unknown) {
    super(
      'ERR_CALLBACK_FAILED',
      `a function among the options of requireToken threw ${typeof thrown}, which is no Error`,
      {
        help: 'throw an Error there',
        cause: thrown,
      },
    )
  }
}

/** What was thrown, as an Error that a framework can't mistake for "go on". */
export function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new CallbackError(thrown)
}
