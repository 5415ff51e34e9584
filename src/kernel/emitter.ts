import { EventEmitter } from 'eventemitter3'

/** A listener failed: it threw, or the promise that it returned was rejected. */
export interface ListenerErrorEvent {
  /** The event that it listened to. */
  readonly event: string
  /** What it threw. */
  readonly error: unknown
}

/** The names of a map's events, and `listenerError`, which every emitter has. */
export type EventName<Events extends object> = (keyof Events & string) | 'listenerError'

/** The payload that goes with an event's name. */
export type EventPayload<Events extends object, Name extends string> = Name extends keyof Events
  ? Events[Name]
  : ListenerErrorEvent

/** What hears events. It may be async; what it returns is ignored, what it throws becomes a `listenerError` event. */
export type Listener<Payload> = (payload: Payload) => unknown

/** What hears every event of an emitter. */
export type AnyListener<Events extends object> = <Name extends EventName<Events>>(
  name: Name,
  payload: EventPayload<Events, Name>,
) => unknown

/**
 * What a component needs of the emitter that it tells its events to. An emitter with more events than these fits too.
 *
 * @typeParam Events - a map from the events' names to their payloads
 */
export interface EventSink<out Events extends object> {
  /** Tells all listeners, in the order in which they came. Never throws. */
  emit<Name extends keyof Events & string>(name: Name, payload: Events[Name]): void
  /** How many listeners would hear this event: with 0, its payload need not be made. */
  listenerCount(name: keyof Events & string): number
  /** Emits `listenerError`: for callbacks and hooks that are no listeners and failed all the same. */
  listenerFailed(event: string, error: unknown): void
}

/** A listener with its fences around it, as eventemitter3 holds it. */
interface Fenced {
  (...args: readonly unknown[]): void
  /** The listener inside. */
  readonly listener: unknown
}

/** The name under which those are held that hear all events. */
const ANY = Symbol('any')

/**
 * A typed emitter whose listeners can't hurt: one that throws, or whose promise is rejected, neither reaches the caller
 * of {@link Emitter.emit} nor goes unhandled. It becomes a `listenerError` event; should a listener of that fail too, it is counted in
 * {@link Emitter.lostErrors}, and that is all.
 *
 * Listeners are called synchronously, in the order in which they came, those of {@link Emitter.onAny} last.
 *
 * @typeParam Events - a map from the events' names to their payloads, each a named interface
 * @example
 * ```ts
 * const events = new Emitter<{ 'token.revoked': TokenRevokedEvent }>()
 * const stop = events.on('token.revoked', async ({ service }) => notify(service))
 * events.on('listenerError', ({ event, error }) => console.error(event, error))
 * stop()
 * ```
 */
export class Emitter<Events extends object> implements EventSink<Events> {
  readonly #listeners = new EventEmitter<string | symbol>()
  #anyCount = 0
  #lostErrors = 0

  /** How many errors of `listenerError` listeners were swallowed. */
  get lostErrors(): number {
    return this.#lostErrors
  }

  /**
   * Calls `listener` at each `name` event; one that was added twice is called twice.
   *
   * @returns the way to take back this registration; calling it again does nothing
   */
  on<Name extends EventName<Events>>(name: Name, listener: Listener<EventPayload<Events, Name>>): () => void {
    const fenced = this.#fence(name, listener as Listener<unknown>)
    this.#listeners.on(name, fenced)
    return () => void this.#listeners.removeListener(name, fenced)
  }

  /** As {@link Emitter.on}, for the next `name` event only. */
  once<Name extends EventName<Events>>(name: Name, listener: Listener<EventPayload<Events, Name>>): () => void {
    const fenced = this.#fence(name, listener as Listener<unknown>)
    this.#listeners.once(name, fenced)
    return () => void this.#listeners.removeListener(name, fenced)
  }

  /** Takes back all registrations of `listener` for `name`, by {@link Emitter.on} or {@link Emitter.once}. */
  off<Name extends EventName<Events>>(name: Name, listener: Listener<EventPayload<Events, Name>>): void {
    for (const fenced of this.#listeners.listeners(name)) {
      if ((fenced as unknown as Fenced).listener === listener) this.#listeners.removeListener(name, fenced)
    }
  }

  /**
   * Calls `listener` with name and payload of every event, after the event's own listeners.
   *
   * @returns the way to stop; calling it again does nothing
   */
  onAny(listener: AnyListener<Events>): () => void {
    const call = listener as (name: string, payload: unknown) => unknown
    const fenced = Object.assign(
      (name: string, payload: unknown): void => {
        try {
          this.#watch(name, call(name, payload))
        } catch (error) {
          this.listenerFailed(name, error)
        }
      },
      { listener },
    )
    this.#listeners.on(ANY, fenced)
    this.#anyCount = this.#listeners.listenerCount(ANY)
    return () => {
      this.#listeners.removeListener(ANY, fenced)
      this.#anyCount = this.#listeners.listenerCount(ANY)
    }
  }

  /** Tells all listeners, in the order in which they came. Never throws. */
  emit<Name extends keyof Events & string>(name: Name, payload: Events[Name]): void {
    this.#listeners.emit(name, payload)
    if (this.#anyCount > 0) this.#listeners.emit(ANY, name, payload)
  }

  /** How many listeners would hear this event, those of {@link Emitter.onAny} counted. */
  listenerCount(name: EventName<Events>): number {
    return this.#listeners.listenerCount(name) + this.#anyCount
  }

  /**
   * Emits `listenerError`: for callbacks and hooks that are no listeners and failed all the same.
   *
   * @param event - what the callback was called for
   * @param error - what it threw
   */
  listenerFailed(event: string, error: unknown): void {
    if (event === 'listenerError') {
      this.#lostErrors += 1
      return
    }
    const payload: ListenerErrorEvent = Object.freeze({ event, error })
    this.#listeners.emit('listenerError', payload)
    if (this.#anyCount > 0) this.#listeners.emit(ANY, 'listenerError', payload)
  }

  #fence(name: string, listener: Listener<unknown>): (payload: unknown) => void {
    const fenced = (payload: unknown): void => {
      try {
        this.#watch(name, listener(payload))
      } catch (error) {
        this.listenerFailed(name, error)
      }
    }
    return Object.assign(fenced, { listener })
  }

  /** Catches what an async listener rejects with. */
  #watch(name: string, result: unknown): void {
    if (typeof result !== 'object' || result === null || !('then' in result)) return
    Promise.resolve(result).then(undefined, (error: unknown) => this.listenerFailed(name, error))
  }
}
