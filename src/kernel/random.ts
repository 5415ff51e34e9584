import { createHash, randomFillSync } from 'node:crypto'
import { InvalidInputError } from './errors.ts'

/** A source of random bytes. `systemRandom()` in a service, `seededRandom()` of `tokenwright/testing` in tests. */
export interface Random {
  /** `count` fresh random bytes; the caller owns the array. */
  bytes(count: number): Uint8Array
  /** A float in [0, 1), for jitter; not for secrets. */
  float(): number
}

/** How many bytes one call may ask for. */
const MAX_BYTES = 1 << 20

/** Filling the pool is one call into the system's generator; handing out of it is a copy. */
const POOL_BYTES = 8192

function checkCount(count: number): void {
  if (!Number.isInteger(count) || count < 0 || count > MAX_BYTES) {
    throw new InvalidInputError(
      'count',
      `is not a whole number from 0 to ${MAX_BYTES}`,
      'ask for fewer bytes at a time',
    )
  }
}

class SystemRandom implements Random {
  readonly #pool = new Uint8Array(POOL_BYTES)
  /** Where the unused bytes of the pool begin. */
  #next = POOL_BYTES

  bytes(count: number): Uint8Array {
    checkCount(count)
    if (count > POOL_BYTES / 4) return randomFillSync(new Uint8Array(count))
    if (this.#next + count > POOL_BYTES) {
      randomFillSync(this.#pool)
      this.#next = 0
    }
    const from = this.#next
    this.#next = from + count
    const bytes = this.#pool.slice(from, this.#next)
    // What was handed out may become a secret: the pool must not hold a copy.
    this.#pool.fill(0, from, this.#next)
    return bytes
  }

  float(): number {
    return Math.random()
  }
}

let shared: Random | undefined

/**
 * The system's cryptographic generator, by way of a pool; every call answers the same one. Bytes that were handed out
 * are wiped from the pool. `bytes` takes 0 to 1,048,576 and throws an InvalidInputError otherwise.
 */
export function systemRandom(): Random {
  shared ??= new SystemRandom()
  return shared
}

class SeededRandom implements Random {
  readonly #seed: string
  #block = new Uint8Array(0)
  #used = 0
  #counter = 0

  constructor(seed: string) {
    this.#seed = seed
  }

  bytes(count: number): Uint8Array {
    checkCount(count)
    const bytes = new Uint8Array(count)
    for (let i = 0; i < count; i++) {
      if (this.#used === this.#block.length) this.#refill()
      bytes[i] = this.#block[this.#used] as number
      this.#used += 1
    }
    return bytes
  }

  float(): number {
    const bytes = this.bytes(8)
    const view = new DataView(bytes.buffer)
    // 53 bits: 27 high ones, 26 low ones.
    return ((view.getUint32(0) >>> 5) * 2 ** 26 + (view.getUint32(4) >>> 6)) / 2 ** 53
  }

  #refill(): void {
    this.#block = createHash('sha256').update(`${this.#seed}\n${this.#counter}`).digest()
    this.#counter += 1
    this.#used = 0
  }
}

/**
 * A generator for tests: the same seed gives the same bytes, on every machine (SHA-256 of seed and a counter). Whoever
 * knows the seed knows every token made with it: never for a service.
 *
 * @param seed - any text or number
 * @example
 * ```ts
 * const random = seededRandom('billing test')
 * random.bytes(4) // always the same four bytes
 * ```
 */
export function seededRandom(seed: string | number): Random {
  return new SeededRandom(`${typeof seed}:${seed}`)
}
