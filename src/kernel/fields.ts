import { abbreviated, InvalidInputError } from './errors.ts'

/**
 * Checks that a value is an object with none but these fields, so that a misspelt option is told and not ignored.
 *
 * @param field - what the value is called, as the caller writes it
 * @throws InvalidInputError naming the stray field
 */
export function checkFields(field: string, value: unknown, known: readonly string[]): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new InvalidInputError(
      field,
      'must be an object',
      `give { ${known.slice(0, 6).join(', ')}${known.length > 6 ? ', …' : ''} }`,
    )
  }
  for (const key in value) {
    if (!known.includes(key)) {
      throw new InvalidInputError(
        field,
        `has an unknown field '${abbreviated(key)}'`,
        `the fields are ${known.join(', ')}`,
      )
    }
  }
  return value as Record<string, unknown>
}
