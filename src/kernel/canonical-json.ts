// Without anything of Node: a Worker bundle takes this and nothing else of bytes.ts.
import { InvalidInputError } from './errors.ts'

/** Whether a value is a plain object, as a JSON text gives it: not null, no array, no instance of a class. */
export function isJsonObject(value: unknown): value is { readonly [key: string]: unknown } {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false
  const proto: unknown = Object.getPrototypeOf(value)
  // The second test holds for a plain object of another realm.
  return proto === null || proto === Object.prototype || Object.getPrototypeOf(proto) === null
}

/** How deep {@link canonicalJson} goes: beyond every limit of checkJson, short of the stack's. */
const CANONICAL_DEPTH = 64

/** What a value that JSON can't hold is called in a message. */
export function nameOfJson(value: unknown): string {
  if (value === undefined) return 'undefined'
  if (typeof value === 'number') return String(value)
  return typeof value === 'object' ? 'an instance of a class' : `a ${typeof value}`
}

/**
 * The JSON text of a value with its keys sorted: equal values give equal texts. What digests of arguments are made of.
 * Follows the JSON Canonicalization Scheme (RFC 8785).
 *
 * @param value - a JSON value
 * @returns its text
 * @throws InvalidInputError when it holds what JSON can't, or nests deeper than 64 levels
 */
export function canonicalJson(value: unknown): string {
  return canonical(value, 1)
}

function canonical(value: unknown, depth: number): string {
  if (depth > CANONICAL_DEPTH) {
    throw new InvalidInputError(
      'value',
      `is nested deeper than ${CANONICAL_DEPTH} levels, or holds itself`,
      'make it flatter',
    )
  }
  if (value === null || typeof value === 'boolean' || (typeof value === 'number' && Number.isFinite(value))) {
    return JSON.stringify(value)
  }
  if (typeof value === 'string') {
    if (/[\ud800-\udfff]/u.test(value)) {
      throw new InvalidInputError('value', 'holds half of a surrogate pair', 'give well-formed text')
    }
    return JSON.stringify(value)
  }
  if (Array.isArray(value)) {
    let text = '['
    for (let i = 0; i < value.length; i++) text += `${i === 0 ? '' : ','}${canonical(value[i], depth + 1)}`
    return `${text}]`
  }
  if (isJsonObject(value)) {
    let text = '{'
    // Sorted by UTF-16 code units, as RFC 8785 asks.
    for (const key of Object.keys(value).sort()) {
      text += `${text === '{' ? '' : ','}${canonical(key, depth)}:${canonical(value[key], depth + 1)}`
    }
    return `${text}}`
  }
  throw new InvalidInputError('value', `holds ${nameOfJson(value)}, which JSON can't`, 'give JSON values only')
}
