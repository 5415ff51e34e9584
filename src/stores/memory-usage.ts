import { deepFreeze } from '../kernel/kind.ts'
import { addUsageRow, dailyBefore, type UsagePoint, type UsageQuery, type UsageRow, usageHour } from './usage-rows.ts'

/** The usage rows of one hour or day. */
interface Bucket {
  readonly tokens: Map<string, TokenRows>
  /** The tokens' names in order, once asked for; none after a new token came. */
  sorted: readonly string[] | undefined
}

/** A token's rows of one hour, by tool and outcome; in order only once they are read. */
interface TokenRows {
  readonly byKey: Map<string, UsageRow>
  sorted: readonly UsageRow[] | undefined
}

/** The usage rows of the memory store, by hour and token. */
export class MemoryUsage {
  readonly #buckets = new Map<number, Bucket>()
  /** The buckets' hours in order. */
  #hours: number[] = []
  #daily = 0

  add(row: UsageRow): void {
    const hour = usageHour(row.hour, this.#daily)
    let bucket = this.#buckets.get(hour)
    if (bucket === undefined) {
      bucket = { tokens: new Map(), sorted: undefined }
      this.#buckets.set(hour, bucket)
      this.#hours.push(hour)
      this.#hours.sort((a, b) => a - b)
    }
    let rows = bucket.tokens.get(row.token)
    if (rows === undefined) {
      rows = { byKey: new Map(), sorted: undefined }
      bucket.tokens.set(row.token, rows)
      bucket.sorted = undefined
    }
    const key = `${row.outcome}\n${row.tool}`
    rows.byKey.set(key, addUsageRow(rows.byKey.get(key), row, hour))
    rows.sorted = undefined
  }

  /** Sums hours older than 30 days up to days; does nothing until another day has become old. */
  roll(now: number): void {
    const daily = dailyBefore(now)
    if (daily <= this.#daily) return
    this.#daily = daily
    const old = this.#hours.filter((hour) => hour < daily && usageHour(hour, daily) !== hour)
    if (old.length === 0) return
    for (const hour of old) {
      const bucket = this.#buckets.get(hour) as Bucket
      this.#buckets.delete(hour)
      for (const rows of bucket.tokens.values()) for (const row of rows.byKey.values()) this.add(row)
    }
    this.#hours = [...this.#buckets.keys()].sort((a, b) => a - b)
  }

  read({ token, from, to, after, limit }: UsageQuery): UsageRow[] {
    const found: UsageRow[] = []
    for (const hour of this.#hours) {
      if ((from !== undefined && hour < from) || (after !== undefined && hour < after.hour)) continue
      if (to !== undefined && hour >= to) break
      const bucket = this.#buckets.get(hour) as Bucket
      bucket.sorted ??= [...bucket.tokens.keys()].sort()
      const names = token === undefined ? bucket.sorted : [token]
      const next =
        after !== undefined && hour === after.hour && token === undefined ? lowerBound(names, after.token) : 0
      for (let n = next; n < names.length; n++) {
        const rows = bucket.tokens.get(names[n] as string)
        if (rows === undefined) continue
        rows.sorted ??= [...rows.byKey.values()].sort(byToolAndOutcome)
        for (const row of rows.sorted) {
          if (after !== undefined && !isAfter(row, after)) continue
          found.push(deepFreeze(row))
          if (found.length === limit) return found
        }
      }
    }
    return found
  }
}

function byToolAndOutcome(a: UsageRow, b: UsageRow): number {
  return compare(a.tool, b.tool) || compare(a.outcome, b.outcome)
}

function isAfter(row: UsageRow, point: UsagePoint): boolean {
  const order =
    row.hour - point.hour ||
    compare(row.token, point.token) ||
    compare(row.tool, point.tool) ||
    compare(row.outcome, point.outcome)
  return order > 0
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

function lowerBound(names: readonly string[], name: string): number {
  let low = 0
  let high = names.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((names[middle] as string) < name) low = middle + 1
    else high = middle
  }
  return low
}
