import { deepFreeze } from '../kernel/kind.ts'
import { EMPTY_HEAD, type JournalHead, type SealedEntry } from './journal-link.ts'
import type { JournalQuery } from './token-store.ts'

/** The journal of the memory store: a ring of the newest entries, and the head of the whole chain. */
export class MemoryJournal {
  readonly #limit: number
  /** The entry with sequence number n is at place (n - 1) % limit. */
  readonly #ring: SealedEntry[] = []
  #head: JournalHead = EMPTY_HEAD
  /** How many entries it has. */
  #kept = 0

  constructor(limit: number) {
    this.#limit = limit
  }

  get head(): JournalHead {
    return this.#head
  }

  /** Lets go of the entries up to `seq`, but for the last. */
  prune(seq: number, limit: number): number {
    const oldest = this.#head.seq - this.#kept + 1
    const gone = Math.max(0, Math.min(Math.floor(seq), this.#head.seq - 1) - oldest + 1)
    const now = Math.min(gone, limit)
    for (let at = oldest; at < oldest + now; at++) delete this.#ring[(at - 1) % this.#limit]
    this.#kept -= now
    return now
  }

  append(entries: readonly SealedEntry[]): void {
    for (const entry of entries) {
      if (this.#limit === 0) continue
      this.#ring[(entry.seq - 1) % this.#limit] = deepFreeze(entry)
      this.#kept = Math.min(this.#kept + 1, this.#limit)
    }
    const last = entries[entries.length - 1]
    if (last !== undefined) this.#head = Object.freeze({ seq: last.seq, mac: last.mac })
  }

  read({ after, subject, reverse, limit }: JournalQuery): SealedEntry[] {
    const newest = this.#head.seq
    const oldest = newest - this.#kept + 1
    const found: SealedEntry[] = []
    const step = reverse === true ? -1 : 1
    let seq = oldest
    if (reverse === true) seq = after === undefined ? newest : Math.min(newest, Math.ceil(after) - 1)
    else if (after !== undefined) seq = Math.max(oldest, Math.floor(after) + 1)
    for (; seq >= oldest && seq <= newest && found.length < limit; seq += step) {
      const entry = this.#ring[(seq - 1) % this.#limit] as SealedEntry
      if (subject === undefined || entry.subject === subject) found.push(entry)
    }
    return found
  }
}
