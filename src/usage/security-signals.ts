import { type Duration, parseDuration } from '../kernel/duration.ts'
import { InvalidInputError } from '../kernel/errors.ts'
import { checkFields } from '../kernel/fields.ts'
import { StaleRevisionError } from '../stores/errors.ts'
import { RecentMap } from '../stores/recent-map.ts'
import type { TokenStore, Write } from '../stores/token-store.ts'
import { agentOf } from '../tokens/agent-account.ts'
import type { Proven } from '../tokens/answer.ts'
import { tokenKind } from '../tokens/record.ts'
import type { DenialCode, VerifyContext } from '../tokens/verification.ts'
import { learnNetworks, NETWORK_FRESH_MS, networksKind } from './known-networks.ts'
import { networkOf } from './network.ts'
import { judgeRate, type RateJudgement, type RateSettings, type RateState } from './rate-change.ts'
import { type SecurityAlerts, signedSubject } from './security-alerts.ts'
import { countOne, recentCount, type SlidingCount } from './sliding-count.ts'
import type { UsageCounter } from './usage-counter.ts'

/** What counts as a signal. Each can be turned off by `false`. */
export interface SignalSettings {
  /** So many failures by one address or with one token within `per`. Default 20 in 1 min. */
  readonly failures?: false | { readonly count?: number | undefined; readonly per?: Duration | undefined } | undefined
  /**
   * `factor` times as many calls a minute as over the last hour, or as few, where the more of the two is `minimum` or
   * greater. Default 10 and 60.
   */
  readonly rate?: false | { readonly factor?: number | undefined; readonly minimum?: number | undefined } | undefined
  /** Whether the networks of tokens are remembered, and new ones told. Default true. */
  readonly networks?: boolean | undefined
}

/** What a client does wrong when it guesses, or tries what it has. Limits, outages and missing tokens are none of it. */
const FAILURES: ReadonlySet<DenialCode> = new Set([
  'malformed',
  'unknown',
  'revoked',
  'disabled',
  'expired',
  'ip_denied',
  'level_denied',
  'insufficient_scope',
  'tool_denied',
])
/** Addresses, tokens and their networks that are kept in memory, at most of each. */
const MAX_TRACKED = 10_000
/** Tokens whose networks are compared with the store's in one turn. */
const PER_TURN = 200
const MINUTE = 60_000
/** A token that wasn't used for so long is learnt about anew. */
const NETWORKS_KEPT = 90 * 86_400_000

/**
 * Watches refusals as they come and counts as they are flushed, and raises alerts. What it knows is bounded and this
 * process's own, but for the networks of tokens, which are in the store.
 */
export class SecuritySignals {
  readonly #store: TokenStore
  readonly #newId: (at: number) => string
  readonly #alerts: SecurityAlerts
  readonly #failures: { readonly count: number; readonly per: number } | undefined
  readonly #rate: RateSettings | undefined
  readonly #watchesNetworks: boolean
  readonly #failing = new RecentMap<SlidingCount>(MAX_TRACKED)
  #calls = new Map<string, number>()
  #rates = new Map<string, RateState>()
  #changed: { readonly id: string; readonly change: NonNullable<RateJudgement['change']>; readonly at: number }[] = []
  /** By token and network: when it was last found in the store. */
  readonly #settled = new RecentMap<number>(MAX_TRACKED)
  readonly #unsettled = new Map<string, Set<string>>()
  #minute: number
  #turn: Promise<void> | undefined

