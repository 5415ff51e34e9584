import { LATENCY_BOUNDS, type UsageRow } from '../stores/usage-rows.ts'
import { quantileOf } from './latency.ts'

/** What was counted over some usage rows. */
export interface UsageSummary {
  /** All calls, good and refused. */
  readonly calls: number
  /** Refused calls. */
  readonly denied: number
  /** Good calls that were answered with a status of 500 or more, as far as {@link UsageTracker.finish} was told. */
  readonly failures: number
  /** `denied` and `failures` together. */
  readonly errors: number
  /** `errors` by `calls`, from 0 to 1; 0 where there was no call. */
  readonly errorRate: number
  /** The sum of the costs of good calls. */
  readonly cost: number
  /** Refused calls by code, the most frequent first. */
  readonly denials: { readonly [code: string]: number }
  /** Calls whose duration was told. The next four are absent without any. */
  readonly timed: number
  /** The mean duration, ms. */
  readonly meanMs?: number
  /** Half of the timed calls took no longer, ms; interpolated within a bucket of the histogram, as the next two. */
  readonly p50Ms?: number
  readonly p95Ms?: number
  readonly p99Ms?: number
  /** The last call, epoch ms; absent without any. */
  readonly lastAt?: number
}

/** Adds up usage rows. */
export class UsageSum {
  calls = 0
  #denied = 0
  #failures = 0
  #cost = 0
  #durationMs = 0
  #lastAt = 0
  readonly #denials = new Map<string, number>()
  readonly #latency = new Array<number>(LATENCY_BOUNDS.length + 1).fill(0)

  /** Adds a row. */
  add(row: UsageRow): void {
    this.calls += row.calls
    this.#cost += row.cost
    this.#durationMs += row.durationMs
    this.#lastAt = Math.max(this.#lastAt, row.lastAt)
    if (row.outcome === 'ok') this.#failures += row.failures
    else {
      // A refusal that was answered with 503 is one error, not two.
      this.#denied += row.calls
      this.#denials.set(row.outcome, (this.#denials.get(row.outcome) ?? 0) + row.calls)
    }
    for (let i = 0; i < this.#latency.length; i++)
      this.#latency[i] = (this.#latency[i] as number) + (row.latency?.[i] ?? 0)
  }

  /** Good calls that failed, and refused ones. */
  get errors(): number {
    return this.#denied + this.#failures
  }

  /** The sum of costs. */
  get cost(): number {
    return this.#cost
  }

  /** What was counted. */
  summary(): UsageSummary {
    const { calls, errors } = this
    const timed = this.#latency.reduce((sum, n) => sum + n, 0)
    const denials = [...this.#denials].sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1))
    const at = (q: number) => quantileOf(this.#latency, q) as number
    return {
      calls,
      denied: this.#denied,
      failures: this.#failures,
      errors,
      errorRate: calls === 0 ? 0 : errors / calls,
      cost: this.#cost,
      denials: Object.fromEntries(denials),
      timed,
      ...(timed > 0 && { meanMs: this.#durationMs / timed, p50Ms: at(0.5), p95Ms: at(0.95), p99Ms: at(0.99) }),
      ...(this.#lastAt > 0 && { lastAt: this.#lastAt }),
    }
  }
}
