import { createHmac, hash, type KeyObject } from 'node:crypto'
import { lengthPrefixed } from '../kernel/bytes.ts'

/** What is told of one change of one record, before it is tagged. */
export interface JournalFacts {
  /** Unique: the commit's id and the entry's number in it. */
  readonly id: string
  /** When, epoch ms. */
  readonly at: number
  /** Who: given by the caller, else `system`. */
  readonly actor: string
  /** What was done, such as `token.rotated`. */
  readonly action: string
  /** The kind of the record that changed. */
  readonly kind: string
  /** The id of the record that changed. */
  readonly subject: string
  /** The revision that the change made. */
  readonly revision: number
  /** SHA-256 of the record's JSON as written, base64url. */
  readonly data: string
  /** Why: given by the caller. */
  readonly reason?: string
  /** What else is worth knowing, never a secret; flat. */
  readonly detail?: { readonly [name: string]: string | number | boolean }
}

/** A journal entry: the facts, and a tag that only a holder of the journal key can make. */
export interface JournalEntry extends JournalFacts {
  /** HMAC-SHA256 of the length-prefixed facts under the journal subkey, base64url. */
  readonly tag: string
}

/** A journal entry with its place in the chain. */
export interface SealedEntry extends JournalEntry {
  /** 1, 2, 3 … without gaps; 0 while unsealed. */
  readonly seq: number
  /** HMAC-SHA256 of the previous entry's `mac`, this `seq` and `tag`, base64url; empty while unsealed. */
  readonly mac: string
}

/** The end of the chain. Before the first entry: seq 0, mac ''. */
export interface JournalHead {
  readonly seq: number
  readonly mac: string
  /** Entries behind it that aren't linked yet, counted to at most 100,000; absent where there are none. */
  readonly unsealed?: number
}

/** Places entries after `head`, in order. Pure; holds the key, so a store never does. */
export type Link = (head: JournalHead, entries: readonly JournalEntry[]) => SealedEntry[]

/** The head of an empty journal. */
export const EMPTY_HEAD: JournalHead = Object.freeze({ seq: 0, mac: '' })

/** The digest of a record's JSON text that its journal entry carries. */
export function dataDigest(json: string): string {
  return hash('sha256', json, 'base64url')
}

/** The tag of facts under a journal key. */
export function tagOf(key: KeyObject, facts: JournalFacts): string {
  const { id, at, actor, action, kind, subject, revision, data, reason, detail } = facts
  const told = detail === undefined ? '' : JSON.stringify(detail)
  const text = lengthPrefixed([id, `${at}`, actor, action, kind, subject, `${revision}`, data, reason ?? '', told])
  return createHmac('sha256', key).update(text).digest('base64url')
}

/** Tags facts with the journal key. */
export function tagEntry(key: KeyObject, facts: JournalFacts): JournalEntry {
  return { ...facts, tag: tagOf(key, facts) }
}

/** The link of an entry: what binds its tag to its place behind another's. */
export function macOf(key: KeyObject, before: string, seq: number, tag: string): string {
  // Not by a template: the engine keeps the texts of numbers that it has made, and a long journal fills its young generation with them.
  return createHmac('sha256', key)
    .update(lengthPrefixed([before, seq.toFixed(0), tag]))
    .digest('base64url')
}

/** Makes the {@link Link} of a journal key. */
export function createLink(key: KeyObject): Link {
  return (head, entries) => {
    let { seq, mac } = head
    const sealed: SealedEntry[] = []
    for (const entry of entries) {
      seq += 1
      mac = macOf(key, mac, seq, entry.tag)
      sealed.push({ ...entry, seq, mac })
    }
    return sealed
  }
}
