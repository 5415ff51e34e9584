import { Buffer } from 'node:buffer'
import { createCipheriv, createDecipheriv, createHash, hkdfSync, type KeyObject, scrypt } from 'node:crypto'
import { equalBytes, lengthPrefixed } from '../kernel/bytes.ts'
import { InvalidInputError } from '../kernel/errors.ts'
import type { Random } from '../kernel/random.ts'
import { Secret } from '../kernel/secret.ts'
import { type KeyInput, KeyRing } from '../tokens/key-ring.ts'
import type { KeySlot } from './archive-head.ts'
import { ArchiveCorruptError, ArchiveKeyError } from './errors.ts'

/** What opens an archive: a key ring, or a passphrase. */
export interface ArchiveKey {
  /** The ring, where it isn't the one that the store is used with. */
  readonly keys?: string | readonly KeyInput[] | KeyRing | undefined
  /** The passphrase, of archives that were made with one. */
  readonly passphrase?: string | Secret | undefined
}

/** What an archive is made under. */
export interface NewArchiveKey extends ArchiveKey {
  /** The id of a key of the ring. Default: the active one. */
  readonly key?: string | undefined
}

/** A key that was checked. */
export type CheckedKey =
  | { readonly by: 'ring'; readonly ring: KeyRing; readonly id: string }
  | { readonly by: 'passphrase'; readonly passphrase: string }

/** The work of one guess at a passphrase: 128 MB and some tenths of a second. */
const SCRYPT = { n: 2 ** 17, r: 8, p: 1 } as const
/** What a head may ask for, so that a forged one can't use up memory or time. */
const MAX_N = 2 ** 18
const MIN_N = 2 ** 14
const MIN_PASSPHRASE = 12
const MAX_PASSPHRASE = 1024

/**
 * Checks a key.
 *
 * @param field - what it is called, as the caller writes it; empty = an option of the call
 * @param ring - the ring where none is given
 * @throws InvalidInputError for a passphrase of under 12 characters, a key that the ring lacks, or both sorts
 */
export function checkKey(field: string, given: NewArchiveKey, ring: KeyRing): CheckedKey {
  const name = (option: string): string => (field === '' ? option : `${field}.${option}`)
  if (given.passphrase !== undefined) {
    if (given.keys !== undefined || given.key !== undefined) {
      throw new InvalidInputError(name('passphrase'), 'is given beside a key', 'give one of the two')
    }
    const text = given.passphrase instanceof Secret ? given.passphrase.reveal() : given.passphrase
    if (typeof text !== 'string' || text.length < MIN_PASSPHRASE || text.length > MAX_PASSPHRASE) {
      const what = `is no text of ${MIN_PASSPHRASE} to ${MAX_PASSPHRASE} characters`
      throw new InvalidInputError(name('passphrase'), what, 'use several random words')
    }
    // However the letters were typed.
    return { by: 'passphrase', passphrase: text.normalize('NFC') }
  }
  const keys = given.keys === undefined ? ring : KeyRing.from(given.keys)
  const id = given.key ?? keys.activeId
  if (!keys.ids.includes(id)) {
    throw new InvalidInputError(name('key'), 'is no key of the ring', `the ring has ${keys.ids.join(', ')}`)
  }
  return { by: 'ring', ring: keys, id }
}

/** Wraps an archive's key, bound to what the archive says of itself. */
export async function wrapKey(dataKey: Buffer, bound: Buffer, key: CheckedKey, random: Random): Promise<KeySlot> {
  const salt = text(random.bytes(16))
  const nonce = text(random.bytes(12))
  const way = key.by === 'ring' ? { by: 'ring' as const, key: key.id } : { by: 'passphrase' as const, ...SCRYPT }
  const { wrapping, check } = await derive(key, way, salt)
  const cipher = createCipheriv('aes-256-gcm', wrapping, bytes(nonce))
  cipher.setAAD(binding(bound, { ...way, salt, nonce, check, wrapped: '' }))
  const wrapped = text(Buffer.concat([cipher.update(dataKey), cipher.final(), cipher.getAuthTag()]))
  return { ...way, salt, nonce, check, wrapped }
}

