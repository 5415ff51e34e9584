import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createHmac,
  createSecretKey,
  hkdfSync,
  type KeyObject,
} from 'node:crypto'
import { lengthPrefixed } from '../kernel/bytes.ts'
import { InvalidInputError, TokenwrightError } from '../kernel/errors.ts'
import { type Random, systemRandom } from '../kernel/random.ts'

/** The purposes that get subkeys of their own. */
export type KeyPurpose = 'digest' | 'seal' | 'sign' | 'journal' | 'backup' | 'approval' | 'webhook' | 'check'

/** One key of a ring. */
export interface KeyInput {
  /** Names the key in the store: `[A-Za-z0-9][A-Za-z0-9_-]*`, at most 32 characters. Never give a name to another secret. */
  readonly id: string
  /** At least 32 bytes with at least 10 distinct characters; `generateSecret()` makes one. */
  readonly secret: string
  /** From this instant on, digests under this key prove nothing any more; epoch ms, Date or ISO text. */
  readonly retireAt?: number | Date | string
}

/** The codes of the errors about keys. */
export type KeyErrorCode = 'ERR_KEY_UNKNOWN' | 'ERR_UNSEAL' | 'ERR_KEY_IN_USE' | 'ERR_KEY_RING_MISMATCH'

/** A sealed copy can't be opened: it was made under a key that the ring lacks, or it was changed. */
export class UnsealError extends TokenwrightError<'ERR_KEY_UNKNOWN' | 'ERR_UNSEAL'> {}

interface RingKey {
  readonly id: string
  readonly secret: KeyObject
  readonly retireAt: number
  readonly subkeys: Map<KeyPurpose, KeyObject>
}

/**
 * The host's secrets: the first is active, the others still prove what was made under them. Each purpose has a subkey
 * of its own (HKDF-SHA256, RFC 5869), so that a digest, a seal and a signature never share one.
 *
 * Deploy a new key in two steps: on every instance as second, then as first.
 *
 * @example
 * ```ts
 * const keys = KeyRing.from([
 *   { id: '2027', secret: process.env.TOKEN_KEY_2027 },
 *   { id: '2026', secret: process.env.TOKEN_KEY_2026, retireAt: '2027-03-01T00:00:00Z' },
 * ])
 * ```
 */
export class KeyRing {
  readonly #keys: readonly RingKey[]
  readonly #digestKey: KeyObject

  private constructor(keys: readonly RingKey[]) {
    this.#keys = keys
    this.#digestKey = this.subkey('digest')
  }

  /**
   * A ring from one secret, from several keys (first = active), or a ring as it is. A single secret is named by a
   * fingerprint of its own.
   *
   * @throws InvalidInputError for a weak secret, a bad or doubled id, or an active key that retires
   */
  static from(input: string | readonly KeyInput[] | KeyRing): KeyRing {
    if (input instanceof KeyRing) return input
    if (typeof input === 'string') {
      checkSecret('keys', input)
      const secret = createSecretKey(Buffer.from(input, 'utf8'))
      const id = Buffer.from(hkdfSync('sha256', secret, '', 'tokenwright key id', 6)).toString('hex')
      return new KeyRing([{ id, secret, retireAt: Number.POSITIVE_INFINITY, subkeys: new Map() }])
    }
    if (!Array.isArray(input) || input.length === 0 || input.length > 16) {
      throw new InvalidInputError('keys', 'must be a secret, or a list of 1 to 16 keys', 'see KeyRing.from')
    }
    const seen = new Set<string>()
    const keys = input.map((key: KeyInput, i): RingKey => {
      if (typeof key?.id !== 'string' || key.id.length > 32 || !/^[A-Za-z0-9][A-Za-z0-9_-]*$/.test(key.id)) {
        throw new InvalidInputError(
          `keys[${i}].id`,
          'must be up to 32 letters, digits, hyphens and underscores',
          "write for example '2027-01'",
        )
      }
      if (seen.has(key.id))
        throw new InvalidInputError(`keys[${i}].id`, `names '${key.id}' twice`, 'give each key a name of its own')
      seen.add(key.id)
      checkSecret(`keys[${i}].secret`, key.secret)
      const retireAt = key.retireAt === undefined ? Number.POSITIVE_INFINITY : new Date(key.retireAt).getTime()
      if (Number.isNaN(retireAt))
        throw new InvalidInputError(
          `keys[${i}].retireAt`,
          'is not an instant',
          "write for example '2027-03-01T00:00:00Z'",
        )
      if (i === 0 && key.retireAt !== undefined) {
        throw new InvalidInputError(
          'keys[0].retireAt',
          'is set on the active key',
          'put the key that takes over first, on every instance',
        )
      }
      return { id: key.id, secret: createSecretKey(Buffer.from(key.secret, 'utf8')), retireAt, subkeys: new Map() }
    })
    return new KeyRing(keys)
  }

