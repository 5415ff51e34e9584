import { createHash } from 'node:crypto'

const WORDS = 4

/**
 * A set of ids in 16 bytes each and some air: of each the first 128 bits of its SHA-256, in one table with open
 * addressing. A million of them take 32 MB; as texts it would be three times as much.
 */
export class IdSet {
  #table = new Uint32Array(WORDS * 1024)
  #size = 0

  /** How many there are. */
  get size(): number {
    return this.#size
  }

  /** Adds an id. */
  add(kind: string, id: string): void {
    if (this.#size * 2 * WORDS >= this.#table.length) this.#grow()
    if (insert(this.#table, hashOf(kind, id), 0)) this.#size += 1
  }

  /** Whether an id was added. */
  has(kind: string, id: string): boolean {
    const hash = hashOf(kind, id)
    return isAt(this.#table, find(this.#table, hash, 0), hash, 0)
  }

  #grow(): void {
    const old = this.#table
    this.#table = new Uint32Array(old.length * 2)
    for (let at = 0; at < old.length; at += WORDS) if (old[at] !== 0) insert(this.#table, old, at)
  }
}

/** Four words, the first never 0: that is a free place. */
function hashOf(kind: string, id: string): Uint32Array {
  const digest = createHash('sha256').update(`${kind}/${id}`).digest()
  const words = new Uint32Array(WORDS)
  for (let i = 0; i < WORDS; i++) words[i] = digest.readUInt32LE(i * 4)
  if (words[0] === 0) words[0] = 1
  return words
}

/** Where these words stand, or the free place where they would. */
function find(table: Uint32Array, words: Uint32Array, from: number): number {
  const places = table.length / WORDS
  for (let place = (words[from + 1] as number) % places; ; place = (place + 1) % places) {
    const at = place * WORDS
    if (table[at] === 0 || isAt(table, at, words, from)) return at
  }
}

function isAt(table: Uint32Array, at: number, words: Uint32Array, from: number): boolean {
  for (let i = 0; i < WORDS; i++) if (table[at + i] !== words[from + i]) return false
  return true
}

function insert(table: Uint32Array, words: Uint32Array, from: number): boolean {
  const at = find(table, words, from)
  if (table[at] !== 0) return false
  for (let i = 0; i < WORDS; i++) table[at + i] = words[from + i] as number
  return true
}
