import type { OrderKey } from '../kernel/kind.ts'
import type { OrderKeys } from '../stores/order-keys.ts'

const NONE: readonly OrderKey[] = Object.freeze([])

/** The points of an order function's result, as a list. */
export function eachPoint(keys: OrderKeys): readonly OrderKey[] {
  if (keys === undefined) return NONE
  return Array.isArray(keys) ? (keys as readonly OrderKey[]) : [keys as OrderKey]
}
