import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { afterEach, beforeEach, describe, expect, expectTypeOf, it } from 'vitest'
import { Emitter, type EventSink, type ListenerErrorEvent } from '../../src/kernel/emitter.ts'

interface Opened {
  readonly id: string
}
interface Closed {
  readonly id: string
  readonly reason: string
}
interface DoorEvents {
  'door.opened': Opened
  'door.closed': Closed
}

const unhandled: unknown[] = []
const note = (error: unknown) => void unhandled.push(error)
beforeEach(() => void process.on('unhandledRejection', note))
afterEach(async () => {
  await new Promise(setImmediate)
  process.off('unhandledRejection', note)
  expect(unhandled.splice(0)).toEqual([])
})

const settle = () => new Promise(setImmediate)

describe('listening', () => {
  it('tells listeners in the order in which they came, those of all events last', () => {
    const events = new Emitter<DoorEvents>()
    const heard: string[] = []
    events.onAny((name, payload) => heard.push(`any ${name} ${(payload as Opened).id}`))
    events.on('door.opened', ({ id }) => heard.push(`first ${id}`))
    events.on('door.opened', ({ id }) => heard.push(`second ${id}`))
    events.on('door.closed', ({ reason }) => heard.push(reason))
    events.emit('door.opened', { id: 'a' })
    expect(heard).toEqual(['first a', 'second a', 'any door.opened a'])
  })

  it('stops by the returned function, one registration a function', () => {
    const events = new Emitter<DoorEvents>()
    let heard = 0
    const listener = () => {
      heard += 1
    }
    const stop = events.on('door.opened', listener)
    events.on('door.opened', listener)
    expect(events.listenerCount('door.opened')).toBe(2)
    stop()
    stop()
    expect(events.listenerCount('door.opened')).toBe(1)
    events.emit('door.opened', { id: 'a' })
    expect(heard).toBe(1)
    events.once('door.opened', listener)
    events.off('door.opened', listener)
    events.off('door.opened', listener)
    events.off('door.closed', listener)
    events.emit('door.opened', { id: 'a' })
    expect(heard).toBe(1)
    expect(events.listenerCount('door.opened')).toBe(0)
  })

  it('hears once', () => {
    const events = new Emitter<DoorEvents>()
    let heard = 0
    events.once('door.opened', () => {
      heard += 1
      events.emit('door.opened', { id: 'inner' })
    })
    const stop = events.once('door.opened', () => {
      heard += 10
    })
    stop()
    events.emit('door.opened', { id: 'a' })
    events.emit('door.opened', { id: 'b' })
    expect(heard).toBe(1)
  })

  it('counts those that hear everything too', () => {
    const events = new Emitter<DoorEvents>()
    expect(events.listenerCount('door.opened')).toBe(0)
    const stop = events.onAny(() => {})
    expect(events.listenerCount('door.opened')).toBe(1)
    stop()
    stop()
    expect(events.listenerCount('door.opened')).toBe(0)
  })

  it('may be changed while it tells', () => {
    const events = new Emitter<DoorEvents>()
    const heard: string[] = []
    const stops = ['a', 'b', 'c'].map((name) =>
      events.on('door.opened', () => {
        heard.push(name)
        for (const stop of stops) stop()
        events.on('door.opened', () => heard.push('late'))
      }),
    )
    events.emit('door.opened', { id: 'x' })
    expect(heard[0]).toBe('a')
    expect(heard).not.toContain('late')
  })

  it('takes names that objects inherit for what they are', () => {
    const events = new Emitter<{ constructor: Opened; __proto__: Opened; toString: Opened }>()
    let heard = 0
    events.emit('constructor', { id: 'a' })
    events.on('__proto__', () => {
      heard += 1
    })
    events.emit('__proto__', { id: 'a' })
    events.emit('toString', { id: 'a' })
    expect(heard).toBe(1)
  })
})

