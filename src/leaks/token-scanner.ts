import { alphabetOf } from '../tokens/alphabet.ts'
import { checksumMatches, type TokenFormat } from '../tokens/format.ts'

/** A token that was found by its prefix and checksum. */
export interface ScanHit {
  readonly format: TokenFormat
  /** The token. Not for output. */
  readonly text: string
  /** Where it begins, in bytes from the start (of UTF-8, where texts were given). */
  readonly offset: number
  /** The line that it begins in, from 1. */
  readonly line: number
}

interface Sought {
  readonly format: TokenFormat
  readonly prefix: Buffer
  readonly length: number
  /** 1 for each byte that is a symbol. */
  readonly symbols: Uint8Array
}

/** Bytes that are looked through at once. */
const WINDOW = 65_536
const NEWLINE = 10

/**
 * Finds tokens of listed formats in a stream of bytes, wherever its chunks end. Holds 64 kB and the length of the longest
 * token. Every place where a prefix stands is looked at once, for as many bytes as a token of it has: so linear, whatever the
 * input; slowest where one prefix follows another. What goes before and behind a token doesn't matter, and one that begins within another is found as well.
 */
export class TokenScanner {
  readonly #sought: readonly Sought[]
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
    this.#sought = formats.map((format) => {
      const symbols = new Uint8Array(256)
      for (const symbol of alphabetOf(format.charset)) symbols[symbol.charCodeAt(0)] = 1
      const prefix = Buffer.from(format.prefix, 'latin1')
      return { format, prefix, length: prefix.length + format.length, symbols }
    })
    this.#longest = Math.max(1, ...this.#sought.map(({ length }) => length))
    this.#window = Buffer.alloc(WINDOW + this.#longest)
  }

  /** Takes more of the stream, and hands out what was found so far. */
  *add(bytes: Uint8Array): Generator<ScanHit> {
    for (let at = 0; at < bytes.length; ) {
      const part = bytes.subarray(at, at + this.#window.length - this.#filled)
      this.#window.set(part, this.#filled)
      this.#filled += part.length
      at += part.length
      if (this.#filled === this.#window.length) yield* this.#look()
    }
  }

  /** Looks through what is left. */
  *end(): Generator<ScanHit> {
    yield* this.#look()
  }

  *#look(): Generator<ScanHit> {
    const window = this.#window.subarray(0, this.#filled)
    const hits: { readonly at: number; readonly sought: Sought }[] = []
    for (const sought of this.#sought) {
      const first = Math.max(0, this.#seen - sought.length + 1)
      const last = window.length - sought.length
      for (
        let at = window.indexOf(sought.prefix, first);
        at >= 0 && at <= last;
        at = window.indexOf(sought.prefix, at + 1)
      )
        if (isToken(window, at, sought)) hits.push({ at, sought })
    }
    hits.sort((a, b) => a.at - b.at)
    let line = this.#lines
    let counted = 0
    for (const { at, sought } of hits) {
      line += newlines(window, counted, at)
      counted = at
      const text = window.toString('latin1', at, at + sought.length)
      yield { format: sought.format, text, offset: this.#offset + at, line: line + 1 }
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

function isToken(window: Buffer, at: number, { format, prefix, length, symbols }: Sought): boolean {
  for (let i = at + prefix.length; i < at + length; i++) if (symbols[window[i] as number] === 0) return false
  return checksumMatches(format, window.toString('latin1', at, at + length))
}

function newlines(window: Buffer, from: number, to: number): number {
  let lines = 0
  for (let i = from; i < to; i++) if (window[i] === NEWLINE) lines += 1
  return lines
}
