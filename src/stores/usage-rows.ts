import type { Kind } from '../kernel/kind.ts'

/** Upper bounds (ms, inclusive) of the latency histogram's buckets; a last bucket takes the rest. */
export const LATENCY_BOUNDS: readonly number[] = [1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000]

/** Counts to add to one usage row. */
export interface UsageIncrement {
  /** The token's id (or `agent:<name>` for signed tokens; empty when no token was proved). */
  readonly token: string
  /** The version that was used; 0 when none was proved. */
  readonly version: number
  /** The start of the hour, epoch ms. */
  readonly hour: number
  /** The tool that was asked for; empty = none. */
  readonly tool: string
  /** `ok` or the code of the refusal. */
  readonly outcome: string
  /** How many calls. */
  readonly calls: number
  /** The sum of their costs. */
  readonly cost: number
  /** How many of the calls reported a status of 500 or more. */
  readonly failures: number
  /** The sum of the durations reported, ms. */
  readonly durationMs: number
  /** Calls by duration, one more than {@link LATENCY_BOUNDS}; absent when none was reported. */
  readonly latency?: readonly number[]
  /** The last call, epoch ms. */
  readonly lastAt: number
}

/** One row of usage: sums over calls with the same token, hour, tool and outcome. `hour` starts a day once older than 30 days. */
export interface UsageRow extends Omit<UsageIncrement, 'version'> {}

/** Which usage rows. */
export interface UsageQuery {
  /** Only this token's; absent = every token's. */
  readonly token?: string | undefined
  /** First hour, inclusive, epoch ms. */
  readonly from?: number | undefined
  /** Last hour, exclusive, epoch ms. */
  readonly to?: number | undefined
  /** 1 to 10,000. */
  readonly limit: number
}

/** What is known of the use of one version of a token: a sum and a max. Its id is {@link activityId}. */
export interface ActivityRecord {
  /** Good calls since the version was made. */
  readonly calls: number
  /** When it was last used, epoch ms; before its first use, when it was made. */
  readonly lastAt: number
}

/** The id of a version's activity row. */
export function activityId(token: string, version: number): string {
  return `${token}.${version}`
}

/**
 * Activity rows: one a version, born in the commit that makes the version, then changed only by
 * {@link TokenStore.addUsage}, which adds `calls` of outcome `ok` and raises `lastAt` (and makes no row that isn't there).
 */
export const activityKind: Kind<ActivityRecord, 'unusedSince' | 'calls', never> = {
  name: 'activity',
  schema: 1,
  journaled: false,
  unique: {},
  order: {
    unusedSince: (row) => ({ at: row.lastAt }),
    calls: (row) => ({ at: row.calls }),
  },
  merge: (here, archived) => (here === undefined ? archived : undefined),
}
