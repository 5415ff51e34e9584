import { generateSecret, MemoryTokenStore, Tokenwright, type TokenwrightOptions } from '../../src/index.ts'
import { type FakeClock, fakeClock, recordEvents, seededRandom } from '../../src/testing/index.ts'

export const START = Date.UTC(2027, 0, 1)
export const DAY = 86_400_000
export const HOUR = 3_600_000

let instances = 0

/** A front door on a memory store, with a clock that moves when told. */
export function setUp(options: Partial<TokenwrightOptions> = {}, clock: FakeClock = fakeClock({ now: START })) {
  const store = options.store ?? new MemoryTokenStore({ clock })
  const keys = options.keys ?? generateSecret(seededRandom('fixture'))
  instances += 1
  const tokens = new Tokenwright({ clock, random: seededRandom(`tokens ${instances}`), ...options, store, keys })
  return { tokens, store, keys, clock, events: recordEvents(tokens.events) }
}

/** Counts the calls of a store's methods. */
export function spyOn<T extends object>(target: T): { proxy: T; calls: string[] } {
  const calls: string[] = []
  const proxy = new Proxy(target, {
    get(object, name) {
      const value: unknown = Reflect.get(object, name, object)
      if (typeof value !== 'function') return value
      return (...args: unknown[]) => {
        calls.push(String(name))
        return value.apply(object, args)
      }
    },
  })
  return { proxy, calls }
}
