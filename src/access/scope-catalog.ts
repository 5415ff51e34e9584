import { InvalidInputError } from '../kernel/errors.ts'
import { RISKS, type Risk } from '../tokens/risk.ts'
import { nearest } from './nearest.ts'
import { grants, MAX_SCOPES, parseScope } from './scopes.ts'
import { checkToolName } from './tools.ts'

/** A scope as a catalogue describes it. */
export interface ScopeDefinition {
  /** How much harm it can do. */
  readonly risk: Risk
  /** The tools that it lets a token use. */
  readonly tools?: readonly string[]
  /** For people who choose scopes. */
  readonly description?: string
  /** Scopes of the catalogue that come with it. */
  readonly implies?: readonly string[]
}

/** What {@link defineScopes} makes a catalogue of. */
export interface ScopeCatalogOptions {
  /** Every scope there is, by name (no patterns). At most 2000. */
  readonly scopes: { readonly [scope: string]: ScopeDefinition }
  /** Short names for several scopes: scopes, patterns, or other meta scopes. */
  readonly meta?: { readonly [name: string]: readonly string[] }
}

/** Every scope there is, what it implies, and which tools it opens. Frozen. */
export interface ScopeCatalog {
  /** Whether a scope or meta scope is defined, or a pattern covers a defined scope. */
  has(scope: string): boolean
  /**
   * Replaces meta scopes by what they stand for and adds what is implied. Patterns stay, and what is implied by the
   * scopes that they cover is added.
   *
   * @returns sorted, without duplicates, frozen
   * @throws InvalidInputError for what isn't in the catalogue
   */
  expand(scopes: readonly string[]): readonly string[]
  /**
   * Refuses scopes that aren't in the catalogue.
   *
   * @param field - the option, as the caller writes it
   * @throws InvalidInputError naming the first unknown one and the defined names nearest to it
   */
  validate(field: string, scopes: readonly string[]): void
  /** The scopes that let a token use a tool, any one of them; none for an unknown tool. */
  scopesForTool(tool: string): readonly string[]
  /** The risk of a scope; of a pattern or meta scope the highest of what it covers; undefined for an unknown one. */
  riskOf(scope: string): Risk | undefined
  /** The highest risk of the scopes that let a token use a tool; undefined for an unknown one. */
  riskOfTool(tool: string): Risk | undefined
  /** The defined scopes, sorted. */
  readonly scopes: readonly string[]
  /** The tools that scopes open, sorted. */
  readonly tools: readonly string[]
  /** The meta scopes, sorted. */
  readonly meta: readonly string[]
}

const META = /^[a-z0-9][a-z0-9_.-]{0,63}$/
const MAX_DEFINED = 2000
const NO_SCOPES: readonly string[] = Object.freeze([])

/**
 * Defines the scopes of a host. Mistakes in it are found here: unknown names, unknown risks, and circles.
 *
 * @param options - scopes and meta scopes
 * @throws InvalidInputError naming the entry that can't be used
 * @example
 * ```ts
 * const catalog = defineScopes({
 *   scopes: {
 *     'file:read': { risk: 'low', tools: ['read_file'] },
 *     'file:write': { risk: 'high', tools: ['write_file'], implies: ['file:read'] },
 *   },
 *   meta: { readonly: ['file:read'], all: ['file:*'] },
 * })
 * catalog.expand(['file:write', 'readonly']) // ['file:read', 'file:write']
 * ```
 */
export function defineScopes(options: ScopeCatalogOptions): ScopeCatalog {
  return new Catalog(options)
}

/** As {@link ScopeCatalog.expand}, for what was granted before: what isn't in the catalogue any more stands for itself. */
export function expandGranted(catalog: ScopeCatalog, scopes: readonly string[]): readonly string[] {
  const gone = scopes.filter((scope) => !catalog.has(scope))
  if (gone.length === 0) return catalog.expand(scopes)
  return [...catalog.expand(scopes.filter((scope) => !gone.includes(scope))), ...gone]
}

class Catalog implements ScopeCatalog {
  readonly scopes: readonly string[]
  readonly tools: readonly string[]
  readonly meta: readonly string[]
  readonly #risks = new Map<string, Risk>()
  /** By scope: all that it brings, itself included. */
  readonly #closures = new Map<string, readonly string[]>()
  /** By meta scope: all that it stands for, expanded. */
  readonly #metas = new Map<string, readonly string[]>()
  readonly #tools = new Map<string, readonly string[]>()
  readonly #toolRisks = new Map<string, Risk>()

