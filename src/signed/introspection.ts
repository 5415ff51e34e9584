import type { JsonObject } from '../kernel/bytes.ts'
import type { SignedContent } from './proof.ts'

/** The answer to an introspection (RFC 7662). Of a token that isn't good it says nothing else. */
export type Introspection =
  | { readonly active: false }
  | (JsonObject & {
      readonly active: true
      readonly token_type: 'Bearer'
      readonly scope: string
      readonly client_id: string
      readonly sub: string
      readonly aud: string
      readonly iss: string
      readonly jti: string
      /** Epoch seconds. */
      readonly iat: number
      /** Epoch seconds. */
      readonly exp: number
    })

/** Said of every token that isn't good, whatever the reason. */
export const INACTIVE: Introspection = Object.freeze({ active: false })

/** What is told of a good token. */
export function introspectionOf({ id, issuedAt, expiresAt, grant }: SignedContent): Introspection {
  const { agent, issuer, audience, policy, claims } = grant
  return {
    ...claims,
    active: true,
    token_type: 'Bearer',
    scope: policy.scopes.join(' '),
    client_id: agent,
    sub: agent,
    aud: audience,
    iss: issuer,
    jti: id,
    iat: issuedAt,
    exp: expiresAt,
  }
}
