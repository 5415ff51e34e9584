import { canonicalJson, isJsonObject } from '../kernel/canonical-json.ts'
import type { Clock } from '../kernel/clock.ts'
import type { EventSink } from '../kernel/emitter.ts'
import type { CloudflareApi, Run } from './api.ts'
import type { PermissionCatalogue } from './catalogue.ts'
import type { Finding, FoundToken } from './checker.ts'
import { compare } from './compare.ts'
import { LockOutError, PlanInvalidError, TargetUnreadableError } from './errors.ts'
import type { CloudflareEvents } from './events.ts'
import { accountBound, type Grant, grantKey, outsideCeiling } from './grant.ts'
import { addGrants, removeExcess } from './merge-policies.ts'
import { canWriteTokens, contentHash, type HealPlan, type PlanBody, planHash, riskOfPlan } from './plan.ts'
import { readResources, THIS_USER, userIdIn, userResource } from './resources.ts'
import type { SelfIdentity } from './self-identity.ts'
import { isId, type Policy, policiesKey, type ReadPolicy, readPolicy } from './token-record.ts'

/** What a {@link Planner} is made from. */
export interface PlannerOptions {
  readonly api: CloudflareApi
  readonly clock: Clock
  readonly self: SelfIdentity
  readonly events: EventSink<CloudflareEvents>
}

/** Makes plans out of findings. Reads only. */
export class Planner {
  readonly #options: PlannerOptions

  /** @param options - API, and who the healer is */
  constructor(options: PlannerOptions) {
    this.#options = options
  }

  /**
   * Plans to add what a token lacks.
   *
   * @throws TargetUnreadableError when it can't be used or read
   * @event planned
   */
  async heal(finding: Finding, run: Run): Promise<HealPlan> {
    const found = foundOf(finding)
    const { record, catalogue, comparison, family } = found
    const wanted = comparison.missing.filter((grant) => !comparison.blocked.includes(grant))
    const added = await this.#withUser(wanted, found, finding.target.name, run)
    const before = record.fields.policies
    const after = addGrants(before, added, (id) => catalogue.byId(id)?.scopes)
    const outside = outsideCeiling(added, withUserOf(found.ceiling, added), family)
    if (outside.length > 0) throw new PlanInvalidError(`would add what the ceiling doesn't hold: ${outside[0]?.name}`)
    return this.#plan(finding, found, { type: 'heal', before, after, added, removed: [] }, run)
  }

  /**
   * Plans to take away what a token doesn't need. What it needs stays, and what denies stays.
   *
   * @throws TargetUnreadableError when it can't be used or read; LockOutError when nothing would be left
   * @event planned
   */
  async narrow(finding: Finding, run: Run): Promise<HealPlan> {
    const found = foundOf(finding)
    const { record, comparison } = found
    const excess = new Set(comparison.excess.map(grantKey))
    const before = record.fields.policies
    const after = removeExcess(before, allOf(excess))
    if (after.every(({ effect }) => effect === 'deny') && after.length < before.length) {
      throw new LockOutError('nothing would be left of the token; delete it instead')
    }
    const left = heldOf(after)
    const removed = comparison.excess.filter((grant) => !left.has(grantKey(grant)))
    return this.#plan(finding, found, { type: 'narrow', before, after, added: [], removed }, run)
  }

  async #plan(
    { target }: Finding,
    { family, record, comparison }: FoundToken,
    change: Pick<PlanBody, 'type' | 'before' | 'after' | 'added' | 'removed'>,
    run: Run,
  ): Promise<HealPlan> {
    const { clock, self, events } = this.#options
    const selfEscalation = (await self.id(family, run)) === record.id
    const body: PlanBody = {
      ...change,
      target: {
        name: target.name,
        kind: family.kind,
        ...(family.accountId !== undefined && { accountId: family.accountId }),
        tokenId: record.id,
      },
      base: { content: await contentHash(record), modifiedOn: record.modifiedOn ?? null },
      blocked: comparison.blocked,
      risk: riskOfPlan(change.type, change.added, selfEscalation),
      selfEscalation,
    }
    const hash = await planHash(body)
    const warnings = selfEscalation
      ? ['the healer would change its own credential: a token that can widen itself can be made to hold everything']
      : []
    const plan: HealPlan = { ...body, createdAt: clock.now(), warnings, planHash: hash }
    events.emit('planned', {
      at: plan.createdAt,
      target: target.name,
      planHash: hash,
      risk: body.risk,
      added: body.added.length,
      removed: body.removed.length,
    })
    return plan
  }

  /** Grants for the owner need the owner's id: out of the token's policies, else asked; never guessed. */
  async #withUser(grants: readonly Grant[], { record }: FoundToken, name: string, run: Run): Promise<readonly Grant[]> {
    if (grants.every(({ resource }) => resource !== THIS_USER)) return grants
    let id = userIdIn(record.policies.flatMap(({ resources }) => resources))
    if (id === undefined) {
      const { result } = await this.#options.api.user(run)
      const told = isJsonObject(result) ? result['id'] : undefined
      if (typeof told !== 'string' || !isId(told)) {
        throw new TargetUnreadableError(name, 'user_unknown', "give the healer's credential 'User Details Read'")
      }
      id = told
    }
    const resource = userResource(id)
    return grants.map((grant) => (grant.resource === THIS_USER ? { ...grant, resource } : grant))
  }
}

