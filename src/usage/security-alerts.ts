import type { Clock } from '../kernel/clock.ts'
import { type Duration, parseDuration } from '../kernel/duration.ts'
import type { EventSink } from '../kernel/emitter.ts'
import { InvalidInputError } from '../kernel/errors.ts'
import { checkFields } from '../kernel/fields.ts'
import { RecentMap } from '../stores/recent-map.ts'
import type { Page, TokenStore } from '../stores/token-store.ts'
import type { Proven } from '../tokens/answer.ts'
import type { VerifyContext } from '../tokens/verification.ts'
import {
  type Alert,
  alertKind,
  type SecurityEvents,
  SIGNALS,
  type Signal,
  type Signals,
  type SignedSubject,
} from './alert.ts'
import { RowLog } from './row-log.ts'
import { countOne, recentCount, type SlidingCount } from './sliding-count.ts'

/** How alerts are made and kept. */
export interface AlertSettings {
  /** For how long the same thing (a signal of one token or address) isn't told again. Default 1 h. */
  readonly quiet?: Duration | undefined
  /** How long alerts are kept. Default 90 d. */
  readonly retention?: Duration | undefined
}

/** Which alerts: those that fit all that is given. */
export interface AlertQuery {
  readonly signal?: Signal | undefined
  /** Only those about this token, by its id; of signed ones by theirs, or by `agent:<name>`. */
  readonly token?: string | undefined
  /** The earliest, epoch ms. */
  readonly since?: number | undefined
  /** 1 to 1000. Default 100. */
  readonly limit?: number | undefined
  /** Where the page before ended. */
  readonly cursor?: string | undefined
}

/** Things told lately that are remembered at least. */
const MAX_TOLD = 10_000
const MAX_WAITING = 1000
/** Alerts of one signal in a minute: a flood of one sort hides no other. */
const PER_MINUTE = 100

/**
 * Security alerts: each is an event at once, and a row that can be asked for later. The same thing is told once in a while,
 * with a count where it is a matter of counting.
 *
 * @example
 * ```ts
 * tokens.events.on('security.canaryUsed', ({ service, ip }) => page(`${service} was taken, seen from ${ip}`))
 * const { items } = await tokens.usage.alerts.query({ signal: 'revokedUsed', limit: 20 })
 * ```
 */
export class SecurityAlerts {
  readonly #clock: Clock
  readonly #events: EventSink<SecurityEvents>
  readonly #quiet: number
  readonly #rows: RowLog<Alert, 'signal' | 'token'>
  readonly #told = new RecentMap<{ until: number; held: number }>(MAX_TOLD)
  readonly #budgets = new Map<Signal, SlidingCount>()
  #held = 0

  /**
   * @param options - store, time and events, how often to tell and how long to keep
   * @throws InvalidInputError for bad options
   */
  constructor(options: {
    readonly store: TokenStore
    readonly clock: Clock
    readonly events: EventSink<SecurityEvents>
    readonly newId: (at: number) => string
    readonly alerts?: AlertSettings | undefined
  }) {
    const { store, clock, events, newId, alerts = {} } = options
    checkFields('usage.alerts', alerts, ['quiet', 'retention'])
    this.#clock = clock
    this.#events = events
    this.#quiet = parseDuration('usage.alerts.quiet', alerts.quiet ?? '1h', { min: 1000 })
    const retention = parseDuration('usage.alerts.retention', alerts.retention ?? '90d', { min: 1000 })
    this.#rows = new RowLog({ store, kind: alertKind, retention, capacity: MAX_WAITING, newId })
  }

  /** Alerts that aren't in the store yet. */
  get size(): number {
    return this.#rows.size
  }

  /** Alerts that were held back or lost because there were too many. */
  get dropped(): number {
    return this.#held + this.#rows.dropped
  }

  /**
   * Tells of something, unless the same was told within the quiet time.
   *
   * @internal
   * @param about - what makes it the same: a token, an address
   * @param make - the event; gets how often this came up since it was last told, this time included
   */
  raise<S extends Signal>(signal: S, about: string, make: (uses: number) => Signals[S], now = this.#clock.now()): void {
    const key = `${signal} ${about}`
    const told = this.#told.get(key)
    if (told !== undefined && now < told.until) {
      told.held += 1
      return
    }
    const budget = countOne(this.#budgets.get(signal), now, 60_000)
    if (recentCount(budget, now, 60_000) > PER_MINUTE) {
      this.#held += 1
      return
    }
    this.#budgets.set(signal, budget)
    this.#told.set(key, { until: now + this.#quiet, held: 0 })
    const payload = Object.freeze(make((told?.held ?? 0) + 1))
    this.#rows.add({ signal, ...payload } as unknown as Alert)
    this.#events.emit(`security.${signal}`, payload as SecurityEvents[`security.${S}`])
  }

  /**
   * Tells that somebody presented a token that must not be used.
   *
   * @internal
   */
  raiseUse(
    signal: 'revokedUsed' | 'canaryUsed',
    { stored, version, agent, jti }: Pick<Proven, 'stored' | 'version' | 'agent' | 'jti'>,
    { ip, tool, caller }: VerifyContext,
    now: number,
  ): void {
    const { id, value } = stored
    const make = (uses: number) => ({
      at: now,
      id,
      service: value.service,
      version: version.n,
      ...signedSubject(agent, jti),
      ...(ip !== undefined && { ip: ip.slice(0, 64) }),
      ...(tool !== undefined && { tool: tool.slice(0, 128) }),
      ...(caller !== undefined && { caller: caller.slice(0, 256) }),
      uses,
    })
    this.raise(signal, jti ?? id, make, now)
  }

  /**
   * Alerts, newest first; those of the last seconds come with the next flush. At most 1000 rows are read a page: a short
   * page with a cursor is normal when several filters are given.
   *
   * @throws InvalidInputError naming the field
   */
  async query(query: AlertQuery = {}): Promise<Page<Alert>> {
    checkFields('query', query, ['signal', 'token', 'since', 'limit', 'cursor'])
    const { signal, token, since } = query
    if (signal !== undefined && !SIGNALS.includes(signal))
      throw new InvalidInputError('signal', 'is unknown', `use one of ${SIGNALS.join(', ')}`)
    const index = token !== undefined ? 'token' : signal !== undefined ? 'signal' : 'at'
    const range = { index, in: token ?? signal, from: since, reverse: true } as const
    return this.#rows.page(range, query, (alert) => signal === undefined || alert.signal === signal)
  }

  /** Writes what waits. @internal */
  flush(now: number): Promise<number> {
    return this.#rows.flush(now)
  }

  /** Lets old alerts go. @internal */
  forget(now: number): Promise<void> {
    return this.#rows.forget(now)
  }
}

/** What an alert tells of a signed token; nothing of others. */
export function signedSubject(agent: string | undefined, jti?: string): SignedSubject {
  return { ...(agent !== undefined && { agent }), ...(jti !== undefined && { jti }) }
}
