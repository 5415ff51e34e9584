import type { AnyKind, OrderKey } from '../kernel/kind.ts'
import { InvalidCommitError } from './errors.ts'

/** What a kind's order function gives. */
export type OrderKeys = OrderKey | readonly OrderKey[] | undefined

/** A function of {@link AnyKind.order}, for any record. */
export type OrderFunction = (record: unknown) => OrderKeys

/** A function of {@link AnyKind.unique}, for any record. */
export type UniqueFunction = (record: unknown) => readonly string[]

/** The longest id of a record and the longest key of an index, in characters. */
export const MAX_KEY_LENGTH = 512

/** How many keys one record may hold in one index. */
export const MAX_KEYS = 1000

/**
 * The keys of a record in an order index, checked: positions are safe integers, partitions are not empty. Keys of the
 * same partition count as one, the smallest.
 *
 * @throws InvalidCommitError when the kind's function gives something else
 */
export function checkOrderKeys(kind: AnyKind, index: string, keys: OrderKeys): OrderKeys {
  if (keys === undefined) return undefined
  if (!Array.isArray(keys)) {
    checkOrderKey(kind, index, keys as OrderKey)
    return keys
  }
  const list = keys as readonly OrderKey[]
  if (list.length > MAX_KEYS) throw new InvalidCommitError(`a ${kind.name} has more than ${MAX_KEYS} keys in ${index}`)
  for (const key of list) checkOrderKey(kind, index, key)
  if (list.length <= 1) return list[0]
  return mergePartitions(list)
}

function checkOrderKey(kind: AnyKind, index: string, key: OrderKey): void {
  if (typeof key !== 'object' || key === null || !Number.isSafeInteger(key.at)) {
    throw new InvalidCommitError(`a ${kind.name} has a position in ${index} that is not a safe integer`)
  }
  const part = key.in
  if (part !== undefined && (typeof part !== 'string' || part.length === 0 || part.length > MAX_KEY_LENGTH)) {
    throw new InvalidCommitError(
      `a ${kind.name} has a partition in ${index} that is not a text of 1 to ${MAX_KEY_LENGTH} characters`,
    )
  }
}

function mergePartitions(keys: readonly OrderKey[]): readonly OrderKey[] {
  const smallest = new Map<string | undefined, OrderKey>()
  for (const key of keys) {
    const seen = smallest.get(key.in)
    if (seen === undefined || key.at < seen.at) smallest.set(key.in, key)
  }
  return smallest.size === keys.length ? keys : [...smallest.values()]
}

/** Whether two results of an order function name the same points, in the same order. */
export function sameOrderKeys(a: OrderKeys, b: OrderKeys): boolean {
  if (a === undefined || b === undefined) return a === b
  const listed = Array.isArray(a)
  if (listed !== Array.isArray(b)) return false
  if (!listed) return (a as OrderKey).at === (b as OrderKey).at && (a as OrderKey).in === (b as OrderKey).in
  const left = a as readonly OrderKey[]
  const right = b as readonly OrderKey[]
  if (left.length !== right.length) return false
  for (let i = 0; i < left.length; i++) {
    if (left[i]?.at !== right[i]?.at || left[i]?.in !== right[i]?.in) return false
  }
  return true
}

/**
 * The keys of a record in a unique index, checked.
 *
 * @throws InvalidCommitError when one isn't a text of 1 to 512 characters, or there are more than 1000
 */
export function checkUniqueKeys(kind: AnyKind, index: string, keys: readonly string[]): readonly string[] {
  if (!Array.isArray(keys) || keys.length > MAX_KEYS) {
    throw new InvalidCommitError(`a ${kind.name} has no list of at most ${MAX_KEYS} keys in ${index}`)
  }
  for (let i = 0; i < keys.length; i++) {
    const key: unknown = keys[i]
    if (typeof key !== 'string' || key.length === 0 || key.length > MAX_KEY_LENGTH) {
      throw new InvalidCommitError(
        `a ${kind.name} has a key in ${index} that is not a text of 1 to ${MAX_KEY_LENGTH} characters`,
      )
    }
  }
  return keys
}

/** The position that a result of an order function has in a partition; NaN when it has none there. */
export function positionIn(keys: OrderKeys, part: string | undefined): number {
  if (keys === undefined) return Number.NaN
  if (!Array.isArray(keys)) return (keys as OrderKey).at
  const list = keys as readonly OrderKey[]
  let at = Number.NaN
  for (let i = 0; i < list.length; i++) {
    const key = list[i] as OrderKey
    if (key.in === part && !(key.at >= at)) at = key.at
  }
  return at
}
