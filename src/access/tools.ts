import { InvalidInputError } from '../kernel/errors.ts'
import type { ArgValue, ToolRule } from '../tokens/policy.ts'

const MAX_RULES = 256
const MAX_ARGS = 32
const MAX_VALUES = 100
const MAX_TEXT = 1024

const NAME = /^[\x21-\x7e]{1,128}$/

/**
 * Checks the name of a tool: 1 to 128 printable ASCII characters without space.
 *
 * @param field - the option, as the caller writes it
 * @param name - the name
 * @throws InvalidInputError when it isn't one
 */
export function checkToolName(field: string, name: string): void {
  if (typeof name === 'string' && NAME.test(name)) return
  throw new InvalidInputError(
    field,
    'holds no good name of a tool',
    'use 1 to 128 printable ASCII characters without space',
  )
}

/**
 * Checks the tools that a token may use.
 *
 * @param field - the option, as the caller writes it
 * @param value - 1 to 256 rules: names, or names with the values that arguments may have
 * @returns a frozen copy, without duplicates
 * @throws InvalidInputError when it isn't such a list; an empty one would mean that no tool may be used
 * @example
 * ```ts
 * parseTools('tools', ['get_bill', { name: 'restart', args: { container: ['web', 'worker'] } }])
 * ```
 */
export function parseTools(field: string, value: readonly ToolRule[]): readonly ToolRule[] {
  if (!Array.isArray(value)) throw new InvalidInputError(field, 'is not a list', 'give a list of tools')
  if (value.length === 0) throw new InvalidInputError(field, 'is empty', 'name a tool, or leave it out to allow all')
  if (value.length > MAX_RULES) throw new InvalidInputError(field, `has over ${MAX_RULES} entries`, 'give fewer')
  const rules = new Map<string, ToolRule>()
  value.forEach((rule: unknown, i) => {
    const copy = readRule(`${field}[${i}]`, rule)
    rules.set(JSON.stringify(copy), copy)
  })
  return Object.freeze([...rules.values()])
}

function readRule(field: string, rule: unknown): ToolRule {
  if (typeof rule === 'string') {
    checkToolName(field, rule)
    return rule
  }
  if (typeof rule !== 'object' || rule === null || !('name' in rule) || !('args' in rule)) {
    throw new InvalidInputError(field, 'is not a tool', 'give its name, or { name, args: { argument: [values] } }')
  }
  const { name, args } = rule
  checkToolName(`${field}.name`, name as string)
  return Object.freeze({ name: name as string, args: readArgs(`${field}.args`, args) })
}

function readArgs(field: string, args: unknown): { readonly [arg: string]: readonly ArgValue[] } {
  if (typeof args !== 'object' || args === null || Array.isArray(args)) {
    throw new InvalidInputError(field, 'is not an object', 'write it like { container: ["web"] }')
  }
  // Sorted, so that rules that mean the same are the same text.
  const names = Object.keys(args).sort()
  if (names.length === 0)
    throw new InvalidInputError(field, 'is empty', 'name an argument, or give the name of the tool alone')
  if (names.length > MAX_ARGS) throw new InvalidInputError(field, `has over ${MAX_ARGS} entries`, 'give fewer')
  const copy: { [arg: string]: readonly ArgValue[] } = {}
  for (const name of names) {
    if (name === '' || name === '__proto__' || name.length > 128) {
      throw new InvalidInputError(
        field,
        'holds no good name of an argument',
        'use 1 to 128 characters, and not __proto__',
      )
    }
    copy[name] = readValues(field, (args as { readonly [arg: string]: unknown })[name])
  }
  return Object.freeze(copy)
}

function readValues(field: string, values: unknown): readonly ArgValue[] {
  if (!Array.isArray(values) || values.length === 0 || values.length > MAX_VALUES) {
    throw new InvalidInputError(
      field,
      'holds an argument without a list of values',
      `give 1 to ${MAX_VALUES} values for each`,
    )
  }
  for (const value of values as readonly unknown[]) {
    const text = typeof value === 'string' && value.length <= MAX_TEXT && !/[\ud800-\udfff\0]/u.test(value)
    if (text || typeof value === 'boolean' || (typeof value === 'number' && Number.isFinite(value))) continue
    throw new InvalidInputError(
      field,
      'holds a value that is no text, number or boolean',
      `give such, texts of at most ${MAX_TEXT} characters`,
    )
  }
  return Object.freeze([...new Set(values as readonly ArgValue[])])
}

/** The tools of a token made ready for the hot path. */
export interface ToolSet {
  /**
   * Whether a call may use a tool with these arguments. A call that uses no tool is not for this to refuse.
   *
   * @param tool - the tool that the call uses
   * @param args - its arguments
   */
  allows(tool: string | undefined, args?: { readonly [name: string]: unknown }): boolean
}

/** Every argument named must be there and have one of its values. */
interface ArgRule {
  readonly names: readonly string[]
  readonly values: readonly (readonly ArgValue[])[]
}

const ANY_TOOL: ToolSet = Object.freeze({ allows: () => true })

class CompiledTools implements ToolSet {
  /** By name: `null` = whatever the arguments, else one of the rules must hold. */
  readonly #rules = new Map<string, readonly ArgRule[] | null>()

  constructor(rules: readonly ToolRule[]) {
    for (const rule of rules) {
      if (typeof rule === 'string') {
        this.#rules.set(rule, null)
        continue
      }
      const others = this.#rules.get(rule.name)
      if (others === null) continue
      const names = Object.keys(rule.args)
      const own: ArgRule = { names, values: names.map((name) => rule.args[name] as readonly ArgValue[]) }
      this.#rules.set(rule.name, others === undefined ? [own] : [...others, own])
    }
  }

  allows(tool: string | undefined, args?: { readonly [name: string]: unknown }): boolean {
    if (tool === undefined) return true
    const rules = this.#rules.get(tool)
    if (rules === undefined) return false
    if (rules === null) return true
    if (typeof args !== 'object' || args === null) return false
    for (let i = 0; i < rules.length; i++) if (holds(rules[i] as ArgRule, args)) return true
    return false
  }
}

function holds(rule: ArgRule, args: { readonly [name: string]: unknown }): boolean {
  for (let i = 0; i < rule.names.length; i++) {
    const name = rule.names[i] as string
    // An inherited value isn't one that the client gave.
    if (!Object.hasOwn(args, name)) return false
    const value = args[name]
    const allowed = rule.values[i] as readonly ArgValue[]
    let found = false
    for (let k = 0; k < allowed.length && !found; k++) found = allowed[k] === value
    if (!found) return false
  }
  return true
}

/**
 * Makes the tools of a token ready for the hot path. Several rules for one tool: any of them will do. Values are
 * compared strictly: `1` isn't `'1'`, and a list isn't its only element.
 *
 * @param rules - as {@link parseTools} gives them; absent = any tool
 * @example
 * ```ts
 * const tools = compileTools([{ name: 'restart', args: { container: ['web'] } }])
 * tools.allows('restart', { container: 'web', force: true }) // true
 * tools.allows('restart', {}) // false
 * ```
 */
export function compileTools(rules: readonly ToolRule[] | undefined): ToolSet {
  return rules === undefined ? ANY_TOOL : new CompiledTools(rules)
}
