import { createHmac, type KeyObject, timingSafeEqual } from 'node:crypto'
import type { KeyRing } from '../tokens/key-ring.ts'
import { COMPACT_MARK } from '../tokens/signed-form.ts'
import type { SignedTimes } from './claims.ts'

const ID_LENGTH = 20
/** Epoch seconds in base 36: enough for the year 4446. */
const TIME_LENGTH = 7
const MAC_LENGTH = 43
/** Id, issued, expires: behind them stands the name of the key, before the MAC. */
const KEY_AT = ID_LENGTH + 2 * TIME_LENGTH
const MAX_KEY = 32

/**
 * A compact token: `v1.` grant `.` id issued expires key MAC. The grant is base64url of its claims as JSON; the id has 20 characters,
 * each time is epoch seconds in 7 digits of base 36, the key is named by its id in the ring; the MAC is HMAC-SHA256 of all
 * before it, `v1.` included, under that key's subkey for signing, in base64url. What is the same in all tokens of an agent is so the same text, and is
 * read once; nothing has to be decoded to know which key proves a token, and nothing is before it is proved.
 *
 * @param grant - the grant's claims as JSON
 */
export function signCompact(keys: KeyRing, { id, issuedAt, expiresAt }: SignedTimes, grant: string): string {
  const head = COMPACT_MARK + Buffer.from(grant, 'utf8').toString('base64url')
  const body = `${head}.${id}${inDigits(issuedAt)}${inDigits(expiresAt)}${keys.activeId}`
  return body + createHmac('sha256', keys.subkey('sign')).update(body).digest('base64url')
}

/** A compact token that was proved. */
export interface OpenedCompact extends SignedTimes {
  /** The ring's key that signed it. */
  readonly key: string
  /** When that key stops proving anything, epoch ms. */
  readonly retireAt: number
  /** The grant's JSON in base64url: cut out of the text, not copied. Whoever keeps it has to copy it. */
  readonly grant: string
}

interface CompactKey {
  readonly id: string
  readonly key: KeyObject
  readonly retireAt: number
}

/** The ring's keys as compact tokens need them, at hand. */
export class CompactKeys {
  readonly #ring: KeyRing
  readonly #keys = new Map<string, CompactKey>()

  /** @param ring - the host's keys */
  constructor(ring: KeyRing) {
    this.#ring = ring
  }

  /** A key of the ring, by its name. */
  get(id: string): CompactKey | undefined {
    return this.#keys.get(id) ?? this.#derive(id)
  }

  #derive(name: string): CompactKey | undefined {
    const id = this.#ring.ids.find((each) => each === name)
    const retireAt = id === undefined ? undefined : this.#ring.retireAt(id)
    if (id === undefined || retireAt === undefined) return undefined
    const found = { id, key: this.#ring.subkey('sign', id), retireAt }
    this.#keys.set(id, found)
    return found
  }
}

/**
 * Proves a compact token. The text names one of our keys, and nothing else in it decides how it is proved.
 *
 * @param text - of signed form
 */
export function openCompact(keys: CompactKeys, text: string, now: number): OpenedCompact | 'malformed' | 'unknown' {
  const dot = text.indexOf('.', COMPACT_MARK.length)
  const tail = dot + 1
  const end = text.length - MAC_LENGTH
  const named = end - tail - KEY_AT
  if (dot < 0 || named < 1 || named > MAX_KEY) return 'malformed'
  const found = keys.get(text.slice(tail + KEY_AT, end))
  if (found === undefined || now >= found.retireAt) return 'unknown'
  const mac = createHmac('sha256', found.key).update(text.slice(0, end)).digest('base64url')
  if (!equalMacs(mac, text.slice(end))) return 'unknown'
  // In two pieces: the engine copies what is short, and only points into the text where it is longer. The proof, which is kept, would keep the token.
  const id = text.slice(tail, tail + ID_LENGTH / 2) + text.slice(tail + ID_LENGTH / 2, tail + ID_LENGTH)
  const issuedAt = timeAt(text, tail + ID_LENGTH)
  const expiresAt = timeAt(text, tail + ID_LENGTH + TIME_LENGTH)
  if (issuedAt < 0 || expiresAt < 0 || !isAlphanumeric(text, tail, tail + ID_LENGTH)) return 'malformed'
  return {
    key: found.id,
    retireAt: found.retireAt,
    id,
    issuedAt,
    expiresAt,
    grant: text.slice(COMPACT_MARK.length, dot),
  }
}

/**
 * A compact token at the beginning of a text: behind it, other characters may follow that look like its own.
 *
 * @returns `undefined` when none of the ring's keys signed what the text begins with
 */
export function compactIn(ring: KeyRing, text: string): string | undefined {
  const named = text.indexOf('.', COMPACT_MARK.length) + 1 + KEY_AT
  for (const id of ring.ids) {
    const end = named + id.length
    if (!text.startsWith(id, named) || text.length < end + MAC_LENGTH) continue
    const mac = createHmac('sha256', ring.subkey('sign', id)).update(text.slice(0, end)).digest('base64url')
    if (equalMacs(mac, text.slice(end, end + MAC_LENGTH))) return text.slice(0, end + MAC_LENGTH)
  }
  return undefined
}

const ours = Buffer.alloc(MAC_LENGTH)
const theirs = Buffer.alloc(MAC_LENGTH)

/**
 * Whether two MACs are the same text, in a time that tells nothing of where they differ. As texts: another spelling of the same
 * bytes isn't the same token. What is given must have the length of a MAC. A character beyond ASCII among its 43 is written as bytes that
 * no MAC has, or leaves fewer than 43 written.
 */
function equalMacs(made: string, given: string): boolean {
  ours.write(made, 0, MAC_LENGTH, 'latin1')
  return theirs.write(given, 0, MAC_LENGTH, 'utf8') === MAC_LENGTH && timingSafeEqual(ours, theirs)
}

function inDigits(seconds: number): string {
  return seconds.toString(36).padStart(TIME_LENGTH, '0')
}

/** A time as {@link inDigits} writes it; -1 for anything else. */
function timeAt(text: string, at: number): number {
  let seconds = 0
  for (let i = at; i < at + TIME_LENGTH; i++) {
    const code = text.charCodeAt(i)
    if (code >= 0x30 && code <= 0x39) seconds = seconds * 36 + code - 0x30
    else if (code >= 0x61 && code <= 0x7a) seconds = seconds * 36 + code - 0x61 + 10
    else return -1
  }
  return seconds
}

function isAlphanumeric(text: string, from: number, to: number): boolean {
  for (let i = from; i < to; i++) {
    const code = text.charCodeAt(i)
    if (!((code >= 0x30 && code <= 0x39) || (code >= 0x41 && code <= 0x5a) || (code >= 0x61 && code <= 0x7a)))
      return false
  }
  return true
}
