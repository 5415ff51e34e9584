import { InvalidInputError } from '../kernel/errors.ts'

/** The longest scope, characters. */
export const MAX_SCOPE_LENGTH = 128

/** How many scopes one token may have. */
export const MAX_SCOPES = 256

/** No two parts of it can match the same text, so that it can't backtrack far. */
const SCOPE = /^[a-z0-9][a-z0-9_.-]*(?::[a-z0-9][a-z0-9_.-]*)*:(?:\*|[a-z0-9][a-z0-9_.-]*)$/

/** What {@link parseScope} takes. */
export interface ScopeForm {
  /** Whether the last part may be `*`. Default `true`. */
  readonly pattern?: boolean
}

/**
 * Checks a scope: `resource:action`, or more parts, each of `a-z 0-9 _ . -` beginning with a letter or digit; the last
 * part may be `*`, which stands for one or more parts. At most 128 characters.
 *
 * @param field - the option, as the caller writes it
 * @param text - the scope
 * @param form - whether `*` will do
 * @returns the scope as it was
 * @throws InvalidInputError when it isn't one
 * @example
 * ```ts
 * parseScope('scopes[0]', 'docs:*') // 'docs:*'
 * ```
 */
export function parseScope(field: string, text: string, form: ScopeForm = {}): string {
  if (typeof text !== 'string' || text.length > MAX_SCOPE_LENGTH || !SCOPE.test(text)) {
    throw new InvalidInputError(
      field,
      'is not a scope',
      'write it like docs:read or docs:*, in lower case, at most 128 characters',
    )
  }
  if (form.pattern === false && text.endsWith('*')) {
    throw new InvalidInputError(field, 'is a pattern', 'name one scope, without *')
  }
  return text
}

/**
 * Checks a list of scopes.
 *
 * @param field - the option, as the caller writes it
 * @param value - at most 256 scopes; an empty list grants nothing
 * @param form - whether `*` will do
 * @returns sorted, without duplicates, frozen
 * @throws InvalidInputError when it isn't such a list
 */
export function parseScopes(field: string, value: readonly string[], form: ScopeForm = {}): readonly string[] {
  if (!Array.isArray(value)) throw new InvalidInputError(field, 'is not a list', 'give a list of scopes')
  if (value.length > MAX_SCOPES)
    throw new InvalidInputError(field, `has over ${MAX_SCOPES} entries`, 'use patterns such as docs:*')
  const scopes = value.map((text, i) => parseScope(`${field}[${i}]`, text as string, form))
  return Object.freeze([...new Set(scopes)].sort())
}

/**
 * Whether a granted scope covers a wanted one: the same, or a pattern of which it is a part. `docs:*` covers
 * `docs:read`, `docs:read:all` and `docs:read:*`, but neither `docs` nor `docsx:read`; a wanted pattern is covered
 * only by the same or a wider one.
 *
 * @param granted - a scope or pattern
 * @param wanted - a scope or pattern
 */
export function grants(granted: string, wanted: string): boolean {
  if (granted === wanted) return true
  const stem = granted.length - 1
  return (
    stem > 0 &&
    granted.charCodeAt(stem) === STAR &&
    wanted.length > stem &&
    granted.charCodeAt(stem - 1) === COLON &&
    wanted.startsWith(granted.slice(0, stem))
  )
}

const STAR = 42
const COLON = 58

/** Scopes made ready for the hot path. */
export interface ScopeSet {
  /** Whether a scope is granted. */
  has(scope: string): boolean
  /** Which of these are not granted, in their order. */
  missing(wanted: readonly string[]): readonly string[]
}

const NOTHING: readonly string[] = Object.freeze([])

class CompiledScopes implements ScopeSet {
  readonly #exact: ReadonlySet<string>
  /** The patterns without their `*`. */
  readonly #stems: ReadonlySet<string>

  constructor(scopes: readonly string[]) {
    this.#exact = new Set(scopes)
    this.#stems = new Set(scopes.filter((scope) => scope.endsWith(':*')).map((scope) => scope.slice(0, -1)))
  }

  has(scope: string): boolean {
    if (this.#exact.has(scope)) return true
    if (this.#stems.size === 0) return false
    for (let at = scope.indexOf(':'); at >= 0 && at < scope.length - 1; at = scope.indexOf(':', at + 1)) {
      if (this.#stems.has(scope.slice(0, at + 1))) return true
    }
    return false
  }

  missing(wanted: readonly string[]): readonly string[] {
    let missing: string[] | undefined
    for (let i = 0; i < wanted.length; i++) {
      const scope = wanted[i] as string
      if (this.has(scope)) continue
      if (missing === undefined) missing = [scope]
      else missing.push(scope)
    }
    return missing ?? NOTHING
  }
}

/**
 * Makes scopes ready for the hot path: a question costs a look-up for each part of the scope asked for, however many
 * are granted.
 *
 * @param scopes - as {@link parseScopes} gives them
 * @example
 * ```ts
 * compileScopes(['docs:*']).missing(['docs:read', 'files:read']) // ['files:read']
 * ```
 */
export function compileScopes(scopes: readonly string[]): ScopeSet {
  return new CompiledScopes(scopes)
}
