import type { Clock } from '../kernel/clock.ts'
import { type Duration, parseDuration } from '../kernel/duration.ts'
import type { EventSink } from '../kernel/emitter.ts'
import { codeOf, InvalidInputError } from '../kernel/errors.ts'
import { checkFields } from '../kernel/fields.ts'
import { HEALTHY, type HealthSource } from '../kernel/health.ts'
import type { Random } from '../kernel/random.ts'
import { RisingIds } from '../kernel/rising-ids.ts'
import type { Page, TokenStore } from '../stores/token-store.ts'
import { LATENCY_BOUNDS, type UsageIncrement, type UsageRow } from '../stores/usage-rows.ts'
import { type CallFacts, callFacts } from '../tokens/answer.ts'
import type { Verification } from '../tokens/verification.ts'
import type { SecurityEvents } from './alert.ts'
import { UsageAnalytics } from './analytics.ts'
import { type RequestEntry, RequestLog, type RequestQuery } from './request-log.ts'
import { type AlertSettings, SecurityAlerts } from './security-alerts.ts'
import { SecuritySignals, type SignalSettings } from './security-signals.ts'
import { incrementOf, UsageCounter } from './usage-counter.ts'

/** Counts were written to the store. */
export interface UsageFlushedEvent {
  /** Counters written. */
  readonly counters: number
  /** Rows of the request log written. */
  readonly requests: number
  readonly at: number
}

/** Counts or log rows could not be kept: the buffer was full, or the store refused them for too long. */
export interface UsageDroppedEvent {
  /** Calls that were not counted. */
  readonly calls: number
  /** Rows of the request log that were not written. */
  readonly requests: number
  /** Security alerts that were held back or not written, because there were too many. */
  readonly alerts: number
  readonly at: number
}

/** A flush failed; what it held is kept and tried again. */
export interface UsageFlushFailedEvent {
  /** The error's code or name. */
  readonly code: string
  readonly at: number
}

/** The events of this room. */
export interface UsageEvents extends SecurityEvents {
  'usage.flushed': UsageFlushedEvent
  'usage.dropped': UsageDroppedEvent
  'usage.flushFailed': UsageFlushFailedEvent
}

/** What of the calls is written down one by one. */
export interface UsageOptions {
  /** Which calls the request log keeps. Default `denied`, and those of critical tools. */
  readonly record?: 'none' | 'denied' | 'all' | undefined
  /** How long the rows of the request log stay. Default 30 d. */
  readonly requestRetention?: Duration | undefined
  /** Write only the network part of addresses (24 bits of IPv4, 48 of IPv6). Default false. */
  readonly truncateIp?: boolean | undefined
  /** How often `tick()` flushes. A crash loses at most the counts since the last flush. Default 10 s. */
  readonly flushInterval?: Duration | undefined
  /** What raises an alert; `false` = only canary tokens and reported leaks. Default: all signals. */
  readonly signals?: SignalSettings | false | undefined
  /** How often the same is told, and how long alerts are kept. */
  readonly alerts?: AlertSettings | undefined
}

/** How a call ended, for {@link UsageTracker.finish}. */
export interface CallOutcome {
  /** The HTTP status of the answer. */
  readonly status: number
  /** How long the call took, ms. */
  readonly durationMs: number
  /** The client's address. */
  readonly ip?: string | undefined
  /** Who called, as the host knows it. */
  readonly caller?: string | undefined
}

const OPTIONS = ['record', 'requestRetention', 'truncateIp', 'flushInterval', 'signals', 'alerts']
const HOUR = 3_600_000
const MAX_COUNTERS = 50_000
/** Increments in one `addUsage`: a store holds its lock for one of them. */
const BATCH = 500

/**
 * Counts calls in memory and writes the counts in batches: per token, version, hour, tool and outcome, with a latency
 * histogram. A verification never waits for it. Beside the counters it keeps a log of single calls.
 *
 * @example
 * ```ts
 * await tokens.usage.flush()
 * const rows = await tokens.usage.query({ token: record.id, from: tokens.clock.now() - 86_400_000 })
 * const refused = await tokens.usage.requests({ service: 'MY_API', code: 'rate_limited', limit: 20 })
 * ```
 */
export class UsageTracker {
  /** Sums over the counts. */
  readonly analytics: UsageAnalytics
  /** What looked like an attack. */
  readonly alerts: SecurityAlerts
  /** What watches; absent when `signals` is false. @internal */
  readonly signals: SecuritySignals | undefined
  readonly #store: TokenStore
  readonly #clock: Clock
  readonly #ids: RisingIds
  readonly #events: EventSink<UsageEvents>
  readonly #record: 'none' | 'denied' | 'all'
  readonly #log: RequestLog
  readonly #interval: number
  #counters = new Map<string, UsageCounter>()
  /** The counter that each token asked for last: a token's calls are mostly alike, and its id is hashed already. */
  #latest = new Map<string, UsageCounter>()
  #unsent: { id: string; increments: UsageIncrement[] }[] = []
  #droppedCalls = 0
  #toldCalls = 0
  #toldRequests = 0
  #toldAlerts = 0
  #flushing: Promise<void> | undefined
  #lastFlush: number

