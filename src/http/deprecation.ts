import type { Verified } from '../tokens/verification.ts'

/** What tells a client that the version of the token which it uses has been superseded. */
export interface DeprecationHeaders {
  /** When the version was superseded (RFC 9745): `@` and seconds since the epoch. */
  readonly deprecation?: string
  /** When the version stops verifying (RFC 8594): an HTTP date. */
  readonly sunset?: string
}

const NONE: DeprecationHeaders = Object.freeze({})

/** The Deprecation and Sunset headers of an answer: given when a `previous` version was presented, so that its user fetches the new one. */
export function deprecationHeaders(verified: Verified): DeprecationHeaders {
  if (verified.version !== 'previous') return NONE
  const version = verified.token.versions.find(({ number }) => number === verified.versionNumber)
  if (version === undefined) return NONE
  const { supersededAt, endsAt } = version
  return {
    ...(supersededAt === undefined ? {} : { deprecation: `@${Math.floor(supersededAt / 1000)}` }),
    ...(endsAt === undefined ? {} : { sunset: new Date(endsAt).toUTCString() }),
  }
}
