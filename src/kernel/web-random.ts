import { InvalidInputError } from './errors.ts'
import type { Random } from './random.ts'

/** How many bytes one call may ask for. */
const MAX_BYTES = 1 << 20
/** The Web Crypto API gives no more at once. */
const PART = 65_536

class WebRandom implements Random {
  bytes(count: number): Uint8Array {
    if (!Number.isInteger(count) || count < 0 || count > MAX_BYTES) {
      throw new InvalidInputError('count', `is not a whole number from 0 to ${MAX_BYTES}`, 'ask for fewer at a time')
    }
    const bytes = new Uint8Array(count)
    for (let from = 0; from < count; from += PART) crypto.getRandomValues(bytes.subarray(from, from + PART))
    return bytes
  }

  float(): number {
    return Math.random()
  }
}

let shared: Random | undefined

/**
 * The runtime's cryptographic generator by the Web Crypto API, for what also runs where there is no `node:crypto`; every
 * call answers the same one. `bytes` takes 0 to 1,048,576 and throws an InvalidInputError otherwise.
 */
export function webRandom(): Random {
  shared ??= new WebRandom()
  return shared
}
