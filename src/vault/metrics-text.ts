import type { HealthSource } from '../kernel/health.ts'
import type { Counters } from './counters.ts'
import type { VaultStatus } from './status.ts'

/** A number of a metric, with what tells it from others. */
type Sample = readonly [labels: { readonly [name: string]: string }, value: number]

const HEALTH_VALUES = { healthy: 0, degraded: 1, unhealthy: 2, unknown: 3 } as const

/** Text form 0.0.4 of Prometheus: https://prometheus.io/docs/instrumenting/exposition_formats/ */
export function metricsText(name: string, status: VaultStatus, health: HealthSource, counters: Counters): string {
  const lines: string[] = []
  const add = (metric: string, type: 'counter' | 'gauge', help: string, samples: readonly Sample[]): void => {
    const full = `tokenwright_vault_${metric}`
    lines.push(`# HELP ${full} ${help}`, `# TYPE ${full} ${type}`)
    for (const [labels, value] of samples) lines.push(`${full}{${labelText({ name, ...labels })}} ${numberText(value)}`)
  }
  const one = (value: number): Sample[] => [[{}, value]]
  const seconds = (at: number | null): number => (at === null ? 0 : at / 1000)
  const by = (label: string, counts: ReadonlyMap<string, number>): Sample[] =>
    [...counts].sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, count]) => [{ [label]: key }, count])

  add('renewals_total', 'counter', 'Renewals of the token that succeeded.', one(counters.renewals))
  add('failures_total', 'counter', 'Renewals of the token that failed.', one(counters.failures))
  const kinds = counters.failuresByKind
  if (kinds.size > 0) {
    add('failures_by_kind_total', 'counter', 'Failed requests for token and leases, by kind.', by('kind', kinds))
  }
  add('reauth_total', 'counter', 'Logins that succeeded.', one(counters.reauths))
  add('reauth_failures_total', 'counter', 'Logins that failed.', one(counters.reauthFailures))
  if (counters.requests.size > 0) {
    add('requests_total', 'counter', 'Requests sent, by operation.', by('operation', counters.requests))
  }
  add('lease_renewals_total', 'counter', 'Renewals of leases of secrets that succeeded.', one(counters.leaseRenewals))
  add('lease_failures_total', 'counter', 'Renewals of leases of secrets that failed.', one(counters.leaseFailures))
  add('leases', 'gauge', 'Leases of secrets that are looked after.', one(status.leases))
  const ttl = status.state === 'static' ? Number.POSITIVE_INFINITY : Math.max(0, status.ttlMs ?? 0) / 1000
  add('ttl_seconds', 'gauge', 'What is left of the token; +Inf for one without an end.', one(ttl))
  const full = status.state === 'static' ? Number.POSITIVE_INFINITY : (status.fullTtlMs ?? 0) / 1000
  add('full_ttl_seconds', 'gauge', 'The whole lease of the token.', one(full))
  add('consecutive_failures', 'gauge', 'Failures of renewals and logins in a row.', one(status.consecutiveFailures))
  add(
    'last_success_timestamp_seconds',
    'gauge',
    'When the server last gave a good answer about the token.',
    one(seconds(status.lastCheckAt)),
  )
  add('health', 'gauge', '0 healthy, 1 degraded, 2 unhealthy, 3 unknown.', one(HEALTH_VALUES[health.status]))
  const states: readonly VaultStatus['state'][] = ['idle', 'starting', 'running', 'static', 'expired', 'stopped']
  add(
    'state',
    'gauge',
    'Whether the manager is in this state.',
    states.map((state): Sample => [{ state }, state === status.state ? 1 : 0]),
  )
  return `${lines.join('\n')}\n`
}

function labelText(labels: { readonly [name: string]: string }): string {
  return Object.entries(labels)
    .map(
      ([name, value]) => `${name}="${value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')}"`,
    )
    .join(',')
}

function numberText(value: number): string {
  if (value === Number.POSITIVE_INFINITY) return '+Inf'
  return String(Number(value.toFixed(3)))
}
