import { checkJson, type JsonObject } from '../kernel/bytes.ts'
import { InvalidInputError } from '../kernel/errors.ts'
import type { About } from './record.ts'

/** What a host may say about a token. In an update an absent field keeps what is there, and `null` clears it. */
export interface AboutInput {
  /** Whose it is: a team, a person, a service. At most 128 characters. */
  readonly owner?: string | null | undefined
  /** At most 1024 characters. */
  readonly description?: string | null | undefined
  /** At most 32, each of at most 64 characters. */
  readonly tags?: readonly string[] | null | undefined
  /** A JSON object of at most 16 kB, 8 levels deep. Not searched, not secret. */
  readonly metadata?: JsonObject | null | undefined
}

const PARSERS = {
  owner: (value: unknown) => checkName('owner', value, 128),
  description: (value: unknown) => checkName('description', value, 1024),
  tags: checkTags,
  metadata: (value: unknown) => checkJson('metadata', value),
} as const

/** The fields of an {@link AboutInput}. */
export const ABOUT_FIELDS: readonly (keyof AboutInput)[] = ['owner', 'description', 'tags', 'metadata']

/**
 * Applies what a caller says about a token to what was said before.
 *
 * @returns the result; `undefined` when nothing is said
 * @throws InvalidInputError naming the field
 */
export function parseAbout(input: AboutInput, before: About | undefined): About | undefined {
  const about: Record<string, unknown> = { ...before }
  for (const field of ABOUT_FIELDS) {
    const value = input[field]
    if (value === undefined) continue
    if (value === null) delete about[field]
    else about[field] = PARSERS[field](value)
  }
  return Object.keys(about).length === 0 ? undefined : (about as About)
}

/** Texts that need no closer look. */
const PLAIN = /^[ -~]*$/

/**
 * Checks a name: text without control characters, direction marks or broken surrogates.
 *
 * @throws InvalidInputError naming the field
 */
export function checkName(field: string, value: unknown, max: number): string {
  if (typeof value !== 'string' || value.length === 0 || value.length > max) {
    throw new InvalidInputError(field, `must be a text of 1 to ${max} characters`, 'give it a shorter text')
  }
  if (value.trim() !== value) throw new InvalidInputError(field, 'begins or ends with white space', 'trim it')
  if (PLAIN.test(value)) return value
  for (const symbol of value) {
    const code = symbol.codePointAt(0) as number
    const control = code < 0x20 || (code >= 0x7f && code < 0xa0) || code === 0x2028 || code === 0x2029
    const direction =
      (code >= 0x202a && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069) || code === 0x200e || code === 0x200f
    if (control || direction || (code >= 0xd800 && code <= 0xdfff)) {
      throw new InvalidInputError(field, 'holds a control character or a broken one', 'use printable characters')
    }
  }
  return value
}

function checkTags(value: unknown): readonly string[] {
  if (!Array.isArray(value) || value.length > 32) {
    throw new InvalidInputError('tags', 'must be a list of at most 32 texts', 'shorten the list')
  }
  return [...new Set(value.map((tag, i) => checkName(`tags[${i}]`, tag, 64)))].sort()
}
