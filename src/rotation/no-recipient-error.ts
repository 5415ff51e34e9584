import { TokenwrightError } from '../kernel/errors.ts'

/** A new value that nobody waits for would reach no one: neither a `publish` hook nor a sealed copy would have it. */
export class NoRecipientError extends TokenwrightError<'ERR_NO_RECIPIENT'> {
  readonly service: string

  /** @param service - the token's name */
  constructor(service: string) {
    super('ERR_NO_RECIPIENT', `a new value of '${service}' would reach nobody`, {
      help: "register a publish hook for it or for '*', or make the token retrievable",
    })
    this.service = service
  }
}
