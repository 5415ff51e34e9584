import { type Grant, grantKey } from './grant.ts'
import { readResources } from './resources.ts'
import { otherFields, type Policy, type ReadPolicy, type TokenFields, type TokenRecord } from './token-record.ts'

/** What was read after a change, against what was to be. */
export type Aftermath =
  /** It is as planned. */
  | { readonly state: 'as_planned' }
  /** It is as it was before: the change isn't to be seen yet, or wasn't made. */
  | { readonly state: 'as_before' }
  /** Only a part of what was to be added is there, and nothing else differs. */
  | { readonly state: 'incomplete'; readonly lacking: readonly Grant[] }
  /** Something differs that the change wasn't to touch. `made` = something of the change itself is to be seen. */
  | { readonly state: 'different'; readonly what: readonly string[]; readonly made: boolean }

/**
 * Compares what a token is with what it was and what it was to become. Policies are compared by what they grant, each group on each
 * resource: Cloudflare orders, merges and renumbers them as it likes.
 */
export function aftermathOf(
  was: TokenFields,
  planned: readonly Policy[],
  added: readonly Grant[],
  is: TokenRecord,
): Aftermath {
  const what = differing(otherFields(was), otherFields(is.fields))
  const want = effectsOf(planned)
  const have = effectsOfRead(is.policies)
  const gone = [...want].filter((effect) => !have.has(effect))
  const extra = [...have].filter((effect) => !want.has(effect))
  if (what.length === 0 && gone.length === 0 && extra.length === 0) return { state: 'as_planned' }
  const before = effectsOf(was.policies)
  if (what.length === 0 && before.size === have.size && [...before].every((effect) => have.has(effect))) {
    return { state: 'as_before' }
  }
  const ofPlan = new Map(added.map((grant) => [`allow ${grantKey(grant)}`, grant]))
  if (what.length === 0 && extra.length === 0 && gone.every((effect) => ofPlan.has(effect))) {
    return { state: 'incomplete', lacking: gone.map((effect) => ofPlan.get(effect) as Grant) }
  }
  if (extra.length > 0) what.push('permissions were added')
  if (gone.some((effect) => !ofPlan.has(effect))) what.push('permissions were lost')
  const made =
    [...want].some((effect) => !before.has(effect) && have.has(effect)) ||
    [...before].some((effect) => !want.has(effect) && !have.has(effect))
  return { state: 'different', what, made }
}

function differing(a: { readonly [field: string]: string }, b: { readonly [field: string]: string }): string[] {
  return Object.keys(a).filter((field) => a[field] !== b[field])
}

function effectsOf(policies: readonly Policy[]): Set<string> {
  const found = new Set<string>()
  for (const { effect, permission_groups, resources } of policies) {
    for (const resource of readResources(resources) ?? []) {
      for (const { id } of permission_groups) found.add(`${effect} ${grantKey({ group: id, resource })}`)
    }
  }
  return found
}

function effectsOfRead(policies: readonly ReadPolicy[]): Set<string> {
  return effectsOf(policies.map(({ policy }) => policy))
}
