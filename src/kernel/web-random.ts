import { InvalidInputError } from './errors.ts'
import type { Random } from './random.ts'

/** The Web Crypto API gives no more at once. */
const MAX_BYTES = 65_536

class WebRandom implements Random {
  bytes(count: number): Uint8Array {
    if (!Number.isInteger(count) || count < 0 || count > MAX_BYTES) {
      throw new InvalidInputError('count', `is not a whole number from 0 to ${MAX_BYTES}`, 'ask for fewer at a time')
    }
    return crypto.getRandomValues(new Uint8Array(count))
  }

  float(): number {
    return Math.random()
  }
}

let shared: Random | undefined

/**
 * The runtime's cryptographic generator by the Web Crypto API, for what also runs where there is no `node:crypto`; every
 * call answers the same one. `bytes` takes 0 to 65,536 and throws an InvalidInputError otherwise.
 */
export function webRandom(): Random {
  shared ??= new WebRandom()
  return shared
}