  /**
   * @param options - the store, where alerts go, and what counts as one
   * @throws InvalidInputError for bad settings
   */
  constructor(options: {
    readonly store: TokenStore
    readonly newId: (at: number) => string
    readonly alerts: SecurityAlerts
    readonly now: number
    readonly settings: SignalSettings
  }) {
    const { settings } = options
    this.#store = options.store
    this.#newId = options.newId
    this.#alerts = options.alerts
    this.#minute = options.now
    checkFields('usage.signals', settings, ['failures', 'rate', 'networks'])
    const { failures = {}, rate = {}, networks = true } = settings
    if (typeof networks !== 'boolean')
      throw new InvalidInputError('usage.signals.networks', 'must be true or false', 'leave it out for true')
    this.#watchesNetworks = networks
    if (failures !== false) {
      checkFields('usage.signals.failures', failures, ['count', 'per'])
      const per = parseDuration('usage.signals.failures.per', failures.per ?? '1m', { min: 1000 })
      const count = failures.count ?? 20
      if (!Number.isInteger(count) || count < 2)
        throw new InvalidInputError(
          'usage.signals.failures.count',
          'must be a whole number from 2',
          'leave it out for 20',
        )
      this.#failures = { count, per }
    }
    if (rate !== false) {
      checkFields('usage.signals.rate', rate, ['factor', 'minimum'])
      const { factor = 10, minimum = 60 } = rate
      if (!Number.isFinite(factor) || factor < 2)
        throw new InvalidInputError('usage.signals.rate.factor', 'must be a number from 2', 'leave it out for 10')
      if (!Number.isFinite(minimum) || minimum < 1)
        throw new InvalidInputError('usage.signals.rate.minimum', 'must be a number from 1', 'leave it out for 60')
      this.#rate = { factor, minimum }
    }
  }

  /** Takes note of a refused call. */
  refused(
    code: DenialCode,
    proven: Pick<Proven, 'stored' | 'version' | 'agent' | 'jti'> | undefined,
    context: VerifyContext,
    now: number,
  ): void {
    if (!FAILURES.has(code)) return
    if (code === 'revoked' && proven !== undefined) this.#alerts.raiseUse('revokedUsed', proven, context, now)
    const failures = this.#failures
    if (failures === undefined) return
    const { count, per: perMs } = failures
    const ip = context.ip === undefined ? undefined : networkOf(context.ip, 32, 64)
    if (ip !== undefined) {
      const about = `ip ${ip}`
      const failures = this.#tooMany(about, count, perMs, now)
      const make = () => ({ at: now, by: 'ip', ip, code, failures, perMs }) as const
      if (failures > 0) this.#alerts.raise('failuresBurst', about, make, now)
    }
    if (proven !== undefined) {
      const { id, value } = proven.stored
      const signed = signedSubject(proven.agent, proven.jti)
      const about = `token ${id}`
      const failures = this.#tooMany(about, count, perMs, now)
      const make = () =>
        ({ at: now, by: 'token', id, service: value.service, ...signed, code, failures, perMs }) as const
      if (failures > 0) this.#alerts.raise('failuresBurst', about, make, now)
    }
  }

  /** Takes note of counters that are about to be flushed. */
  counted(counters: readonly UsageCounter[], now: number): void {
    for (const { token, calls, outcome, ips } of counters) {
      if (token === '') continue
      if (this.#rate !== undefined) this.#calls.set(token, (this.#calls.get(token) ?? 0) + calls)
      if (outcome === 'ok' && ips !== undefined && this.#watchesNetworks) this.#used(token, ips, now)
    }
  }

  /** Decides what is due: rates by the minute, and new networks. */
  tick(now: number): Promise<void> {
    // One turn at a time: two would tell one thing and forget another.
    this.#turn ??= this.#decide(now).finally(() => {
      this.#turn = undefined
    })
    return this.#turn
  }

