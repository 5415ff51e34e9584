import { POLICY_FIELDS, type PolicyInput, parsePolicy } from '../access/policy-input.ts'
import type { ScopeCatalog } from '../access/scope-catalog.ts'
import { grants, MAX_SCOPES } from '../access/scopes.ts'
import { checkJson, type JsonObject } from '../kernel/bytes.ts'
import { type Duration, parseDuration } from '../kernel/duration.ts'
import { InvalidInputError } from '../kernel/errors.ts'
import { checkFields } from '../kernel/fields.ts'
import { checkName } from '../tokens/about.ts'
import type { Policy } from '../tokens/policy.ts'
import type { TokenView } from '../tokens/token-view.ts'
import { RESERVED_CLAIMS, type SignedGrant } from './claims.ts'
import { type TtlCap, TtlOverCapError } from './errors.ts'
import { boundedBy } from './minter.ts'

/** What a signed token is to be. Of a policy it takes all but a quota, which needs a record. */
export interface MintInput extends Pick<PolicyInput, 'level' | 'scopes' | 'tools' | 'ipAllow' | 'rateLimit'> {
  /** Who it is for, its `sub`: at most 128 characters. Usage, limits and approvals count it as `agent:<name>`. */
  readonly agent: string
  /** How long it lives, in whole seconds; what is beyond them is cut off. */
  readonly ttl: Duration
  /** `jwt` can be verified elsewhere by the JWKS; `hmac` is shorter and faster, for this host's own instances. */
  readonly format: 'jwt' | 'hmac'
  /** Who it is to be shown to, its `aud`. Default: the signer's own audience. */
  readonly audience?: string | undefined
  /** Claims of the host's own: a JSON object of at most 4 kB, without names that have a meaning already. */
  readonly claims?: JsonObject | undefined
  /** Whose it is; that one can't approve its calls. */
  readonly owner?: string | undefined
  /** Shortens a ttl that is over the cap, instead of refusing it. Default false. */
  readonly clamp?: boolean | undefined
  /** The token of whoever mints it, as `verify` or `get` gave it: nothing that it doesn't allow is allowed. */
  readonly minter?: TokenView | { readonly ok: true; readonly token: TokenView } | undefined
}

/** What is needed to read a {@link MintInput}. */
export interface MintRules {
  readonly issuer: string
  readonly audience: string
  readonly catalog: ScopeCatalog | undefined
  /** The longest life of any token, ms. */
  readonly maxTtl: number
  /** The cap of certain scopes. */
  readonly cap: ((scopes: readonly string[]) => TtlCap | undefined) | undefined
}

/** A token to be minted, checked. */
export interface MintOrder {
  readonly grant: SignedGrant
  /** ms, whole seconds. */
  readonly ttl: number
}

const FIELDS: readonly string[] = [
  ...['agent', 'ttl', 'format', 'audience', 'claims', 'owner', 'clamp', 'minter'],
  ...POLICY_FIELDS.filter((field) => field !== 'quota'),
]
const CLAIM = /^[A-Za-z_][\w.:/-]{0,127}$/

/**
 * Checks what a token is to be.
 *
 * @param now - decides how long the minter's own token still lives, epoch ms
 * @throws InvalidInputError naming the field; TtlOverCapError; WiderThanMinterError
 */
export function parseMint(input: MintInput, rules: MintRules, now: number): MintOrder {
  checkFields('input', input, FIELDS)
  const { format, clamp = false } = input
  if (format !== 'jwt' && format !== 'hmac') {
    throw new InvalidInputError('format', "is neither 'jwt' nor 'hmac'", "use 'jwt' for other services to verify")
  }
  if (typeof clamp !== 'boolean') throw new InvalidInputError('clamp', 'must be true or false', 'leave it out')
  const agent = checkName('agent', input.agent, 128)
  const asked = parseDuration('ttl', input.ttl, { min: 1000 })
  const wanted = parsePolicy(policyInput(input), undefined, rules.catalog)
  const full = { ...wanted, scopes: pinned(wanted.scopes, rules.catalog) }
  const { policy, until } =
    input.minter === undefined ? unbounded(full) : boundedBy(input.minter, full, input, rules.catalog, now)
  const claims = checkClaims(input.claims)
  const grant: SignedGrant = {
    agent,
    issuer: rules.issuer,
    audience: input.audience === undefined ? rules.audience : checkName('audience', input.audience, 256),
    policy,
    ...(input.owner !== undefined && { owner: checkName('owner', input.owner, 128) }),
    claims,
  }
  const cap = lowest([
    { ms: rules.maxTtl },
    rules.cap?.(policy.scopes),
    until === undefined ? undefined : { ms: until - now },
  ])
  if (asked > cap.ms && (!clamp || cap.ms < 1000)) throw new TtlOverCapError(asked, cap)
  return { grant, ttl: wholeSeconds(Math.min(asked, cap.ms)) }
}

function policyInput({ level, scopes, tools, ipAllow, rateLimit }: MintInput): PolicyInput {
  return { level, scopes, tools, ipAllow, rateLimit }
}

function unbounded(policy: Policy): { readonly policy: Policy; readonly until: undefined } {
  return { policy, until: undefined }
}

/**
 * Scopes as they stay: meta scopes, what is implied, and what patterns cover are named one by one, so that no later change of
 * the catalogue widens a token. Without a catalogue they are as they were asked for.
 */
function pinned(scopes: readonly string[], catalog: ScopeCatalog | undefined): readonly string[] {
  if (catalog === undefined) return scopes
  const all = new Set<string>()
  for (const scope of catalog.expand(scopes)) {
    if (!scope.endsWith(':*')) all.add(scope)
    else for (const name of catalog.scopes) if (grants(scope, name)) all.add(name)
  }
  if (all.size > MAX_SCOPES) {
    throw new InvalidInputError('scopes', `stand for over ${MAX_SCOPES} scopes`, 'ask for those that are needed')
  }
  return Object.freeze([...all].sort())
}

function checkClaims(input: unknown): JsonObject {
  const claims = checkJson('claims', input ?? {}, { maxBytes: 4096 })
  for (const name of Object.keys(claims)) {
    if (RESERVED_CLAIMS.includes(name)) {
      throw new InvalidInputError(`claims.${name}`, 'is reserved', 'use another name; its value comes from the options')
    }
    if (!CLAIM.test(name)) {
      throw new InvalidInputError(
        'claims',
        'has a name that is none',
        'use letters, digits and _ . : / -, a letter first',
      )
    }
  }
  return claims
}

function lowest(caps: readonly (TtlCap | undefined)[]): TtlCap {
  let low: TtlCap = { ms: Number.POSITIVE_INFINITY }
  for (const cap of caps)
    if (cap !== undefined && (cap.ms < low.ms || (cap.ms === low.ms && cap.scope !== undefined))) low = cap
  return low
}

function wholeSeconds(ms: number): number {
  return ms - (ms % 1000)
}
