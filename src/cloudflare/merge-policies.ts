import { type Grant, grantKey } from './grant.ts'
import { mapOf, resourcesKey } from './resources.ts'
import type { Policy } from './token-record.ts'

/**
 * Adds grants to policies and changes nothing else. Each goes to the first policy that allows on exactly its resource and holds no
 * group of another scope; where there is none, to a new policy. A policy with other or more resources is never added to, which
 * would widen what it grants, and one that denies is never touched.
 *
 * @param policies - as they were read
 * @param grants - what is to be added
 * @param scopesOf - the scopes of a group in the catalogue; `undefined` for one that isn't there
 * @returns all policies, those that don't change as the same objects
 */
export function addGrants(
  policies: readonly Policy[],
  grants: readonly Grant[],
  scopesOf: (id: string) => readonly string[] | undefined,
): Policy[] {
  const after = [...policies]
  const places = new Map<string, number>()
  const place = (grant: Grant): number => {
    const key = `${resourcesKey(mapOf(grant.resource))} ${grant.scope}`
    const known = places.get(key)
    if (known !== undefined) return known
    const resources = mapOf(grant.resource)
    const equal = resourcesKey(resources)
    let at = after.findIndex(
      (policy) =>
        policy.effect === 'allow' &&
        resourcesKey(policy.resources) === equal &&
        policy.permission_groups.every(({ id }) => scopesOf(id)?.includes(grant.scope) === true),
    )
    if (at < 0) at = after.push({ effect: 'allow', permission_groups: [], resources }) - 1
    places.set(key, at)
    return at
  }
  const seen = new Set<string>()
  for (const grant of grants) {
    if (seen.has(grantKey(grant))) continue
    seen.add(grantKey(grant))
    const at = place(grant)
    const policy = after[at] as Policy
    if (policy.permission_groups.some(({ id }) => id === grant.group)) continue
    after[at] = { ...policy, permission_groups: [...policy.permission_groups, { id: grant.group }] }
  }
  return after
}

/**
 * Takes from policies what isn't needed: a group goes from a policy when all that the policy grants of it is excess, and a policy
 * that holds none any more goes whole. Policies that deny stay.
 *
 * @param policies - as they were read
 * @param isExcess - whether a group of a policy may go
 */
export function removeExcess(
  policies: readonly Policy[],
  isExcess: (policy: Policy, group: string) => boolean,
): Policy[] {
  return policies.flatMap((policy) => {
    if (policy.effect === 'deny') return [policy]
    const kept = policy.permission_groups.filter(({ id }) => !isExcess(policy, id))
    if (kept.length === policy.permission_groups.length) return [policy]
    return kept.length === 0 ? [] : [{ ...policy, permission_groups: kept }]
  })
}