  constructor(options: ScopeCatalogOptions) {
    const defined = entriesOf('scopes', options.scopes)
    if (defined.length > MAX_DEFINED) {
      throw new InvalidInputError('scopes', `defines over ${MAX_DEFINED} scopes`, 'define fewer')
    }
    for (const [scope, definition] of defined) this.#define(scope, definition)
    const implied = new Map(defined.map(([scope, definition]) => [scope, definition.implies ?? []]))
    for (const scope of implied.keys()) {
      this.#closures.set(
        scope,
        closure(implied, scope, 'implies', (name) => this.#known(scope, name)),
      )
    }
    const metas = new Map(entriesOf('meta', options.meta ?? {}))
    for (const name of metas.keys()) {
      if (!META.test(name))
        throw new InvalidInputError(`meta.${shown(name)}`, 'is not a name', 'write it like readonly, without ":"')
    }
    for (const name of metas.keys()) this.#metas.set(name, this.#flatten(metas, name))
    this.scopes = Object.freeze([...this.#risks.keys()].sort())
    this.meta = Object.freeze([...metas.keys()].sort())
    this.tools = Object.freeze([...this.#tools.keys()].sort())
    Object.freeze(this)
  }

  has(scope: string): boolean {
    return this.#metas.has(scope) || this.#covered(scope).length > 0
  }

  expand(scopes: readonly string[]): readonly string[] {
    this.validate('scopes', scopes)
    const all = new Set<string>()
    for (const scope of scopes) for (const name of this.#metas.get(scope) ?? this.#opened(scope)) all.add(name)
    return Object.freeze([...all].sort())
  }

  validate(field: string, scopes: readonly string[]): void {
    if (!Array.isArray(scopes)) throw new InvalidInputError(field, 'is not a list', 'give a list of scopes')
    if (scopes.length > MAX_SCOPES)
      throw new InvalidInputError(field, `has over ${MAX_SCOPES} entries`, 'use meta scopes or patterns')
    scopes.forEach((scope: unknown, i) => {
      if (typeof scope === 'string' && this.has(scope)) return
      const near = typeof scope === 'string' ? nearest(scope, [...this.#risks.keys(), ...this.#metas.keys()]) : []
      throw new InvalidInputError(
        `${field}[${i}]`,
        `is not in the catalogue of scopes${typeof scope === 'string' ? `: ${shown(scope)}` : ''}`,
        near.length > 0 ? `did you mean ${near.join(' or ')}?` : 'define it there, or use one that is',
      )
    })
  }

  scopesForTool(tool: string): readonly string[] {
    return this.#tools.get(tool) ?? NO_SCOPES
  }

  riskOf(scope: string): Risk | undefined {
    return this.#highest((this.#metas.get(scope) ?? [scope]).flatMap((name) => this.#covered(name)))
  }

  riskOfTool(tool: string): Risk | undefined {
    return this.#toolRisks.get(tool)
  }

  #define(scope: string, definition: ScopeDefinition): void {
    const field = `scopes.${shown(scope)}`
    parseScope(field, scope, { pattern: false })
    if (typeof definition !== 'object' || definition === null) {
      throw new InvalidInputError(field, 'is not a definition', 'write it like { risk: "low" }')
    }
    if (!RISKS.includes(definition.risk)) {
      throw new InvalidInputError(`${field}.risk`, 'is not a risk', `use ${RISKS.join(', ')}`)
    }
    this.#risks.set(scope, definition.risk)
    for (const tool of listOf(`${field}.tools`, definition.tools)) {
      checkToolName(`${field}.tools`, tool)
      const scopes = [...new Set([...this.scopesForTool(tool), scope])].sort()
      this.#tools.set(tool, Object.freeze(scopes))
      this.#toolRisks.set(tool, this.#highest(scopes) as Risk)
    }
  }

  #known(scope: string, name: string): void {
    if (this.#risks.has(name)) return
    throw new InvalidInputError(
      `scopes.${scope}.implies`,
      `names ${shown(name)}, which is not defined`,
      'define it too',
    )
  }

  /** All that a meta scope stands for. */
  #flatten(metas: ReadonlyMap<string, readonly string[]>, name: string): readonly string[] {
    const names = closure(metas, name, 'meta', (member) => {
      if (metas.has(member) || this.#covered(member).length > 0) return
      throw new InvalidInputError(`meta.${name}`, `names ${shown(member)}, which is not defined`, 'define it too')
    })
    return Object.freeze([
      ...new Set(names.filter((member) => !metas.has(member)).flatMap((member) => this.#opened(member))),
    ])
  }

  /** A scope or pattern with all that it brings. */
  #opened(scope: string): readonly string[] {
    const own = this.#closures.get(scope)
    return (
      own ??
      [scope, ...this.#covered(scope).flatMap((name) => this.#closures.get(name) ?? [])].filter(
        (name) => name === scope || !grants(scope, name),
      )
    )
  }

  /** The defined scopes that a scope or pattern is or covers. */
  #covered(scope: string): readonly string[] {
    if (this.#risks.has(scope)) return [scope]
    return scope.endsWith(':*') ? [...this.#risks.keys()].filter((name) => grants(scope, name)) : NO_SCOPES
  }

  #highest(scopes: readonly string[]): Risk | undefined {
    return RISKS[Math.max(-1, ...scopes.map((scope) => RISKS.indexOf(this.#risks.get(scope) as Risk)))]
  }
}

function entriesOf<T>(field: string, value: { readonly [name: string]: T }): [string, T][] {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new InvalidInputError(field, 'is not an object', 'give an object with a name for each entry')
  }
  return Object.entries(value)
}

function listOf(field: string, value: readonly string[] | undefined): readonly string[] {
  if (value === undefined) return []
  if (!Array.isArray(value)) throw new InvalidInputError(field, 'is not a list', 'give a list of names')
  return value as readonly string[]
}

/** All names that can be reached from `start`, itself included; refuses circles. */
function closure(
  edges: ReadonlyMap<string, readonly string[]>,
  start: string,
  field: string,
  check: (name: string) => void,
): readonly string[] {
  const reached = new Set<string>()
  const path = new Set<string>()
  const visit = (name: string): void => {
    if (path.has(name)) {
      const circle = [...path, name]
        .slice([...path].indexOf(name))
        .map(shown)
        .join(' -> ')
      throw new InvalidInputError(field, `goes in a circle: ${circle}`, 'cut it somewhere')
    }
    if (reached.has(name)) return
    reached.add(name)
    path.add(name)
    for (const next of listOf(`${field}.${shown(name)}`, edges.get(name))) {
      check(next)
      visit(next)
    }
    path.delete(name)
  }
  visit(start)
  return Object.freeze([...reached])
}

/** A name as a message may show it. */
function shown(name: string): string {
  const text = String(name)
  return /^[\w.:*-]{1,128}$/.test(text) ? text : JSON.stringify(text.slice(0, 40))
}
