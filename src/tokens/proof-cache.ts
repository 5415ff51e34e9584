/** What a {@link ProofCache} remembers. */
export interface Remembered {
  /** SHA-256 of the string, as 32 characters from U+0000 to U+00FF. */
  readonly key: string
  /** Whether it was asked for since the cache last looked for something to forget; the cache's own. */
  recent: boolean
}

/** An entry is in one of this many places from that which its key names. */
const REACH = 8
const FIRST_SIZE = 1024

/**
 * A bounded map by SHA-256: it holds no token text. Asked at every call, so it is built for that: the numbers of eight
 * places lie in one line of the processor's cache, and as the keys are evenly spread already, nothing is hashed again.
 *
 * When all places of a new entry are taken, one that wasn't asked for lately, or never again, makes room: a flood of
 * strings that come once doesn't push out those that come often.
 */
export class ProofCache<T extends Remembered> {
  readonly #maxSize: number
  /** By place: 32 bits of the key, to be compared before the entry itself. */
  #tags: Int32Array
  #entries: (T | undefined)[]
  #mask: number
  #count = 0

  /** @param size - how many entries are held at most; rounded down to a power of two */
  constructor(size: number) {
    this.#maxSize = 2 ** Math.floor(Math.log2(size))
    const first = Math.min(this.#maxSize, FIRST_SIZE)
    this.#mask = first - 1
    this.#tags = new Int32Array(first)
    this.#entries = new Array<T | undefined>(first).fill(undefined)
  }

  /** How many entries there are. */
  get count(): number {
    return this.#count
  }

  /** The entry of a key. */
  get(key: string): T | undefined {
    const tag = tagOf(key)
    const mask = this.#mask
    const tags = this.#tags
    for (let n = 0; n < REACH; n++) {
      const place = (tag + n) & mask
      if (tags[place] !== tag) continue
      const entry = this.#entries[place]
      if (entry === undefined || entry.key !== key) continue
      if (!entry.recent) entry.recent = true
      return entry
    }
    return undefined
  }

  /** Remembers an entry whose key isn't there. */
  add(entry: T): void {
    if (this.#count * 2 >= this.#entries.length && this.#entries.length < this.#maxSize) this.#grow()
    const tag = tagOf(entry.key)
    const place = this.#freePlace(tag)
    if (this.#entries[place] === undefined) this.#count += 1
    this.#tags[place] = tag
    this.#entries[place] = entry
  }

  /** Forgets the entry of a key. */
  delete(key: string): void {
    const tag = tagOf(key)
    for (let n = 0; n < REACH; n++) {
      const place = (tag + n) & this.#mask
      if (this.#entries[place]?.key !== key) continue
      this.#entries[place] = undefined
      this.#count -= 1
    }
  }

  /** A place for a tag: a free one, else that of an entry which is not recent. */
  #freePlace(tag: number): number {
    const mask = this.#mask
    for (let n = 0; n < REACH; n++) {
      const place = (tag + n) & mask
      if (this.#entries[place] === undefined) return place
    }
    for (let n = 0; n < REACH; n++) {
      const place = (tag + n) & mask
      const entry = this.#entries[place] as T
      if (!entry.recent) return place
      // Has to be asked for again before the next one comes.
      entry.recent = false
    }
    return tag & mask
  }

  #grow(): void {
    const entries = this.#entries
    const size = Math.min(this.#maxSize, entries.length * 4)
    this.#mask = size - 1
    this.#tags = new Int32Array(size)
    this.#entries = new Array<T | undefined>(size).fill(undefined)
    this.#count = 0
    for (const entry of entries) {
      if (entry === undefined) continue
      const tag = tagOf(entry.key)
      const place = this.#freePlace(tag)
      if (this.#entries[place] === undefined) this.#count += 1
      this.#tags[place] = tag
      this.#entries[place] = entry
    }
  }
}

/** 32 bits of a key. */
function tagOf(key: string): number {
  return key.charCodeAt(0) | (key.charCodeAt(1) << 8) | (key.charCodeAt(2) << 16) | (key.charCodeAt(3) << 24)
}
