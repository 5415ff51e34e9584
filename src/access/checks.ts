import { LEVELS, type Level, type Policy } from '../tokens/policy.ts'
import type { CheckStep, DenialCode, VerifyContext } from '../tokens/verification.ts'
import { compileIpRules, type IpRules } from './network.ts'
import { expandGranted, type ScopeCatalog } from './scope-catalog.ts'
import { compileScopes, type ScopeSet } from './scopes.ts'
import { compileTools, type ToolSet } from './tools.ts'

/** A policy made ready for the hot path, once for all tokens that share it. */
export interface CompiledPolicy {
  readonly policy: Policy
  readonly rank: number
  readonly ip: IpRules | undefined
  readonly scopes: ScopeSet
  readonly tools: ToolSet | undefined
}

interface Check {
  readonly check: 'network' | 'level' | 'scope' | 'tool'
  /** Whether there is anything to check. */
  applies(policy: CompiledPolicy, context: VerifyContext): boolean
  /** The refusal; `undefined` = passed. */
  refuses(policy: CompiledPolicy, context: VerifyContext, catalog: ScopeCatalog | undefined): DenialCode | undefined
}

/** What a policy is held to after the secret is proved, in this order: for opaque and signed tokens alike. */
const CHECKS: readonly Check[] = [
  {
    check: 'network',
    applies: (policy) => policy.ip !== undefined,
    refuses: ({ ip }, context) =>
      ip === undefined || (context.ip !== undefined && ip.allows(context.ip)) ? undefined : 'ip_denied',
  },
  {
    check: 'level',
    applies: (_, context) => context.level !== undefined,
    refuses: ({ rank }, { level }) => (level === undefined || rank >= rankOf(level) ? undefined : 'level_denied'),
  },
  {
    check: 'scope',
    applies: (_, { scopes, tool }) => (scopes !== undefined && scopes.length > 0) || tool !== undefined,
    refuses: (policy, { scopes, tool }, catalog) => {
      if (scopes !== undefined && !hasAll(policy.scopes, scopes)) return 'insufficient_scope'
      if (tool === undefined || catalog === undefined) return undefined
      const granting = catalog.scopesForTool(tool)
      return granting.length === 0 || granting.some((scope) => policy.scopes.has(scope))
        ? undefined
        : 'insufficient_scope'
    },
  },
  {
    check: 'tool',
    applies: (policy, { tool }) => policy.tools !== undefined || tool !== undefined,
    refuses: ({ tools }, { tool, args }, catalog) => {
      if (tool !== undefined && catalog !== undefined && catalog.scopesForTool(tool).length === 0) return 'tool_denied'
      // A token held to tools is refused where no tool is named, as one held to addresses is where none is known.
      return tools === undefined || (tool !== undefined && tools.allows(tool, args)) ? undefined : 'tool_denied'
    },
  },
]

/** The first check that refuses, as a code; `undefined` when all pass. */
export function firstRefusal(
  policy: CompiledPolicy,
  context: VerifyContext,
  catalog: ScopeCatalog | undefined,
): DenialCode | undefined {
  for (let i = 0; i < CHECKS.length; i++) {
    const code = (CHECKS[i] as Check).refuses(policy, context, catalog)
    if (code !== undefined) return code
  }
  return undefined
}

/** The scopes that a refused call would have needed and the token lacks. */
export function missingScopes(
  policy: CompiledPolicy,
  context: VerifyContext,
  catalog: ScopeCatalog | undefined,
): readonly string[] {
  const missing = policy.scopes.missing(context.scopes ?? [])
  if (missing.length > 0 || context.tool === undefined || catalog === undefined) return missing
  return catalog.scopesForTool(context.tool)
}

/** The order in which everything is checked, from the form of the string to the quota. */
const ORDER = [
  'form',
  'proof',
  'revoked',
  'disabled',
  'expired',
  'network',
  'level',
  'scope',
  'tool',
  'approval',
  'rate',
  'quota',
] as const

/** What each refusal failed on. */
const FAILED_CHECK: { readonly [code in DenialCode]: CheckStep['check'] } = {
  missing: 'form',
  malformed: 'form',
  unknown: 'proof',
  revoked: 'revoked',
  disabled: 'disabled',
  expired: 'expired',
  ip_denied: 'network',
  level_denied: 'level',
  insufficient_scope: 'scope',
  tool_denied: 'tool',
  approval_required: 'approval',
  rate_limited: 'rate',
  quota_exceeded: 'quota',
  insecure_transport: 'form',
  unavailable: 'proof',
}

/**
 * The checks in their order with their results: passed before the one that failed, skipped after it or where there was
 * nothing to check.
 */
export function explain(
  code: DenialCode | undefined,
  policy: CompiledPolicy | undefined,
  context: VerifyContext,
): CheckStep[] {
  const failed = code === undefined ? ORDER.length : ORDER.indexOf(FAILED_CHECK[code])
  const idle = new Set<CheckStep['check']>(['approval'])
  if (policy !== undefined) {
    for (const { check, applies } of CHECKS) if (!applies(policy, context)) idle.add(check)
    if (policy.policy.rateLimits === undefined) idle.add('rate')
    if (policy.policy.quota === undefined) idle.add('quota')
  }
  return ORDER.map((check, i) => ({
    check,
    result: i === failed ? 'fail' : i > failed || idle.has(check) ? 'skipped' : 'pass',
  }))
}

const compiled = new WeakMap<Policy, { catalog: ScopeCatalog | undefined; policy: CompiledPolicy }>()

/** Makes a policy ready for the hot path. Policies are shared objects, so each is compiled once. */
export function compilePolicy(policy: Policy, catalog: ScopeCatalog | undefined): CompiledPolicy {
  const known = compiled.get(policy)
  if (known !== undefined && known.catalog === catalog) return known.policy
  const fresh: CompiledPolicy = {
    policy,
    rank: LEVELS.indexOf(policy.level),
    ip: policy.ipAllow && compileIpRules(policy.ipAllow),
    scopes: compileScopes(catalog === undefined ? policy.scopes : expandGranted(catalog, policy.scopes)),
    tools: policy.tools && compileTools(policy.tools),
  }
  compiled.set(policy, { catalog, policy: fresh })
  return fresh
}

function rankOf(level: Level): number {
  return level === 'standard' ? 1 : level === 'read_only' ? 0 : 2
}

function hasAll(granted: ScopeSet, wanted: readonly string[]): boolean {
  for (let i = 0; i < wanted.length; i++) if (!granted.has(wanted[i] as string)) return false
  return true
}
