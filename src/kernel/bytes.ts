import { Buffer } from 'node:buffer'
import { timingSafeEqual } from 'node:crypto'
import { isJsonObject, nameOfJson } from './canonical-json.ts'
import { InvalidInputError } from './errors.ts'

export { canonicalJson, isJsonObject } from './canonical-json.ts'

/** Joins texts so that no two lists give the same string: each with its length before it. */
export function lengthPrefixed(parts: readonly string[]): string {
  let text = ''
  for (const part of parts) text += `${part.length}:${part}`
  return text
}

/** Whether two byte arrays are the same, in a time that depends on their lengths only. */
export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && timingSafeEqual(a, b)
}

/** A JSON value. */
export type Json = string | number | boolean | null | readonly Json[] | JsonObject

/** A JSON object. */
export interface JsonObject {
  readonly [key: string]: Json
}

/** The limits of {@link checkJson}. */
export interface JsonLimits {
  /** The size of the JSON text in UTF-8, bytes. Default: 16,384. */
  readonly maxBytes?: number
  /** How deep objects and arrays may nest, the outermost counted. Default: 8. */
  readonly maxDepth?: number
}

/** Keys that reach an object's prototype where someone copies carelessly. */
const DANGEROUS: ReadonlySet<string> = new Set(['__proto__', 'constructor', 'prototype'])

/** A lone surrogate, which UTF-8 can't hold, or NUL, which some databases can't. */
const UNSTORABLE = /[\ud800-\udfff\0]/u

/**
 * Checks a JSON object that the host gives, such as a token's metadata, and copies it, deeply frozen.
 *
 * @param field - the option, as the caller writes it
 * @param value - what was given
 * @param limits - how large it may be
 * @returns a frozen copy; later changes of `value` don't reach it
 * @throws InvalidInputError when it isn't a plain object, holds what JSON can't (undefined, functions, NaN, bigints,
 * dates, cycles), a key `__proto__`, `constructor` or `prototype`, a text with NUL or a lone surrogate, or is too large
 * or too deep
 */
export function checkJson(field: string, value: unknown, limits: JsonLimits = {}): JsonObject {
  if (!isJsonObject(value)) throw new InvalidInputError(field, 'is not a plain object', 'give an object of JSON values')
  return new JsonCopy(field, limits.maxBytes ?? 16_384, limits.maxDepth ?? 8).object(value, field, 1)
}

/** One run of {@link checkJson}: copies while it counts the bytes. */
class JsonCopy {
  readonly #field: string
  readonly #maxBytes: number
  readonly #maxDepth: number
  #bytes = 0

  constructor(field: string, maxBytes: number, maxDepth: number) {
    this.#field = field
    this.#maxBytes = maxBytes
    this.#maxDepth = maxDepth
  }

  object(value: { readonly [key: string]: unknown }, path: string, depth: number): JsonObject {
    this.#enter(depth)
    const copy: { [key: string]: Json } = {}
    const keys = Object.keys(value)
    // The braces and the commas.
    this.#add(2 + Math.max(0, keys.length - 1))
    for (const key of keys) {
      const inner = pathTo(path, key)
      if (DANGEROUS.has(key)) throw new InvalidInputError(inner, 'is not allowed as a key', 'use another name')
      this.#text(key, inner)
      this.#add(1)
      copy[key] = this.#value(value[key], inner, depth)
    }
    return Object.freeze(copy)
  }

  #array(value: readonly unknown[], path: string, depth: number): readonly Json[] {
    this.#enter(depth)
    this.#add(2 + Math.max(0, value.length - 1))
    const copy: Json[] = []
    for (let i = 0; i < value.length; i++) copy.push(this.#value(value[i], `${path}[${i}]`, depth))
    return Object.freeze(copy)
  }

  #value(value: unknown, path: string, depth: number): Json {
    if (typeof value === 'string') return this.#text(value, path)
    if (value === null || typeof value === 'boolean' || (typeof value === 'number' && Number.isFinite(value))) {
      this.#add(String(value).length)
      // JSON has no -0.
      return value === 0 ? 0 : value
    }
    if (Array.isArray(value)) return this.#array(value, path, depth + 1)
    if (isJsonObject(value)) return this.object(value, path, depth + 1)
    throw new InvalidInputError(path, `is ${nameOfJson(value)}, which JSON can't hold`, 'give JSON values only')
  }

  #text(text: string, path: string): string {
    this.#add(text.length + 2)
    if (UNSTORABLE.test(text)) {
      throw new InvalidInputError(path, 'holds a NUL or half of a surrogate pair', 'give well-formed text')
    }
    this.#add(Buffer.byteLength(JSON.stringify(text)) - text.length - 2)
    return text
  }

  #enter(depth: number): void {
    if (depth > this.#maxDepth) {
      const what = `is nested deeper than ${this.#maxDepth} levels, or holds itself`
      throw new InvalidInputError(this.#field, what, 'make it flatter')
    }
  }

  #add(bytes: number): void {
    this.#bytes += bytes
    if (this.#bytes > this.#maxBytes) {
      throw new InvalidInputError(this.#field, `is larger than ${this.#maxBytes} bytes of JSON`, 'keep less in it')
    }
  }
}

/** Keys come from the host, but into messages only such as can't break a line of a log. */
function pathTo(path: string, key: string): string {
  return /^[\w-]{1,40}$/.test(key) ? `${path}.${key}` : `${path}[…]`
}
