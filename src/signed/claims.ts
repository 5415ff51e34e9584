import { type CompiledPolicy, compilePolicy } from '../access/checks.ts'
import { type PolicyInput, parsePolicy } from '../access/policy-input.ts'
import { isJsonObject, type JsonObject } from '../kernel/bytes.ts'
import { deepFreeze } from '../kernel/kind.ts'
import type { Policy } from '../tokens/policy.ts'
import { COMPACT_MARK } from '../tokens/signed-form.ts'

/**
 * What a signed token says apart from its id and its times. Tokens of one agent mostly say the same, so it is read once
 * for all of them.
 */
export interface SignedGrant {
  readonly agent: string
  readonly issuer: string
  readonly audience: string
  readonly policy: Policy
  readonly owner?: string | undefined
  /** What the host put in beside. */
  readonly claims: JsonObject
}

/** A grant as it is read, with its policy made ready. */
export interface ReadGrant extends SignedGrant {
  readonly compiled: CompiledPolicy
}

/** The id and the times of one token. */
export interface SignedTimes {
  readonly id: string
  /** Epoch seconds, as in the claims. */
  readonly issuedAt: number
  /** Epoch seconds. */
  readonly expiresAt: number
}

/** Claims with a meaning of their own: registered ones (RFC 7519, RFC 9068, RFC 8693), and `tw`, which is ours. */
export const RESERVED_CLAIMS: readonly string[] = [
  ...['iss', 'sub', 'aud', 'exp', 'nbf', 'iat', 'jti', 'scope', 'client_id', 'act', 'may_act', 'cnf', 'tw'],
  ...['auth_time', 'acr', 'amr', 'roles', 'groups', 'entitlements'],
]
const OWN = ['iss', 'aud', 'sub', 'client_id', 'scope', 'tw']
const OWN_PARTS = ['level', 'tools', 'ip', 'limits', 'owner']

/** The beginning of every payload, in the one way in which it is written. No part of it can match in two ways. */
const HEAD = /^\{"jti":"([0-9A-Za-z]{20})","iat":(\d{9,11}),"exp":(\d{9,11}),"/

/** What a grant begins with: no quote or backslash can be read in two ways. */
const ISSUER = /^\{"iss":("(?:[^"\\]|\\.)*"),"aud":"/

/** The JSON text of a grant's claims. */
export function writeGrant(grant: SignedGrant): string {
  const { agent, issuer, audience, policy, owner, claims } = grant
  const { level, scopes, tools, ipAllow, rateLimits } = policy
  const own = {
    ...(level !== 'standard' && { level }),
    ...(tools !== undefined && { tools }),
    ...(ipAllow !== undefined && { ip: ipAllow }),
    ...(rateLimits !== undefined && { limits: rateLimits }),
    ...(owner !== undefined && { owner }),
  }
  return JSON.stringify({
    iss: issuer,
    aud: audience,
    sub: agent,
    client_id: agent,
    scope: scopes.join(' '),
    ...(Object.keys(own).length > 0 && { tw: own }),
    ...claims,
  })
}

/** The payload of a token: id and times, then the grant. */
export function writePayload({ id, issuedAt, expiresAt }: SignedTimes, grant: string): string {
  return `{"jti":"${id}","iat":${issuedAt},"exp":${expiresAt},${grant.slice(1)}`
}

/** A payload, split where {@link writePayload} joined it. */
export interface SplitPayload extends SignedTimes {
  /** The grant's JSON text. */
  readonly grant: string
}

/**
 * Splits a payload. It is read only in the form in which it is written: an `exp` that is a text, doubled members in front,
 * or white space aren't there to be understood.
 *
 * @returns `undefined` for any other text
 */
export function splitPayload(text: string): SplitPayload | undefined {
  const match = HEAD.exec(text)
  if (match === null) return undefined
  const [head, id, issuedAt, expiresAt] = match as unknown as [string, string, string, string]
  return { id, issuedAt: Number(issuedAt), expiresAt: Number(expiresAt), grant: `{"${text.slice(head.length)}` }
}

/** The issuer that a text of signed form names, be it proved or not; `undefined` when it isn't written as ours are. */
export function issuerOf(text: string): string | undefined {
  const [, part = ''] = text.split('.', 2)
  const json = Buffer.from(part, 'base64url').toString('utf8')
  const grant = text.startsWith(COMPACT_MARK) ? json : splitPayload(json)?.grant
  const named = grant === undefined ? null : ISSUER.exec(grant)
  if (named === null) return undefined
  try {
    return JSON.parse(named[1] as string) as string
  } catch {
    return undefined
  }
}

/**
 * Reads a grant, which must be as {@link writeGrant} writes it, to the letter: so nothing is in it twice, an audience isn't a
 * list, and what isn't known isn't passed over.
 *
 * @returns `undefined` for anything else
 */
export function readGrant(text: string): ReadGrant | undefined {
  let grant: SignedGrant
  try {
    const parsed: unknown = JSON.parse(text)
    if (!isJsonObject(parsed)) return undefined
    grant = grantOf(parsed)
    if (writeGrant(grant) !== text) return undefined
  } catch {
    // Whatever is wrong with it, it isn't ours.
    return undefined
  }
  // A copy of its own: opaque tokens of the same policy share one that is made ready with the catalogue.
  const policy = deepFreeze({ ...grant.policy })
  return Object.freeze({ ...grant, policy, compiled: compilePolicy(policy, undefined) })
}

function grantOf(parsed: { readonly [name: string]: unknown }): SignedGrant {
  const claims: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(parsed)) {
    if (OWN.includes(name)) continue
    if (RESERVED_CLAIMS.includes(name)) throw new TypeError('a reserved claim')
    claims[name] = value
  }
  const { iss, aud, sub, scope, tw = {} } = parsed
  if (!isJsonObject(tw) || Object.keys(tw).some((part) => !OWN_PARTS.includes(part))) throw new TypeError('tw')
  for (const value of [iss, aud, sub, scope]) if (typeof value !== 'string') throw new TypeError('not a text')
  const { level, tools, ip, limits, owner } = tw
  const input = {
    level,
    scopes: scope === '' ? [] : (scope as string).split(' '),
    tools,
    ipAllow: ip,
    rateLimit: limits,
  }
  return {
    agent: sub as string,
    issuer: iss as string,
    audience: aud as string,
    policy: parsePolicy(input as PolicyInput, undefined, undefined),
    ...(owner !== undefined && { owner: owner as string }),
    claims: deepFreeze(claims) as JsonObject,
  }
}
