import { systemClock } from '../kernel/clock.ts'
import type { Emitter, EventName, EventPayload } from '../kernel/emitter.ts'
import { TokenwrightError } from '../kernel/errors.ts'

/** One event as it was heard. */
export type RecordedEvent<Events extends object, Name extends EventName<Events> = EventName<Events>> = {
  readonly [N in Name]: { readonly name: N; readonly payload: EventPayload<Events, N> }
}[Name]

/** How {@link EventRecorder.waitFor} waits. */
export interface WaitForOptions<Payload> {
  /** Which events of that name count. Default: all. */
  readonly where?: (payload: Payload) => boolean
  /** How long to wait, in real milliseconds. Default: 1000. */
  readonly timeoutMs?: number
}

/** What an emitter has told since the recording began. */
export interface EventRecorder<Events extends object> {
  /** Everything heard, oldest first. Live: it grows. */
  readonly events: readonly RecordedEvent<Events>[]
  /** The names of everything heard, oldest first. */
  names(): EventName<Events>[]
  /**
   * The payload of the first such event that no `waitFor` has answered yet: one already recorded, else the next to
   * come. Waiting twice for a name thus answers its first and its second event.
   *
   * @throws EventTimeoutError when none came in time, or the recording was stopped
   */
  waitFor<Name extends EventName<Events>>(
    name: Name,
    options?: WaitForOptions<EventPayload<Events, Name>>,
  ): Promise<EventPayload<Events, Name>>
  /** Forgets what was heard. */
  clear(): void
  /** Stops listening; what was heard stays. */
  stop(): void
}

/** The event that a test waited for did not come. */
export class EventTimeoutError extends TokenwrightError<'ERR_EVENT_TIMEOUT'> {
  /** @param what - what was waited for, and what came instead */
  constructor(what: string) {
    super('ERR_EVENT_TIMEOUT', what, { help: 'look at what the code under test did instead, or wait longer' })
  }
}

interface Entry {
  readonly name: string
  readonly payload: unknown
}

interface Waiter {
  readonly name: string
  readonly where: ((payload: never) => boolean) | undefined
  answer(payload: unknown): void
  fail(why: string): void
}

/**
 * Records everything that an emitter tells, for tests.
 *
 * @param emitter - such as `tokens.events`
 * @example
 * ```ts
 * const recorder = recordEvents(tokens.events)
 * await tokens.revoke('billing')
 * const { service } = await recorder.waitFor('token.revoked')
 * expect(recorder.names()).toEqual(['token.generated', 'token.revoked'])
 * recorder.stop()
 * ```
 */
export function recordEvents<Events extends object>(emitter: Pick<Emitter<Events>, 'onAny'>): EventRecorder<Events> {
  const events: Entry[] = []
  /** Those that a `waitFor` has answered. */
  const taken = new WeakSet<Entry>()
  const waiters = new Set<Waiter>()

  const matches = (waiter: Waiter, entry: Entry): boolean =>
    entry.name === waiter.name && (waiter.where === undefined || waiter.where(entry.payload as never))

  const stop = emitter.onAny((name, payload) => {
    const entry: Entry = { name, payload }
    events.push(entry)
    for (const waiter of waiters) {
      if (!matches(waiter, entry)) continue
      taken.add(entry)
      waiter.answer(payload)
      return
    }
  })

  const waitFor = (name: string, options: WaitForOptions<never> = {}): Promise<unknown> =>
    new Promise((resolve, reject) => {
      const waiter: Waiter = {
        name,
        where: options.where,
        answer(payload) {
          waiters.delete(waiter)
          timer.cancel()
          resolve(payload)
        },
        fail(why) {
          waiters.delete(waiter)
          timer.cancel()
          const heard =
            events.length === 0
              ? 'nothing'
              : events
                  .slice(-20)
                  .map((entry) => entry.name)
                  .join(', ')
          reject(new EventTimeoutError(`${name} didn't come ${why}; heard: ${heard}`))
        },
      }
      const timeoutMs = options.timeoutMs ?? 1000
      const timer = systemClock().setTimer(timeoutMs, () => waiter.fail(`within ${timeoutMs} ms`), { keepAlive: true })
      const past = events.find((entry) => !taken.has(entry) && matches(waiter, entry))
      if (past === undefined) {
        waiters.add(waiter)
      } else {
        taken.add(past)
        waiter.answer(past.payload)
      }
    })

  return {
    events: events as unknown as readonly RecordedEvent<Events>[],
    names: () => events.map((entry) => entry.name as EventName<Events>),
    waitFor: waitFor as EventRecorder<Events>['waitFor'],
    clear: () => {
      events.length = 0
    },
    stop: () => {
      stop()
      for (const waiter of waiters) waiter.fail('before the recording was stopped')
    },
  }
}
