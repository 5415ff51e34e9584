import type { Clock } from '../kernel/clock.ts'
import type { EventSink } from '../kernel/emitter.ts'
import { codeOf } from '../kernel/errors.ts'
import { HealHeldError } from './errors.ts'
import type { CloudflareEvents } from './events.ts'
import { ofState } from './marks.ts'
import type { HealerState } from './state.ts'

/** Where leases are kept. */
export interface LeaseOptions {
  readonly state: HealerState
  readonly clock: Clock
  readonly events: EventSink<CloudflareEvents>
}

/** How long a lease holds, ms: longer than a change with all its looks takes, or all attempts to hand a value over. */
const LEASE_MS = 10 * 60_000

/**
 * Does something to a token while no other healer does.
 *
 * @param token - its id, the target's name, and an id that nobody else has
 * @throws HealHeldError when another is at it; HealerStateError; what `act` throws
 * @event stateFailed when the lease can't be given back: it is over in time
 */
export async function underLease<T>(
  { state, clock, events }: LeaseOptions,
  { id, name, holder }: { readonly id: string; readonly name: string; readonly holder: string },
  act: () => Promise<T>,
): Promise<T> {
  const lease = `token:${id}`
  const now = clock.now()
  const taken = await ofState('taking a lease', () => state.lease(lease, holder, now + LEASE_MS, now))
  if (!taken) throw new HealHeldError(name, 'busy')
  try {
    return await act()
  } finally {
    try {
      await state.release(lease, holder)
    } catch (error) {
      events.emit('stateFailed', { at: clock.now(), operation: 'releasing a lease', code: codeOf(error) })
    }
  }
}
