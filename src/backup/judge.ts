import { isDeepStrictEqual } from 'node:util'
import type { Tombstone } from '../kernel/kind.ts'
import type { ScanRow } from '../stores/token-store.ts'
import type { ArchivedKind } from './archived-kind.ts'

/**
 * - `merge`: the newer record wins, and what has ended stays so, whichever says it.
 * - `missing_only`: nothing that is here is touched.
 * - `replace`: the archived record wins, but for what has ended; what the archive doesn't have is removed.
 */
export type RestoreMode = 'merge' | 'missing_only' | 'replace'

/**
 * What becomes of one record of an archive:
 *
 * - written: `create` (nothing is here), `older_in_store` (the archived one takes its place), `merged` (parts of both),
 *   `remove` (it goes, and a tombstone stays);
 * - not written: `identical`, `newer_in_store`, `present` (it differs, and the mode leaves what is here), `left_out`
 *   (its kind isn't restored);
 * - refused: `would_revive` (it has been removed or revoked here), `conflict` (another record holds its name or one
 *   of its digests), `orphan` (what it belongs to isn't here).
 */
export type Fate =
  | 'create'
  | 'older_in_store'
  | 'merged'
  | 'remove'
  | 'identical'
  | 'newer_in_store'
  | 'present'
  | 'left_out'
  | 'would_revive'
  | 'conflict'
  | 'orphan'

/** The fates that write. */
export const WRITTEN: readonly Fate[] = ['create', 'older_in_store', 'merged', 'remove']

/** The fates that refuse. */
export const REFUSED: readonly Fate[] = ['would_revive', 'conflict', 'orphan']

/** What a record is to become. */
export type Outcome = { readonly value: unknown } | { readonly tombstone: Tombstone }

/** What becomes of a record, and what is written. */
export interface Judgement {
  readonly fate: Fate
  /** Absent = nothing is written. */
  readonly to?: Outcome
}

/**
 * Decides what becomes of one record of an archive. Pure.
 *
 * @param of - its kind
 * @param row - the record, or what remains of it, in the archive
 * @param here - what stands in the store
 * @param mode - the mode of the restore
 * @param atRest - whether records come back so that nothing starts by itself
 */
export function judge(
  of: ArchivedKind,
  row: ScanRow,
  here: ScanRow | undefined,
  mode: RestoreMode,
  atRest: boolean,
): Judgement {
  if ('tombstone' in row) return judgeTombstone(of, row.tombstone, here, mode)
  const revived: unknown = of.kind.revive === undefined ? row.value : of.kind.revive(row.value)
  const archived = atRest && of.atRest !== undefined ? of.atRest(revived) : revived
  if (here === undefined) {
    const value: unknown = of.kind.merge(undefined, archived, 'newer')
    return value === undefined ? { fate: 'left_out' } : { fate: 'create', to: { value } }
  }
  if ('tombstone' in here) return { fate: 'would_revive' }
  if (isDeepStrictEqual(archived, here.value)) return { fate: 'identical' }
  if (mode === 'missing_only') return { fate: 'present' }
  const revives = of.ended?.(here.value) === true && of.ended(archived) === false
  if (revives) return { fate: 'would_revive' }
  const value: unknown = of.kind.merge(here.value, archived, mode === 'replace' ? 'archived' : 'newer')
  if (value === undefined || isDeepStrictEqual(value, here.value)) return { fate: 'newer_in_store' }
  return { fate: isDeepStrictEqual(value, archived) ? 'older_in_store' : 'merged', to: { value } }
}

/** Removed wins: what the archive knows to be gone goes, and its keys stay taken together with those that it has here. */
function judgeTombstone(of: ArchivedKind, grave: Tombstone, here: ScanRow | undefined, mode: RestoreMode): Judgement {
  if (here === undefined) return { fate: 'create', to: { tombstone: grave } }
  if ('tombstone' in here) return { fate: 'identical' }
  if (mode === 'missing_only') return { fate: 'present' }
  const digests = [...new Set([...grave.digests, ...keptKeys(of, here.value)])]
  return { fate: 'remove', to: { tombstone: { ...grave, digests } } }
}

/** What remains of a record that the archive doesn't have, in mode `replace`. */
export function graveOf(of: ArchivedKind, value: unknown, now: number): Tombstone {
  return { endedAt: now, reason: 'restored', digests: keptKeys(of, value) }
}

function keptKeys({ kind }: ArchivedKind, value: unknown): readonly string[] {
  return kind.keeps === undefined ? [] : (kind.unique[kind.keeps]?.(value) ?? [])
}
