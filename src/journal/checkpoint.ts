import { createHmac, type KeyObject, timingSafeEqual } from 'node:crypto'
import { lengthPrefixed } from '../kernel/bytes.ts'
import type { JournalHead } from '../stores/journal-link.ts'

/**
 * The place of one journal entry in the chain, signed. Kept elsewhere (another account, a ticket, paper), it proves later
 * that nothing before it was cut away or replaced. Holds no secret.
 */
export interface Checkpoint {
  /** The entry's sequence number. */
  readonly seq: number
  /** The entry's place in the chain. */
  readonly mac: string
  /** When the checkpoint was made, epoch ms. */
  readonly at: number
  /** The key of the ring that signed it. */
  readonly key: string
  /** HMAC-SHA256 of the above under the journal subkey, base64url. */
  readonly signature: string
}

/** What a signed place in the chain is for: one can't stand in for the other. */
export type CheckpointUse = 'checkpoint' | 'base'

/** Signs a place in the chain. */
export function signCheckpoint(
  use: CheckpointUse,
  { seq, mac }: JournalHead,
  at: number,
  keyId: string,
  key: KeyObject,
): Checkpoint {
  return Object.freeze({ seq, mac, at, key: keyId, signature: sign(use, seq, mac, at, keyId, key) })
}

/** Whether a place in the chain was signed with this key, for this use. Compares in constant time; what is no checkpoint is none. */
export function isSigned(use: CheckpointUse, checkpoint: Checkpoint, key: KeyObject): boolean {
  const { seq, mac, at, key: keyId, signature } = checkpoint
  const texts = typeof mac === 'string' && typeof keyId === 'string' && typeof signature === 'string'
  if (!texts || !Number.isSafeInteger(seq) || !Number.isSafeInteger(at)) return false
  const expected = Buffer.from(sign(use, seq, mac, at, keyId, key))
  const given = Buffer.from(signature)
  return expected.length === given.length && timingSafeEqual(expected, given)
}

function sign(use: CheckpointUse, seq: number, mac: string, at: number, keyId: string, key: KeyObject): string {
  const text = lengthPrefixed([`tokenwright journal ${use}`, `${seq}`, mac, `${at}`, keyId])
  return createHmac('sha256', key).update(text).digest('base64url')
}
