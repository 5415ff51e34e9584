import type { Random } from './random.ts'

/** In the order of their character codes. */
const DIGITS = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
const RANDOM_SYMBOLS = 10

/**
 * Makes ids that sort after one another: eight symbols of time, two that count within a millisecond, and ten random ones
 * (59 bits), all letters and digits. A store then appends to what it keeps in order of ids, instead of inserting. Public, no secret.
 */
export class RisingIds {
  readonly #random: Random
  #at = 0
  #time = inDigits(0, 8)
  #count = 0

  /** @param random - where the random symbols come from */
  constructor(random: Random) {
    this.#random = random
  }

  /** A fresh id at `now`, epoch ms. */
  next(now: number): string {
    this.#count += 1
    if (now > this.#at || this.#count >= DIGITS.length ** 2) {
      this.#at = Math.max(now, this.#at + 1)
      this.#time = inDigits(this.#at, 8)
      this.#count = 0
    }
    const bytes = this.#random.bytes(RANDOM_SYMBOLS)
    let tail = ''
    // Some symbols are a little likelier than others: ids have to differ, not to be hard to guess.
    for (let i = 0; i < bytes.length; i++) tail += DIGITS.charAt((bytes[i] as number) % DIGITS.length)
    return this.#time + inDigits(this.#count, 2) + tail
  }

  /**
   * A mark that no id made at `now` or before is greater than, be it this one's or that of another process. What this one makes
   * from then on is greater, even at the same instant; what others make is from the next millisecond on.
   */
  mark(now: number): string {
    // Ahead of the time, as after the last mark: its own ids are the greatest that there are.
    if (now < this.#at) return this.next(now)
    this.#at = now + 1
    this.#time = inDigits(this.#at, 8)
    this.#count = -1
    return inDigits(now, 8) + 'z'.repeat(2 + RANDOM_SYMBOLS)
  }
}

/** A number in base 62, as many digits as asked for; the digits sort as their values do. */
function inDigits(value: number, width: number): string {
  let text = ''
  let rest = Math.floor(value)
  for (let i = 0; i < width; i++) {
    text = DIGITS.charAt(rest % DIGITS.length) + text
    rest = Math.floor(rest / DIGITS.length)
  }
  return text
}
