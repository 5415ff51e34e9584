import type { PermissionCatalogue } from './catalogue.ts'
import { OutsideCeilingError, UnknownPermissionGroupError } from './errors.ts'
import { SCOPES } from './known-groups.ts'
import type { Requirement } from './requirement.ts'
import {
  ALL_ACCOUNTS,
  ALL_ZONES,
  accountResource,
  bucketResource,
  coverers,
  scopeOf,
  THIS_USER,
  userResource,
  zoneResource,
  zonesOfAccount,
} from './resources.ts'

/** A permission group on a resource: what a token holds, lacks, or gets. */
export interface Grant {
  /** The group's id. */
  readonly group: string
  /** The group's name. */
  readonly name: string
  /** The group's scope. */
  readonly scope: string
  /** The resource's key; `outer/inner` where it is nested in an account. */
  readonly resource: string
}

/** For whose token requirements are resolved. */
export interface Owner {
  readonly kind: 'account' | 'user'
  readonly accountId: string | undefined
  /** The owner of a user token, where known. */
  readonly userId?: string | undefined
}

/** Grants, with what is to be said of the spellings that they come from. */
export interface Resolved {
  readonly grants: readonly Grant[]
  readonly warnings: readonly string[]
}

/** A grant in a few words. */
export function describe({ name, resource }: Pick<Grant, 'name' | 'resource'>): string {
  return `${name} on ${resource}`
}

/** Something that a token holds in a few words: by its id where its name isn't known. */
export function describeHeld({
  name,
  group,
  resource,
}: Pick<Grant, 'group' | 'resource'> & Partial<Pick<Grant, 'name'>>): string {
  return describe({ name: name ?? group, resource })
}

/** One text for a grant: equal only for the same group on the same resource. */
export function grantKey({ group, resource }: Pick<Grant, 'group' | 'resource'>): string {
  return `${group}@${resource}`
}

/**
 * What requirements mean by the live catalogue, each by (name, scope).
 *
 * @throws UnknownPermissionGroupError for a group that isn't there, is several, or doesn't apply to the resource
 */
export function resolve(requirements: readonly Requirement[], catalogue: PermissionCatalogue, owner: Owner): Resolved {
  const grants = new Map<string, Grant>()
  const warnings: string[] = []
  for (const requirement of requirements) {
    const { given } = requirement
    const scope = requirement.scope ?? scopeAsked(requirement.resource)
    const found = catalogue.find(given, scope, owner.kind)
    if (found.warning !== undefined) warnings.push(found.warning)
    const grant = {
      group: found.id,
      name: found.name,
      scope: found.scope,
      resource: resourceOf(requirement, found.scope, owner),
    }
    if (scopeOf(grant.resource) !== grant.scope) {
      throw new UnknownPermissionGroupError(given, `applies to ${grant.scope}, not to ${grant.resource}`, [])
    }
    if (owner.kind === 'account' && grant.scope === SCOPES.user) {
      throw new UnknownPermissionGroupError(given, "is for users' tokens; an account's token can't hold it", [])
    }
    grants.set(grantKey(grant), grant)
  }
  return { grants: [...grants.values()], warnings }
}

/** The scope that the resource asks for, where it names one. */
function scopeAsked(resource: string | undefined): string | undefined {
  if (resource === undefined) return undefined
  if (resource.startsWith('zone')) return SCOPES.zone
  if (resource.startsWith('bucket:')) return SCOPES.bucket
  return resource === 'user' ? SCOPES.user : SCOPES.account
}

function resourceOf({ given, resource }: Requirement, scope: string, { kind, accountId, userId }: Owner): string {
  const asked = resource ?? (scope === SCOPES.account ? 'account' : scope === SCOPES.user ? 'user' : undefined)
  if (asked === undefined) {
    throw new UnknownPermissionGroupError(given, `applies to ${scope}: its resource must be named`, [])
  }
  if (asked === 'accounts') return ALL_ACCOUNTS
  if (asked === 'user') return userId === undefined ? THIS_USER : userResource(userId)
  if (asked === 'zones') {
    // All zones of whatever the owner reaches is a form for users' tokens only.
    return accountId === undefined && kind === 'user' ? ALL_ZONES : zonesOfAccount(accountId ?? '')
  }
  if (asked === 'account') {
    if (accountId !== undefined) return accountResource(accountId)
    throw new UnknownPermissionGroupError(
      given,
      "needs the target's accountId, or a resource that names the account",
      [],
    )
  }
  const [sort = '', id = ''] = asked.split(':')
  return sort === 'account' ? accountResource(id) : sort === 'zone' ? zoneResource(id) : bucketResource(id)
}

/** The account that holds all that a token reaches: of an account's token its own. A user's may reach others, whatever is configured. */
export function accountBound({ kind, accountId }: Owner): string | undefined {
  return kind === 'account' ? accountId : undefined
}

/**
 * Those grants that the ceiling doesn't allow.
 *
 * @param grants - what is to be granted
 * @param ceiling - what may be
 * @param owner - whose token it is
 */
export function outsideCeiling(grants: readonly Grant[], ceiling: readonly Grant[], owner: Owner): Grant[] {
  const allowed = new Set(ceiling.map(grantKey))
  const account = accountBound(owner)
  return grants.filter(
    ({ group, resource }) =>
      !coverers(resource, account).some((wider) => allowed.has(grantKey({ group, resource: wider }))),
  )
}

/** @throws OutsideCeilingError naming what isn't within */
export function checkCeiling(grants: readonly Grant[], ceiling: readonly Grant[], owner: Owner): void {
  const outside = outsideCeiling(grants, ceiling, owner)
  if (outside.length > 0) throw new OutsideCeilingError(outside.map(describe))
}
