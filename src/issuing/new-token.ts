import type { Random } from '../kernel/random.ts'
import type { Write } from '../stores/token-store.ts'
import { type ActivityRecord, activityId, activityKind } from '../stores/usage-rows.ts'
import { CHARSETS, sample } from '../tokens/alphabet.ts'
import { oneDigest } from '../tokens/digest.ts'
import { previewOf, type TokenFormat } from '../tokens/format.ts'
import type { KeyRing } from '../tokens/key-ring.ts'
import type { TokenVersion } from '../tokens/record.ts'
import type { Version } from '../tokens/versions.ts'

const DIGITS = CHARSETS.alphanumeric

/**
 * Makes token ids: `tok_`, eight symbols of time, two that count within a millisecond, and ten random ones (59 bits).
 * Public, no secret. Each sorts after the one before, so that a store appends to its indexes instead of inserting.
 */
export class TokenIds {
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
    return `tok_${this.#time}${inDigits(this.#count, 2)}${sample(DIGITS, 10, this.#random)}`
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

/** What a version keeps of its text: a digest, a preview, and a sealed copy if the token is retrievable. */
export function proofOf(
  text: string,
  token: { readonly id: string; readonly format: TokenFormat },
  n: number,
  keys: KeyRing,
  random: Random,
): Omit<TokenVersion, keyof Version> {
  const proof = { preview: previewOf(token.format, text), digests: oneDigest(keys.activeId, keys.digest(text)) }
  if (!token.format.retrievable) return proof
  return { ...proof, sealed: keys.seal(text, sealContext(token.id, n), random) }
}

/** What a sealed copy is bound to. */
export function sealContext(id: string, n: number): string[] {
  return ['token', id, String(n)]
}

/** The activity row that is born with a version. */
export function birthOf(id: string, n: number, now: number): Write {
  const value: ActivityRecord = { calls: 0, lastAt: now }
  return { kind: activityKind, id: activityId(id, n), value }
}
