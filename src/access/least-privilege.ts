import type { UsageRow } from '../stores/usage-rows.ts'
import type { TokenView } from '../tokens/token-view.ts'
import type { ScopeCatalog } from './scope-catalog.ts'

/** What a token has and doesn't seem to need. */
export interface PrivilegeReport {
  /** Scopes none of whose tools was used in the time looked at. */
  readonly unused: readonly string[]
  /** Scopes that open no tool, so that their use can't be told. */
  readonly unknown: readonly string[]
  /** Patterns and meta scopes of which less than half of the scopes were used, with those that were. */
  readonly overBroad: readonly { readonly scope: string; readonly used: readonly string[] }[]
  /** Whether no end is set. */
  readonly noExpiry: boolean
  /** Whether any address may use it. */
  readonly anyAddress: boolean
  /** In plain words. */
  readonly recommendations: readonly string[]
}

/**
 * Compares what a token is granted with what it used.
 *
 * @param token - the token
 * @param rows - its usage in the time looked at
 * @param catalog - which scopes open which tools
 */
export function leastPrivilege(token: TokenView, rows: readonly UsageRow[], catalog: ScopeCatalog): PrivilegeReport {
  const tools = new Set(rows.filter((row) => row.token === token.id && row.outcome === 'ok').map((row) => row.tool))
  const toolsOf = new Map<string, string[]>()
  for (const tool of catalog.tools) {
    for (const scope of catalog.scopesForTool(tool)) toolsOf.set(scope, [...(toolsOf.get(scope) ?? []), tool])
  }
  const isUsed = (scope: string) => toolsOf.get(scope)?.some((tool) => tools.has(tool)) === true
  const unused: string[] = []
  const unknown: string[] = []
  const overBroad: { scope: string; used: string[] }[] = []
  for (const scope of token.scopes.filter((name) => catalog.has(name))) {
    const covered = catalog.scopes.filter((name) => catalog.expand([scope]).some((one) => covers(one, name)))
    const telling = covered.filter((name) => toolsOf.has(name))
    const used = telling.filter(isUsed)
    if (telling.length === 0) unknown.push(scope)
    else if (used.length === 0) unused.push(scope)
    else if (covered.length > 1 && used.length * 2 < covered.length) overBroad.push({ scope, used })
  }
  const noExpiry = token.expiresAt === undefined && token.expiresIn === undefined
  const anyAddress = token.ipAllow === undefined
  const recommendations = [
    ...unused.map((scope) => `take ${scope} away: none of its tools was used`),
    ...overBroad.map(({ scope, used }) => `replace ${scope} by ${used.join(', ')}`),
    ...(noExpiry ? ['set expiresIn or expiresAt: it never ends'] : []),
  ]
  return { unused, unknown, overBroad, noExpiry, anyAddress, recommendations }
}

/** Whether an expanded scope or pattern is, or covers, a defined scope. */
function covers(scope: string, name: string): boolean {
  return scope === name || (scope.endsWith(':*') && name.startsWith(scope.slice(0, -1)))
}
