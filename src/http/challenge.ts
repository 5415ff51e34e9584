import type { Denied } from '../tokens/verification.ts'
import type { InvalidRequest } from './credentials.ts'
import { quoted } from './quoted.ts'

/** A refusal as HTTP answers it: of a verification, or of the request before any. */
export type Refused = Denied | InvalidRequest

/**
 * The WWW-Authenticate header of a refusal (RFC 6750, section 3). Without credentials it names the realm alone; a bad
 * token is `invalid_token`; a missing scope is `insufficient_scope` with the scopes that the call needs. Refusals that no other
 * token form would mend (network, level, tool, approval, limits) have none.
 *
 * @param realm - the protection space
 * @param refused - the refusal
 * @param scopes - the scopes that the route asks for
 * @returns the header's value, or undefined where there is none
 */
export function challenge(realm: string, refused: Refused, scopes: readonly string[]): string | undefined {
  const base = `Bearer realm=${quoted(realm)}`
  if (refused.code === 'missing') return base
  if (refused.code === 'invalid_request') return withError(base, 'invalid_request', refused.message)
  if (refused.status === 401) return withError(base, 'invalid_token', refused.message)
  if (refused.code !== 'insufficient_scope') return undefined
  const needed = new Set([...scopes, ...(refused.missingScopes ?? [])].filter(isScopeToken))
  const header = withError(base, 'insufficient_scope', refused.message)
  return needed.size === 0 ? header : `${header}, scope="${[...needed].join(' ')}"`
}

function withError(base: string, error: string, description: string): string {
  return `${base}, error="${error}", error_description=${quoted(description)}`
}

/** Whether a text may stand in a `scope` attribute: visible ASCII without quote and backslash (RFC 6749, section 3.3). */
export function isScopeToken(text: string): boolean {
  return /^[\x21\x23-\x5b\x5d-\x7e]+$/.test(text)
}
