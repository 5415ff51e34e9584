import { checkJson, type JsonObject } from '../kernel/bytes.ts'
import { type Duration, parseDuration } from '../kernel/duration.ts'
import { InvalidInputError } from '../kernel/errors.ts'
import { checkFields } from '../kernel/fields.ts'
import type { UsageRow } from '../stores/usage-rows.ts'
import type { ToolRule } from '../tokens/policy.ts'
import { RISKS, type Risk } from '../tokens/risk.ts'
import type { TokenView } from '../tokens/token-view.ts'
import { type ApprovalPolicy, type ApprovalPolicyInput, approvalPolicy } from './approval-policy.ts'
import type { ApprovalRequest } from './approval-request.ts'
import { leastPrivilege, type PrivilegeReport } from './least-privilege.ts'
import { defineScopes, expandGranted, type ScopeCatalog, type ScopeCatalogOptions } from './scope-catalog.ts'
import { compileScopes, type ScopeSet } from './scopes.ts'
import { compileTools, type ToolSet } from './tools.ts'

/** The longest life of a signed token, by the risk of the riskiest scope that it holds. */
export type MaxTtl = { readonly [risk in Risk]?: Duration }

/** How long signed tokens may live where nothing else is said: low and moderate 30 d, high 7 d, critical 24 h. */
export const DEFAULT_MAX_TTL: { readonly [risk in Risk]: Duration } = Object.freeze({
  low: '30d',
  moderate: '30d',
  high: '7d',
  critical: '24h',
})

/** What a {@link ScopeAuthorizer} is made from. */
export interface ScopeAuthorizerOptions {
  /** Every scope there is. */
  readonly catalog: ScopeCatalog | ScopeCatalogOptions['scopes']
  /** Short names for several scopes, where `catalog` isn't a catalogue already. */
  readonly meta?: ScopeCatalogOptions['meta'] | undefined
  /** Caps of a signed token's life by risk. Default {@link DEFAULT_MAX_TTL}. */
  readonly maxTtl?: MaxTtl | undefined
  /** Which calls need an approval. Default: tools of critical risk. */
  readonly approvals?: ApprovalPolicyInput | undefined
}

/** What somebody may do: a token's view, a signed token, or anything with scopes. */
export interface Grant {
  readonly scopes: readonly string[]
  /** Absent = any tool that a scope opens. */
  readonly tools?: readonly ToolRule[] | undefined
  /** Whose it is; needed where an approval may be. */
  readonly id?: string | undefined
  readonly service?: string | undefined
  readonly owner?: string | undefined
}

/** What is to be done: a tool with its arguments, or anything that needs a scope. */
export type Operation =
  | {
      readonly tool: string
      readonly args?: { readonly [name: string]: unknown } | undefined
      readonly scope?: undefined
    }
  | { readonly scope: string; readonly tool?: undefined; readonly args?: undefined }

/** The answer of {@link ScopeAuthorizer.authorize}. */
export type Authorization =
  | { readonly decision: 'allowed' }
  | {
      readonly decision: 'denied'
      /** `scope`: one of `missing` is needed; `tool`: the tool, or its arguments, aren't among those granted; `unknown_tool`: no scope opens it. */
      readonly reason: 'scope' | 'tool' | 'unknown_tool'
      /** Scopes that would do: any one of them for a tool. */
      readonly missing: readonly string[]
    }
  | { readonly decision: 'approval_required'; readonly request: ApprovalRequest }

const ALLOWED: Authorization = Object.freeze({ decision: 'allowed' })
/** A grant made ready, as a policy's. */
interface Compiled {
  readonly scopes: ScopeSet
  readonly tools: ToolSet
}

/**
 * Decides what a grant of scopes may do, by a catalogue that knows each scope's risk and tools. Its answers take the same
 * time whatever the catalogue's size. It keeps no state: `tokens.verify` asks the same catalogue.
 *
 * `docs:*` grants every scope below `docs:`, only as a whole last part. Writing implies reading only where the catalogue
 * says so (`implies`).
 *
 * @example
 * ```ts
 * const authorizer = new ScopeAuthorizer({ catalog: hostOperationsCatalog })
 * authorizer.authorize({ scopes: ['container:read'] }, { tool: 'manage_container' })
 * // { decision: 'denied', reason: 'scope', missing: ['container:write'] }
 * ```
 */
export class ScopeAuthorizer {
  readonly catalog: ScopeCatalog
  readonly #maxTtl: ReadonlyMap<Risk, number>
  readonly #policy: ApprovalPolicy
  readonly #compiled = new WeakMap<readonly string[], Compiled & { readonly of: readonly ToolRule[] | undefined }>()

