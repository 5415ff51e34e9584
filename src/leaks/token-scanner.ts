import type { TokenFormat } from '../tokens/format.ts'
import { type Found, OpaqueFinder } from './opaque-finder.ts'
import { SignedFinder } from './signed-finder.ts'

/** What was found, and where in the stream. */
export interface ScanHit extends Omit<Found, 'at'> {
  /** Where it begins, in bytes from the start (of UTF-8, where texts were given). */
  readonly offset: number
  /** The line that it begins in, from 1. */
  readonly line: number
}

/** Bytes that are looked through at once. */
const WINDOW = 65_536
const NEWLINE = 10

/**
 * Finds tokens in a stream of bytes, wherever its chunks end: of listed formats, and of our signed forms. Holds 64 kB and the
 * length of the longest token, 8 kB. Linear in the stream, whatever is in it. What goes before and behind a token doesn't
 * matter, and one that begins within another is found as well.
 */
export class TokenScanner {
  readonly #opaque: readonly OpaqueFinder[]
  readonly #signed = new SignedFinder()
  readonly #longest: number
  readonly #window: Buffer
  /** Bytes in the window. */
  #filled = 0
  /** Bytes in the window that were looked through: what ends within them was found. */
  #seen = 0
  /** Where the window begins in the stream. */
  #offset = 0
  /** Newlines before the window. */
  #lines = 0

  /** @param formats - forms with a prefix and a checksum */
  constructor(formats: readonly TokenFormat[]) {
    this.#opaque = formats.map((format) => new OpaqueFinder(format))
    this.#longest = Math.max(this.#signed.longest, ...this.#opaque.map(({ longest }) => longest))
    this.#window = Buffer.alloc(WINDOW + this.#longest)
  }

  /** Takes more of the stream, and hands out what was found so far. */
  *add(bytes: Uint8Array): Generator<ScanHit> {
    for (let at = 0; at < bytes.length; ) {
      const part = bytes.subarray(at, at + this.#window.length - this.#filled)
      this.#window.set(part, this.#filled)
      this.#filled += part.length
      at += part.length
      if (this.#filled === this.#window.length) yield* this.#look(false)
    }
  }

  /** Looks through what is left. */
  *end(): Generator<ScanHit> {
    yield* this.#look(true)
  }

  *#look(last: boolean): Generator<ScanHit> {
    const window = this.#window.subarray(0, this.#filled)
    const found: Found[] = [...this.#signed.find(window, this.#seen, last)]
    for (const finder of this.#opaque) for (const each of finder.find(window, this.#seen)) found.push(each)
    found.sort((a, b) => a.at - b.at)
    let line = this.#lines
    let counted = 0
    for (const { at, ...rest } of found) {
      line += newlines(window, counted, at)
      counted = at
      yield { ...rest, offset: this.#offset + at, line: line + 1 }
    }
    // A token that isn't whole yet begins within the last bytes.
    const gone = Math.max(0, window.length - this.#longest + 1)
    this.#lines += newlines(window, 0, gone)
    this.#offset += gone
    this.#window.copyWithin(0, gone, this.#filled)
    this.#filled -= gone
    this.#seen = this.#filled
  }
}

function newlines(window: Buffer, from: number, to: number): number {
  let lines = 0
  for (let i = from; i < to; i++) if (window[i] === NEWLINE) lines += 1
  return lines
}
