import { TokenwrightError } from '../kernel/errors.ts'

/** The codes of the errors that issuing and changing tokens throw. */
export type IssuingErrorCode =
  | 'ERR_SERVICE_EXISTS'
  | 'ERR_TOKEN_EXISTS'
  | 'ERR_TOKEN_NOT_FOUND'
  | 'ERR_TOKEN_REVOKED'
  | 'ERR_TOKEN_STATE'

/** The name is held by a token that is neither revoked nor expired. */
export class ServiceExistsError extends TokenwrightError<'ERR_SERVICE_EXISTS'> {
  readonly service: string
  /** The id of the token that holds the name. */
  readonly holder: string

  /**
   * @param service - the name
   * @param holder - the id of the token that holds it
   * @param disabled - whether that token is disabled
   */
  constructor(service: string, holder: string, disabled: boolean) {
    super('ERR_SERVICE_EXISTS', `the service '${service}' has a ${disabled ? 'disabled' : 'live'} token (${holder})`, {
      help: disabled ? 'enable it, or revoke it first' : 'rotate it, or revoke it first',
    })
    this.service = service
    this.holder = holder
  }
}

/** An imported token or digest is that of a token which is here, or was here and has been removed. */
export class TokenExistsError extends TokenwrightError<'ERR_TOKEN_EXISTS'> {
  /** The id of the token that holds the digest. */
  readonly holder: string

  /**
   * @param holder - the id of the token that holds the digest
   * @param removed - whether that token has been removed
   */
  constructor(holder: string, removed: boolean) {
    super('ERR_TOKEN_EXISTS', `this very token is ${removed ? 'what a removed one was' : 'here already'} (${holder})`, {
      help: removed ? 'issue a new one; removed ones never come back' : 'use that token',
    })
    this.holder = holder
  }
}

/** There is no such token. */
export class TokenNotFoundError extends TokenwrightError<'ERR_TOKEN_NOT_FOUND'> {
  /** @param which - the name or id that was asked for, as a phrase */
  constructor(which: string) {
    super('ERR_TOKEN_NOT_FOUND', `there is no token ${which}`, { help: 'see list() for what there is' })
  }
}

/** The token is revoked, which is final. */
export class TokenRevokedError extends TokenwrightError<'ERR_TOKEN_REVOKED'> {
  readonly id: string

  /**
   * @param service - its name
   * @param id - its id
   */
  constructor(service: string, id: string) {
    super('ERR_TOKEN_REVOKED', `the token '${service}' (${id}) is revoked, which is final`, {
      help: 'generate a new one',
    })
    this.id = id
  }
}

/** The token's state doesn't allow this change: it is disabled or expired, or has no such version. */
export class TokenStateError extends TokenwrightError<'ERR_TOKEN_STATE'> {
  readonly id: string

  /**
   * @param id - the token's id
   * @param what - what stands in the way
   * @param help - what to do
   */
  constructor(id: string, what: string, help: string) {
    super('ERR_TOKEN_STATE', what, { help })
    this.id = id
  }
}
