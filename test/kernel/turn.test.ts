import { expect, it } from 'vitest'
import { nextTurn, pause } from '../../src/kernel/turn.ts'

it('nextTurn comes after all promises that can run, and before time has to pass', async () => {
  const order: string[] = []
  const turn = nextTurn().then(() => order.push('turn'))
  const promises = (async () => {
    for (let n = 0; n < 50; n++) await undefined
    order.push('promises')
  })()
  const timer = pause(50).then(() => order.push('pause'))
  await Promise.all([turn, promises, timer])
  expect(order).toEqual(['promises', 'turn', 'pause'])
})
