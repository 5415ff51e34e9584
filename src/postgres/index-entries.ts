import type { AnyKind, OrderKey, Tombstone } from '../kernel/kind.ts'
import { InvalidCommitError } from '../stores/errors.ts'
import { checkOrderKeys, checkUniqueKeys } from '../stores/order-keys.ts'
import type { PgKind } from './pg-kind.ts'
import { isStorable, toStored } from './storable-text.ts'

/** An entry of a unique index: the index and the key. */
export type UniqueEntry = readonly [ind: number, key: string]

/** An entry of an order index: the index, the partition ('' = none) and the position. */
export type OrderEntry = readonly [ind: number, part: string, at: number]

const NONE: readonly never[] = Object.freeze([])

/**
 * The entries of a record, or of its tombstone, in the unique indexes of its kind.
 *
 * @throws InvalidCommitError when the kind's functions give what no index can hold
 */
export function uniqueEntries(
  { kind, uniques, keeps }: PgKind,
  value: unknown,
  tombstone: Tombstone | undefined,
): readonly UniqueEntry[] {
  if (value === undefined && tombstone === undefined) return NONE
  const entries: UniqueEntry[] = []
  for (const index of uniques) {
    if (value === undefined && index !== keeps) continue
    const keys = value === undefined ? (tombstone?.digests ?? NONE) : index.keysOf(value)
    const checked = checkUniqueKeys(kind, index.name, keys)
    for (let i = 0; i < checked.length; i++) {
      const key = checked[i] as string
      if (i === 0 || checked.indexOf(key) === i) entries.push([index.ind, storedText(kind, key)])
    }
  }
  return entries
}

/**
 * The entries of a record in the order indexes of its kind; none when it is gone.
 *
 * @throws InvalidCommitError when the kind's functions give what no index can hold
 */
export function orderEntries({ kind, orders }: PgKind, value: unknown): readonly OrderEntry[] {
  if (value === undefined) return NONE
  const entries: OrderEntry[] = []
  for (const order of orders) {
    const points = checkOrderKeys(kind, order.name, order.keysOf(value))
    if (points === undefined) continue
    if (!Array.isArray(points)) {
      entries.push(entryOf(kind, order.ind, points as OrderKey))
    } else {
      for (const point of points as readonly OrderKey[]) entries.push(entryOf(kind, order.ind, point))
    }
  }
  return entries
}

function entryOf(kind: AnyKind, ind: number, { at, in: part = '' }: OrderKey): OrderEntry {
  return [ind, storedText(kind, part), at]
}

/** An id, key or partition as the database holds it; refuses what it can't hold. */
export function storedText(kind: AnyKind, text: string): string {
  if (!isStorable(text)) {
    throw new InvalidCommitError(
      `an id, key or partition of a ${kind.name} is not well-formed Unicode, which PostgreSQL can't hold`,
    )
  }
  return toStored(text)
}
