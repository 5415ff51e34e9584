import { Buffer } from 'node:buffer'
import { ArchiveTruncatedError } from './errors.ts'

/** Takes so many bytes at a time from pieces of any size. */
export class ByteReader {
  readonly #pieces: AsyncIterator<Uint8Array>
  #held: Buffer[] = []
  #size = 0
  #ended = false

  /** @param pieces - where the bytes come from */
  constructor(pieces: AsyncIterable<Uint8Array>) {
    this.#pieces = pieces[Symbol.asyncIterator]()
  }

  /** The next `count` bytes, or those that are left. */
  async upTo(count: number): Promise<Buffer> {
    while (this.#size < count && !this.#ended) {
      const { value, done } = await this.#pieces.next()
      if (done === true) {
        this.#ended = true
      } else if (value.length > 0) {
        this.#held.push(Buffer.from(value.buffer, value.byteOffset, value.byteLength))
        this.#size += value.length
      }
    }
    const first = this.#held[0]
    const all = first !== undefined && first.length >= count ? first : Buffer.concat(this.#held)
    const taken = all.subarray(0, count)
    if (all === first) this.#held[0] = all.subarray(taken.length)
    else this.#held = [all.subarray(taken.length)]
    this.#size -= taken.length
    return taken
  }

  /**
   * The next `count` bytes.
   *
   * @throws ArchiveTruncatedError when there are fewer
   */
  async exactly(count: number): Promise<Buffer> {
    const bytes = await this.upTo(count)
    if (bytes.length < count) throw new ArchiveTruncatedError()
    return bytes
  }

  /** Lets go of the source. */
  async close(): Promise<void> {
    this.#ended = true
    await this.#pieces.return?.()
  }
}
