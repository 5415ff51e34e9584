import { TokenwrightError } from '../kernel/errors.ts'

/** The codes of the errors that this room throws. */
export type LeakErrorCode = 'ERR_NO_FORMATS'

/** Tokens can't be told from other texts: no form with a prefix and a checksum is listed. */
export class NoFormatsError extends TokenwrightError<'ERR_NO_FORMATS'> {
  /** @param what - what can't be done */
  constructor(what: string) {
    super('ERR_NO_FORMATS', `${what} without a listed format`, {
      help: "give tokens a prefix of your own, and list it: formats: [{ prefix: 'acme_' }]",
    })
  }
}
