import type { Clock } from '../kernel/clock.ts'
import { type Duration, formatDuration, type Instant, parseDuration, parseInstant } from '../kernel/duration.ts'
import type { EventSink } from '../kernel/emitter.ts'
import { codeOf, InvalidInputError, TokenwrightError } from '../kernel/errors.ts'
import { checkFields } from '../kernel/fields.ts'
import type { HealthSource } from '../kernel/health.ts'
import { type AnalysedRow, analyse, analysedOf, type HealerAnalytics } from './analytics.ts'
import type { CloudflareEvents } from './events.ts'
import { type HistoryRow, makeRow, type RowInput } from './history.ts'
import { ofState } from './marks.ts'
import type { OverallHealth } from './report.ts'
import type { HealerState, HistoryPosition } from './state.ts'

/** What `status` answers: what the last run that looked at the tokens found. */
export interface HealerStatus {
  /** `unknown` = nothing was ever looked at. */
  readonly overall_health: OverallHealth | 'unknown'
  /** When that was, epoch ms. */
  readonly at: number | null
  /** All that was found then. */
  readonly row: HistoryRow | null
}

/** Which rows `history` answers. */
export interface HistoryQuery {
  /** 1 to 1000. Default 50. */
  readonly limit?: number | undefined
  /** Only those before a row, or before an instant. A row that `history` gave is such a position. */
  readonly before?: Instant | HistoryPosition | undefined
}

/** What a {@link Recorder} is made from. */
export interface RecorderOptions {
  readonly state: HealerState
  readonly clock: Clock
  readonly events: EventSink<CloudflareEvents>
  readonly retentionMs: number
  readonly nextId: () => string
}

const PAGE = 500
/** How many rows are read, one time after another, to find the last check behind changes. */
const STATUS_PAGES: readonly number[] = [1, 10, 100, 400]
const MAX_ANALYSED = 10_000
const PRUNED_AT_ONCE = 100
/** A check a day leaves no longer gap than this, with an hour for it to be late and to take its time. */
const STALE_MS = 25 * 3_600_000

/** Writes the history, and reads it. A row that can't be written is told, and doesn't change what was found. */
export class Recorder {
  readonly #options: RecorderOptions

  /** @param options - the state, time, retention */
  constructor(options: RecorderOptions) {
    this.#options = options
  }

  /** Appends a row, and lets go of what is over. Never throws. */
  async write(input: Omit<RowInput, 'id' | 'duration'> & { readonly from: number }, error?: unknown): Promise<void> {
    const { state, clock, events, retentionMs, nextId } = this.#options
    const { from, ...told } = input
    const failure =
      error === undefined
        ? undefined
        : {
            code: codeOf(error),
            message: error instanceof TokenwrightError ? error.message : 'see the error that was thrown',
          }
    const row = makeRow({ ...told, id: nextId(), duration: Math.round(clock.monotonic() - from), error: failure })
    try {
      await state.append(row)
      await state.prune(clock.now() - retentionMs, PRUNED_AT_ONCE)
    } catch (reason) {
      events.emit('stateFailed', { at: clock.now(), operation: 'writing the history', code: codeOf(reason) })
    }
  }

  /** What the last run found, without a request. */
  async status(): Promise<HealerStatus> {
    let row: HistoryRow | undefined
    let before: HistoryRow | undefined
    // Rows of many tokens are large, and mostly the last one will do.
    for (const limit of STATUS_PAGES) {
      const page = await this.history({ limit, before })
      row = page.find(({ overall_health }) => overall_health !== null)
      before = page.at(-1)
      if (row !== undefined || page.length < limit) break
    }
    return { overall_health: row?.overall_health ?? 'unknown', at: row?.at ?? null, row: row ?? null }
  }

  /** The status as a source of `Tokenwright.health()`. */
  async health(): Promise<HealthSource> {
    const { overall_health, at, row } = await this.status()
    if (at === null || row === null) return { status: 'unknown', reasons: ['no token was looked at yet'] }
    const age = this.#options.clock.now() - at
    if (age > STALE_MS) {
      return {
        status: 'unknown',
        reasons: [`the last check was ${formatDuration(Math.floor(age / 3_600_000) * 3_600_000)} ago`],
      }
    }
    const reasons = row.targets
      .filter(({ health }) => health !== null && health !== 'healthy')
      .map(
        ({ name, health, reason, missing }) =>
          `${name} is ${health}: ${reason ?? (missing === null ? 'unknown' : `lacks ${missing}`)}`,
      )
    return { status: overall_health, reasons }
  }

  /**
   * Rows, newest first.
   *
   * @throws InvalidInputError for a limit or a position that is none; HealerStateError
   */
  async history(query: HistoryQuery = {}): Promise<readonly HistoryRow[]> {
    const { limit = 50, before } = checkFields('query', query, ['limit', 'before']) as HistoryQuery
    if (!Number.isInteger(limit) || limit < 1 || limit > 1000) {
      throw new InvalidInputError('limit', 'is not a whole number from 1 to 1000', 'ask for fewer at a time')
    }
    const at = before === undefined ? undefined : positionOf(before)
    return ofState('reading the history', () =>
      this.#options.state.rows({ limit, ...(at !== undefined && { before: at }) }),
    )
  }

  /**
   * Sums up the rows since an instant, or of the last while.
   *
   * @throws InvalidInputError, HealerStateError
   */
  async analytics(query: { readonly since: Instant | Duration }): Promise<HealerAnalytics> {
    const { since } = checkFields('query', query, ['since']) as { since: Instant | Duration }
    const now = this.#options.clock.now()
    const from = sinceOf(since, now)
    const rows: AnalysedRow[] = []
    for (let before: HistoryPosition | undefined; rows.length < MAX_ANALYSED; ) {
      const page = await this.history({ limit: PAGE, before })
      const wanted = page.filter(({ at }) => at >= from)
      // What isn't summed up is let go of: ten thousand rows of many tokens are more than a Worker's memory.
      rows.push(...wanted.map(analysedOf))
      before = page.at(-1)
      if (wanted.length < page.length || page.length < PAGE) return analyse(rows, from, now, false)
    }
    return analyse(rows, from, now, true)
  }
}

function positionOf(before: Instant | HistoryPosition): HistoryPosition {
  if (typeof before !== 'object' || before === null || before instanceof Date)
    return { at: parseInstant('before', before) }
  const { at, id } = before
  if (!Number.isSafeInteger(at) || (id !== undefined && (typeof id !== 'string' || id.length > 100))) {
    throw new InvalidInputError('before', 'is no position', 'give a row of history(), or an instant')
  }
  return id === undefined ? { at } : { at, id }
}

/** An instant, or a while before now, as `30d`. A number is an instant. */
function sinceOf(since: Instant | Duration, now: number): number {
  if (typeof since === 'string' && !since.includes('T')) return now - parseDuration('since', since as Duration)
  return parseInstant('since', since)
}