/**
 * Unwraps an archive's key.
 *
 * @throws ArchiveKeyError when the key at hand isn't the one, ArchiveCorruptError when it is and the head was changed
 */
export async function unwrapKey(slot: KeySlot, bound: Buffer, key: CheckedKey): Promise<Buffer> {
  checkFits(slot, key)
  const { wrapping, check } = await derive(key, slot, slot.salt)
  if (!equalBytes(bytes(check), bytes(slot.check))) {
    if (slot.by === 'passphrase') throw new ArchiveKeyError('the passphrase is not the one', 'give the right one')
    throw new ArchiveKeyError(
      `the key '${slot.key}' of this ring has another secret than the one that the archive was made under`,
      'give the ring that it was made under',
      slot.key,
    )
  }
  const sealed = bytes(slot.wrapped)
  try {
    const decipher = createDecipheriv('aes-256-gcm', wrapping, bytes(slot.nonce), { authTagLength: 16 })
    decipher.setAAD(binding(bound, slot))
    decipher.setAuthTag(sealed.subarray(-16))
    return Buffer.concat([decipher.update(sealed.subarray(0, -16)), decipher.final()])
  } catch {
    throw new ArchiveCorruptError('its head')
  }
}

function checkFits(slot: KeySlot, key: CheckedKey): void {
  if (slot.by === 'ring') {
    if (key.by === 'passphrase') {
      throw new ArchiveKeyError(
        `the archive was made under the key '${slot.key}', not with a passphrase`,
        'give the key ring',
        slot.key,
      )
    }
    if (key.ring.ids.includes(slot.key)) return
    throw new ArchiveKeyError(
      `the archive was made under the key '${slot.key}', and the ring has only ${key.ring.ids.join(', ')}`,
      'give a ring that has it',
      slot.key,
    )
  }
  if (key.by !== 'passphrase')
    throw new ArchiveKeyError('the archive was made with a passphrase', 'give { passphrase }')
  const { n, r, p } = slot
  if (n < MIN_N || n > MAX_N || (n & (n - 1)) !== 0 || r !== SCRYPT.r || p !== SCRYPT.p) {
    throw new ArchiveKeyError(
      'the archive asks for other work on its passphrase than any version of this library does',
      'take another copy of it',
    )
  }
}

/** The key that wraps, and a value that tells it from another. */
async function derive(
  key: CheckedKey,
  way: { readonly by: 'ring'; readonly key: string } | { readonly by: 'passphrase'; readonly n: number },
  salt: string,
): Promise<{ wrapping: Buffer; check: string }> {
  const secret = await secretOf(key, way, salt)
  const derived = Buffer.from(hkdfSync('sha256', secret, bytes(salt), 'tokenwright backup wrap v1', 48))
  return { wrapping: derived.subarray(0, 32), check: text(derived.subarray(32)) }
}

async function secretOf(
  key: CheckedKey,
  way: { readonly by: 'ring'; readonly key: string } | { readonly by: 'passphrase'; readonly n: number },
  salt: string,
): Promise<KeyObject | Buffer> {
  if (key.by === 'ring') return key.ring.subkey('backup', way.by === 'ring' ? way.key : key.id)
  const N = way.by === 'passphrase' ? way.n : SCRYPT.n
  const { r, p } = SCRYPT
  return new Promise((resolve, reject) => {
    scrypt(key.passphrase, bytes(salt), 32, { N, r, p, maxmem: 2 * 128 * N * r }, (error, derived) => {
      if (error === null) resolve(derived)
      else reject(error)
    })
  })
}

/** What the wrapped key is bound to: what the archive says of itself, and how it was wrapped. */
function binding(bound: Buffer, slot: KeySlot): Buffer {
  const about = createHash('sha256').update(bound).digest('base64url')
  const way = slot.by === 'ring' ? [slot.by, slot.key] : [slot.by, `${slot.n}`, `${slot.r}`, `${slot.p}`]
  return Buffer.from(lengthPrefixed(['tokenwright backup', about, ...way, slot.salt, slot.nonce, slot.check]))
}

function text(data: Uint8Array): string {
  return Buffer.from(data).toString('base64url')
}

function bytes(data: string): Buffer {
  return Buffer.from(data, 'base64url')
}
