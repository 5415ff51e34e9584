import { InvalidInputError } from '../kernel/errors.ts'
import { checkFields } from '../kernel/fields.ts'
import { LEVELS } from '../tokens/policy.ts'
import type { VerifyContext } from '../tokens/verification.ts'

const FIELDS = [
  'accept',
  'ip',
  'tool',
  'args',
  'scopes',
  'level',
  'cost',
  'approval',
  'explain',
  'caller',
  'finishLater',
]
const KNOWN: ReadonlySet<string> = new Set(FIELDS)

/**
 * Refuses a context that doesn't say what it seems to: a misspelt `scope` would ask for nothing. It is checked at every
 * call, so it allocates nothing.
 *
 * @throws InvalidInputError naming the field
 */
export function checkContext(context: VerifyContext): void {
  if (typeof context !== 'object' || context === null) throw mustBe('context', 'an object')
  for (const field in context) if (!KNOWN.has(field)) checkFields('context', context, FIELDS)
  const { accept, ip, tool, scopes, args, level, cost, approval, caller } = context
  if (accept !== undefined) checkAccept('accept', accept)
  if (ip !== undefined && typeof ip !== 'string') throw mustBe('ip', 'a text')
  if (tool !== undefined && (typeof tool !== 'string' || tool === '')) throw mustBe('tool', 'a name')
  if (scopes !== undefined && !isTexts(scopes)) throw mustBe('scopes', 'a list of texts')
  if (args !== undefined && (typeof args !== 'object' || args === null)) throw mustBe('args', 'an object')
  if (approval !== undefined && typeof approval !== 'string') throw mustBe('approval', 'a text')
  if (caller !== undefined && typeof caller !== 'string') throw mustBe('caller', 'a text')
  if (cost !== undefined && (!Number.isSafeInteger(cost) || cost < 0)) throw mustBe('cost', 'a whole number from 0')
  if (level !== undefined && !LEVELS.includes(level)) throw mustBe('level', `one of ${LEVELS.join(', ')}`)
}

/**
 * Checks which tokens will do.
 *
 * @throws InvalidInputError unless it is a list of `opaque` and `signed`, and not empty
 */
export function checkAccept(field: string, accept: readonly unknown[]): void {
  if (Array.isArray(accept) && accept.length > 0 && accept.every((form) => form === 'opaque' || form === 'signed'))
    return
  throw new InvalidInputError(field, "must be a list of 'opaque' and 'signed'", 'leave it out for both')
}

function isTexts(value: unknown): boolean {
  if (!Array.isArray(value)) return false
  for (let i = 0; i < value.length; i++) if (typeof value[i] !== 'string') return false
  return true
}

function mustBe(field: string, what: string): InvalidInputError {
  return new InvalidInputError(field, `must be ${what}`, 'leave it out where there is none')
}
