/** What no id of a record holds: so an agent's account is never taken for a token's. */
const PREFIX = 'agent:'

/** What signed tokens go by in usage, the request log, limits, approvals and alerts: all of an agent's together. */
export function accountOf(agent: string): string {
  return PREFIX + agent
}

/** The agent of an account; `undefined` for the id of a token with a record. */
export function agentOf(account: string): string | undefined {
  return account.startsWith(PREFIX) ? account.slice(PREFIX.length) : undefined
}
