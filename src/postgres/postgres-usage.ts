import { deepFreeze } from '../kernel/kind.ts'
import {
  activityId,
  activityKind,
  addUsageRow,
  type UsageIncrement,
  type UsageQuery,
  type UsageRow,
} from '../stores/usage-rows.ts'
import { REINDEXED } from './commit-function.ts'
import type { Connections } from './connections.ts'
import { sqlState } from './engine-errors.ts'
import type { KindRegistry } from './kind-registry.ts'
import type { PgKind } from './pg-kind.ts'
import type { Statements } from './statements.ts'
import { fromStored, isStorable, toStored } from './storable-text.ts'

/** How many usage increments are written in one transaction. */
const USAGE_PART = 500

/** How many old hours are summed up to days at a time. */
const ROLL_AT_ONCE = 500

/** Positions before and after all hours. */
const LAST_HOUR = Number.MAX_SAFE_INTEGER

interface UsageSqlRow {
  readonly hour: number | string
  readonly token: string
  readonly tool: string
  readonly outcome: string
  readonly calls: number | string
  readonly cost: number
  readonly failures: number
  readonly duration: number
  readonly latency: string | null
  readonly last_at: number | string
}

/** What is added to one version's activity. */
interface ActivitySum {
  readonly id: string
  n: number
  z: number
}

/** Adds usage and reads it. */
export class PostgresUsage {
  readonly #connections: Connections
  readonly #sql: Statements
  readonly #kinds: KindRegistry

  constructor(connections: Connections, sql: Statements, kinds: KindRegistry) {
    this.#connections = connections
    this.#sql = sql
    this.#kinds = kinds
  }

  /** Adds increments that were checked, in parts, each known by itself when it comes again. */
  async add(flushId: string, increments: readonly UsageIncrement[]): Promise<void> {
    const id = storedText(flushId)
    let roll = increments.length === 0
    for (let from = 0; from < increments.length; from += USAGE_PART) {
      const part = increments.slice(from, from + USAGE_PART)
      if ((await this.#addPart(`${id}/${from / USAGE_PART}`, part)) === 'roll') roll = true
    }
    if (roll) await this.#connections.run(this.#sql.rollUsage, [ROLL_AT_ONCE], 'write')
  }

  async #addPart(id: string, part: readonly UsageIncrement[]): Promise<string> {
    for (;;) {
      const activity = this.#kinds.known(activityKind) ?? (await this.#kinds.look(activityKind))
      const text = documentOf(id, part, activity)
      try {
        const rows = await this.#connections.run<{ answer: string }>(this.#sql.addUsage, [text], 'write')
        return rows[0]?.answer ?? ''
      } catch (error) {
        if (sqlState(error) !== REINDEXED || activity === undefined) throw error
        await this.#kinds.renew([activity])
      }
    }
  }

  /** Rows in order of hour, token, tool and outcome. */
  async read({ token, from, to, after, limit }: UsageQuery): Promise<readonly UsageRow[]> {
    let hour = clamp(from ?? 0)
    let rest: readonly [string, string, string] = ['', '', '']
    let passed = false
    if (after !== undefined && after.hour >= hour) {
      hour = after.hour
      rest = [storedText(after.token), storedText(after.tool), storedText(after.outcome)]
      passed = true
    }
    const end = clamp(to ?? LAST_HOUR)
    if (token === undefined) return await this.#rows(this.#sql.usageAll, [limit, hour, ...rest, end])
    if (!isStorable(token)) return []
    const stored = toStored(token)
    // Among the rows of one token, those of the hour come before or after the point as their token does.
    let [, tool, outcome] = rest
    if (passed && isBefore(rest[0], stored)) [tool, outcome] = ['', '']
    if (passed && isBefore(stored, rest[0])) [hour, tool, outcome] = [hour + 1, '', '']
    return await this.#rows(this.#sql.usageOf, [limit, stored, hour, tool, outcome, end])
  }

  async #rows(statement: Statements['usageAll'], values: unknown[]): Promise<readonly UsageRow[]> {
    const rows = await this.#connections.run<UsageSqlRow>(statement, values, 'read')
    return rows.map((row) => deepFreeze(usageOf(row)))
  }
}

/** What the host named, as the database holds it; halves of surrogate pairs as U+FFFD, for a flush is not to fail for ever. */
function storedText(text: string): string {
  return toStored(text.toWellFormed())
}

/** Bytewise, as the database compares. */
function isBefore(a: string, b: string): boolean {
  return Buffer.compare(Buffer.from(a), Buffer.from(b)) < 0
}

/** A position as a whole number within the column's type: bounds are inclusive below and exclusive above. */
function clamp(at: number): number {
  return Math.max(-LAST_HOUR, Math.min(LAST_HOUR, Math.ceil(at)))
}

function usageOf(row: UsageSqlRow): UsageRow {
  const { latency } = row
  return {
    token: fromStored(row.token),
    hour: Number(row.hour),
    tool: fromStored(row.tool),
    outcome: fromStored(row.outcome),
    calls: Number(row.calls),
    cost: Number(row.cost),
    failures: Number(row.failures),
    durationMs: Number(row.duration),
    ...(latency === null ? undefined : { latency: JSON.parse(latency) as number[] }),
    lastAt: Number(row.last_at),
  }
}

/** What the database's function takes: sums, each row once and in order. */
function documentOf(id: string, part: readonly UsageIncrement[], activity: PgKind | undefined): string {
  const rows = new Map<string, UsageRow>()
  const sums = new Map<string, ActivitySum>()
  for (const increment of part) {
    const { hour, version, calls, lastAt } = increment
    const [token, tool, outcome] = [
      storedText(increment.token),
      storedText(increment.tool),
      storedText(increment.outcome),
    ]
    const key = JSON.stringify([hour, token, tool, outcome])
    rows.set(key, addUsageRow(rows.get(key), { ...increment, token, tool, outcome }, hour))
    if (version <= 0) continue
    const row = activityId(token, version)
    const sum = sums.get(row) ?? { id: row, n: 0, z: lastAt }
    if (outcome === 'ok') sum.n += calls
    sum.z = Math.max(sum.z, lastAt)
    sums.set(row, sum)
  }
  const number = (name: string): number => activity?.orders.find((order) => order.name === name)?.ind ?? -1
  return JSON.stringify({
    id,
    u: [...rows.values()].sort(byPlace).map((row) => ({
      h: row.hour,
      t: row.token,
      l: row.tool,
      r: row.outcome,
      n: row.calls,
      c: row.cost,
      f: row.failures,
      d: row.durationMs,
      ...(row.latency === undefined ? undefined : { y: row.latency }),
      z: row.lastAt,
    })),
    ...(activity === undefined
      ? undefined
      : {
          a: [...sums.values()].sort((a, b) => compare(a.id, b.id)),
          q: [activity.id, activity.version, number('unusedSince'), number('calls')],
        }),
  })
}

function byPlace(a: UsageRow, b: UsageRow): number {
  return a.hour - b.hour || compare(a.token, b.token) || compare(a.tool, b.tool) || compare(a.outcome, b.outcome)
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
