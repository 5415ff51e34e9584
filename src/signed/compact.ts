import { createHmac } from 'node:crypto'
import { equalBytes } from '../kernel/bytes.ts'
import type { KeyRing } from '../tokens/key-ring.ts'

/** What every compact token begins with. The MAC covers it, so that it can stand for nothing else signed by this key. */
const MARK = 'v1.'
const MAC_LENGTH = 43

/**
 * A compact token: `v1.` payload `.` MAC. The payload is base64url of the id of the ring's key and the claims as JSON; the MAC
 * is HMAC-SHA256 of all before it, under that key's subkey for signing, in base64url.
 */
export function signCompact(keys: KeyRing, payload: string): string {
  const body = MARK + Buffer.from(keys.activeId + payload, 'utf8').toString('base64url')
  return `${body}.${createHmac('sha256', keys.subkey('sign')).update(body).digest('base64url')}`
}

/** A compact token that was proved. */
export interface OpenedCompact {
  /** The ring's key that signed it. */
  readonly key: string
  /** When that key stops proving anything, epoch ms. */
  readonly retireAt: number
  /** The claims' JSON text. */
  readonly payload: string
}

/**
 * Proves a compact token. The text names one of our keys, and nothing else in it decides how it is proved.
 *
 * @param text - of signed form, printable ASCII
 */
export function openCompact(keys: KeyRing, text: string, now: number): OpenedCompact | 'malformed' | 'unknown' {
  const dot = text.length - MAC_LENGTH - 1
  if (dot <= MARK.length || text.charCodeAt(dot) !== DOT) return 'malformed'
  const decoded = Buffer.from(text.slice(MARK.length, dot), 'base64url').toString('utf8')
  const brace = decoded.indexOf('{')
  if (brace < 1 || brace > 32) return 'malformed'
  const key = decoded.slice(0, brace)
  const retireAt = keys.retireAt(key)
  if (retireAt === undefined || now >= retireAt) return 'unknown'
  const mac = createHmac('sha256', keys.subkey('sign', key)).update(text.slice(0, dot)).digest('base64url')
  // As texts: another spelling of the same bytes isn't the same token. (In Latin-1, U+0141 would be an A.)
  if (!equalBytes(Buffer.from(mac), Buffer.from(text.slice(dot + 1)))) return 'unknown'
  return { key, retireAt, payload: decoded.slice(brace) }
}

const DOT = 46
