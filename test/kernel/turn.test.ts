import { expect, it } from 'vitest'
import { generateSecret, MemoryTokenStore, Tokenwright } from '../../src/index.ts'
import { systemClock } from '../../src/kernel/clock.ts'
import { Turns } from '../../src/kernel/turn.ts'
import { turnsOf } from '../event-loop.ts'

it('tasks that share one wait for the same turn, and hold the event loop as long as one would', async () => {
  const clock = systemClock()
  const busy = (ms: number) => {
    const until = clock.monotonic() + ms
    while (clock.monotonic() < until);
  }
  const turns = new Turns(clock)
  const task = async () => {
    for (let i = 0; i < 20; i++) {
      busy(0.5)
      await turns.due()
    }
  }
  // 160 ms of work by 16 tasks that never wait for anything else.
  const { longest, total } = await turnsOf(() => Promise.all(Array.from({ length: 16 }, task)))
  expect(longest).toBeLessThan(total / 3)
})

it('long work on a store in this process is no single turn: events, a revocation of many', async () => {
  const seen: unknown[] = []
  const onEvent = [{ name: 'all', handler: (event: { id: string }) => void seen.push(event.id) }]
  const tokens = new Tokenwright({ store: new MemoryTokenStore(), keys: generateSecret(), onEvent })
  for (let n = 0; n < 1500; n++) await tokens.generate({ service: `S${n}`, owner: 'o' })
  const delivered = await turnsOf(() => tokens.tick())
  expect(seen.length).toBeGreaterThanOrEqual(1000)
  const revoked = await turnsOf(() => tokens.revoke({ where: { owner: 'o' } }))
  for (const { longest, total } of [delivered, revoked]) expect(longest).toBeLessThan(total * 0.75)
  await tokens.close()
})
