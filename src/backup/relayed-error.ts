import { TokenwrightError } from '../kernel/errors.ts'
import {
  ArchiveCorruptError,
  ArchiveForeignError,
  ArchiveIoError,
  ArchiveKeyError,
  ArchiveNewerError,
  ArchiveTruncatedError,
} from './errors.ts'

/** What remains of an error that was told by another process. */
export interface RelayedError {
  readonly name: string
  readonly message: string
  readonly stack?: string
  /** Its other properties, but for objects. */
  readonly fields: { readonly [name: string]: unknown }
  readonly cause?: RelayedError
}

const CLASSES: ReadonlyMap<string, { readonly prototype: object }> = new Map(
  [
    ArchiveCorruptError,
    ArchiveForeignError,
    ArchiveIoError,
    ArchiveKeyError,
    ArchiveNewerError,
    ArchiveTruncatedError,
  ].map((each) => [each.name, each]),
)

/**
 * The error as it was thrown there: one of this library has its name, code and fields, and is a `TokenwrightError`; one about an archive is of its class.
 *
 * @param other - makes an error of ours of any other
 */
export function revived(relayed: RelayedError, other: (cause: Error) => Error): Error {
  const error = plainError(relayed)
  if (typeof relayed.fields['code'] !== 'string' || typeof relayed.fields['help'] !== 'string') return other(error)
  Object.setPrototypeOf(error, (CLASSES.get(relayed.name) ?? TokenwrightError).prototype)
  return error
}

function plainError({ name, message, stack, fields, cause }: RelayedError): Error {
  const error = new Error(message, cause === undefined ? undefined : { cause: plainError(cause) })
  Object.assign(error, fields, { name })
  if (stack !== undefined) error.stack = stack
  return error
}
