import { OutsideCeilingError } from './errors.ts'
import { KNOWN_GROUPS, SCOPES } from './known-groups.ts'
import { knownName, type Requirement } from './requirement.ts'

/**
 * Refuses requirements that the ceiling doesn't name, by their spelling alone: before anything was asked of Cloudflare. The
 * grants that they resolve to are compared again before anything is planned.
 *
 * @throws OutsideCeilingError naming them
 */
export function checkWithinCeiling(required: readonly Requirement[], ceiling: readonly Requirement[]): void {
  const outside = required.filter((each) => !ceiling.some((allowed) => allows(allowed, each)))
  if (outside.length > 0) throw new OutsideCeilingError(outside.map(({ given }) => given))
}

function allows(allowed: Requirement, asked: Requirement): boolean {
  if (knownName(allowed) !== knownName(asked)) return false
  const scopes = [scopeNamed(allowed), scopeNamed(asked)]
  if (scopes[0] !== undefined && scopes[1] !== undefined && scopes[0] !== scopes[1]) return false
  const there = resourceNamed(allowed)
  const here = resourceNamed(asked)
  if (there === here) return true
  if (there === 'accounts') return here === 'account' || here?.startsWith('account:') === true
  return there === 'zones' && here?.startsWith('zone:') === true
}

function scopeNamed(requirement: Requirement): string | undefined {
  if (requirement.scope !== undefined) return requirement.scope
  const known = KNOWN_GROUPS.filter(({ name }) => name === knownName(requirement))
  return known.length === 1 ? known[0]?.scope : undefined
}

function resourceNamed(requirement: Requirement): string | undefined {
  if (requirement.resource !== undefined) return requirement.resource
  const scope = scopeNamed(requirement)
  return scope === SCOPES.account ? 'account' : scope === SCOPES.user ? 'user' : undefined
}