  /**
   * @param options - store, time, randomness, events, and what to record
   * @throws InvalidInputError for bad options
   */
  constructor(
    options: UsageOptions & { store: TokenStore; clock: Clock; random: Random; events: EventSink<UsageEvents> },
  ) {
    checkFields('usage', options, [...OPTIONS, 'store', 'clock', 'random', 'events'])
    this.#store = options.store
    this.#clock = options.clock
    this.#ids = new RisingIds(options.random)
    this.#events = options.events
    this.#record = options.record ?? 'denied'
    if (!['none', 'denied', 'all'].includes(this.#record))
      throw new InvalidInputError('usage.record', 'is unknown', "use 'none', 'denied' or 'all'")
    const newId = (at: number) => this.#newId(at)
    this.#log = new RequestLog({
      store: options.store,
      retention: parseDuration('usage.requestRetention', options.requestRetention ?? '30d', { min: 1000 }),
      truncateIp: options.truncateIp ?? false,
      newId,
    })
    const { store, clock, events, signals = {} } = options
    this.analytics = new UsageAnalytics({ store, clock, log: this.#log })
    this.alerts = new SecurityAlerts({ store, clock, events, newId, alerts: options.alerts })
    const watched = { store, newId, alerts: this.alerts, now: clock.now() }
    this.signals = signals === false ? undefined : new SecuritySignals({ ...watched, settings: signals })
    this.#interval = parseDuration('usage.flushInterval', options.flushInterval ?? '10s', { min: 1000 })
    this.#lastFlush = this.#clock.now()
  }

  /** How often `tick()` flushes, ms. */
  get flushInterval(): number {
    return this.#interval
  }

  /** The counter of a token's calls in the hour of `now`; `undefined` when the buffer is full. @internal */
  counter(token: string, version: number, tool: string, outcome: string, now: number): UsageCounter | undefined {
    const hour = now - (now % HOUR)
    const latest = this.#latest.get(token)
    if (
      latest !== undefined &&
      latest.hour === hour &&
      latest.outcome === outcome &&
      latest.tool === tool &&
      latest.version === version
    ) {
      return latest
    }
    const key = `${token}\n${version}\n${hour}\n${tool}\n${outcome}`
    let counter = this.#counters.get(key)
    if (counter === undefined) {
      if (this.#counters.size >= MAX_COUNTERS) {
        this.#droppedCalls += 1
        return undefined
      }
      counter = new UsageCounter(token, version, hour, tool, outcome)
      this.#counters.set(key, counter)
    }
    this.#latest.set(token, counter)
    return counter
  }

  /** Whether a call with this outcome goes into the request log. */
  records(outcome: string, risk: string | undefined): boolean {
    return this.#record === 'all' || (this.#record === 'denied' && (outcome !== 'ok' || risk === 'critical'))
  }

  /** Whether the request log can't take another row. */
  get requestLogFull(): boolean {
    return this.#log.full
  }

  /** Notes a call in the request log; dropped and counted when the buffer is full. @internal */
  log(facts: CallFacts, outcome?: CallOutcome): void {
    const ip = outcome?.ip ?? facts.ip
    const caller = outcome?.caller ?? facts.caller
    this.#log.add({
      at: facts.at,
      token: facts.token,
      service: facts.service,
      code: facts.outcome,
      ...(facts.agent !== undefined && { agent: facts.agent }),
      ...(facts.tool !== '' && { tool: facts.tool }),
      ...(facts.risk !== undefined && { risk: facts.risk }),
      ...(ip !== undefined && { ip }),
      ...(caller !== undefined && { caller }),
      ...(outcome !== undefined && { status: outcome.status, durationMs: outcome.durationMs }),
    })
  }

  /**
   * Records how a call ended: adds its duration to the histogram and, if the verification was made with
   * `finishLater`, writes its row of the request log. The middlewares call it when the response ends.
   *
   * @throws InvalidInputError when `verification` isn't one of ours, or the duration isn't a number from 0
   */
  finish(verification: Verification, outcome: CallOutcome): void {
    const facts = callFacts(verification)
    if (facts === undefined)
      throw new InvalidInputError('verification', "isn't one that verify() gave", 'pass what verify() gave')
    const { status, durationMs } = outcome
    if (!Number.isFinite(durationMs) || durationMs < 0)
      throw new InvalidInputError('durationMs', 'must be a number from 0', 'measure with a monotonic clock')
    if (!Number.isInteger(status))
      throw new InvalidInputError('status', 'must be an HTTP status', 'pass the status of the response')
    const counter = this.counter(facts.token, facts.version, facts.tool, facts.outcome, facts.at)
    if (counter !== undefined) {
      counter.durationMs += durationMs
      if (status >= 500) counter.failures += 1
      counter.latency ??= new Array(LATENCY_BOUNDS.length + 1).fill(0)
      const bucket = bucketOf(durationMs)
      counter.latency[bucket] = (counter.latency[bucket] as number) + 1
    }
    if (facts.finishLater && this.records(facts.outcome, facts.risk)) this.log(facts, outcome)
  }