describe('failing listeners', () => {
  const collect = (events: Emitter<DoorEvents>) => {
    const errors: ListenerErrorEvent[] = []
    events.on('listenerError', (event) => errors.push(event))
    return errors
  }

  it('hurt neither the caller nor the others', async () => {
    const events = new Emitter<DoorEvents>()
    const errors = collect(events)
    const heard: string[] = []
    const boom = new Error('boom')
    events.on('door.opened', () => {
      throw boom
    })
    events.on('door.opened', async () => {
      await null
      throw boom
    })
    events.once('door.opened', () => Promise.reject(boom))
    events.on('door.opened', () => ({
      // biome-ignore lint/suspicious/noThenProperty: a foreign promise is what this is about
      then(_ok: unknown, fail: (error: unknown) => void) {
        fail('foreign')
      },
    }))
    events.on('door.opened', () => ({
      // biome-ignore lint/suspicious/noThenProperty: a hostile promise is what this is about
      get then(): never {
        throw new Error('getter')
      },
    }))
    events.onAny((name) => {
      if (name === 'door.opened') throw boom
    })
    events.on('door.opened', ({ id }) => heard.push(id))
    expect(() => events.emit('door.opened', { id: 'a' })).not.toThrow()
    await settle()
    expect(heard).toEqual(['a'])
    expect(errors.map((e) => e.event)).toEqual(Array(6).fill('door.opened'))
    expect(errors.map((e) => e.error)).toContain('foreign')
    expect(errors.filter((e) => e.error === boom)).toHaveLength(4)
    expect(events.lostErrors).toBe(0)
  })

  it('are only counted when they listen to listenerError', async () => {
    const events = new Emitter<DoorEvents>()
    events.on('listenerError', () => {
      throw new Error('sync')
    })
    events.on('listenerError', () => Promise.reject(new Error('async')))
    events.onAny(() => Promise.reject(new Error('any')))
    events.emit('door.opened', { id: 'a' })
    await settle()
    expect(events.lostErrors).toBe(3)
  })

  it('may be callbacks of a component', () => {
    const events = new Emitter<DoorEvents>()
    const errors = collect(events)
    events.listenerFailed('publish hook', 'boom')
    expect(errors).toEqual([{ event: 'publish hook', error: 'boom' }])
  })

  it('are swallowed when nobody listens to listenerError', async () => {
    const events = new Emitter<DoorEvents>()
    events.on('door.opened', () => Promise.reject(new Error('boom')))
    events.emit('door.opened', { id: 'a' })
    await settle()
    expect(events.lostErrors).toBe(0)
  })
})

it('holds on to nothing after off', async () => {
  setFlagsFromString('--expose-gc')
  const gc = runInNewContext('gc') as () => void
  const events = new Emitter<DoorEvents>()
  let collected = 0
  const registry = new FinalizationRegistry(() => {
    collected += 1
  })
  const add = () => {
    const big = { payload: new Array(1000).fill('x') }
    const listener = () => big.payload.length
    registry.register(listener, undefined)
    const stop = events.on('door.opened', listener)
    events.once('door.closed', listener)
    events.off('door.closed', listener)
    const stopAny = events.onAny(listener)
    events.emit('door.opened', { id: 'a' })
    stop()
    stopAny()
  }
  for (let i = 0; i < 100; i++) add()
  for (let i = 0; i < 20 && collected < 100; i++) {
    gc()
    await settle()
  }
  expect(collected).toBeGreaterThanOrEqual(99)
})

it('is typed by its map', () => {
  const events = new Emitter<DoorEvents>()
  events.on('door.closed', (payload) => expectTypeOf(payload).toEqualTypeOf<Closed>())
  events.on('listenerError', (payload) => expectTypeOf(payload).toEqualTypeOf<ListenerErrorEvent>())
  // @ts-expect-error no such event
  events.on('door.broken', () => {})
  // @ts-expect-error the payload lacks its reason
  events.emit('door.closed', { id: 'a' })
  // An emitter of more events serves a component that knows only its own.
  const sink: EventSink<Pick<DoorEvents, 'door.opened'>> = events
  sink.emit('door.opened', { id: 'a' })
  expect(sink.listenerCount('door.opened')).toBe(0)
  // @ts-expect-error an emitter of fewer events does not
  const wrong: EventSink<DoorEvents & { 'door.locked': Opened }> = events
  expect(wrong).toBe(events)
})
