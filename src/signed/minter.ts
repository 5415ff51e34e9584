import type { PolicyInput } from '../access/policy-input.ts'
import { expandGranted, type ScopeCatalog } from '../access/scope-catalog.ts'
import { compileScopes } from '../access/scopes.ts'
import { InvalidInputError } from '../kernel/errors.ts'
import { LEVELS, type Policy, type ToolRule } from '../tokens/policy.ts'
import type { TokenView } from '../tokens/token-view.ts'
import { WiderThanMinterError } from './errors.ts'

/**
 * A policy held to what the minter's own token allows. What isn't asked for is inherited: tools, addresses, rate limits.
 *
 * @param given - the minter's token, or the answer that verified it
 * @param wanted - what is asked for
 * @param asked - as the caller wrote it, which tells what was left out
 * @returns the policy, and when the minter's token ends, epoch ms
 * @throws WiderThanMinterError; InvalidInputError for what is no token
 */
export function boundedBy(
  given: TokenView | { readonly ok: true; readonly token: TokenView },
  wanted: Policy,
  asked: Pick<PolicyInput, 'level'>,
  catalog: ScopeCatalog | undefined,
  now: number,
): { readonly policy: Policy; readonly until: number | undefined } {
  const minter: TokenView | undefined =
    typeof given === 'object' && given !== null && 'token' in given ? given.token : given
  if (!Array.isArray(minter?.scopes) || !Array.isArray(minter.versions) || typeof minter.status !== 'string') {
    throw new InvalidInputError('minter', 'is no token', 'give what get() or verify() gave')
  }
  const { status } = minter
  const until = endOf(minter)
  if (status !== 'active' || (until !== undefined && now >= until)) {
    throw new WiderThanMinterError('minter', `is ${status === 'active' ? 'expired' : status}, and allows nothing`)
  }
  const missing = compileScopes(scopesOf(minter, catalog)).missing(wanted.scopes)
  if (missing.length > 0) {
    throw new WiderThanMinterError('scopes', `go beyond the minter's: ${missing.slice(0, 5).join(', ')}`, missing)
  }
  const level = asked.level ?? lower(wanted.level, minter.level)
  if (LEVELS.indexOf(level) > LEVELS.indexOf(minter.level)) {
    throw new WiderThanMinterError('level', `is ${level}, and the minter's is ${minter.level}`)
  }
  const tools = within('tools', wanted.tools, minter.tools, (rule, held) => held.some((each) => coversTool(each, rule)))
  const ipAllow = within('ipAllow', wanted.ipAllow, minter.ipAllow, (network, held) => held.includes(network))
  const rateLimits = wanted.rateLimits ?? minter.rateLimits
  const policy: Policy = {
    level,
    scopes: wanted.scopes,
    ...(tools && { tools }),
    ...(ipAllow && { ipAllow }),
    ...(rateLimits && { rateLimits }),
  }
  return { policy, until }
}

/** A lifetime that begins anew with each version is told by the version alone. */
function endOf({ versions, expiresAt }: TokenView): number | undefined {
  return versions.find(({ state }) => state === 'current')?.endsAt ?? expiresAt
}

/** A signed token names all of its scopes; an opaque one has what the catalogue makes of them today. */
function scopesOf(minter: TokenView, catalog: ScopeCatalog | undefined): readonly string[] {
  if (catalog === undefined || minter.signed !== undefined) return minter.scopes
  return expandGranted(catalog, minter.scopes)
}

function lower<T extends (typeof LEVELS)[number]>(a: T, b: T): T {
  return LEVELS.indexOf(a) <= LEVELS.indexOf(b) ? a : b
}

function within<T>(
  field: string,
  wanted: readonly T[] | undefined,
  held: readonly T[] | undefined,
  covers: (one: T, held: readonly T[]) => boolean,
): readonly T[] | undefined {
  if (held === undefined || wanted === undefined) return wanted ?? held
  if (!wanted.every((one) => covers(one, held))) {
    throw new WiderThanMinterError(field, "has an entry that isn't among the minter's")
  }
  return wanted
}

function coversTool(held: ToolRule, wanted: ToolRule): boolean {
  if (typeof held === 'string') return held === (typeof wanted === 'string' ? wanted : wanted.name)
  if (typeof wanted === 'string' || wanted.name !== held.name) return false
  // Every argument that is held there must be held here, to some of the same values.
  return Object.entries(held.args).every(
    ([arg, values]) => Object.hasOwn(wanted.args, arg) && wanted.args[arg]?.every((value) => values.includes(value)),
  )
}
