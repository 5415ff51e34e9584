import { hash, type KeyObject } from 'node:crypto'
import { type JournalHead, macOf, type SealedEntry, tagOf } from '../stores/journal-link.ts'

/** What is wrong with an entry. */
export type JournalProblem =
  /** What it tells was changed: its tag doesn't fit. */
  | 'changed'
  /** It isn't where it was linked: something was removed, inserted, reordered, or linked by another. */
  | 'moved'
  /** Its sequence number doesn't follow the one before. */
  | 'gap'
  /** The revision doesn't follow the one that its record had: a change between was taken out. */
  | 'revision'
  /** The chain ends before a checkpoint, or has something else in its place: its tail was cut, or rolled back. */
  | 'cut'
  /** The record isn't what the last entry about it says. */
  | 'record'
  /** A checkpoint, or the point from which the journal is kept, wasn't signed by a key of the ring. */
  | 'signature'

/** The first entry that is not as it was written. */
export interface BadEntry {
  readonly problem: JournalProblem
  /** Its sequence number, or the one that it should have. */
  readonly seq: number
  /** The id of the entry that was found there. */
  readonly id?: string
  /** The record that it is about. */
  readonly subject?: string
}

/** Revisions of records restored from a backup begin here again: epoch * 2^32 + n. */
const EPOCH = 2 ** 32

/**
 * Goes along a journal and finds the first entry that is not as it was written. Holds a few bytes for each record, and
 * nothing for an entry.
 */
export class ChainCheck {
  readonly #keys: KeyObject[]
  #head: JournalHead | undefined
  /** By a digest of the record's name: its last revision. */
  readonly #revisions = new Map<number, number>()
  #entries = 0

  /**
   * @param keys - the journal subkeys of the ring
   * @param from - the place after which the journal begins; `undefined` = unknown, because what is before isn't kept
   */
  constructor(keys: readonly KeyObject[], from: JournalHead | undefined) {
    this.#keys = [...keys]
    this.#head = from
  }

  /** How many entries were good. */
  get entries(): number {
    return this.#entries
  }

  /** The place of the last good entry. */
  get head(): JournalHead | undefined {
    return this.#head
  }

  /** Checks the next entry; answers what is wrong with it, if anything. */
  add(entry: SealedEntry): BadEntry | undefined {
    const { seq, id, subject } = entry
    const before = this.#head
    if (before !== undefined && seq !== before.seq + 1) return { problem: 'gap', seq: before.seq + 1, id, subject }
    const key = this.#keyOf(entry)
    if (key === undefined) return { problem: 'changed', seq, id, subject }
    if (before !== undefined && !this.#follows(before, entry)) return { problem: 'moved', seq, id, subject }
    if (!this.#revises(entry)) return { problem: 'revision', seq, id, subject }
    this.#head = { seq, mac: entry.mac }
    this.#entries += 1
    return undefined
  }

  /** The key under which the entry was tagged; mostly the one before's. */
  #keyOf(entry: SealedEntry): KeyObject | undefined {
    for (let i = 0; i < this.#keys.length; i++) {
      const key = this.#keys[i] as KeyObject
      if (tagOf(key, entry) !== entry.tag) continue
      if (i > 0) {
        this.#keys.splice(i, 1)
        this.#keys.unshift(key)
      }
      return key
    }
    return undefined
  }

  /** Whether the entry was linked to the one before, under whichever key: the sealer's may be another than the writer's. */
  #follows(before: JournalHead, entry: SealedEntry): boolean {
    for (const key of this.#keys) if (macOf(key, before.mac, before.seq + 1, entry.tag) === entry.mac) return true
    return false
  }

  /** Whether the revision follows the last one of the record: the next, the same (told of again), or the first of an epoch. */
  #revises({ kind, subject, revision }: SealedEntry): boolean {
    const name = shortHash(`${kind}/${subject}`)
    const last = this.#revisions.get(name)
    this.#revisions.set(name, revision)
    // Of a record first met in a journal that begins later, anything may have been before.
    if (last === undefined || revision === last || revision === last + 1) return true
    return Math.floor(revision / EPOCH) > Math.floor(last / EPOCH)
  }
}

/** 48 bits of a digest. By a call that makes no object: a million of them would make the engine's young generation grow. */
function shortHash(text: string): number {
  const digest = hash('sha256', text, 'binary')
  let value = 0
  for (let i = 0; i < 6; i++) value = value * 256 + digest.charCodeAt(i)
  return value
}