  /** The id of the key under which new digests are made. */
  get activeId(): string {
    return (this.#keys[0] as RingKey).id
  }

  /** The ids of all keys, the active one first. */
  get ids(): readonly string[] {
    return this.#keys.map((key) => key.id)
  }

  /** When a key stops proving anything, epoch ms; `Infinity` = never; `undefined` = the ring has no such key. */
  retireAt(id: string): number | undefined {
    return this.#keys.find((key) => key.id === id)?.retireAt
  }

  /** The digest of a token under the active key: HMAC-SHA256, base64url. The text must be printable ASCII. */
  digest(text: string): string {
    return createHmac('sha256', this.#digestKey).update(text).digest('base64url')
  }

  /** The digests of a token under the other keys that aren't retired at `now`, in the ring's order. */
  otherDigests(text: string, now: number): { readonly id: string; readonly digest: string }[] {
    const digests = []
    for (let i = 1; i < this.#keys.length; i++) {
      const key = this.#keys[i] as RingKey
      if (now >= key.retireAt) continue
      digests.push({
        id: key.id,
        digest: createHmac('sha256', this.#subkeyOf(key, 'digest')).update(text).digest('base64url'),
      })
    }
    return digests
  }

  /** Tells one secret from another of the same name, and tells nothing else. */
  checkValue(id: string): string {
    return createHmac('sha256', this.subkey('check', id)).update(id).digest('base64url')
  }

  /** The subkey of a purpose, of the active key or of the one named. */
  subkey(purpose: KeyPurpose, id?: string): KeyObject {
    const key = id === undefined ? this.#keys[0] : this.#keys.find((k) => k.id === id)
    if (key === undefined) {
      throw new UnsealError('ERR_KEY_UNKNOWN', `the key ring has no key '${id}'`, { help: 'add that key to the ring' })
    }
    return this.#subkeyOf(key, purpose)
  }

  /** Encrypts a text (AES-256-GCM, random 96-bit nonce), bound to a context: it opens only with the same one. */
  seal(text: string, context: readonly string[], random: Random): string {
    const nonce = random.bytes(12)
    const cipher = createCipheriv('aes-256-gcm', this.subkey('seal'), nonce)
    cipher.setAAD(Buffer.from(lengthPrefixed(context)))
    const body = Buffer.concat([nonce, cipher.update(text, 'utf8'), cipher.final(), cipher.getAuthTag()])
    return `${this.activeId}.${body.toString('base64url')}`
  }

  /**
   * Opens what {@link seal} made.
   *
   * @throws UnsealError when the key is unknown, the context differs, or a bit was changed
   */
  unseal(sealed: string, context: readonly string[]): string {
    const dot = sealed.indexOf('.')
    const body = Buffer.from(sealed.slice(dot + 1), 'base64url')
    const key = this.subkey('seal', sealed.slice(0, dot))
    try {
      const decipher = createDecipheriv('aes-256-gcm', key, body.subarray(0, 12), { authTagLength: 16 })
      decipher.setAAD(Buffer.from(lengthPrefixed(context)))
      decipher.setAuthTag(body.subarray(-16))
      return Buffer.concat([decipher.update(body.subarray(12, -16)), decipher.final()]).toString('utf8')
    } catch {
      // The cipher's own message says nothing more, and its stack could hold the bytes.
      throw new UnsealError(
        'ERR_UNSEAL',
        `a sealed copy (${context[0]}) can't be opened; it was changed, or moved from another record`,
        {
          help: 'restore the record from a backup, or rotate the token',
        },
      )
    }
  }

  /** Which key sealed a copy. */
  static sealedBy(sealed: string): string {
    return sealed.slice(0, sealed.indexOf('.'))
  }

  /** The ring by its ids; never its secrets. */
  toJSON(): { active: string; keys: readonly string[] } {
    return { active: this.activeId, keys: this.ids }
  }

  #subkeyOf(key: RingKey, purpose: KeyPurpose): KeyObject {
    let subkey = key.subkeys.get(purpose)
    if (subkey === undefined) {
      const salt = createHash('sha256').update('tokenwright').digest()
      subkey = createSecretKey(Buffer.from(hkdfSync('sha256', key.secret, salt, `tokenwright ${purpose} v1`, 32)))
      key.subkeys.set(purpose, subkey)
    }
    return subkey
  }
}

/**
 * A fresh secret for a {@link KeyRing}: 256 random bits in base64url. Make it once and keep it where the host keeps its
 * secrets; tokens issued under it verify only with it.
 *
 * @param random - where the bytes come from. Default: the system
 */
export function generateSecret(random: Random = systemRandom()): string {
  return Buffer.from(random.bytes(32)).toString('base64url')
}

function checkSecret(field: string, secret: unknown): asserts secret is string {
  if (typeof secret !== 'string') throw new InvalidInputError(field, 'must be a text', 'make one with generateSecret()')
  if (Buffer.byteLength(secret) < 32 || new Set(secret).size < 10) {
    throw new InvalidInputError(
      field,
      'is too weak: under 32 bytes or under 10 distinct characters',
      'make one with generateSecret()',
    )
  }
}
