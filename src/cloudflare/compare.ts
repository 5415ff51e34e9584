import { type Grant, grantKey } from './grant.ts'
import { coverers, THIS_USER, userIdIn } from './resources.ts'
import type { HeldGroup, ReadPolicy } from './token-record.ts'

/** What is compared. */
export interface ComparisonInput {
  readonly policies: readonly ReadPolicy[]
  /** What the token needs. */
  readonly required: readonly Grant[]
  /** What it may have beside that. */
  readonly ceiling: readonly Grant[]
  /** The account whose token it is; what an account's token reaches is in its account. */
  readonly account: string | undefined
  /** By the id of a group, the ids of those that grant it too. */
  readonly impliedBy: ReadonlyMap<string, readonly string[]>
  /** Whether a group is in the catalogue. */
  readonly isKnown: (id: string) => boolean
}

/** Something that a token holds and nothing asks for. */
export interface HeldGrant {
  /** The group's id. */
  readonly group: string
  /** The group's name, as the token's policy gives it. */
  readonly name?: string
  readonly resource: string
}

/** How a token stands against what it needs: in both directions. */
export interface Comparison {
  /** Needed, and granted by no policy; those of `blocked` included. */
  readonly missing: readonly Grant[]
  /** Needed, and taken away by a policy that denies: adding a grant doesn't help. */
  readonly blocked: readonly Grant[]
  /** Held, and neither needed nor within the ceiling. */
  readonly excess: readonly HeldGrant[]
  /** Held groups that Cloudflare marks as deprecated or ending, or doesn't list any more. */
  readonly deprecated: readonly HeldGroup[]
}

/**
 * Compares what a token holds with what it needs, each grant as (group, scope, resource): a group held on one zone doesn't count
 * for an account, a wildcard does for what it covers. Linear in the policies.
 */
export function compare({ policies, required, ceiling, account, impliedBy, isKnown }: ComparisonInput): Comparison {
  const allowed = new Map<string, Set<string>>()
  const denied = new Map<string, Set<string>>()
  const groups = new Map<string, HeldGroup>()
  for (const { policy, groups: held, resources } of policies) {
    const index = policy.effect === 'allow' ? allowed : denied
    for (const group of held) {
      if (policy.effect === 'allow' && !groups.has(group.id)) groups.set(group.id, group)
      const on = index.get(group.id)
      if (on === undefined) index.set(group.id, new Set(resources))
      else for (const resource of resources) on.add(resource)
    }
  }

  const holds = (index: ReadonlyMap<string, ReadonlySet<string>>, id: string, wanted: readonly string[]): boolean => {
    const on = index.get(id)
    return on !== undefined && wanted.some((resource) => on.has(resource))
  }
  const user = userIdIn([...allowed.values()].flatMap((on) => (on.size < 100 ? [...on] : [])))
  const missing: Grant[] = []
  const blocked: Grant[] = []
  /** Whatever is held of these is of use. */
  const useful = new Set<string>()
  for (const grant of required) {
    const resource = grant.resource === THIS_USER && user !== undefined ? THIS_USER.replace('~', user) : grant.resource
    const wanted = coverers(resource, account)
    const ids = [grant.group, ...(impliedBy.get(grant.group) ?? [])]
    for (const id of ids) for (const each of wanted) useful.add(`${id}@${each}`)
    if (holds(denied, grant.group, wanted)) blocked.push(grant)
    if (holds(denied, grant.group, wanted) || !ids.some((id) => holds(allowed, id, wanted))) missing.push(grant)
  }

  const within = new Set([...required, ...ceiling].map(grantKey))
  const excess: HeldGrant[] = []
  for (const [id, on] of allowed) {
    for (const resource of on) {
      if (useful.has(`${id}@${resource}`)) continue
      const fits = coverers(resource, account).some((wider) => within.has(`${id}@${wider}`))
      const ofOwner =
        user !== undefined && resource === THIS_USER.replace('~', user) && within.has(`${id}@${THIS_USER}`)
      if (fits || ofOwner) continue
      const name = groups.get(id)?.name
      excess.push({ group: id, resource, ...(name !== undefined && { name }) })
    }
  }
  const deprecated = [...groups.values()].filter(
    ({ id, deprecated: marked, endsOn }) => marked === true || endsOn !== undefined || !isKnown(id),
  )
  return { missing, blocked, excess, deprecated }
}
