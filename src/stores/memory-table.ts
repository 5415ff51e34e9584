import type { AnyKind, Tombstone } from '../kernel/kind.ts'
import type { Row } from './memory-row.ts'
import { OrderIndex } from './order-index.ts'
import type { OrderFunction, UniqueFunction } from './order-keys.ts'

/** One unique index of the memory store. */
export interface UniqueIndex {
  readonly name: string
  readonly keysOf: UniqueFunction
  /** Who holds each key: a row, or the row of a removed record whose keys stay taken. */
  readonly holders: Map<string, Row>
}

/** One order index of the memory store. */
export interface NamedOrder {
  readonly name: string
  readonly keysOf: OrderFunction
  readonly index: OrderIndex
}

/** The records of one kind in the memory store, with their indexes. */
export class MemoryTable {
  readonly kind: AnyKind
  /** By id; a removed record that left a tombstone stays, with value `undefined`. */
  readonly rows = new Map<string, Row>()
  readonly tombstones = new Map<string, Tombstone>()
  readonly uniques: readonly UniqueIndex[]
  readonly orders: readonly NamedOrder[]
  /** The index whose keys tombstones keep. */
  readonly keeps: UniqueIndex | undefined

  constructor(kind: AnyKind) {
    this.kind = kind
    this.uniques = Object.keys(kind.unique).map((name) => ({
      name,
      keysOf: kind.unique[name] as UniqueFunction,
      holders: new Map<string, Row>(),
    }))
    this.orders = Object.keys(kind.order).map((name) => {
      const keysOf = kind.order[name] as OrderFunction
      return { name, keysOf, index: new OrderIndex(keysOf) }
    })
    this.keeps = this.uniques.find((index) => index.name === kind.keeps)
  }

  unique(name: string): UniqueIndex | undefined {
    for (const index of this.uniques) if (index.name === name) return index
    return undefined
  }

  order(name: string): NamedOrder | undefined {
    for (const order of this.orders) if (order.name === name) return order
    return undefined
  }
}
