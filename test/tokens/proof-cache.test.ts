import { hash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { ProofCache } from '../../src/tokens/proof-cache.ts'

function entry(n: number | string) {
  return { key: hash('sha256', `text ${n}`, 'binary'), recent: false, n }
}

/** An entry whose key begins as another's, so that both want the same place. */
function neighbour(n: number) {
  return { key: `abcd${hash('sha256', `neighbour ${n}`, 'binary').slice(4)}`, recent: false, n }
}

describe('ProofCache', () => {
  it('gives back what was added, and nothing else', () => {
    const cache = new ProofCache<ReturnType<typeof entry>>(65_536)
    const entries = Array.from({ length: 5000 }, (_, n) => entry(n))
    for (const one of entries) cache.add(one)
    expect(entries.filter((one) => cache.get(one.key) !== one).length).toBeLessThan(50)
    for (let n = 5000; n < 10_000; n++) expect(cache.get(entry(n).key)).toBeUndefined()
  })

  it('tells keys apart that begin alike', () => {
    const cache = new ProofCache<ReturnType<typeof neighbour>>(64)
    const [a, b, c] = [neighbour(1), neighbour(2), neighbour(3)]
    cache.add(a)
    cache.add(b)
    expect([a, b, c].map((one) => cache.get(one.key))).toEqual([a, b, undefined])
    cache.delete(a.key)
    expect([a, b].map((one) => cache.get(one.key))).toEqual([undefined, b])
    expect(cache.count).toBe(1)
  })

  it('never holds more than its size, rounded down to a power of two', () => {
    for (const size of [2, 3, 100, 5000]) {
      const cache = new ProofCache<ReturnType<typeof entry>>(size)
      for (let n = 0; n < 4 * size; n++) {
        const one = entry(n)
        cache.add(one)
        expect(cache.get(one.key)).toBe(one)
      }
      expect(cache.count).toBeLessThanOrEqual(size)
      expect(cache.count).toBeGreaterThan(size / 4)
    }
  })

  it('keeps what is asked for while others come and go', () => {
    const cache = new ProofCache<ReturnType<typeof entry>>(1024)
    const busy = Array.from({ length: 32 }, (_, n) => entry(`busy ${n}`))
    for (const one of busy) cache.add(one)
    for (let n = 0; n < 20_000; n++) {
      cache.add(entry(n))
      for (const one of busy) if (n % 4 === 0) cache.get(one.key)
    }
    expect(busy.filter((one) => cache.get(one.key) === one).length).toBe(busy.length)
  })

  it('keeps what it holds when it grows', () => {
    const cache = new ProofCache<ReturnType<typeof entry>>(65_536)
    const entries = Array.from({ length: 400 }, (_, n) => entry(n))
    for (const one of entries) cache.add(one)
    for (let n = 1000; n < 9000; n++) cache.add(entry(n))
    expect(entries.filter((one) => cache.get(one.key) === one).length).toBeGreaterThan(395)
  })
})
