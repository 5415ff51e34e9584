import { CRC32_TABLE as TABLE } from '../tokens/crc32.ts'

/**
 * CRC-32 of `length` bytes from place to place of a buffer, where each place is behind the one before: moving along costs
 * no more than the bytes between, however long the stretch is. (CRCs are linear: what a byte has put into the sum before
 * `length` others is taken out by one look into a table.)
 */
export class SlidingCrc32 {
  readonly #length: number
  /** What a byte leaves in the register once `length` bytes have followed it. */
  readonly #left: Int32Array
  /** What the usual beginning and end, all bits set, make of a register that began with none. */
  readonly #offset: number
  #place = -1
  #register = 0

  /** @param length - how many bytes are summed, 1 or more */
  constructor(length: number) {
    this.#length = length
    const bits = Int32Array.from({ length: 8 }, (_, bit) => after(TABLE[1 << bit] as number, length))
    this.#left = Int32Array.from({ length: 256 }, (_, byte) => {
      let left = 0
      for (let bit = 0; bit < 8; bit++) if ((byte & (1 << bit)) !== 0) left ^= bits[bit] as number
      return left
    })
    this.#offset = ~after(-1, length)
  }

  /** Begins anew, in another buffer. */
  reset(): void {
    this.#place = -1
  }

  /** The sum of `length` bytes from `place` on, from 0 to 2^32-1. */
  at(bytes: Uint8Array, place: number): number {
    const length = this.#length
    const before = this.#place
    let register: number
    if (before < 0 || place < before || place - before >= length) {
      register = 0
      for (let i = place; i < place + length; i++) register = step(register, bytes[i] as number)
    } else {
      register = this.#register
      for (let i = before; i < place; i++)
        register = step(register, bytes[i + length] as number) ^ (this.#left[bytes[i] as number] as number)
    }
    this.#place = place
    this.#register = register
    return (register ^ this.#offset) >>> 0
  }
}

function step(register: number, byte: number): number {
  return (TABLE[(register ^ byte) & 0xff] as number) ^ (register >>> 8)
}

/** A register after so many zeros. */
function after(register: number, zeros: number): number {
  let value = register
  for (let i = 0; i < zeros; i++) value = step(value, 0)
  return value
}
