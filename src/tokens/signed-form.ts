/** What every compact token begins with. Its MAC covers it, so that it can stand for nothing else signed by its key. */
export const COMPACT_MARK = 'v1.'

/** The algorithms of JWTs that are ours, with the length of a signature in base64url. */
const JWT_SIGNATURES = { EdDSA: 86, ES256: 86, HS256: 43 } as const

/** What tokens of one signed form have in common. */
export interface SignedForm {
  readonly format: 'jwt' | 'hmac'
  /** What each begins with: it is enough to know one by. */
  readonly start: string
  /** Characters behind the last dot, at least. */
  readonly minTail: number
  /** Characters behind the last dot, at most. */
  readonly maxTail: number
  /** How many dots are behind the start. */
  readonly dots: 1 | 2
}

/** The members that each of our grants, and the payload of each of our JWTs, begins with. */
const GRANT_BEGINS = '{"iss":"'
const PAYLOAD_BEGINS = '{"jti":"'

/** What the second part of each of our JWTs begins with. */
export const JWT_PAYLOAD_START = startOf(PAYLOAD_BEGINS)

/**
 * The signed forms that are ours: a compact token begins with its issuer, a JWT with a header that is the same but for the
 * name of the key.
 */
export const SIGNED_FORMS: readonly SignedForm[] = Object.freeze([
  // Id, two times and MAC, with the name of a key between them.
  { format: 'hmac', start: COMPACT_MARK + startOf(GRANT_BEGINS), dots: 1, minTail: 77 + 1, maxTail: 77 + 32 } as const,
  ...Object.entries(JWT_SIGNATURES).map(
    ([alg, length]) =>
      ({
        format: 'jwt',
        start: startOf(jwtHeader(alg, '').slice(0, -2)),
        dots: 2,
        minTail: length,
        maxTail: length,
      }) as const,
  ),
])

/** The header of a JWT of ours. */
export function jwtHeader(algorithm: string, kid: string): string {
  return JSON.stringify({ alg: algorithm, typ: 'at+jwt', kid })
}

/** The characters of base64url that any text with this beginning begins with: what hangs on the next byte is left out. */
function startOf(text: string): string {
  return Buffer.from(text)
    .toString('base64url')
    .slice(0, Math.floor((text.length * 8) / 6))
}
