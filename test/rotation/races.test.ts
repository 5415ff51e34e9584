import { describe, expect, it } from 'vitest'
import type { HookAnswer, RotationHooks } from '../../src/index.ts'
import { setUp } from '../issuing/fixture.ts'

/** Lets what is under way come to its next wait. */
const settle = async () => {
  for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve))
}

function world(hooks: RotationHooks, more: object = {}) {
  return setUp({ rotation: { hooks: { A: hooks } }, ...more })
}

describe('a rotation that another has overtaken', () => {
  it.each([0, '1h'] as const)('publishes its value no more (grace %s)', async (grace) => {
    const published: number[] = []
    const { tokens, clock } = world({
      publish: ({ version }): HookAnswer => {
        published.push(version)
        return version === 2 ? 'unknown' : 'ok'
      },
    })
    await tokens.generate({ service: 'A' })
    const first = tokens.rotate('A', { grace })
    await settle()
    const emergency = await tokens.rotate('A', { grace: 0 })
    await clock.advance('1m')
    await settle()
    expect((await first).rotation.status).toBe('abandoned')
    expect(published).toEqual([2, 3])
    expect(await tokens.verify(emergency.token)).toMatchObject({ ok: true, version: 'current' })
  })

  it.each([0, '1h'] as const)('draws no other value when its own is rejected (grace %s)', async (grace) => {
    let answer: (given: HookAnswer) => void = () => {}
    const published: number[] = []
    const { tokens } = world({
      publish: ({ version }) => {
        published.push(version)
        return version === 2 ? new Promise<HookAnswer>((resolve) => (answer = resolve)) : 'ok'
      },
    })
    await tokens.generate({ service: 'A' })
    const first = tokens.rotate('A', { grace })
    await settle()
    const emergency = await tokens.rotate('A', { grace: 0 })
    answer('rejected')
    expect((await first).rotation.status).toBe('abandoned')
    expect(published).toEqual([2, 3])
    expect(await tokens.verify(emergency.token)).toMatchObject({ ok: true, version: 'current' })
  })
})

describe('a rotation that another process has taken over', () => {
  it('answers no text that was replaced there', async () => {
    let answer: () => void = () => {}
    const hooks: RotationHooks = {
      publish: ({ version }) => (version === 2 ? new Promise<void>((resolve) => (answer = resolve)) : 'ok'),
    }
    const { tokens } = world(hooks)
    await tokens.generate({ service: 'A' })
    const rotating = tokens.rotate('A', { grace: 0, rotationId: 'r' })
    await settle()
    // Without the text, which only the first has: another value is drawn, and published.
    await tokens.rotator.resume('r')
    answer()
    const { token, rotation } = await rotating
    expect(rotation).toMatchObject({ status: 'done', version: 3 })
    expect(token).toBeUndefined()
  })
})
