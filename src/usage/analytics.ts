import type { Clock } from '../kernel/clock.ts'
import { type Instant, parseInstant } from '../kernel/duration.ts'
import { InvalidInputError } from '../kernel/errors.ts'
import { checkFields } from '../kernel/fields.ts'
import type { TokenStore } from '../stores/token-store.ts'
import { activityId, activityKind, type UsageQuery, type UsageRow } from '../stores/usage-rows.ts'
import { tokenKind } from '../tokens/record.ts'
import type { RequestEntry, RequestLog } from './request-log.ts'
import { UsageSum, type UsageSummary } from './usage-sum.ts'

/** Over which calls something is told. */
export interface AnalyticsQuery {
  /** Only this token's calls, by id; `''` = those where no token was proved. Default: every token's. */
  readonly token?: string | undefined
  /** Only calls of this tool; `''` = those that named none. Default: every tool's. */
  readonly tool?: string | undefined
  /** From the hour that this instant is in. Default: 24 h before `to`. */
  readonly from?: Instant | undefined
  /** Before this instant; the hour that it is in counts whole. Default: now. */
  readonly to?: Instant | undefined
  /** The most rows that are read, 1 to 1,000,000. Default 100,000. */
  readonly maxRows?: number | undefined
}

/** A query for a list. */
export interface RankedQuery extends AnalyticsQuery {
  /** What the list is in order of, greatest first. Default `calls`. */
  readonly by?: 'calls' | 'errors' | 'cost' | undefined
  /** The longest list that is wanted, 1 to 10,000. Default 100. */
  readonly limit?: number | undefined
}

/** How far an answer reaches. */
export interface Coverage {
  /** False when `maxRows` was reached: then what came from `reachedHour` on is missing, wholly or in part. */
  readonly complete: boolean
  /** With `complete: false`: the first hour that isn't whole, epoch ms. */
  readonly reachedHour?: number
}

/** What was counted over all calls of a query. */
export interface UsageOverview extends UsageSummary, Coverage {
  /** How many tokens were used or refused. */
  readonly tokens: number
}

/** A list with how far it reaches. */
export interface UsageList<T> extends Coverage {
  readonly items: readonly T[]
}

/** What was counted of one token. */
export interface TokenUsage extends UsageSummary {
  /** Its id; empty where no token was proved. */
  readonly token: string
}

/** What was counted of one tool. */
export interface ToolUsage extends UsageSummary {
  /** Its name; empty where none was named. */
  readonly tool: string
}

/** What was counted in one hour, or one (UTC) day where that is over 30 days ago. */
export interface HourUsage extends UsageSummary {
  /** When it began, epoch ms. */
  readonly hour: number
}

/** Where many calls came from, as the request log knows it. */
export interface Talker {
  /** The address, or the caller. */
  readonly name: string
  readonly calls: number
  /** Refused ones among them. */
  readonly denied: number
  readonly lastAt: number
}

/** Which talkers. */
export interface TalkersQuery {
  /** By address (default), or by who called as the host told it. */
  readonly by?: 'ip' | 'caller' | undefined
  /** Default: 24 h ago. */
  readonly from?: Instant | undefined
  /** 1 to 1000. Default 20. */
  readonly limit?: number | undefined
  /** The most rows of the request log that are read, newest first, 1 to 100,000. Default 10,000. */
  readonly maxRows?: number | undefined
}

/** When a token was last used. */
export interface LastUse {
  /** The last call, good or refused after its proof, epoch ms. */
  readonly at: number
  /** Good calls by all the versions that are known still. */
  readonly calls: number
}

const PAGE = 1000
const HOUR = 3_600_000
const DAY = 24 * HOUR
const RANGE = ['token', 'tool', 'from', 'to', 'maxRows']