/**
 * A plan of the healer's own: what others hold of it may be changed while it is checked, put to approval and applied.
 *
 * @throws PlanInvalidError for what can't be copied, and so is no plan
 */
export function ownPlan(plan: HealPlan): HealPlan {
  try {
    return structuredClone(plan)
  } catch {
    throw new PlanInvalidError('holds what is no JSON')
  }
}

/**
 * Checks that a plan is what this healer would plan for what it says: unchanged since it was hashed, of a target of this healer, and
 * of nothing but what is required, added as plans add it.
 *
 * @throws PlanInvalidError when it isn't
 */
export async function checkPlan(
  plan: HealPlan,
  required: readonly Grant[],
  catalogue: PermissionCatalogue,
): Promise<void> {
  const { planHash: told, createdAt: _, warnings: __, ...body } = plan
  if ((await planHash(body)) !== told) throw new PlanInvalidError('was changed after it was made')
  const { type, before, after, added, removed } = plan
  if (!isWellFormed(plan)) throw new PlanInvalidError('is of another form than plans have')
  // What somebody approved by must be what it is.
  if (plan.risk !== riskOfPlan(type, added, plan.selfEscalation))
    throw new PlanInvalidError('is of another risk than it says')
  if (type === 'heal') {
    // With their names: a plan that calls a group by another's name deceives whoever reads it.
    const allowed = new Set(withUserOf(required, added).map((grant) => canonicalJson(grant)))
    if (removed.length > 0 || !added.every((grant) => allowed.has(canonicalJson(grant)))) {
      throw new PlanInvalidError('adds what is not required here')
    }
    const own = addGrants(before, added, (id) => catalogue.byId(id)?.scopes)
    if (policiesKey(own) !== policiesKey(after)) throw new PlanInvalidError('changes more than it says')
    return
  }
  if (type !== 'narrow' || added.length > 0) throw new PlanInvalidError('is of no known sort')
  const gone = new Set(removed.map(grantKey))
  const own = removeExcess(before, allOf(gone))
  if (policiesKey(own) !== policiesKey(after)) throw new PlanInvalidError('changes more than it says')
  if (lacks(after, required, plan) > lacks(before, required, plan))
    throw new PlanInvalidError('takes away what is required')
}

function isWellFormed({ before, after, added, removed }: HealPlan): boolean {
  const policies = [before, after].every((list) => Array.isArray(list) && list.every((policy) => readPolicy(policy)))
  const grants = [added, removed].every(
    (list: readonly unknown[]) =>
      Array.isArray(list) &&
      list.every(
        (grant) => isJsonObject(grant) && typeof grant['group'] === 'string' && typeof grant['resource'] === 'string',
      ),
  )
  return policies && grants
}

/**
 * Refuses a change after which the healer's own credential couldn't write tokens any more.
 *
 * @throws LockOutError
 */
export function checkLockOut(plan: HealPlan, catalogue: PermissionCatalogue): void {
  if (!plan.selfEscalation) return
  const { kind } = plan.target
  const name = (id: string): string | undefined => catalogue.byId(id)?.name
  const could = canWriteTokens(plan.before, kind, name)
  if (could && !canWriteTokens(plan.after, kind, name))
    throw new LockOutError('its own credential would lose the group for writing tokens')
}

function lacks(policies: readonly Policy[], required: readonly Grant[], { target }: HealPlan): number {
  const read: ReadPolicy[] = policies.map((policy) => ({
    policy,
    resources: readResources(policy.resources) ?? [],
    groups: policy.permission_groups,
  }))
  const account = accountBound({ kind: target.kind, accountId: target.accountId })
  const input = { policies: read, required, ceiling: [], account, impliedBy: new Map(), isKnown: () => true }
  return compare(input).missing.length
}

/** Grants for the owner with the owner's id, as it stands in what is added. */
function withUserOf(grants: readonly Grant[], added: readonly Grant[]): Grant[] {
  const id = userIdIn(added.map(({ resource }) => resource))
  return grants.map((grant) =>
    grant.resource === THIS_USER && id !== undefined ? { ...grant, resource: userResource(id) } : grant,
  )
}

/** Whether all that a policy grants of a group is among these. */
function allOf(grants: ReadonlySet<string>): (policy: Policy, group: string) => boolean {
  return ({ resources }, group) => {
    const all = readResources(resources) ?? []
    return all.length > 0 && all.every((resource) => grants.has(grantKey({ group, resource })))
  }
}

function heldOf(policies: readonly Policy[]): Set<string> {
  const held = new Set<string>()
  for (const { effect, permission_groups, resources } of policies) {
    if (effect === 'deny') continue
    for (const resource of readResources(resources) ?? []) {
      for (const { id } of permission_groups) held.add(grantKey({ group: id, resource }))
    }
  }
  return held
}

function foundOf({ target, report, found }: Finding): FoundToken {
  if (found !== undefined && report.valid !== false) return found
  const help = report.recommendations[0] ?? 'see check() for what is wrong'
  throw new TargetUnreadableError(target.name, report.reason ?? 'permissions_unreadable', help)
}
