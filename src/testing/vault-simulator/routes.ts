import type { SimulatedRequest } from './answer.ts'
import type { SimulatedNamespace } from './namespaces.ts'
import type { SimulatedToken, SimulatedTokens } from './tokens.ts'

/** What a route that needs no token works with. */
export interface PublicContext {
  readonly request: SimulatedRequest
  readonly namespace: SimulatedNamespace
  readonly tokens: SimulatedTokens
  /** The server's time, epoch ms. */
  readonly now: number
}

/** What a route works with. */
export interface RouteContext extends PublicContext {
  /** The token that the request came with. */
  readonly token: SimulatedToken
}
