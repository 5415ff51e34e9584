import { matches, rangeFor, type TokenFilter } from '../issuing/token-filter.ts'
import { type Duration, parseDuration } from '../kernel/duration.ts'
import { abbreviated, InvalidInputError } from '../kernel/errors.ts'
import { checkFields } from '../kernel/fields.ts'
import type { Stored } from '../kernel/kind.ts'
import type { TokenStore } from '../stores/token-store.ts'
import { type TokenRecord, tokenKind } from '../tokens/record.ts'
import type { TokenView } from '../tokens/token-view.ts'
import { viewOf } from '../tokens/view.ts'

/** Which tokens a bulk rotation is about: one of these, or none of them for all live tokens. */
export interface BulkSelection {
  /** These, by name. An empty list = none. */
  readonly services?: readonly string[] | undefined
  /** So many, those whose current version is oldest first. */
  readonly oldest?: number | undefined
  /** Those whose current version is older than this. */
  readonly olderThan?: Duration | undefined
  /** Those of an owner, with a tag, of a level or of a type. */
  readonly where?: Omit<TokenFilter, 'status'> | undefined
}

/** Tokens read at a time. */
const PAGE = 500

const SELECTORS = ['services', 'oldest', 'olderThan', 'where'] as const

/** A selection, checked. */
export type CheckedSelection =
  | { readonly by: 'services'; readonly services: readonly string[] }
  | { readonly by: 'oldest'; readonly count: number }
  | { readonly by: 'age'; readonly ms: number }
  | { readonly by: 'where'; readonly where: TokenFilter }
  | { readonly by: 'all' }

/**
 * Checks a selection.
 *
 * @throws InvalidInputError for several selectors, one that is there but undefined, or one that can't be used
 */
export function checkSelection(input: BulkSelection): CheckedSelection {
  const given = SELECTORS.filter((selector) => selector in input)
  for (const selector of given) {
    // A variable that was meant to narrow the selection, and is empty, must not widen it to all.
    if (input[selector] === undefined) {
      throw new InvalidInputError(selector, 'is there, but undefined', 'leave it out to rotate all live tokens')
    }
  }
  if (given.length > 1) {
    throw new InvalidInputError(given[1] as string, `can't go with ${given[0]}`, 'give one selector')
  }
  const { services, oldest, olderThan, where } = input
  if (services !== undefined) {
    if (!Array.isArray(services) || services.length > 100_000 || !services.every((name) => typeof name === 'string')) {
      throw new InvalidInputError('services', 'must be a list of at most 100,000 names', "write ['MY_API', …]")
    }
    return { by: 'services', services: [...new Set(services)] }
  }
  if (oldest !== undefined) {
    if (!Number.isSafeInteger(oldest) || oldest < 1) {
      throw new InvalidInputError('oldest', 'must be a whole number from 1', 'leave it out for all live tokens')
    }
    return { by: 'oldest', count: oldest }
  }
  if (olderThan !== undefined) return { by: 'age', ms: parseDuration('olderThan', olderThan, { min: 1000 }) }
  if (where !== undefined) {
    checkFields('where', where, ['owner', 'tag', 'level', 'type'])
    for (const [field, value] of Object.entries(where)) {
      if (value === undefined) {
        throw new InvalidInputError(`where.${abbreviated(field)}`, 'is there, but undefined', 'leave it out')
      }
    }
    if (Object.keys(where).length === 0) {
      throw new InvalidInputError('where', 'names nothing', 'leave it out for all live tokens')
    }
    return { by: 'where', where }
  }
  return { by: 'all' }
}

/** A token of a selection; without a record when there is none of that name. */
export interface Candidate {
  readonly service: string
  readonly stored: Stored<TokenRecord> | undefined
}

/**
 * The tokens of a selection, page by page, oldest version first where the selection is by age. Tokens that are rotated
 * meanwhile move behind `startedAt` and aren't met again.
 *
 * @param startedAt - when the batch began, epoch ms
 * @param filter - what else decides
 */
export async function* candidates(
  store: TokenStore,
  selection: CheckedSelection,
  startedAt: number,
  filter: ((token: TokenView) => boolean) | undefined,
): AsyncGenerator<Candidate> {
  if (selection.by === 'services') {
    for (const service of selection.services) {
      const stored = await store.find(tokenKind, 'service', [service])
      if (stored === undefined || passes(stored, filter, startedAt)) yield { service, stored }
    }
    return
  }
  const range =
    selection.by === 'where'
      ? rangeFor(selection.where, 'created', startedAt)
      : ({ index: 'rotated', to: startedAt - (selection.by === 'age' ? selection.ms : 0) + 1 } as const)
  for (let cursor: string | undefined; ; ) {
    const page = await store.list(tokenKind, { ...range, limit: PAGE, cursor })
    for (const stored of page.items) {
      const { value: token } = stored
      if (token.revoked !== undefined || token.nameReleased || token.canary) continue
      if (selection.by === 'where' && !matches(token, selection.where, startedAt)) continue
      if (passes(stored, filter, startedAt)) yield { service: token.service, stored }
    }
    cursor = page.cursor
    if (cursor === undefined) return
  }
}

function passes(
  stored: Stored<TokenRecord>,
  filter: ((token: TokenView) => boolean) | undefined,
  now: number,
): boolean {
  return filter === undefined || filter(viewOf(stored, now)) === true
}
