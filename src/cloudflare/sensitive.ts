import { InvalidInputError } from '../kernel/errors.ts'
import { SensitivePermissionError } from './errors.ts'
import { knownName, type Requirement } from './requirement.ts'

/** Groups by which a token can get everything else, or reach money, members, secrets or names. */
const SENSITIVE: ReadonlySet<string> = new Set([
  'API Tokens Write',
  'Account API Tokens Write',
  'Memberships Write',
  'Account Settings Write',
  'Billing Write',
  'SCIM Provisioning',
  'SSO Connector Write',
  'Secrets Store Write',
  'Zone Write',
  'DNS Write',
])

/** Families of groups whose names begin alike; reading is let pass. */
const SENSITIVE_FAMILIES: readonly string[] = ['Access: ', 'Zero Trust', 'SCIM ', 'SSO Connector']

/** Whether a permission group must be named one by one before it may be required or granted. */
export function isSensitive(name: string): boolean {
  if (SENSITIVE.has(name)) return true
  return SENSITIVE_FAMILIES.some((family) => name.startsWith(family)) && !name.endsWith(' Read')
}

/**
 * Refuses sensitive groups that the host hasn't named.
 *
 * @throws SensitivePermissionError naming the first
 */
export function checkSensitive(requirements: readonly Requirement[], allowed: ReadonlySet<string>): void {
  for (const requirement of requirements) {
    const name = knownName(requirement)
    if (isSensitive(name) && !allowed.has(name)) throw new SensitivePermissionError(name)
  }
}

/** The option `allowSensitive`: exact names, one by one. */
export function readAllowed(input: unknown): ReadonlySet<string> {
  if (input === undefined) return new Set()
  if (!Array.isArray(input) || !input.every((name) => typeof name === 'string' && isSensitive(name))) {
    throw new InvalidInputError(
      'allowSensitive',
      'must name sensitive permission groups, each exactly',
      "write ['Account API Tokens Write'], or leave it out",
    )
  }
  return new Set(input as readonly string[])
}
