import { describe, expect, expectTypeOf, it } from 'vitest'
import { Emitter } from '../../src/kernel/emitter.ts'
import { EventTimeoutError, recordEvents } from '../../src/testing/event-recorder.ts'
import { seededRandom } from '../../src/testing/seeded-random.ts'

interface Rotated {
  readonly service: string
}
interface Revoked {
  readonly reason: string
}
interface Events {
  'token.rotated': Rotated
  'token.revoked': Revoked
}

describe('recordEvents', () => {
  it('keeps everything in order', () => {
    const emitter = new Emitter<Events>()
    const recorder = recordEvents(emitter)
    emitter.emit('token.rotated', { service: 'a' })
    emitter.emit('token.revoked', { reason: 'leak' })
    expect(recorder.names()).toEqual(['token.rotated', 'token.revoked'])
    expect(recorder.events).toEqual([
      { name: 'token.rotated', payload: { service: 'a' } },
      { name: 'token.revoked', payload: { reason: 'leak' } },
    ])
    const first = recorder.events[0]
    if (first?.name === 'token.rotated') expectTypeOf(first.payload).toEqualTypeOf<Rotated>()
    recorder.clear()
    expect(recorder.names()).toEqual([])
    recorder.stop()
    emitter.emit('token.rotated', { service: 'b' })
    expect(recorder.names()).toEqual([])
    expect(emitter.listenerCount('token.rotated')).toBe(0)
  })

  it('answers past events first, each once, then the next to come', async () => {
    const emitter = new Emitter<Events>()
    const recorder = recordEvents(emitter)
    emitter.emit('token.rotated', { service: 'a' })
    emitter.emit('token.rotated', { service: 'b' })
    expect(await recorder.waitFor('token.rotated')).toEqual({ service: 'a' })
    expect(await recorder.waitFor('token.rotated')).toEqual({ service: 'b' })
    const both = Promise.all([recorder.waitFor('token.rotated'), recorder.waitFor('token.rotated')])
    emitter.emit('token.revoked', { reason: 'x' })
    emitter.emit('token.rotated', { service: 'c' })
    emitter.emit('token.rotated', { service: 'd' })
    expect(await both).toEqual([{ service: 'c' }, { service: 'd' }])
    expectTypeOf(await recorder.waitFor('token.revoked')).toEqualTypeOf<Revoked>()
  })

  it('waits for the one that fits', async () => {
    const emitter = new Emitter<Events>()
    const recorder = recordEvents(emitter)
    emitter.emit('token.rotated', { service: 'a' })
    const waiting = recorder.waitFor('token.rotated', { where: ({ service }) => service === 'c' })
    emitter.emit('token.rotated', { service: 'b' })
    emitter.emit('token.rotated', { service: 'c' })
    expect(await waiting).toEqual({ service: 'c' })
    expect(await recorder.waitFor('token.rotated')).toEqual({ service: 'a' })
  })

  it('says what came instead', async () => {
    const emitter = new Emitter<Events>()
    const recorder = recordEvents(emitter)
    await expect(recorder.waitFor('token.rotated', { timeoutMs: 1 })).rejects.toThrow(
      "token.rotated didn't come within 1 ms; heard: nothing",
    )
    emitter.emit('token.revoked', { reason: 'x' })
    const stopped = recorder.waitFor('token.rotated')
    recorder.stop()
    await expect(stopped).rejects.toThrow(EventTimeoutError)
    await expect(stopped).rejects.toThrow('heard: token.revoked')
  })
})

it('has the seeded randomness too', () => {
  expect(seededRandom('a').bytes(4)).toEqual(seededRandom('a').bytes(4))
})
