/** A count over the last while, in two numbers: those of the current stretch of time and of the one before. */
export interface SlidingCount {
  /** When the current stretch began, epoch ms. */
  readonly start: number
  readonly current: number
  readonly previous: number
}

/**
 * A sliding count after one more.
 *
 * @param before - what it was; `undefined` = nothing yet
 * @param now - epoch ms; one that went backwards counts into the current stretch
 * @param perMs - the window
 */
export function countOne(before: SlidingCount | undefined, now: number, perMs: number): SlidingCount {
  const start = now - (now % perMs)
  if (before === undefined || start - before.start > perMs) return { start, current: 1, previous: 0 }
  if (start > before.start) return { start, current: 1, previous: before.current }
  return { start: before.start, current: before.current + 1, previous: before.previous }
}

/**
 * How many there were within the window that ends now: exact within the first stretch, then as if those of the stretch
 * before had come evenly. Rounded up.
 */
export function recentCount({ start, current, previous }: SlidingCount, now: number, perMs: number): number {
  const passed = Math.min(1, Math.max(0, (now - start) / perMs))
  return Math.ceil(current + previous * (1 - passed))
}
