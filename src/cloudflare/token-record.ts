import { canonicalJson, isJsonObject } from '../kernel/canonical-json.ts'
import { foreignText } from './foreign-text.ts'
import { type ResourceMap, readResources, resourcesKey } from './resources.ts'

/** A policy as it is written: no id of its own, its groups by id alone. */
export interface Policy {
  readonly effect: 'allow' | 'deny'
  readonly permission_groups: readonly { readonly id: string }[]
  readonly resources: ResourceMap
}

/** A permission group as a token's policy names it. */
export interface HeldGroup {
  readonly id: string
  readonly name?: string
  /** Whether Cloudflare marks it as deprecated. */
  readonly deprecated?: true
  /** When it ends, as Cloudflare says it. */
  readonly endsOn?: string
}

/** A policy as it was read. */
export interface ReadPolicy {
  readonly policy: Policy
  /** Its single resources, see `readResources`. */
  readonly resources: readonly string[]
  readonly groups: readonly HeldGroup[]
}

/** What a PUT replaces: everything that must be given back as it was. */
export interface TokenFields {
  readonly name: string
  readonly status: string
  readonly policies: readonly Policy[]
  readonly condition?: unknown
  readonly expires_on?: string
  readonly not_before?: string
}

/** A token as Cloudflare gave it, understood. */
export interface TokenRecord {
  readonly id: string
  readonly fields: TokenFields
  readonly policies: readonly ReadPolicy[]
  readonly modifiedOn?: string
  readonly lastUsedOn?: string
}

const MAX_POLICIES = 20_000
const MAX_DEPTH = 16

/**
 * Reads a token. Every field is optional to Cloudflare's own types, so nothing is taken for granted: a token whose policies can't
 * be read whole is none, for what can't be given back as it was must not be written.
 *
 * @returns the token, or what is wrong with it in a few words
 */
export function readToken(value: unknown): TokenRecord | string {
  if (!isJsonObject(value)) return 'it is no object'
  const { id, name, status, policies, condition, expires_on, not_before, modified_on, last_used_on } = value
  if (typeof id !== 'string' || !isId(id)) return 'it has no id'
  if (typeof name !== 'string' || name === '') return 'it has no name'
  if (typeof status !== 'string' || status === '' || status.length > 64) return 'it has no status'
  if (!Array.isArray(policies)) return 'it has no policies'
  if (policies.length > MAX_POLICIES) return `it has more than ${MAX_POLICIES} policies`
  const read: ReadPolicy[] = []
  for (const policy of policies as readonly unknown[]) {
    const known = readPolicy(policy)
    if (known === undefined) return 'one of its policies is of an unknown form'
    read.push(known)
  }
  for (const [field, date] of Object.entries({ expires_on, not_before, modified_on, last_used_on })) {
    if (date !== undefined && date !== null && typeof date !== 'string') return `its ${field} is no text`
  }
  if (condition !== undefined && condition !== null && !isJsonObject(condition)) return 'its condition is no object'
  if (!isShallow(condition, MAX_DEPTH)) return 'its condition is nested too deep'
  return {
    id,
    fields: {
      name,
      status,
      policies: read.map(({ policy }) => policy),
      ...(isJsonObject(condition) && { condition }),
      ...(typeof expires_on === 'string' && { expires_on }),
      ...(typeof not_before === 'string' && { not_before }),
    },
    policies: read,
    ...(typeof modified_on === 'string' && { modifiedOn: modified_on.slice(0, 40) }),
    ...(typeof last_used_on === 'string' && { lastUsedOn: last_used_on.slice(0, 40) }),
  }
}

/** Whether a JSON value nests no deeper than this: what is given back is gone through. */
function isShallow(value: unknown, depth: number): boolean {
  if (typeof value !== 'object' || value === null) return true
  return depth > 0 && Object.values(value).every((inner) => isShallow(inner, depth - 1))
}

/** Whether a text is an id as Cloudflare makes them: 32 hexadecimal digits. */
export function isId(text: string): boolean {
  return /^[0-9a-f]{32}$/.test(text)
}

/** Reads one policy; `undefined` when it can't be understood whole. */
export function readPolicy(value: unknown): ReadPolicy | undefined {
  if (!isJsonObject(value)) return undefined
  const { effect, permission_groups: given, resources: map } = value
  if ((effect !== 'allow' && effect !== 'deny') || !Array.isArray(given)) return undefined
  const resources = readResources(map)
  if (resources === undefined) return undefined
  const groups: HeldGroup[] = []
  for (const group of given as readonly unknown[]) {
    if (!isJsonObject(group) || typeof group['id'] !== 'string' || !isId(group['id'])) return undefined
    groups.push(readGroup(group['id'], group))
  }
  const permission_groups = groups.map(({ id }) => ({ id }))
  return { policy: { effect, permission_groups, resources: map as ResourceMap }, resources, groups }
}

function readGroup(id: string, { name, meta }: { readonly [key: string]: unknown }): HeldGroup {
  const { deprecated, eol_at } = isJsonObject(meta) ? meta : {}
  return {
    id,
    ...(typeof name === 'string' && { name: foreignText(name, 120) }),
    ...((deprecated === 'true' || deprecated === true) && { deprecated: true as const }),
    ...(typeof eol_at === 'string' && eol_at !== '' && { endsOn: foreignText(eol_at, 40) }),
  }
}

/**
 * The body of a PUT: every field as it was read, with other policies. Whether Cloudflare keeps or clears what is left out, it
 * stays so. An empty condition, or an empty list in one, is left out: written, it would shut out every address.
 */
export function bodyOf(fields: TokenFields, policies: readonly Policy[]): TokenFields {
  const { condition: given, ...rest } = fields
  const condition = withoutEmpty(given)
  return { ...rest, policies, ...(condition !== undefined && { condition }) }
}

function withoutEmpty(value: unknown): unknown {
  if (!isJsonObject(value)) return Array.isArray(value) && value.length === 0 ? undefined : value
  const kept = Object.entries(value)
    .map(([key, inner]): [string, unknown] => [key, withoutEmpty(inner)])
    .filter(([, inner]) => inner !== undefined && inner !== null)
  return kept.length === 0 ? undefined : Object.fromEntries(kept)
}

/** A text of a policy that doesn't depend on the order of its groups or resources, or on its id. */
function policyKey({ effect, permission_groups, resources }: Policy): string {
  const ids = [...new Set(permission_groups.map(({ id }) => id))].sort()
  return `${effect}|${resourcesKey(resources)}|${ids.join(',')}`
}

/** The policies as a set: Cloudflare gives them back in another order than they were written in. */
export function policiesKey(policies: readonly Policy[]): string {
  return policies.map(policyKey).sort().join('\n')
}

/** The fields beside the policies, each as a text that tells whether it changed. */
export function otherFields(fields: TokenFields): { readonly [field: string]: string } {
  const { name, status, condition, expires_on = '', not_before = '' } = fields
  return {
    name,
    status,
    condition: canonicalJson(withoutEmpty(condition) ?? null),
    expires_on: sameInstant(expires_on),
    not_before: sameInstant(not_before),
  }
}

/** Dates may come back with other fractions. */
function sameInstant(text: string): string {
  const at = Date.parse(text)
  return Number.isNaN(at) ? text : new Date(at).toISOString()
}

/** Everything that a change can touch, as one text. */
export function contentOf(fields: TokenFields, policies: readonly Policy[] = fields.policies): string {
  return `${canonicalJson(otherFields(fields))}\n${policiesKey(policies)}`
}
