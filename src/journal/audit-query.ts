import { type Instant, parseInstant } from '../kernel/duration.ts'
import { InvalidInputError } from '../kernel/errors.ts'
import { checkFields } from '../kernel/fields.ts'
import type { SealedEntry } from '../stores/journal-link.ts'
import type { JournalQuery } from '../stores/token-store.ts'
import { atLeast, RISKS, type Risk } from '../tokens/risk.ts'
import { riskOf } from './risk.ts'

/** Which entries of the journal. */
export interface AuditQuery {
  /** About the record with this id, such as a token's. */
  readonly subject?: string | undefined
  /** That did this, such as `token.rotated`; one that ends in `.` matches all that begin with it. */
  readonly action?: string | undefined
  /** By whom. */
  readonly actor?: string | undefined
  /** About records of this kind, such as `token` or `rule`. */
  readonly kind?: string | undefined
  /** Of this risk or a higher one. */
  readonly risk?: Risk | undefined
  /** From this instant on. */
  readonly from?: Instant | undefined
  /** Before this instant. */
  readonly to?: Instant | undefined
  /** Newest first. Default false. */
  readonly reverse?: boolean | undefined
  /** 1 to 1000. Default 100. */
  readonly limit?: number | undefined
  /** Where the page before ended. */
  readonly cursor?: string | undefined
}

const FIELDS: readonly string[] = [
  ...['subject', 'action', 'actor', 'kind', 'risk', 'from', 'to', 'reverse', 'limit', 'cursor'],
]

/** A query, checked. */
export interface CheckedQuery {
  readonly limit: number
  readonly reverse: boolean
  readonly from: number
  readonly to: number
  readonly range: Omit<JournalQuery, 'limit'>
  matches(entry: SealedEntry): boolean
}

/**
 * Checks a query.
 *
 * @throws InvalidInputError for a field that can't be used
 */
export function checkQuery(query: AuditQuery): CheckedQuery {
  checkFields('query', query, FIELDS)
  const { subject, action, actor, kind, risk, reverse = false, limit = 100, cursor } = query
  for (const [name, value] of Object.entries({ subject, action, actor, kind })) {
    if (value === undefined || (typeof value === 'string' && value !== '' && value.length <= 512)) continue
    throw new InvalidInputError(name, 'is not a text of 1 to 512 characters', 'leave it out')
  }
  if (risk !== undefined && !RISKS.includes(risk)) {
    throw new InvalidInputError('risk', 'is not a risk', `use ${RISKS.join(', ')}`)
  }
  if (!Number.isInteger(limit) || limit < 1 || limit > 1000) {
    throw new InvalidInputError('limit', 'must be a whole number from 1 to 1000', 'leave it out for 100')
  }
  const from = query.from === undefined ? 0 : parseInstant('from', query.from)
  const to = query.to === undefined ? Number.POSITIVE_INFINITY : parseInstant('to', query.to)
  return {
    limit,
    reverse,
    from,
    to,
    range: { subject, reverse, ...(cursor !== undefined && { after: parseCursor(cursor) }) },
    matches: (entry) =>
      entry.at >= from &&
      entry.at < to &&
      (action === undefined || (action.endsWith('.') ? entry.action.startsWith(action) : entry.action === action)) &&
      (actor === undefined || entry.actor === actor) &&
      (kind === undefined || entry.kind === kind) &&
      (risk === undefined || atLeast(riskOf(entry), risk)),
  }
}

function parseCursor(cursor: unknown): number {
  const seq = typeof cursor === 'string' && cursor.length <= 16 ? Number(cursor) : Number.NaN
  if (Number.isSafeInteger(seq) && seq >= 0) return seq
  throw new InvalidInputError('cursor', 'is not one that a page gave', 'pass the cursor of the page before as it was')
}
