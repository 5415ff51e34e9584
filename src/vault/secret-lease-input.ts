import { type Duration, parseDuration } from '../kernel/duration.ts'
import { InvalidInputError } from '../kernel/errors.ts'
import { checkFields } from '../kernel/fields.ts'
import type { LeaseTerms } from './lease-keeper.ts'

/** A secret's answer, as far as its lease goes. The duration is in seconds, as the server tells it. */
export interface LeasedAnswer {
  readonly lease_id: string
  /** Seconds. */
  readonly lease_duration: number
  readonly renewable?: boolean
}

/** A lease: its id, or the answer that its secret came in. */
export type SecretLeaseInput = string | LeasedAnswer | unknown

/** What is known of a lease that is given by its id. */
export interface SecretLeaseOptions {
  /** How long it lasts from now. Required with an id. */
  readonly ttl?: Duration | undefined
  /** Default true. */
  readonly renewable?: boolean | undefined
  /** What a renewal asks for. At least 1 s. Default: the time that it came with. */
  readonly increment?: Duration | undefined
}

/**
 * Checks the arguments of `lease`.
 *
 * @throws InvalidInputError for a lease without an id or a time
 */
export function leaseInput(
  lease: SecretLeaseInput,
  options: SecretLeaseOptions = {},
): { id: string; terms: LeaseTerms } {
  checkFields('options', options, ['ttl', 'renewable', 'increment'])
  const answer = typeof lease === 'object' && lease !== null ? (lease as Partial<LeasedAnswer>) : undefined
  const id = answer === undefined ? lease : answer.lease_id
  if (typeof id !== 'string' || id === '' || id.length > 1024) {
    throw new InvalidInputError('leaseId', 'is no id of a lease', 'some secrets, such as those of KV, have none')
  }
  if (options.renewable !== undefined && typeof options.renewable !== 'boolean') {
    throw new InvalidInputError('renewable', 'is neither true nor false', 'leave it out for true')
  }
  const seconds = answer?.lease_duration
  const fromAnswer = typeof seconds === 'number' && seconds > 0 ? Math.floor(seconds * 1000) : undefined
  const given = options.ttl ?? fromAnswer
  if (given === undefined) throw new InvalidInputError('ttl', 'is missing', "say how long it lasts, such as '1h'")
  return {
    id,
    terms: {
      ttlMs: parseDuration('ttl', given, { min: 1000 }),
      renewable: options.renewable ?? answer?.renewable ?? true,
      incrementMs:
        options.increment === undefined ? undefined : parseDuration('increment', options.increment, { min: 1000 }),
    },
  }
}
