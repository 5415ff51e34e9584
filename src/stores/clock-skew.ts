import type { Clock } from '../kernel/clock.ts'
import type { HealthSource } from '../kernel/health.ts'
import type { TokenStore } from './token-store.ts'

/** Clocks that are further apart than this don't agree on deadlines, ms. */
export const MAX_SKEW = 60_000

/** How far a store's clock is ahead of this process's, ms. */
export async function measureSkew(store: TokenStore, clock: Clock): Promise<number> {
  const before = clock.now()
  const time = await store.time()
  // Half of the way there and back: what a slow answer adds is no skew.
  return time - (before + clock.now()) / 2
}

/** How a store is: whether it answers, and agrees with this process on the time. */
export async function storeHealth(store: TokenStore, clock: Clock): Promise<HealthSource> {
  const offset = await measureSkew(store, clock)
  if (Math.abs(offset) <= MAX_SKEW) return { status: 'healthy', reasons: [] }
  return { status: 'degraded', reasons: [`its clock is ${Math.round(offset / 1000)} s away from this process's`] }
}
