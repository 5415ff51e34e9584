import type { AnyKind } from '../kernel/kind.ts'
import type { OrderFunction, UniqueFunction } from '../stores/order-keys.ts'

/** A unique index with its number in the database. */
export interface PgUnique {
  readonly ind: number
  readonly name: string
  readonly keysOf: UniqueFunction
}

/** An order index with its number in the database. */
export interface PgOrder {
  readonly ind: number
  readonly name: string
  readonly keysOf: OrderFunction
}

/** A kind with its number in the database, and its indexes with theirs. */
export interface PgKind {
  readonly kind: AnyKind
  readonly id: number
  /** Counts how often its index entries were made anew. */
  readonly version: number
  readonly uniques: readonly PgUnique[]
  readonly orders: readonly PgOrder[]
  readonly keeps: PgUnique | undefined
}

/** A record of its JSON text, not yet frozen. */
export function reviveBody(kind: AnyKind, body: string): unknown {
  const value: unknown = JSON.parse(body)
  return kind.revive === undefined ? value : kind.revive(value)
}
