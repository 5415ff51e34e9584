import { alphabetOf } from '../tokens/alphabet.ts'
import { checksumFrom, checksumWidth, previewOf, type TokenFormat } from '../tokens/format.ts'
import { SlidingCrc32 } from './sliding-crc32.ts'

/** What stands in a window of a stream. */
export interface Found {
  /** Where it begins in the window. */
  readonly at: number
  /** The text. Not for output. */
  readonly text: string
  /** What may be shown of it. */
  readonly preview: string
  /** Whether it has the form of a signed token. */
  readonly signed: boolean
}

/**
 * Finds tokens of one listed format, by prefix, symbols and checksum. Each byte is looked at a few times, whatever the text and
 * the length of a token: what was a symbol isn't looked at again, what was none rules out every place before it, and the
 * checksum moves along.
 */
export class OpaqueFinder {
  /** Bytes of a token. */
  readonly longest: number
  readonly #format: TokenFormat
  readonly #prefix: Buffer
  readonly #alphabet: string
  /** 1 for each byte that is a symbol. */
  readonly #symbols = new Uint8Array(256)
  /** Where the checksum's bytes begin, and where it stands, from the beginning of a token. */
  readonly #summed: number
  readonly #checksum: number
  readonly #sum: SlidingCrc32

  /** @param format - a form with a prefix and a checksum */
  constructor(format: TokenFormat) {
    this.#format = format
    this.#alphabet = alphabetOf(format.charset)
    for (const symbol of this.#alphabet) this.#symbols[symbol.charCodeAt(0)] = 1
    this.#prefix = Buffer.from(format.prefix, 'latin1')
    this.longest = format.prefix.length + format.length
    this.#summed = checksumFrom(format)
    this.#checksum = this.longest - checksumWidth(this.#alphabet)
    this.#sum = new SlidingCrc32(this.#checksum - this.#summed)
  }

  /**
   * The tokens that end within a window.
   *
   * @param seen - bytes that were looked through before: what ends within them was told
   */
  *find(window: Buffer, seen: number): Generator<Found> {
    this.#sum.reset()
    const prefix = this.#prefix
    const last = window.length - this.longest
    /** The symbols that were found in a row, and the byte behind them that is none; -1 = not known. */
    let first = 0
    let behind = 0
    let stop = -1
    for (let at = window.indexOf(prefix, Math.max(0, seen - this.longest + 1)); at >= 0 && at <= last; ) {
      const from = at + prefix.length
      const end = at + this.longest
      let next = at + 1
      if (stop < from) {
        if (from < first || from > behind) {
          first = from
          behind = from
        }
        while (behind < end && this.#symbols[window[behind] as number] === 1) behind += 1
        if (behind >= end) {
          if (this.#fits(window, at)) {
            const text = window.toString('latin1', at, end)
            yield { at, text, preview: `${previewOf(this.#format, text)}…`, signed: false }
          }
        } else stop = behind
      }
      // No token has its symbols across a byte that is none.
      if (stop >= from) next = Math.max(next, stop - prefix.length + 1)
      at = this.#begins(window, next) ? next : window.indexOf(prefix, next)
    }
  }

  /** Whether a prefix stands at a place; asking the buffer to search costs more where one follows another. */
  #begins(window: Buffer, at: number): boolean {
    const prefix = this.#prefix
    for (let i = 0; i < prefix.length; i++) if (window[at + i] !== prefix[i]) return false
    return true
  }

  /** Whether the checksum is that of what stands before it; as `checksumMatches` has it for a text. */
  #fits(window: Buffer, at: number): boolean {
    const alphabet = this.#alphabet
    let rest = this.#sum.at(window, at + this.#summed)
    for (let i = at + this.longest - 1; i >= at + this.#checksum; i--) {
      const next = Math.floor(rest / alphabet.length)
      if (window[i] !== alphabet.charCodeAt(rest - next * alphabet.length)) return false
      rest = next
    }
    return true
  }
}
