import type { OrderRange } from '../stores/order-range.ts'
import { isStorable, toStored } from './storable-text.ts'

/** Beyond all positions, which are safe integers, and within the column's type. */
const BEYOND = 2 ** 53

/**
 * What the statements of a list are given of a range: partition, the point after which they begin (position, id), and the
 * end. Undefined when nothing can be in it.
 */
export function listValues({
  part = '',
  from,
  to,
  reverse,
  after,
}: OrderRange): readonly [part: string, at: number, id: string, end: number] | undefined {
  if (!isStorable(part)) return undefined
  // Bounds needn't be whole: at >= 1.5 is at >= 2, and at < 1.5 is at < 2.
  const [low, high] = [clamp(from), clamp(to)]
  // A cursor may stand outside of the range that is asked for now.
  const inRange = after !== undefined && (reverse ? after.at < to : after.at >= from)
  // No id is empty: after (from, '') comes everything at `from`, before (to, '') nothing at `to`.
  const [at, id] = inRange ? [after.at, toStored(after.id.toWellFormed())] : [reverse ? high : low, '']
  return [toStored(part), at, id, reverse ? low : high]
}

function clamp(at: number): number {
  return Math.max(-BEYOND, Math.min(BEYOND, Math.ceil(at)))
}
