import { describe, expect, it } from 'vitest'
import { type RotationHooks, RotationStateError } from '../../src/index.ts'
import { HOUR, START, setUp } from '../issuing/fixture.ts'

/** Lets what is under way come to its next wait. */
const settle = async () => {
  for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve))
}

function world(hooks: RotationHooks) {
  return setUp({ rotation: { hooks: { A: hooks } } })
}

describe('rollback beside a rotation under way', () => {
  it('that one leads back to the version that was current when it switched', async () => {
    let answer: () => void = () => {}
    const publish = () => new Promise<void>((resolve) => (answer = resolve))
    const { tokens } = world({ publish })
    await tokens.generate({ service: 'A' })
    const bad = await tokens.rotate('A', { hooks: {}, grace: '5h' })
    const rotating = tokens.rotate('A', { grace: '1h' })
    await settle()
    await tokens.rotator.rollback(bad.rotation.id, { grace: '4h' })
    answer()
    const { rotation } = await rotating
    expect(rotation).toMatchObject({ status: 'done', version: 3, previous: 1, graceUntil: START + HOUR })
    const { record } = await tokens.rotator.rollback(rotation.id)
    expect(record?.versions.find(({ state }) => state === 'current')).toMatchObject({ number: 1 })
  })
})

describe('abandon', () => {
  it('tells who gave a switched rotation up', async () => {
    const { tokens } = world({ publish: () => new Promise(() => {}) })
    const told: unknown[] = []
    tokens.events.on('rotation.abandoned', (event) => void told.push(event))
    await tokens.generate({ service: 'A' })
    const rotating = tokens.rotate('A', { grace: 0, rotationId: 'r', actor: 'alice' })
    await settle()
    await tokens.rotator.abandon('r', { actor: 'bob', reason: 'enough' })
    expect(told).toMatchObject([{ actor: 'bob', reason: 'enough' }])
    await tokens.close()
    await rotating
  })

  it('says so when the rotation is finished meanwhile', async () => {
    let broken = true
    let back: () => void = () => {}
    const { tokens } = setUp({
      rotation: {
        attempts: 1,
        hooks: {
          A: {
            publish: () => (broken ? 'unknown' : 'ok'),
            rollback: () => new Promise<void>((resolve) => (back = resolve)),
          },
        },
      },
    })
    await tokens.generate({ service: 'A', retrievable: true })
    await tokens.rotate('A', { rotationId: 'r' })
    const abandoning = tokens.rotator.abandon('r')
    await settle()
    broken = false
    expect(await tokens.rotator.resume('r')).toMatchObject([{ status: 'done' }])
    back()
    await expect(abandoning).rejects.toThrow(RotationStateError)
  })

  it('holds in a rotator that closes, whatever becomes of the rollback hook', async () => {
    const { tokens, store } = world({ publish: () => 'unknown', rollback: () => new Promise(() => {}) })
    await tokens.generate({ service: 'A' })
    const stalled = setUp({ store, rotation: { attempts: 1, hooks: { A: { publish: () => 'unknown' } } } })
    await stalled.tokens.rotate('A', { rotationId: 'r' })
    const abandoning = tokens.rotator.abandon('r')
    await settle()
    await tokens.rotator.close()
    expect((await abandoning).rotation.status).toBe('abandoned')
  })
})
