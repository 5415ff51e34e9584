import { hash } from 'node:crypto'
import { InvalidInputError } from '../kernel/errors.ts'

/** What PostgreSQL keeps of an identifier without cutting it off, less what we put behind the prefix. */
const MAX_PART = 40

/** Letters, digits and underscores; quoted, so that their case counts. */
const IDENTIFIER = /^[A-Za-z_][A-Za-z0-9_]*$/

/** The tables, sequences and functions. */
const OBJECTS = [
  'meta',
  'kind',
  'ind',
  'record',
  'uniq',
  'ord',
  'journal',
  'head',
  'commits',
  'flushes',
  'usage',
  'event_order',
  'now_ms',
  'add_latency',
  'commit_2',
  'add_usage_1',
  'roll_usage_1',
  'seal_1',
  'reindex_1',
  'limits',
  'reserve_1',
] as const

/** Where everything of one store is: each object's full name, quoted. */
export type Names = { readonly [name in (typeof OBJECTS)[number]]: string } & {
  /** The schema, quoted. */
  readonly schema: string
  /** The schema, as its user wrote it. */
  readonly plainSchema: string
  /** How messages call the store. */
  readonly store: string
  /** The channel of NOTIFY. */
  readonly channel: string
  /** What sets this store's prepared statements and locks apart from another's on the same server. */
  readonly mark: string
}

/**
 * The names of a store's objects.
 *
 * @param schema - the schema
 * @param prefix - what each name in it begins with
 * @throws InvalidInputError when one isn't made of letters, digits and underscores
 */
export function namesOf(schema: string, prefix: string): Names {
  checkIdentifier('schema', schema)
  if (prefix !== '') checkIdentifier('prefix', prefix)
  const mark = hash('sha256', `${schema}.${prefix}`, 'hex').slice(0, 12)
  const named = Object.fromEntries(OBJECTS.map((object) => [object, `"${schema}"."${prefix}${object}"`]))
  return {
    ...(named as { [name in (typeof OBJECTS)[number]]: string }),
    schema: `"${schema}"`,
    plainSchema: schema,
    store: prefix === '' ? `the store in schema ${schema}` : `the store ${schema}.${prefix}*`,
    channel: `tokenwright_${mark}`,
    mark,
  }
}

function checkIdentifier(field: string, value: unknown): void {
  if (typeof value !== 'string' || value.length > MAX_PART || !IDENTIFIER.test(value)) {
    throw new InvalidInputError(
      field,
      `must be a name of at most ${MAX_PART} letters, digits and underscores`,
      'leave it out for the default',
    )
  }
}
