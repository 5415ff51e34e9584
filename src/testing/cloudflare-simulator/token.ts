/** A permission group of a policy as the simulator holds it. */
export interface SimulatedGroup {
  readonly id: string
  readonly name?: string
  readonly meta?: { readonly [key: string]: string }
}

/** A policy as the simulator holds and tells it. */
export interface SimulatedPolicy {
  readonly id: string
  readonly effect: 'allow' | 'deny'
  readonly permission_groups: readonly SimulatedGroup[]
  readonly resources: { readonly [key: string]: unknown }
}

/** A token as the simulator holds it. Its value isn't in it. */
export interface SimulatedToken {
  readonly id: string
  readonly family: 'account' | 'user'
  /** The account, or the user, that it belongs to. */
  readonly owner: string
  name: string
  status: string
  policies: readonly SimulatedPolicy[]
  condition?: object | undefined
  expires_on?: string | undefined
  not_before?: string | undefined
  issued_on: string
  modified_on: string
  last_used_on?: string | undefined
}

/** What the API tells of a token. */
export function shown(token: SimulatedToken, status: string): object {
  const { id, name, policies, condition, expires_on, not_before, issued_on, modified_on, last_used_on } = token
  return {
    id,
    name,
    status,
    issued_on,
    modified_on,
    ...(last_used_on !== undefined && { last_used_on }),
    ...(expires_on !== undefined && { expires_on }),
    ...(not_before !== undefined && { not_before }),
    ...(condition !== undefined && { condition }),
    policies,
  }
}

/** The status as of now (K4): what is stored, and what the dates say. */
export function statusOf({ status, expires_on }: SimulatedToken, now: number): string {
  return status === 'active' && expires_on !== undefined && Date.parse(expires_on) <= now ? 'expired' : status
}

/** Whether it lets its bearer in now. */
export function isUsable(token: SimulatedToken, now: number): boolean {
  const early = token.not_before !== undefined && Date.parse(token.not_before) > now
  return statusOf(token, now) === 'active' && !early
}

/** Whether the condition allows an address (K5). One without any address allows none. */
export function allowsAddress(
  { condition }: SimulatedToken,
  ip: string,
  contains: (net: string, ip: string) => boolean,
): boolean {
  if (condition === undefined) return true
  const { request_ip } = condition as { request_ip?: { in?: readonly string[]; not_in?: readonly string[] } }
  const allowed = request_ip?.in ?? []
  const refused = request_ip?.not_in ?? []
  if (allowed.length + refused.length === 0) return false
  if (refused.some((net) => contains(net, ip))) return false
  return allowed.length === 0 || allowed.some((net) => contains(net, ip))
}
