import { InvalidInputError } from '../kernel/errors.ts'
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

/** Where a row stands among the others: they are in order of hour, token, tool, outcome. A {@link UsageRow} is one. */
export interface UsagePoint {
  readonly hour: number
  readonly token: string
  readonly tool: string
  readonly outcome: string
}

/** Which usage rows. */
export interface UsageQuery {
  /** Only this token's; absent = every token's. */
  readonly token?: string | undefined
  /** First hour, inclusive, epoch ms. */
  readonly from?: number | undefined
  /** Last hour, exclusive, epoch ms. */
  readonly to?: number | undefined
  /** Only rows after this one: the last row of the page before. */
  readonly after?: UsagePoint | undefined
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

/** How long usage is kept by the hour, ms. */
export const HOURLY_MS: number = 30 * 86_400_000

/** The most increments of one call of {@link TokenStore.addUsage}. Some hundreds at a time keep other writers from waiting. */
export const MAX_INCREMENTS = 10_000

const DAY_MS = 86_400_000

/** The instant before which usage is kept by the (UTC) day: the start of the day 30 days ago. */
export function dailyBefore(now: number): number {
  return Math.floor((now - HOURLY_MS) / DAY_MS) * DAY_MS
}

/** The `hour` under which an hour's usage is kept: itself, or the start of its day. */
export function usageHour(hour: number, daily: number): number {
  return hour < daily ? Math.floor(hour / DAY_MS) * DAY_MS : hour
}

/** The sum of a usage row and more of the same. */
export function addUsageRow(row: UsageRow | undefined, more: UsageRow, hour: number): UsageRow {
  const latency = addLatency(row?.latency, more.latency)
  return {
    token: more.token,
    hour,
    tool: more.tool,
    outcome: more.outcome,
    calls: (row?.calls ?? 0) + more.calls,
    cost: (row?.cost ?? 0) + more.cost,
    failures: (row?.failures ?? 0) + more.failures,
    durationMs: (row?.durationMs ?? 0) + more.durationMs,
    ...(latency === undefined ? undefined : { latency }),
    lastAt: Math.max(row?.lastAt ?? 0, more.lastAt),
  }
}

function addLatency(a: readonly number[] | undefined, b: readonly number[] | undefined): readonly number[] | undefined {
  if (a === undefined || b === undefined) return a ?? b
  const longer = a.length >= b.length ? a : b
  return longer.map((_, i) => (a[i] ?? 0) + (b[i] ?? 0))
}

/** What a usage increment makes of a version's activity. */
export function addActivity(row: ActivityRecord, more: UsageIncrement): ActivityRecord {
  return {
    calls: more.outcome === 'ok' ? row.calls + more.calls : row.calls,
    lastAt: Math.max(row.lastAt, more.lastAt),
  }
}

/**
 * Checks what {@link TokenStore.addUsage} is given.
 *
 * @throws InvalidInputError when an increment isn't made of texts and finite numbers, or there are more than 10,000
 */
export function checkIncrements(flushId: string, increments: readonly UsageIncrement[]): void {
  if (typeof flushId !== 'string' || flushId.length === 0 || flushId.length > 512) {
    throw new InvalidInputError('flushId', 'is not a text of 1 to 512 characters', 'give each flush an id of its own')
  }
  if (increments.length > MAX_INCREMENTS) {
    throw new InvalidInputError('increments', `are more than ${MAX_INCREMENTS}`, 'flush them in parts')
  }
  for (const row of increments) {
    const texts = typeof row.token === 'string' && typeof row.tool === 'string' && typeof row.outcome === 'string'
    const instants = Number.isSafeInteger(row.hour) && Number.isSafeInteger(row.lastAt) && Number.isInteger(row.version)
    const counts = Number.isSafeInteger(row.calls) && Number.isFinite(row.cost + row.failures + row.durationMs)
    if (!texts || !instants || !counts || !(row.latency ?? []).every(Number.isFinite)) {
      throw new InvalidInputError('increments', 'hold one that is not made of texts and numbers', 'mend its maker')
    }
  }
}

/** The id of a version's activity row. */
export function activityId(token: string, version: number): string {
  return `${token}.${version}`
}

/**
 * Activity rows: one a version, born in the commit that makes the version, then changed only by
 * {@link TokenStore.addUsage}, which adds `calls` of outcome `ok`, raises `lastAt` whatever the outcome (a refused call
 * shows that the version is in use), keeps the revision, and makes no row that isn't there.
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
  merge: (here, archived) => {
    if (here === undefined) return archived
    return { calls: Math.max(here.calls, archived.calls), lastAt: Math.max(here.lastAt, archived.lastAt) }
  },
}