  /**
   * @param options - the catalogue and, if wanted, caps and approvals
   * @throws InvalidInputError for a catalogue with mistakes in it, or caps that can't be used
   */
  constructor(options: ScopeAuthorizerOptions) {
    checkFields('options', options, ['catalog', 'meta', 'maxTtl', 'approvals'])
    const { catalog, meta, maxTtl = {} } = options
    if (typeof catalog !== 'object' || catalog === null) {
      throw new InvalidInputError('catalog', 'is not a catalogue', 'give one of defineScopes, or its scopes')
    }
    this.catalog = isCatalog(catalog) ? catalog : defineScopes({ scopes: catalog, ...(meta && { meta }) })
    checkFields('maxTtl', maxTtl, [...RISKS])
    this.#maxTtl = new Map(
      RISKS.map((risk) => [
        risk,
        parseDuration(`maxTtl.${risk}`, maxTtl[risk] ?? DEFAULT_MAX_TTL[risk], { min: 1000 }),
      ]),
    )
    this.#policy = approvalPolicy(options.approvals)
  }

  /**
   * Whether a grant allows an operation.
   *
   * @param grant - what somebody may do
   * @param operation - a tool with its arguments, or a scope
   * @throws InvalidInputError for an operation that names neither tool nor scope, or both
   */
  authorize(grant: Grant, operation: Operation): Authorization {
    const { tool, scope } = checkOperation(operation)
    const { scopes, tools } = this.#compile(grant)
    if (scope !== undefined) {
      return scopes.has(scope) ? ALLOWED : { decision: 'denied', reason: 'scope', missing: [scope] }
    }
    const granting = this.catalog.scopesForTool(tool as string)
    if (granting.length === 0) return { decision: 'denied', reason: 'unknown_tool', missing: [] }
    if (!granting.some((name) => scopes.has(name))) return { decision: 'denied', reason: 'scope', missing: granting }
    if (!tools.allows(tool, operation.args)) return { decision: 'denied', reason: 'tool', missing: [] }
    const risk = this.catalog.riskOfTool(tool as string) as Risk
    if (!this.#policy.needs(tool as string, risk)) return ALLOWED
    const args: JsonObject = checkJson('args', operation.args ?? {}, { maxBytes: 8192 })
    const { id = '', service = id, owner } = grant
    const request = { token: id, service, tool: tool as string, args, risk }
    return { decision: 'approval_required', request: owner === undefined ? request : { ...request, owner } }
  }

  /**
   * The longest life of a signed token with these scopes: that of the riskiest.
   *
   * @returns the cap in ms, and the scope and risk that set it; no cap for no scopes
   * @throws InvalidInputError for a scope that isn't in the catalogue
   */
  maxTtl(scopes: readonly string[]): { readonly ms: number; readonly scope: string; readonly risk: Risk } | undefined {
    this.catalog.validate('scopes', scopes)
    let lowest: { readonly ms: number; readonly scope: string; readonly risk: Risk } | undefined
    for (const scope of scopes) {
      const risk = this.catalog.riskOf(scope) as Risk
      const ms = this.#maxTtl.get(risk) as number
      if (
        lowest === undefined ||
        ms < lowest.ms ||
        (ms === lowest.ms && RISKS.indexOf(risk) > RISKS.indexOf(lowest.risk))
      ) {
        lowest = { ms, scope, risk }
      }
    }
    return lowest
  }

  /**
   * What a token has and doesn't seem to need, by what it used.
   *
   * @param token - the token
   * @param usage - its usage: `tokens.usage.query({ token: token.id, from })` of as many days as are to be looked at
   */
  leastPrivilege(token: TokenView, usage: readonly UsageRow[]): PrivilegeReport {
    return leastPrivilege(token, usage, this.catalog)
  }

  #compile(grant: Grant): Compiled {
    const { scopes, tools }: Partial<Grant> = typeof grant === 'object' && grant !== null ? grant : {}
    if (!Array.isArray(scopes)) {
      throw new InvalidInputError('grant.scopes', 'is not a list', 'give the scopes, an empty list for none')
    }
    const known = this.#compiled.get(scopes)
    if (known !== undefined && known.of === tools) return known
    if (!scopes.every((scope) => typeof scope === 'string')) {
      throw new InvalidInputError('grant.scopes', 'holds what is no text', 'give the names of scopes')
    }
    if (tools !== undefined && !Array.isArray(tools)) {
      throw new InvalidInputError('grant.tools', 'is not a list', 'name the tools, or leave it out for any')
    }
    const compiled = {
      scopes: compileScopes(expandGranted(this.catalog, scopes)),
      tools: compileTools(tools),
      of: tools,
    }
    // A list that may still change isn't remembered.
    if (Object.isFrozen(scopes) && Object.isFrozen(tools)) this.#compiled.set(scopes, compiled)
    return compiled
  }
}

function isCatalog(value: object): value is ScopeCatalog {
  return 'expand' in value && typeof value.expand === 'function'
}

function checkOperation(operation: Operation): {
  readonly tool: string | undefined
  readonly scope: string | undefined
} {
  const { tool, scope } = checkFields('operation', operation, ['tool', 'scope', 'args'])
  if ((typeof tool === 'string') === (typeof scope === 'string')) {
    throw new InvalidInputError('operation', 'names neither a tool nor a scope, or both', 'name one')
  }
  return { tool: tool as string | undefined, scope: scope as string | undefined }
}
