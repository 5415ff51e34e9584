import type { Grant } from './grant.ts'
import { Coverage, THIS_USER, userIdIn } from './resources.ts'
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
      addAll(index, group.id, resources)
    }
  }

  const user = userIdIn([...allowed.values()].flatMap((on) => (on.size < 100 ? [...on] : [])))
  const own = (resource: string): string =>
    resource === THIS_USER && user !== undefined ? THIS_USER.replace('~', user) : resource
  const coverage = new Coverage(account)
  const missing: Grant[] = []
  const blocked: Grant[] = []
  /** By group, the resources on which it is of use, or allowed. */
  const fit = new Map<string, Set<string>>()
  for (const grant of required) {
    const wanted = coverage.coverers(own(grant.resource))
    const ids = [grant.group, ...(impliedBy.get(grant.group) ?? [])]
    for (const id of ids) addAll(fit, id, wanted)
    const denies = holds(denied, grant.group, wanted)
    if (denies) blocked.push(grant)
    if (denies || !ids.some((id) => holds(allowed, id, wanted))) missing.push(grant)
  }
  for (const { group, resource } of ceiling) addAll(fit, group, [own(resource)])

  const excess: HeldGrant[] = []
  for (const [id, on] of allowed) {
    const fits = fit.get(id)
    const name = groups.get(id)?.name
    for (const resource of on) {
      if (fits !== undefined && (fits.has(resource) || coverage.wider(resource).some((wider) => fits.has(wider))))
        continue
      excess.push({ group: id, resource, ...(name !== undefined && { name }) })
    }
  }
  const deprecated = [...groups.values()].filter(
    ({ id, deprecated: marked, endsOn }) => marked === true || endsOn !== undefined || !isKnown(id),
  )
  return { missing, blocked, excess, deprecated }
}

function holds(index: ReadonlyMap<string, ReadonlySet<string>>, id: string, wanted: readonly string[]): boolean {
  const on = index.get(id)
  return on !== undefined && wanted.some((resource) => on.has(resource))
}

function addAll(index: Map<string, Set<string>>, id: string, resources: readonly string[]): void {
  const on = index.get(id)
  if (on === undefined) index.set(id, new Set(resources))
  else for (const resource of resources) on.add(resource)
}
