import { describe, expect, it } from 'vitest'
import { InvalidInputError } from '../../src/kernel/errors.ts'
import { type Random, seededRandom, systemRandom } from '../../src/kernel/random.ts'
import { webRandom } from '../../src/kernel/web-random.ts'

const sources: readonly (readonly [string, () => Random])[] = [
  ['systemRandom', () => systemRandom()],
  ['webRandom', () => webRandom()],
  ['seededRandom', () => seededRandom('bytes')],
]

/** Chi-square of the byte values over a sample; 255 degrees of freedom. */
function chiSquare(random: Random, calls: number, size: number): number {
  const seen = new Array<number>(256).fill(0)
  for (let i = 0; i < calls; i++) for (const byte of random.bytes(size)) seen[byte] = (seen[byte] ?? 0) + 1
  const expected = (calls * size) / 256
  return seen.reduce((sum, n) => sum + (n - expected) ** 2 / expected, 0)
}

describe.each(sources)('%s', (_name, make) => {
  it('gives as many bytes as asked for, of its own each time', () => {
    const random = make()
    for (const count of [0, 1, 15, 64, 2048, 2049, 8192, 100_000]) expect(random.bytes(count)).toHaveLength(count)
    const first = random.bytes(32)
    const copy = Uint8Array.from(first)
    for (let i = 0; i < 2000; i++) random.bytes(32)
    expect(first).toEqual(copy)
    expect(first.buffer.byteLength).toBe(32)
  })

  it('never repeats itself, across the edges of its pool', () => {
    const random = make()
    const seen = new Set<string>()
    for (let i = 0; i < 5000; i++)
      seen.add(
        Buffer.from(random.bytes(16 + (i % 7)))
          .toString('hex')
          .slice(0, 32),
      )
    expect(seen.size).toBe(5000)
  })

  it('spreads evenly', () => {
    // 255 degrees of freedom: mean 255, standard deviation 22.6; 400 is over six of them away.
    expect(chiSquare(make(), 4000, 37)).toBeLessThan(400)
  })

  it('gives floats from 0 up to 1', () => {
    const random = make()
    let sum = 0
    for (let i = 0; i < 10_000; i++) {
      const float = random.float()
      expect(float >= 0 && float < 1).toBe(true)
      sum += float
    }
    expect(Math.abs(sum / 10_000 - 0.5)).toBeLessThan(0.03)
  })

  it('refuses counts that make no sense', () => {
    for (const count of [-1, 1.5, Number.NaN, 2 ** 20 + 1, '8' as unknown as number]) {
      expect(() => make().bytes(count)).toThrow(InvalidInputError)
    }
  })
})

describe('seededRandom', () => {
  it('gives the same for the same seed and something else for another', () => {
    const hex = (seed: string | number) => Buffer.from(seededRandom(seed).bytes(40)).toString('hex')
    expect(hex('a')).toBe(hex('a'))
    expect(hex('a')).not.toBe(hex('b'))
    expect(hex(1)).not.toBe(hex('1'))
  })

  it('gives the same stream however it is cut', () => {
    const whole = seededRandom(7).bytes(200)
    const cut = seededRandom(7)
    expect(Buffer.concat([cut.bytes(1), cut.bytes(31), cut.bytes(100), cut.bytes(68)])).toEqual(Buffer.from(whole))
  })

  it('never changes between releases', () => {
    expect(Buffer.from(seededRandom('pinned').bytes(8)).toString('hex')).toBe('b485c281786c5267')
  })
})