  /** Whether every call was counted. */
  async health(): Promise<HealthSource> {
    const { droppedCalls, droppedRequests, droppedAlerts } = this.stats()
    const reasons: string[] = []
    if (droppedCalls + droppedRequests > 0)
      reasons.push(`${droppedCalls} calls were not counted and ${droppedRequests} not logged since the start`)
    if (droppedAlerts > 0) reasons.push(`${droppedAlerts} security alerts were too many to tell since the start`)
    return reasons.length === 0 ? HEALTHY : { status: 'degraded', reasons }
  }

  /**
   * Writes all that is buffered. Concurrent calls share one flush.
   *
   * @throws StoreError when the store refuses; what was buffered is kept
   * @event usage.flushed, usage.dropped
   */
  flush(): Promise<void> {
    this.#flushing ??= this.#flush().finally(() => {
      this.#flushing = undefined
    })
    return this.#flushing
  }

  /** Flushes when it is due, looks for security signals, and lets old rows go. Never throws: a failure is `usage.flushFailed`. */
  async tick(now: number = this.#clock.now()): Promise<void> {
    if (now - this.#lastFlush < this.#interval && this.#counters.size < MAX_COUNTERS / 2) return
    try {
      await this.flush()
      await this.signals?.tick(now)
      await this.#log.forget(now)
      await this.alerts.forget(now)
    } catch (error) {
      this.#events.emit('usage.flushFailed', { code: codeOf(error), at: now })
    }
  }

  /**
   * Usage rows, oldest hour first: hours for 30 days, then days. What is still buffered isn't in them; `flush()` first
   * where that matters.
   */
  async query(
    query: { token?: string; from?: number; to?: number; limit?: number } = {},
  ): Promise<readonly UsageRow[]> {
    checkFields('query', query, ['token', 'from', 'to', 'limit'])
    const { limit = 1000 } = query
    if (!Number.isInteger(limit) || limit < 1 || limit > 10_000) {
      throw new InvalidInputError('limit', 'must be a whole number from 1 to 10000', 'leave it out for 1000')
    }
    return this.#store.usage({ ...query, limit })
  }

  /**
   * Rows of the request log, newest first. At most 1000 rows are read a page: a short page with a cursor is normal
   * when several filters are given.
   */
  requests(query: RequestQuery = {}): Promise<Page<RequestEntry>> {
    return this.#log.query(query)
  }

  /** What is buffered and what was lost, since the start. */
  stats(): {
    counters: number
    requests: number
    alerts: number
    droppedCalls: number
    droppedRequests: number
    droppedAlerts: number
  } {
    return {
      counters: this.#counters.size,
      requests: this.#log.size,
      alerts: this.alerts.size,
      droppedCalls: this.#droppedCalls,
      droppedRequests: this.#log.dropped,
      droppedAlerts: this.alerts.dropped,
    }
  }

  async #flush(): Promise<void> {
    const now = this.#clock.now()
    this.#lastFlush = now
    const counters = [...this.#counters.values()]
    this.#counters = new Map()
    this.#latest = new Map()
    for (const counter of counters) counter.live = false
    this.signals?.counted(counters, now)
    for (let i = 0; i < counters.length; i += BATCH) {
      // The id stays with its batch through every retry, so that a lost answer is never counted twice.
      this.#unsent.push({ id: this.#newId(), increments: counters.slice(i, i + BATCH).map(incrementOf) })
    }
    while (this.#unsent.length > (2 * MAX_COUNTERS) / BATCH) {
      for (const { calls } of this.#unsent.shift()?.increments ?? []) this.#droppedCalls += calls
    }
    this.#tellDropped(now)
    let batch = this.#unsent[0]
    while (batch !== undefined) {
      await this.#store.addUsage(batch.id, batch.increments)
      this.#unsent.shift()
      batch = this.#unsent[0]
    }
    const requests = await this.#log.flush(now)
    await this.alerts.flush(now)
    if (counters.length + requests > 0)
      this.#events.emit('usage.flushed', { counters: counters.length, requests, at: now })
  }

  #tellDropped(at: number): void {
    const calls = this.#droppedCalls - this.#toldCalls
    const requests = this.#log.dropped - this.#toldRequests
    const alerts = this.alerts.dropped - this.#toldAlerts
    if (calls + requests + alerts === 0) return
    this.#toldCalls += calls
    this.#toldRequests += requests
    this.#toldAlerts += alerts
    this.#events.emit('usage.dropped', { calls, requests, alerts, at })
  }

  #newId(at: number = this.#clock.now()): string {
    return this.#ids.next(at)
  }
}

function bucketOf(durationMs: number): number {
  let bucket = 0
  while (bucket < LATENCY_BOUNDS.length && durationMs > (LATENCY_BOUNDS[bucket] as number)) bucket += 1
  return bucket
}
