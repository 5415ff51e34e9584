import { LATENCY_BOUNDS } from '../stores/usage-rows.ts'

/**
 * A quantile of a latency histogram, ms: the bucket where it falls, and within that a straight line from the bucket's lower
 * bound to its upper one. Off by no more than the bucket is wide. The last bucket has no upper bound: what falls there
 * is told as its lower one, 10,000, so it took at least that long.
 *
 * @param histogram - calls by duration, one more than {@link LATENCY_BOUNDS}
 * @param q - from 0 to 1, such as 0.95
 * @returns `undefined` where no call was timed
 */
export function quantileOf(histogram: readonly number[], q: number): number | undefined {
  let total = 0
  for (const calls of histogram) total += calls
  if (total === 0) return undefined
  const rank = q * total
  let below = 0
  for (let i = 0; i < LATENCY_BOUNDS.length; i++) {
    const calls = histogram[i] ?? 0
    const lower = i === 0 ? 0 : (LATENCY_BOUNDS[i - 1] as number)
    if (calls > 0 && below + calls >= rank)
      return lower + ((LATENCY_BOUNDS[i] as number) - lower) * Math.max(0, (rank - below) / calls)
    below += calls
  }
  return LATENCY_BOUNDS.at(-1)
}
