import { expect, it } from 'vitest'
import type { ChangeChannel } from '../../src/stores/change-channel.ts'
import { ChangeNews } from '../../src/stores/change-news.ts'
import { MemoryTokenStore } from '../../src/stores/memory-token-store.ts'
import type { StoreChange } from '../../src/stores/token-store.ts'
import { fakeClock } from '../../src/testing/fake-clock.ts'
import { seededRandom } from '../../src/testing/index.ts'

/** A channel that can't be subscribed to for a while. */
class Shaky implements ChangeChannel {
  failing = true
  attempts = 0
  stopped = 0
  tell: ((change: StoreChange) => void) | undefined

  async publish(): Promise<void> {}

  async subscribe(onChange: (change: StoreChange) => void): Promise<() => Promise<void>> {
    this.attempts += 1
    if (this.failing) throw new Error('not now')
    this.tell = onChange
    return async () => {
      this.stopped += 1
    }
  }
}

function world() {
  const clock = fakeClock()
  const channel = new Shaky()
  const failures: unknown[] = []
  const commits = { onWrite: () => () => {} } as never
  const news = new ChangeNews({
    store: new MemoryTokenStore(),
    commits,
    channel,
    clock,
    random: seededRandom(1),
    onFailure: (error) => failures.push(error),
  })
  const heard: string[] = []
  const hear = () =>
    news.hear({ kinds: ['token'], onChange: ({ id }) => heard.push(id), onLost: () => heard.push('lost') })
  return { clock, channel, failures, heard, hear }
}

it('a channel that could not be subscribed to is tried again, and heard once it can be', async () => {
  const { clock, channel, failures, heard, hear } = world()
  const stop = hear()
  await clock.advance('10m')
  // At most every half second, and no less than twice a minute.
  expect(channel.attempts).toBeGreaterThan(20)
  expect(channel.attempts).toBeLessThan(60)
  expect(failures).toHaveLength(1)
  expect(heard).toEqual([])
  channel.failing = false
  await clock.advance('31s')
  // What changed while there was no subscription was not told.
  expect(heard).toEqual(['lost'])
  channel.tell?.({ kind: 'token', id: 'a' })
  expect(heard).toEqual(['lost', 'a'])
  const { attempts } = channel
  stop()
  await clock.advance('10m')
  expect([channel.attempts, channel.stopped]).toEqual([attempts, 1])
})

it('is not tried again for nobody', async () => {
  const { clock, channel, hear } = world()
  const stop = hear()
  await clock.advance('1m')
  stop()
  const { attempts } = channel
  channel.failing = false
  await clock.advance('10m')
  expect(channel.attempts).toBe(attempts)
})
