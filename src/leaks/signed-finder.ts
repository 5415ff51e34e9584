import { MAX_SIGNED_LENGTH } from '../tokens/format.ts'
import { JWT_PAYLOAD_START, SIGNED_FORMS, type SignedForm } from '../tokens/signed-form.ts'
import type { Found } from './opaque-finder.ts'

/** 1 for each byte of base64url. */
const SYMBOLS = new Uint8Array(256)
for (const symbol of 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_')
  SYMBOLS[symbol.charCodeAt(0)] = 1
const DOT = 46
/** No header of ours is longer. */
const MAX_HEADER = 200
const PAYLOAD_START = Buffer.from(JWT_PAYLOAD_START)
const SOUGHT = SIGNED_FORMS.map((form) => ({ form, start: Buffer.from(form.start) }))

/** What a place turned out to be: a text, or nothing. */
interface Reading {
  /** Bytes of the window that it took to tell. */
  readonly needed: number
  readonly end?: number
}

/**
 * Finds texts with the form of our signed tokens: known by how they begin, they end where their last part has as many characters
 * as a signature or MAC, whatever follows. Whether they are ours is for the signer to tell. Linear: a beginning stands in
 * front of a dot, so none is within the part of another that is looked through, but for the few that fit into a header.
 */
export class SignedFinder {
  /** Bytes of the longest, and the one behind. */
  get longest(): number {
    return MAX_SIGNED_LENGTH + 1
  }

  /**
   * The texts of signed form whose end is within a window.
   *
   * @param seen - bytes that were looked through before: what was decided within them was told
   * @param last - whether nothing follows
   */
  *find(window: Buffer, seen: number, last: boolean): Generator<Found> {
    for (const { form, start } of SOUGHT) {
      for (let at = window.indexOf(start); at >= 0; at = window.indexOf(start, at + 1)) {
        const reading = read(window, at, form, last)
        if (reading === undefined || reading.needed <= seen || reading.end === undefined) continue
        const text = window.toString('latin1', at, reading.end)
        yield { at, text, preview: form.format === 'hmac' ? 'v1.…' : 'eyJ…', signed: true }
      }
    }
  }
}

const NOTHING: Reading = { needed: 0 }

/** What stands at a place; `undefined` when that hangs on bytes that haven't come yet. */
function read(window: Buffer, at: number, form: SignedForm, last: boolean): Reading | undefined {
  let i = at + form.start.length
  const bound = at + MAX_SIGNED_LENGTH
  for (let dots = 0; dots < form.dots; dots++) {
    const to = Math.min(bound, dots === 0 && form.dots === 2 ? at + MAX_HEADER : bound, window.length)
    while (i < to && SYMBOLS[window[i] as number] === 1) i += 1
    if (i === window.length) return last ? NOTHING : undefined
    if (window[i] !== DOT) return { needed: i + 1 }
    i += 1
    if (form.dots === 2 && dots === 0) {
      for (const byte of PAYLOAD_START) {
        if (i === window.length) return last ? NOTHING : undefined
        if (window[i] !== byte) return { needed: i + 1 }
        i += 1
      }
    }
  }
  const tail = i
  const to = Math.min(bound, tail + form.maxTail)
  while (i < to && i < window.length && SYMBOLS[window[i] as number] === 1) i += 1
  if (i === window.length && i < to && !last) return undefined
  const needed = i === to ? i : i + 1
  return i - tail < form.minTail ? { needed } : { needed, end: i }
}
