/** What a {@link TokenwrightError} is made from, besides its code and its message. */
export interface ErrorDetails {
  /** What the reader should do about it, one clause without a full stop. */
  readonly help: string
  /** Whether the same call may succeed later without any change. Default `false`. */
  readonly retryable?: boolean
  /** The error underneath. Never one that may hold a secret. */
  readonly cause?: unknown
}

/**
 * The base of everything that this library throws: misuse and broken infrastructure. What a client may do
 * wrong (an unknown token, a limit reached) is a value, not an exception.
 *
 * The message says what happened, to which thing, and what to do; it never holds a secret.
 *
 * @typeParam Code - the codes of the room that throws it
 * @example
 * ```ts
 * try { await tokens.generate({ service: 'billing' }) } catch (error) {
 *   if (error instanceof TokenwrightError && error.retryable) scheduleAgain()
 *   else throw error
 * }
 * ```
 */
export class TokenwrightError<Code extends string = string> extends Error {
  /** A stable identifier, such as `ERR_STALE_REVISION`; each has a section in docs/errors.md. */
  readonly code: Code
  /** Whether the same call may succeed later without any change. */
  readonly retryable: boolean
  /** What to do about it. */
  readonly help: string

  /**
   * @param code - a stable identifier
   * @param what - what happened, to which thing, without a full stop
   * @param details - what to do about it
   */
  constructor(code: Code, what: string, details: ErrorDetails) {
    super(
      `${code}: ${what}; ${details.help}. See docs/errors.md#${code.toLowerCase()}`,
      details.cause === undefined ? undefined : { cause: details.cause },
    )
    this.name = new.target.name
    this.code = code
    this.retryable = details.retryable ?? false
    this.help = details.help
  }

  /** The error as a plain object, without stack and cause, ready for a log line. */
  toJSON(): { name: string; code: Code; message: string; retryable: boolean; help: string } {
    return { name: this.name, code: this.code, message: this.message, retryable: this.retryable, help: this.help }
  }
}

/** The codes of the errors that the kernel throws. */
export type KernelErrorCode = 'ERR_INVALID_INPUT' | 'ERR_ATOMIC_WRITE' | 'ERR_MISSING_PACKAGE'

/**
 * A value from the host that can't be used: wrong type, out of range, unknown name. Thrown before any effect.
 *
 * @example
 * ```ts
 * try { await tokens.generate({ service: '' }) } catch (error) {
 *   if (error instanceof InvalidInputError) console.error(error.field) // 'service'
 * }
 * ```
 */
export class InvalidInputError extends TokenwrightError<'ERR_INVALID_INPUT'> {
  /** The option or argument that was refused, such as `rateLimit.per`. */
  readonly field: string

  /**
   * @param field - the option or argument, as the caller writes it
   * @param what - what is wrong with it, without the value where that could be a secret
   * @param help - what to write instead
   */
  constructor(field: string, what: string, help: string) {
    super('ERR_INVALID_INPUT', `${field} ${what}`, { help })
    this.field = field
  }
}

/** An optional package that a feature needs isn't installed; the message names the command that installs it. */
export class MissingPackageError extends TokenwrightError<'ERR_MISSING_PACKAGE'> {
  /** The package's name. */
  readonly package: string

  /**
   * @param name - the package
   * @param feature - what needs it
   */
  constructor(name: string, feature: string, cause?: unknown) {
    super('ERR_MISSING_PACKAGE', `${feature} needs the package ${name}, which can't be loaded`, {
      help: `install it with: npm install ${name}`,
      cause,
    })
    this.package = name
  }
}

/**
 * A text of the host's, fit for a message: whole when it is short, else its first six characters. What was put in the
 * wrong place may be a token.
 */
export function abbreviated(text: string): string {
  return text.length <= 20 ? text : `${text.slice(0, 6)}…`
}

const LONGEST_CODE = 64

/** The code of an error, else its name: what an event may tell of it. Messages of others may hold anything. */
export function codeOf(error: unknown): string {
  if (typeof error === 'object' && error !== null && 'code' in error && typeof error.code === 'string')
    return error.code.slice(0, LONGEST_CODE)
  return error instanceof Error ? error.name : 'unknown'
}
