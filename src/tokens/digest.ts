import { hash } from 'node:crypto'
import { InvalidInputError } from '../kernel/errors.ts'

/** The schemes of digests that other systems made: unkeyed hashes of the whole token, or Sanctum's of its second part. */
export type ImportScheme = 'sha256' | 'sha512' | 'sanctum'

const shapes = new Map<string, { [keyId: string]: string }>()

/** The digests of a version with only one. Copied from an object of that shape, it takes half of what `{ [keyId]: … }` does. */
export function oneDigest(keyId: string, digest: string): { readonly [keyId: string]: string } {
  let shape = shapes.get(keyId)
  if (shape === undefined) {
    shape = JSON.parse(JSON.stringify({ [keyId]: '' })) as { [keyId: string]: string }
    shapes.set(keyId, shape)
  }
  const digests = { ...shape }
  digests[keyId] = digest
  return digests
}

/** The keys of a version's digests in the unique index: a keyed digest as it is, an imported one with its scheme. */
export function digestKeys(digests: { readonly [keyId: string]: string }): string[] {
  const keys: string[] = []
  for (const id in digests)
    keys.push(id.charCodeAt(0) === 58 ? `${id.slice(1)}:${digests[id]}` : (digests[id] as string))
  return keys
}

/** The unique keys under which an imported digest of this text would stand. */
export function importedKeys(text: string): string[] {
  const keys = [`sha256:${hash('sha256', text, 'base64url')}`, `sha512:${hash('sha512', text, 'base64url')}`]
  const bar = text.indexOf('|')
  if (bar > 0 && bar <= 20 && isDigits(text, bar)) {
    keys.push(`sanctum:${text.slice(0, bar)}:${hash('sha256', text.slice(bar + 1), 'base64url')}`)
  }
  return keys
}

/** A digest that another system made, as an import gives it. */
export interface ForeignDigest {
  /** `sha256` and `sha512` are of the whole token; `sanctum` is SHA-256 of what follows `id|`. */
  readonly scheme: ImportScheme
  /** The digest: hex; base64 or base64url (padded or not) for SHA-256 too. */
  readonly digest: string
  /** Sanctum: the id in front of the bar. */
  readonly id?: string | number
}

/**
 * Brings a foreign digest to the form in which it is stored.
 *
 * @throws InvalidInputError when it isn't a digest of that scheme
 */
export function parseForeignDigest(input: ForeignDigest): { readonly id: string; readonly digest: string } {
  const { scheme, digest, id } = input
  if (scheme !== 'sha256' && scheme !== 'sha512' && scheme !== 'sanctum') {
    throw new InvalidInputError('digest.scheme', 'is not a known scheme', "use 'sha256', 'sha512' or 'sanctum'")
  }
  if (typeof digest !== 'string' || digest.length > 128) {
    throw new InvalidInputError('digest.digest', 'is not a digest', 'give the digest as text')
  }
  const size = scheme === 'sha512' ? 64 : 32
  const bytes =
    digest.length === size * 2 ? Buffer.from(digest, 'hex') : scheme === 'sha512' ? undefined : fromBase64(digest)
  if (bytes === undefined || bytes.length !== size) {
    const forms = scheme === 'sha512' ? 'hex' : 'hex, base64 or base64url'
    throw new InvalidInputError('digest.digest', `is not a ${scheme} digest`, `give its ${size} bytes as ${forms}`)
  }
  const canonical = bytes.toString('base64url')
  if (scheme !== 'sanctum') return { id: `:${scheme}`, digest: canonical }
  const number = String(id ?? '')
  if (number === '' || number.length > 20 || !isDigits(number, number.length)) {
    throw new InvalidInputError('digest.id', 'is missing or is not a number', "give the id that stands before the '|'")
  }
  return { id: ':sanctum', digest: `${number}:${canonical}` }
}

function fromBase64(text: string): Buffer | undefined {
  if (text.length < 43 || text.length > 44 || !/^[A-Za-z0-9+/_-]{43}=?$/.test(text)) return undefined
  return Buffer.from(text, 'base64')
}

function isDigits(text: string, end: number): boolean {
  for (let i = 0; i < end; i++) {
    const code = text.charCodeAt(i)
    if (code < 48 || code > 57) return false
  }
  return true
}
