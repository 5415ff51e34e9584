import { readResources, scopeOf } from '../../cloudflare/resources.ts'
import { bad, mayNotGrant, type SimulatedAnswer, unauthorized } from './answers.ts'
import type { SimulatedGroupRow } from './groups.ts'
import type { SimulatedPolicy, SimulatedToken } from './token.ts'

/** What decides over an update. */
export interface UpdateRules {
  /** Whether fields that are left out stay (`keep`) or go (`clear`): both are told of the real API. */
  readonly omission: 'keep' | 'clear'
  /**
   * Who may grant what (K8): `owner` = all that its owner may; `creator` = only what the caller holds; `silent-drop` = what may
   * not be granted is left out, with a yes.
   */
  readonly ceiling: 'owner' | 'creator' | 'silent-drop'
  /** Names of groups that the owner may not grant. */
  readonly ungrantable: ReadonlySet<string>
  readonly groups: readonly SimulatedGroupRow[]
  readonly exists: (resource: string) => boolean
  /** Whether the caller holds a group on a resource. */
  readonly holds: (group: string, resource: string) => boolean
  readonly newId: () => string
  /** When it is made, later than the update before. */
  readonly modifiedOn: string
}

const STATUSES = ['active', 'disabled', 'expired']

/** Replaces a token's fields (K6, K7, K8). Answers a refusal, or nothing when it is done. */
export function update(token: SimulatedToken, body: unknown, rules: UpdateRules): SimulatedAnswer | undefined {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) return bad(400, 1001, 'Malformed request body')
  const { name, policies, status, condition, expires_on, not_before } = body as { readonly [key: string]: unknown }
  if (typeof name !== 'string' || name === '' || name.length > 120) return bad(400, 1001, 'Token name is required')
  if (!Array.isArray(policies) || policies.length === 0) return bad(400, 1001, 'At least one policy is required')
  if (status !== undefined && !STATUSES.includes(String(status))) return bad(400, 1001, 'Invalid token status')
  const written: SimulatedPolicy[] = []
  for (const policy of policies as readonly unknown[]) {
    const made = policyOf(policy, rules)
    if ('status' in made) return made
    if (made.permission_groups.length > 0) written.push(made)
  }
  token.name = name
  if (status !== undefined) token.status = String(status)
  // Policies come back in another order than they were written in.
  token.policies = written.sort((a, b) => (a.id < b.id ? -1 : 1))
  const fields: { readonly [field: string]: unknown } = { condition, expires_on, not_before }
  for (const field of ['condition', 'expires_on', 'not_before'] as const) {
    const value = fields[field]
    if (value === undefined && rules.omission === 'keep') continue
    Object.assign(token, { [field]: value === null ? undefined : value })
  }
  token.modified_on = rules.modifiedOn
  return undefined
}

function policyOf(policy: unknown, rules: UpdateRules): SimulatedPolicy | SimulatedAnswer {
  const { effect, permission_groups, resources } = (policy ?? {}) as { readonly [key: string]: unknown }
  const atoms = readResources(resources)
  const wellFormed = (effect === 'allow' || effect === 'deny') && Array.isArray(permission_groups)
  if (!wellFormed || permission_groups.length === 0 || atoms === undefined || atoms.length === 0) {
    return bad(400, 1001, 'Malformed policy')
  }
  const found: SimulatedGroupRow[] = []
  for (const given of permission_groups as readonly unknown[]) {
    const id = (given as { readonly id?: unknown } | null)?.id
    if (typeof id !== 'string') return bad(400, 1001, 'permission group id must be present')
    const row = rules.groups.find((group) => group.id === id)
    if (row === undefined) return bad(400, 1001, `Unknown permission group ${id.slice(0, 40)}`)
    for (const atom of atoms) {
      if (!rules.exists(atom)) return unauthorized()
      const scope = scopeOf(atom)
      if (scope === undefined || !row.scopes.includes(scope)) {
        return bad(400, 1001, `Permission group ${row.name} does not apply to ${atom}`)
      }
    }
    const held = effect === 'deny' || rules.ceiling !== 'creator' || atoms.every((atom) => rules.holds(id, atom))
    if (held && !rules.ungrantable.has(row.name)) found.push(row)
    else if (rules.ceiling !== 'silent-drop') return mayNotGrant(row.name)
  }
  return {
    id: rules.newId(),
    effect,
    permission_groups: [...new Map(found.map((row) => [row.id, { id: row.id, name: row.name }])).values()].sort(
      (a, b) => (a.id < b.id ? -1 : 1),
    ),
    resources: resources as SimulatedPolicy['resources'],
  }
}
