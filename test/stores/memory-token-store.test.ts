import { describe, expect, it } from 'vitest'
import { createClock } from '../../src/kernel/clock.ts'
import { MemoryTokenStore } from '../../src/stores/memory-token-store.ts'
import { tokenStoreSuite } from '../../src/testing/token-store-suite.ts'

/** A clock that stands still until it is moved. */
function movable() {
  let now = Date.UTC(2026, 5, 15, 12)
  const clock = createClock({ wall: () => now, monotonic: () => now })
  const advance = (ms: number): void => {
    now += ms
  }
  return { clock, advance }
}

tokenStoreSuite(
  () => {
    const { clock, advance } = movable()
    return { store: new MemoryTokenStore({ clock }), advance }
  },
  { describe, it, expect },
)
