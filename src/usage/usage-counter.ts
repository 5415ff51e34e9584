import type { UsageIncrement } from '../stores/usage-rows.ts'

/** Addresses that one counter remembers between two flushes. */
const MAX_IPS = 32

/** A counter in memory. `live` turns false when it is flushed; then whoever holds it asks for a new one. */
export class UsageCounter {
  live = true
  calls = 0
  cost = 0
  failures = 0
  durationMs = 0
  lastAt = 0
  latency: number[] | undefined = undefined
  /** The address of the last call that gave one. */
  ip: string | undefined = undefined
  /** The addresses of calls, each once. */
  ips: string[] | undefined = undefined
  readonly token: string
  readonly version: number
  readonly hour: number
  readonly tool: string
  readonly outcome: string

  /** @internal */
  constructor(token: string, version: number, hour: number, tool: string, outcome: string) {
    this.token = token
    this.version = version
    this.hour = hour
    this.tool = tool
    this.outcome = outcome
  }

  /** Remembers an address other than the last call's. */
  see(ip: string): void {
    this.ip = ip
    if (this.ips === undefined) this.ips = [ip]
    else if (this.ips.length < MAX_IPS && !this.ips.includes(ip)) this.ips.push(ip)
  }
}

/** What a counter adds to the store. */
export function incrementOf(counter: UsageCounter): UsageIncrement {
  const { token, version, hour, tool, outcome, calls, cost, failures, durationMs, latency, lastAt } = counter
  return { token, version, hour, tool, outcome, calls, cost, failures, durationMs, lastAt, ...(latency && { latency }) }
}
