import { writeFileAtomic } from '../kernel/atomic-file.ts'
import { InvalidInputError } from '../kernel/errors.ts'
import { checkFields } from '../kernel/fields.ts'

/** What a sink gets. */
export interface SinkToken {
  readonly token: string
  /** How long it lasts unless it is renewed, ms; Infinity for one without an end. */
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

/** What is handed each token that a manager gets, the first one too: a function, or a file. One that fails is tried again. */
export type VaultSink = FileSink | ((token: SinkToken) => unknown)

/**
 * Checks the option `sinks`.
 *
 * @returns a function for each
 * @throws InvalidInputError for what is no sink
 */
export function checkSinks(sinks: unknown): readonly ((token: SinkToken) => unknown)[] {
  if (sinks === undefined) return []
  if (!Array.isArray(sinks) || sinks.length > 100) {
    throw new InvalidInputError('sinks', 'is not a list of at most 100', 'give [{ file }] or [(token) => …]')
  }
  return sinks.map((sink: unknown, index) => {
    if (typeof sink === 'function') return sink as (token: SinkToken) => unknown
    const { file, mode = 0o600 } = checkFields(`sinks[${index}]`, sink, ['file', 'mode'])
    if (typeof file !== 'string' || file === '') {
      throw new InvalidInputError(`sinks[${index}].file`, 'is not a path', 'give the path of a file')
    }
    if (typeof mode !== 'number' || !Number.isInteger(mode) || mode < 0 || mode > 0o777) {
      throw new InvalidInputError(`sinks[${index}].mode`, 'is not a file mode', 'leave it out for 0o600')
    }
    return ({ token }) => writeFileAtomic(file, token, { mode })
  })
}