/**
 * Sums over the usage rows of the store. Reads pages of a range of hours, never more than `maxRows` rows, and says when
 * that wasn't all. What is still buffered, here or in other processes, isn't in it: `usage.flush()` first where that
 * matters.
 *
 * @example
 * ```ts
 * const day = await tokens.usage.analytics.overview()
 * console.log(day.calls, day.errorRate, day.p95Ms, day.denials)
 * const { items } = await tokens.usage.analytics.byToken({ by: 'errors', limit: 10 })
 * ```
 */
export class UsageAnalytics {
  readonly #store: TokenStore
  readonly #clock: Clock
  readonly #log: RequestLog

  /**
   * @internal
   * @param options - where the rows are, the time, and the request log
   */
  constructor(options: { readonly store: TokenStore; readonly clock: Clock; readonly log: RequestLog }) {
    this.#store = options.store
    this.#clock = options.clock
    this.#log = options.log
  }

  /**
   * One sum over all calls.
   *
   * @throws InvalidInputError naming the field
   */
  async overview(query: AnalyticsQuery = {}): Promise<UsageOverview> {
    checkFields('query', query, RANGE)
    const sum = new UsageSum()
    const tokens = new Set<string>()
    const coverage = await this.#read(query, (row) => {
      sum.add(row)
      if (row.token !== '') tokens.add(row.token)
    })
    return { ...sum.summary(), tokens: tokens.size, ...coverage }
  }

  /**
   * Sums by token, the busiest first: the top talkers.
   *
   * @throws InvalidInputError naming the field
   */
  async byToken(query: RankedQuery = {}): Promise<UsageList<TokenUsage>> {
    const { sums, coverage } = await this.#ranked(query, (row) => row.token)
    return { items: sums.map(([token, sum]) => ({ token, ...sum.summary() })), ...coverage }
  }

  /**
   * Sums by tool, the busiest first.
   *
   * @throws InvalidInputError naming the field
   */
  async byTool(query: RankedQuery = {}): Promise<UsageList<ToolUsage>> {
    const { sums, coverage } = await this.#ranked(query, (row) => row.tool)
    return { items: sums.map(([tool, sum]) => ({ tool, ...sum.summary() })), ...coverage }
  }

  /**
   * Sums by the hour, oldest first; hours without a call are left out. What is over 30 days old is kept by the day.
   *
   * @throws InvalidInputError naming the field
   */
  async byHour(query: AnalyticsQuery = {}): Promise<UsageList<HourUsage>> {
    checkFields('query', query, RANGE)
    const sums = new Map<number, UsageSum>()
    const coverage = await this.#read(query, (row) => sumOf(sums, row.hour).add(row))
    return { items: [...sums].map(([hour, sum]) => ({ hour, ...sum.summary() })), ...coverage }
  }

  /**
   * Where most calls came from, by the rows of the request log. That has only refused calls and those of critical tools
   * unless it was told to `record: 'all'`; and the network part alone of addresses, with `truncateIp`.
   *
   * @throws InvalidInputError naming the field
   */
  async talkers(query: TalkersQuery = {}): Promise<{ readonly items: readonly Talker[]; readonly complete: boolean }> {
    checkFields('query', query, ['by', 'from', 'limit', 'maxRows'])
    const { by = 'ip' } = query
    if (by !== 'ip' && by !== 'caller') throw new InvalidInputError('by', 'is unknown', "use 'ip' or 'caller'")
    const limit = count('limit', query.limit, 20, 1000)
    const maxRows = count('maxRows', query.maxRows, 10_000, 100_000)
    const since = query.from === undefined ? this.#clock.now() - DAY : parseInstant('from', query.from)
    const talkers = new Map<string, { calls: number; denied: number; lastAt: number }>()
    let left = maxRows
    let cursor: string | undefined
    do {
      const page = await this.#log.query({ since, cursor, limit: Math.min(PAGE, left) })
      for (const row of page.items) addTalk(talkers, row[by], row)
      left -= page.items.length
      cursor = page.cursor
    } while (cursor !== undefined && left > 0)
    const items = [...talkers].map(([name, talk]) => ({ name, ...talk }))
    items.sort((a, b) => b.calls - a.calls || (a.name < b.name ? -1 : 1))
    return { items: items.slice(0, limit), complete: cursor === undefined }
  }

  /**
   * When a token was last used, and how often since its versions were made.
   *
   * @param id - the token's id
   * @returns `undefined` when there is no such token, or it has never been used
   */
  async lastUsed(id: string): Promise<LastUse | undefined> {
    const token = await this.#store.get(tokenKind, id)
    let at = 0
    let calls = 0
    for (const version of token?.value.versions ?? []) {
      const activity = await this.#store.get(activityKind, activityId(id, version.n))
      // Before its first use a version's row says when it was made.
      if (activity === undefined || (activity.value.calls === 0 && activity.value.lastAt <= version.createdAt)) continue
      at = Math.max(at, activity.value.lastAt)
      calls += activity.value.calls
    }
    return at === 0 ? undefined : { at, calls }
  }

  async #ranked(
    query: RankedQuery,
    keyOf: (row: UsageRow) => string,
  ): Promise<{ readonly sums: [string, UsageSum][]; readonly coverage: Coverage }> {
    checkFields('query', query, [...RANGE, 'by', 'limit'])
    const { by = 'calls' } = query
    if (by !== 'calls' && by !== 'errors' && by !== 'cost')
      throw new InvalidInputError('by', 'is unknown', "use 'calls', 'errors' or 'cost'")
    const limit = count('limit', query.limit, 100, 10_000)
    const sums = new Map<string, UsageSum>()
    const coverage = await this.#read(query, (row) => sumOf(sums, keyOf(row)).add(row))
    const ranked = [...sums].sort(([a, m], [b, n]) => n[by] - m[by] || (a < b ? -1 : 1))
    return { sums: ranked.slice(0, limit), coverage }
  }

  /** Hands out the rows of a range, page by page. */
  async #read(query: AnalyticsQuery, each: (row: UsageRow) => void): Promise<Coverage> {
    const { token, tool } = query
    for (const [field, value] of Object.entries({ token, tool }))
      if (value !== undefined && typeof value !== 'string')
        throw new InvalidInputError(field, 'must be a text', 'give its id or name')
    const maxRows = count('maxRows', query.maxRows, 100_000, 1_000_000)
    const to = query.to === undefined ? this.#clock.now() + 1 : parseInstant('to', query.to)
    const from = query.from === undefined ? Math.max(0, to - DAY) : parseInstant('from', query.from)
    if (from >= to) throw new InvalidInputError('from', "isn't before to", 'exchange them')
    let after: UsageQuery['after']
    for (let left = maxRows; ; ) {
      const range = { token, from: from - (from % HOUR), to, after, limit: Math.min(PAGE, left + 1) }
      const rows = await this.#store.usage(range)
      for (const row of rows) {
        // One row more than may be counted is read, to know whether there is one.
        if (left === 0) return { complete: false, reachedHour: row.hour }
        left -= 1
        if (tool === undefined || row.tool === tool) each(row)
      }
      if (rows.length < range.limit) return { complete: true }
      after = rows.at(-1)
    }
  }
}

function sumOf<K>(sums: Map<K, UsageSum>, key: K): UsageSum {
  let sum = sums.get(key)
  if (sum === undefined) {
    sum = new UsageSum()
    sums.set(key, sum)
  }
  return sum
}

function addTalk(
  talkers: Map<string, { calls: number; denied: number; lastAt: number }>,
  name: string | undefined,
  row: RequestEntry,
): void {
  if (name === undefined) return
  const talk = talkers.get(name) ?? { calls: 0, denied: 0, lastAt: 0 }
  talk.calls += 1
  if (row.code !== 'ok') talk.denied += 1
  talk.lastAt = Math.max(talk.lastAt, row.at)
  talkers.set(name, talk)
}

function count(field: string, value: number | undefined, preset: number, max: number): number {
  const number = value ?? preset
  if (!Number.isInteger(number) || number < 1 || number > max)
    throw new InvalidInputError(field, `must be a whole number from 1 to ${max}`, `leave it out for ${preset}`)
  return number
}
