import type { AnyKind } from '../kernel/kind.ts'
import {
  type ActivityRecord,
  activityId,
  activityKind,
  addActivity,
  addUsageRow,
  dailyBefore,
  type UsageIncrement,
  type UsageQuery,
  type UsageRow,
  usageHour,
} from '../stores/usage-rows.ts'
import type { FileTransaction } from './file-transaction.ts'
import { FileWrite, put, type RowHead, retract } from './file-write.ts'
import { all, one, type Statements, type UsageSqlRow } from './statements.ts'

/** The kinds that {@link applyUsage} needs. */
export const USAGE_KINDS: readonly AnyKind[] = [activityKind]

/** How many old hours one flush sums up to days, at most. */
const ROLL_AT_ONCE = 500

/** The name under which the file keeps up to which hour usage has been summed up to days. */
const ROLLED = 'usage_rolled'

/** Adds one flush of usage within a transaction; nothing if it was added before. */
export function applyUsage(
  tx: FileTransaction,
  flushId: string,
  increments: readonly UsageIncrement[],
  now: number,
): void {
  if (one(tx.sql.flushById, flushId) !== undefined) return
  tx.startWriting()
  tx.rememberFlush(flushId, now)
  const daily = dailyBefore(now)
  for (const increment of increments) {
    addRow(tx.sql, increment, usageHour(increment.hour, daily))
    if (increment.version > 0) addToActivity(tx, increment)
  }
  roll(tx, daily)
}

function addRow(sql: Statements, more: UsageRow, hour: number): void {
  const { token, tool, outcome } = more
  const row = one<UsageSqlRow>(sql.usageRow, hour, token, tool, outcome)
  const sum = addUsageRow(row === undefined ? undefined : usageOf(row), more, hour)
  const latency = sum.latency === undefined ? null : JSON.stringify(sum.latency)
  const { calls, cost, failures, durationMs, lastAt } = sum
  sql.setUsage.run(hour, token, tool, outcome, calls, cost, failures, durationMs, latency, lastAt)
}

function addToActivity(tx: FileTransaction, increment: UsageIncrement): void {
  const kind = tx.kind(activityKind)
  const id = activityId(increment.token, increment.version)
  const head = one<RowHead>(tx.sql.rowHead, kind.id, id)
  if (head === undefined || head.gone === 1) return
  const before = tx.value(kind, id, head) as ActivityRecord
  const write = new FileWrite(kind, id, head, before, { value: addActivity(before, increment) }, head.revision)
  retract(tx.sql, write)
  put(tx.sql, write)
  tx.changed(write, false)
}

/** Sums hours that have become old up to days, some at a time: whoever flushes next goes on. */
function roll(tx: FileTransaction, daily: number): void {
  const { sql } = tx
  const from = tx.meta(ROLLED)
  if (from >= daily) return
  const rows = all<UsageSqlRow>(sql.usageFrom, from, '', '', '', daily, ROLL_AT_ONCE)
  for (const row of rows) {
    const day = usageHour(row.hour, daily)
    if (day === row.hour) continue
    sql.removeUsage.run(row.hour, row.token, row.tool, row.outcome)
    addRow(sql, usageOf(row), day)
  }
  const last = rows[rows.length - 1]
  const done = last === undefined || rows.length < ROLL_AT_ONCE
  // Within an hour that was cut in two it begins again: what has been summed up is gone from there.
  tx.setMeta(ROLLED, done ? daily : last.hour)
}

function usageOf(row: UsageSqlRow): UsageRow {
  const { token, hour, tool, outcome, calls, cost, failures, duration, latency, last_at } = row
  const base = { token, hour, tool, outcome, calls, cost, failures, durationMs: duration }
  if (latency === null) return { ...base, lastAt: last_at }
  return { ...base, latency: JSON.parse(latency) as number[], lastAt: last_at }
}

/** Reads usage rows. */
export function readUsage(sql: Statements, { token, from, to, after, limit }: UsageQuery): UsageRow[] {
  let hour = from ?? Number.NEGATIVE_INFINITY
  let rest: readonly [string, string, string] = ['', '', '']
  let passed = false
  if (after !== undefined && after.hour >= hour) {
    hour = after.hour
    rest = [after.token, after.tool, after.outcome]
    passed = true
  }
  const end = to ?? Number.POSITIVE_INFINITY
  if (token === undefined) return all<UsageSqlRow>(sql.usageFrom, hour, ...rest, end, limit).map(usageOf)
  // Among the rows of one token, those of the hour come before or after the point as their token does.
  let [, tool, outcome] = rest
  if (passed && rest[0] < token) [tool, outcome] = ['', '']
  if (passed && rest[0] > token) [hour, tool, outcome] = [hour + 1, '', '']
  return all<UsageSqlRow>(sql.usageOf, token, hour, tool, outcome, end, limit).map(usageOf)
}
