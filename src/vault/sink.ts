import { writeFileAtomic } from '../kernel/atomic-file.ts'
import { InvalidInputError } from '../kernel/errors.ts'
import { checkFields } from '../kernel/fields.ts'

/** What a sink gets. */
export interface SinkToken {
  readonly token: string
  /** How long it lasts from now unless it is renewed, ms; Infinity for one without an end. */
  readonly ttlMs: number
  readonly accessor: string
}

/** A file that gets each new token. */
export interface FileSink {
  /** The file; its folder must be there. It is replaced whole or not at all. */
  readonly file: string
  /** Its permissions. Default `0o600`. */
  readonly mode?: number | undefined
}

/**
 * What is handed each token that a manager gets, the first one too: a file, or a function. One that fails, or takes longer than `timeout`, is tried
 * again; the signal is aborted when a call is given up, or the manager stops.
 */
export type VaultSink = FileSink | ((token: SinkToken, signal: AbortSignal) => unknown)

/** A sink that was checked. */
export type CheckedSink = (token: SinkToken, signal: AbortSignal) => unknown

/**
 * Checks the option `sinks`.
 *
 * @returns a function for each
 * @throws InvalidInputError for what is no sink
 */
export function checkSinks(sinks: unknown): readonly CheckedSink[] {
  if (sinks === undefined) return []
  if (!Array.isArray(sinks) || sinks.length > 100) {
    throw new InvalidInputError('sinks', 'is not a list of at most 100', 'give [{ file }] or [(token) => …]')
  }
  return sinks.map((sink: unknown, index) => {
    if (typeof sink === 'function') return sink as CheckedSink
    const { file, mode = 0o600 } = checkFields(`sinks[${index}]`, sink, ['file', 'mode'])
    if (typeof file !== 'string' || file === '') {
      throw new InvalidInputError(`sinks[${index}].file`, 'is not a path', 'give the path of a file')
    }
    if (typeof mode !== 'number' || !Number.isInteger(mode) || mode < 0 || mode > 0o777) {
      throw new InvalidInputError(`sinks[${index}].mode`, 'is not a file mode', 'leave it out for 0o600')
    }
    // A write that was given up must not put an older token over a newer one.
    return ({ token }, signal) => writeFileAtomic(file, token, { mode, check: () => signal.throwIfAborted() })
  })
}
