import { InvalidInputError } from '../kernel/errors.ts'
import type { AnyKind } from '../kernel/kind.ts'
import { MAX_KEY_LENGTH } from './order-keys.ts'
import type { OrderPoint, OrderRange } from './order-range.ts'
import type { JournalQuery, ListQuery } from './token-store.ts'
import type { UsageQuery } from './usage-rows.ts'

/** The most records of a page. */
export const MAX_PAGE = 1000

/** The most usage rows of an answer. */
export const MAX_USAGE_PAGE = 10_000

/** Refuses a limit that isn't a whole number from 1 to `max`. */
export function checkLimit(limit: unknown, max: number): void {
  if (!Number.isInteger(limit) || (limit as number) < 1 || (limit as number) > max) {
    throw new InvalidInputError('limit', `is not a whole number from 1 to ${max}`, 'read page by page')
  }
}

/**
 * The ids of a `rows` call, checked.
 *
 * @throws InvalidInputError when there are more than 1000
 */
export function checkIds(ids: readonly string[]): void {
  if (Array.isArray(ids) && ids.length <= MAX_PAGE) return
  throw new InvalidInputError('ids', `are no list of at most ${MAX_PAGE}`, 'ask in parts')
}

/**
 * A list query with its defaults filled in.
 *
 * @throws InvalidInputError when the kind has no such index, or a bound, the limit or the cursor can't be used
 */
export function checkList(kind: AnyKind, query: ListQuery): OrderRange {
  if (!Object.hasOwn(kind.order, query.index)) {
    throw new InvalidInputError('index', `is not an order index of ${kind.name}`, 'use one that the kind defines')
  }
  checkLimit(query.limit, MAX_PAGE)
  return {
    part: query.in,
    from: bound('from', query.from, Number.NEGATIVE_INFINITY),
    to: bound('to', query.to, Number.POSITIVE_INFINITY),
    reverse: query.reverse === true,
    after: query.cursor === undefined ? undefined : parseCursor(query.cursor),
    limit: query.limit,
  }
}

function bound(field: string, value: number | undefined, missing: number): number {
  if (value === undefined) return missing
  if (typeof value !== 'number' || Number.isNaN(value)) {
    throw new InvalidInputError(field, 'is not a position', 'give a number')
  }
  return value
}

/** Refuses a unique index that the kind doesn't have. */
export function checkUniqueIndex(kind: AnyKind, index: string): void {
  if (!Object.hasOwn(kind.unique, index)) {
    throw new InvalidInputError('index', `is not a unique index of ${kind.name}`, 'use one that the kind defines')
  }
}

/** A journal query's bounds and limit, checked. */
export function checkJournalQuery(query: JournalQuery): void {
  checkLimit(query.limit, MAX_PAGE)
  bound('after', query.after, 0)
}

/** A usage query's bounds and limit, checked. */
export function checkUsageQuery(query: UsageQuery): void {
  checkLimit(query.limit, MAX_USAGE_PAGE)
  bound('from', query.from, 0)
  bound('to', query.to, 0)
  const after = query.after
  if (after === undefined) return
  const texts = typeof after.token === 'string' && typeof after.tool === 'string' && typeof after.outcome === 'string'
  if (!texts || !Number.isSafeInteger(after.hour)) {
    throw new InvalidInputError('after', 'is not a usage row', 'pass the last row of the page before')
  }
}

/** The most journal entries that are sealed, or let go of, at a time. */
export const MAX_SEALED = 10_000

/** The cursor of a page that ended with this record. */
export function cursorAt(at: number, id: string): string {
  return `${at}:${id}`
}

/** Reads a cursor back. */
export function parseCursor(cursor: string): OrderPoint {
  const colon = typeof cursor === 'string' && cursor.length <= MAX_KEY_LENGTH + 20 ? cursor.indexOf(':') : -1
  const at = colon < 1 ? Number.NaN : Number(cursor.slice(0, colon))
  if (!Number.isSafeInteger(at)) {
    throw new InvalidInputError('cursor', 'is not one that a page gave', 'pass the cursor of the page before as it was')
  }
  return { at, id: cursor.slice(colon + 1) }
}
