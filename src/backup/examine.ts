import type { AnyKind, Kind } from '../kernel/kind.ts'
import type { ScanRow, TokenStore } from '../stores/token-store.ts'
import type { ArchivedKind } from './archived-kind.ts'
import { type Judgement, judge, type RestoreMode } from './judge.ts'

/** A record of an archive beside what stands in the store. */
export interface Examined extends Judgement {
  readonly of: ArchivedKind
  readonly row: ScanRow
  /** The revision in the store; 0 = nothing is there. */
  readonly revision: number
}

/** How records are examined. */
export interface Examination {
  readonly store: TokenStore
  readonly mode: RestoreMode
  readonly atRest: boolean
  /** Whether an owner that isn't in the store counts as there, because the same restore will bring it. */
  readonly willCome: (kind: string, id: string) => boolean
}

/** Looks at what stands in the store for some records of one kind, and decides. */
export async function examine(
  { store, mode, atRest, willCome }: Examination,
  of: ArchivedKind,
  rows: readonly ScanRow[],
): Promise<Examined[]> {
  const here = await rowsAt(
    store,
    of.kind,
    rows.map(({ id }) => id),
  )
  const orphans = of.owner === undefined ? undefined : await findOrphans(store, of.owner, rows, willCome)
  return rows.map((row, i) => {
    const stands = here[i]
    const revision = stands?.revision ?? 0
    const judgement = judge(of, row, stands, mode, atRest)
    if (judgement.to === undefined || !orphans?.has(row.id)) return { of, row, revision, ...judgement }
    return { of, row, revision, fate: 'orphan' }
  })
}

/** What stands at some ids. A store that can't tell is asked one by one, and its tombstones stay unknown. */
export async function rowsAt(
  store: TokenStore,
  kind: AnyKind,
  ids: readonly string[],
): Promise<readonly (ScanRow | undefined)[]> {
  if (store.rows !== undefined) return await store.rows(kind, ids)
  return Promise.all(
    ids.map(async (id) => {
      const stored = await store.get(kind as Kind<unknown>, id)
      return stored === undefined ? undefined : { kind: kind.name, ...stored }
    }),
  )
}

/** The ids of records whose owner isn't there. */
async function findOrphans(
  store: TokenStore,
  owner: NonNullable<ArchivedKind['owner']>,
  rows: readonly ScanRow[],
  willCome: Examination['willCome'],
): Promise<Set<string>> {
  const owned = rows.flatMap((row) => ('value' in row ? [{ id: row.id, owner: owner(row.id, row.value) }] : []))
  const orphans = new Set<string>()
  const [first] = owned
  if (first === undefined) return orphans
  const ids = owned.map((each) => each.owner.id)
  const stand = await rowsAt(store, first.owner.kind, ids)
  for (const [i, each] of owned.entries()) {
    const stands = stand[i]
    const there = stands === undefined ? willCome(each.owner.kind.name, each.owner.id) : 'value' in stands
    if (!there) orphans.add(each.id)
  }
  return orphans
}

/**
 * Whether another record, which the restore leaves, holds a key that a record is to have.
 *
 * @param goes - whether the restore removes that other record
 */
export async function isTaken(
  store: TokenStore,
  { of, row, to }: Examined,
  goes: (kind: string, id: string) => boolean,
): Promise<boolean> {
  if (to === undefined || !('value' in to)) return false
  const { kind } = of
  for (const index of Object.keys(kind.unique)) {
    for (const key of kind.unique[index]?.(to.value) ?? []) {
      const holder = await store.find(kind as Kind<unknown>, index, [key])
      if (holder !== undefined && holder.id !== row.id && !goes(kind.name, holder.id)) return true
    }
  }
  return false
}
