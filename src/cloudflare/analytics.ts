import type { HistoryRow } from './history.ts'

/** How a healer's tokens fared over a time. */
export interface HealerAnalytics {
  /** From when on, epoch ms. */
  readonly since: number
  /** Until when. */
  readonly until: number
  /** How many rows with a health there are. */
  readonly checks: number
  /** The share of these that were healthy, 0 to 1; `null` when there are none. */
  readonly healthyShare: number | null
  readonly heals: {
    /** How many runs sent a change. */
    readonly attempted: number
    readonly succeeded: number
    readonly failed: number
    /** What came of them isn't known. */
    readonly unknown: number
  }
  /** The permission groups that were missing most often, at most 20: how often, each token of each row counted. */
  readonly mostMissing: readonly { readonly group: string; readonly times: number }[]
  /** Whether there are more rows than were read (10,000): the oldest aren't counted. */
  readonly truncated: boolean
}

const MOST = 20

/** What of a row is summed up. */
export interface AnalysedRow extends Pick<HistoryRow, 'overall_health' | 'auto_heal_attempted' | 'auto_heal_success'> {
  readonly missingGroups: readonly string[]
}

/** What of a row is summed up, without the rest of it. */
export function analysedOf(row: HistoryRow): AnalysedRow {
  const { overall_health, auto_heal_attempted, auto_heal_success, targets } = row
  const missingGroups = targets.flatMap((target) => target.missingGroups ?? [])
  return { overall_health, auto_heal_attempted, auto_heal_success, missingGroups }
}

/** Sums rows up. */
export function analyse(
  rows: readonly AnalysedRow[],
  since: number,
  until: number,
  truncated: boolean,
): HealerAnalytics {
  const judged = rows.filter(({ overall_health }) => overall_health !== null)
  const healthy = judged.filter(({ overall_health }) => overall_health === 'healthy').length
  const tried = rows.filter(({ auto_heal_attempted }) => auto_heal_attempted)
  const count = (success: boolean | null): number => tried.filter((row) => row.auto_heal_success === success).length
  const times = new Map<string, number>()
  for (const { missingGroups } of rows) {
    for (const group of missingGroups) times.set(group, (times.get(group) ?? 0) + 1)
  }
  return {
    since,
    until,
    checks: judged.length,
    healthyShare: judged.length === 0 ? null : healthy / judged.length,
    heals: { attempted: tried.length, succeeded: count(true), failed: count(false), unknown: count(null) },
    mostMissing: [...times]
      .map(([group, n]) => ({ group, times: n }))
      .sort((a, b) => b.times - a.times || (a.group < b.group ? -1 : 1))
      .slice(0, MOST),
    truncated,
  }
}