  async #decide(now: number): Promise<void> {
    this.#judgeRates(now)
    await this.#tellChanges()
    await this.#settleNetworks(now)
    await this.#forgetNetworks(now)
  }

  /** Counts a failure; how many there were lately if that is too many, else 0. */
  #tooMany(about: string, most: number, perMs: number, now: number): number {
    const failing = countOne(this.#failing.get(about), now, perMs)
    this.#failing.set(about, failing)
    const failures = recentCount(failing, now, perMs)
    return failures >= most ? failures : 0
  }

  #judgeRates(now: number): void {
    const settings = this.#rate
    const minutes = Math.floor((now - this.#minute) / MINUTE)
    if (settings === undefined || minutes < 1) return
    this.#minute += minutes * MINUTE
    const rates = new Map<string, RateState>()
    const judge = (id: string, before: RateState | undefined, calls: number): void => {
      const { state, change } = judgeRate(before, calls, minutes, settings)
      if (change !== undefined && this.#changed.length < MAX_TRACKED) this.#changed.push({ id, change, at: now })
      rates.set(id, state)
    }
    for (const [id, before] of this.#rates) {
      // One that was hardly ever called has to make room where there is none.
      const crowded = this.#rates.size > MAX_TRACKED / 2 && before.mean < 0.001
      const calls = this.#calls.get(id) ?? 0
      if (calls > 0 || !crowded) judge(id, before, calls)
    }
    for (const [id, calls] of this.#calls) {
      if (!rates.has(id) && rates.size < MAX_TRACKED) judge(id, undefined, calls)
    }
    this.#rates = rates
    this.#calls = new Map()
  }

  async #tellChanges(): Promise<void> {
    let next = this.#changed[0]
    while (next !== undefined) {
      const { id, change, at } = next
      const service = await this.#serviceOf(id)
      this.#changed.shift()
      const make = () => ({
        at,
        id,
        ...(service !== undefined && { service }),
        ...signedSubject(agentOf(id)),
        ...change,
      })
      this.#alerts.raise('rateChanged', `${id} ${change.direction}`, make, at)
      next = this.#changed[0]
    }
  }

  #used(token: string, ips: readonly string[], now: number): void {
    for (const ip of ips) {
      const network = networkOf(ip, 24, 48)
      if (network === undefined) continue
      const settled = this.#settled.get(`${token} ${network}`)
      if (settled !== undefined && now - settled < NETWORK_FRESH_MS) continue
      const waiting = this.#unsettled.get(token)
      // What finds no room comes again with the next call from there.
      if (waiting !== undefined) waiting.add(network)
      else if (this.#unsettled.size < MAX_TRACKED) this.#unsettled.set(token, new Set([network]))
    }
  }

  async #settleNetworks(now: number): Promise<void> {
    let turns = 0
    for (const [token, networks] of [...this.#unsettled.entries()]) {
      if (turns++ === PER_TURN) return
      await this.#settle(token, [...networks], now)
    }
  }

  async #settle(id: string, networks: readonly string[], now: number): Promise<void> {
    const known = await this.#store.get(networksKind, id)
    const { record, fresh } = learnNetworks(known?.value, networks, now)
    if (record !== undefined) {
      const service = await this.#serviceOf(id)
      const expect = [{ kind: networksKind, id, revision: known?.revision ?? 0 }]
      const write: Write[] = service === undefined ? [] : [{ kind: networksKind, id, value: record }]
      try {
        if (write.length > 0) await this.#store.commit({ id: this.#newId(now), expect, write, journal: [] })
      } catch (error) {
        // Another process was faster: what it wrote is looked at in the next turn, so that one of them tells.
        if (error instanceof StaleRevisionError) return
        throw error
      }
      for (const network of service === undefined ? [] : fresh) {
        const make = () => ({ at: now, id, service: service as string, ...signedSubject(agentOf(id)), network })
        this.#alerts.raise('newNetworkUsed', `${id} ${network}`, make, now)
      }
    }
    // Others may have come meanwhile.
    const waiting = this.#unsettled.get(id)
    for (const network of networks) {
      this.#settled.set(`${id} ${network}`, now)
      waiting?.delete(network)
    }
    if (waiting?.size === 0) this.#unsettled.delete(id)
  }

  /** The name of a token; `undefined` when it is gone. An agent has no record that could be. */
  async #serviceOf(id: string): Promise<string | undefined> {
    if (agentOf(id) !== undefined) return id
    return (await this.#store.get(tokenKind, id))?.value.service
  }

  async #forgetNetworks(now: number): Promise<void> {
    if (!this.#watchesNetworks) return
    const { items } = await this.#store.list(networksKind, { index: 'at', to: now - NETWORKS_KEPT, limit: 500 })
    if (items.length === 0) return
    const write = items.map(({ id }): Write => ({ kind: networksKind, id, remove: true }))
    await this.#store.commit({ id: this.#newId(now), expect: [], write, journal: [] })
  }
}
