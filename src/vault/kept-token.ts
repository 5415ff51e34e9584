import { Secret } from '../kernel/secret.ts'
import type { NonRenewableReason } from './events.ts'
import { type GrantOutcome, type Lease, leftOf, type Moment, outcomeOf } from './lease-time.ts'
import { leastSpacing, renewWhenLeft, replaceWhenLeft, warnWhenLeft } from './schedule.ts'
import type { Standing } from './standing.ts'
import type { Renewed, TokenFacts } from './token-facts.ts'
import type { Timed } from './vault-calls.ts'

/** What of the options bears on when a token is renewed and replaced. */
export interface Habits {
  readonly thresholdMs?: number | undefined
  readonly incrementMs?: number | undefined
  readonly allowShorten: boolean
  readonly warnBelowMs: number
  /** Whether a login can replace the token. */
  readonly replaceable: boolean
  /** Chance, from 0 to 1. */
  readonly chance: () => number
}

/** Under this part of its lease a token that still can't be renewed is replaced, where a login can. */
const LAST_PART = 0.1

/** What became of a renewal. */
export interface GrantTaken extends GrantOutcome {
  readonly ttlMs: number
  readonly requestedMs: number
}

/** The token that a manager keeps alive: its text, what is known of it, and when something is due. It sends nothing. */
export class KeptToken {
  readonly #secret: Secret
  readonly #habits: Habits
  /** Whether one of our logins made it: then it is ours to revoke. */
  readonly ours: boolean
  /** Why it isn't renewed, where it isn't. */
  fixed: NonRenewableReason | undefined
  /** The last renewal granted less than was asked for. */
  capped = false
  /** Its end can't be moved: some maximum is reached. */
  atMaximum = false
  /** No renewal is tried any more for that. */
  final = false
  usesLeft: number | undefined
  /** Failed renewals in a row. */
  failures = 0
  /** Whether the host was told of these once. */
  toldMax = false
  toldFixed = false
  #facts: TokenFacts
  #standing: Standing

  /**
   * @param text - the token
   * @param found - what the server told of it
   * @param ours - whether one of our logins made it
   */
  constructor(text: string, found: Timed<TokenFacts>, ours: boolean, habits: Habits) {
    this.#secret = new Secret(text)
    this.#habits = habits
    this.ours = ours
    this.#facts = found.value
    this.#standing = INITIAL
    this.learn(found)
    // One that was handed over late is renewed soon, but not by a whole fleet at once.
    const leftMs = found.value.ttlMs
    const { fullMs } = this.#standing
    const timing = { leftMs, fullMs, thresholdMs: habits.thresholdMs, chance: habits.chance() }
    this.set({ renewWhenLeftMs: renewWhenLeft(timing) })
  }

  /** The token itself. */
  get text(): string {
    return this.#secret.reveal()
  }

  get facts(): TokenFacts {
    return this.#facts
  }

  get standing(): Standing {
    return this.#standing
  }

  /** Takes what a look-up told: the time that is left counts anew from there. */
  learn({ value, from }: Timed<TokenFacts>): void {
    // One that was sent before what is known was granted tells of the time before.
    if (from.mono < (this.#standing.lease?.from.mono ?? from.mono)) return
    this.#facts = value
    this.usesLeft = value.usesLeft
    if (!value.renewable && !value.nonExpiring) this.fixed ??= value.type === 'batch' ? 'batch' : 'token'
    const lease = value.nonExpiring ? undefined : { ttlMs: value.ttlMs, from }
    const { renewAt } = this.#standing
    this.#schedule(lease, Math.max(value.fullMs, this.#standing.fullMs), value.fullMs)
    // A failure's delay holds, whatever was looked up meanwhile.
    this.set({ renewAt })
  }

  /** How much a renewal asks for, ms in whole seconds: never less than what is left, unless that is allowed. */
  wanted(now: Moment, incrementMs?: number, allowShorten?: boolean): number {
    const asked = incrementMs ?? this.#habits.incrementMs ?? this.#facts.fullMs
    const shortens = allowShorten ?? this.#habits.allowShorten
    const least = shortens || this.#facts.periodMs !== undefined ? 0 : this.left(now)
    return Math.ceil(Math.max(asked, least, 1000) / 1000) * 1000
  }

  /** Takes what a renewal granted. */
  extend({ value, from }: Timed<Renewed>, requestedMs: number): GrantTaken {
    const leftMs = this.left(from)
    const { periodMs } = this.#facts
    const outcome = outcomeOf({ leftMs, requestedMs: periodMs ?? requestedMs, grantedMs: value.ttlMs })
    const { capped, extended } = outcome
    this.failures = 0
    this.capped = capped
    this.spend()
    // Somebody mended the policy.
    if (this.fixed === 'policy') this.fixed = undefined
    if (!value.renewable) this.fixed ??= 'server'
    const { lease: before, fullMs: fullBefore } = this.#standing
    // Less than a second isn't worth a new end.
    const lease: Lease | undefined = value.ttlMs > 0 ? { ttlMs: value.ttlMs, from } : before
    // A capped grant is the rest of a life, not a new size of it.
    const fullMs = capped ? Math.max(fullBefore, value.ttlMs) : value.ttlMs
    const maximum = periodMs === undefined && value.warnings.some((text) => text.includes('max_ttl'))
    // Somebody may raise the maximum: without a login, a few more attempts are worth their requests.
    const worth = value.ttlMs * 0.7 >= leastSpacing(fullMs) && !this.#habits.replaceable
    this.final = capped && (!extended || maximum) && !worth
    this.atMaximum = capped && (!extended || maximum)
    this.#schedule(lease, fullMs, capped ? Math.max(value.ttlMs, 1000) : fullMs)
    return { ...outcome, ttlMs: value.ttlMs > 0 ? value.ttlMs : this.left(from), requestedMs }
  }

  /** No more renewals, for this reason. */
  fix(reason: NonRenewableReason): void {
    this.fixed ??= reason
    this.failures = 0
    const { lease, fullMs, warnWhenLeftMs, ended } = this.#standing
    this.#schedule(lease, fullMs, fullMs)
    this.set({ warnWhenLeftMs, ended })
  }

  /** It is lost: no time is left, whatever was granted. It is looked at again at `verifyAt`. */
  lose(now: Moment, verifyAt: number): void {
    this.set({ ended: true, lease: { ttlMs: 0, from: now }, verifyAt })
  }

  /** Changes what is due when. */
  set(change: Partial<Standing>): void {
    this.#standing = { ...this.#standing, ...change }
  }

  /** Whether a request of ours may be sent with it: the last use is the host's. */
  get spare(): boolean {
    return this.usesLeft === undefined || this.usesLeft > 1
  }

  /** A request was sent with it. */
  spend(): void {
    if (this.usesLeft === undefined) return
    this.usesLeft = Math.max(0, this.usesLeft - 1)
    if (!this.spare && this.#standing.lease !== undefined) this.fix('uses')
  }

  /** What is left of it, ms; Infinity where it has no end. */
  left(now: Moment): number {
    const { lease } = this.#standing
    return lease === undefined ? Number.POSITIVE_INFINITY : Math.max(0, Math.floor(leftOf(lease, now)))
  }

  #schedule(lease: Lease | undefined, fullMs: number, timedMs: number): void {
    const { thresholdMs, warnBelowMs, replaceable, chance } = this.#habits
    const usable = this.spare
    if (!usable && lease !== undefined) this.fixed ??= 'uses'
    const renewable = lease !== undefined && this.fixed === undefined && !this.final
    // Who was warned is warned again only after there was more than that.
    const warnAt = warnWhenLeft(fullMs, warnBelowMs)
    const warned = this.#standing.lease !== undefined && this.#standing.warnWhenLeftMs === 0
    const stillLow = warned && lease !== undefined && lease.ttlMs <= warnAt
    this.#standing = {
      lease,
      fullMs,
      renewable,
      renewWhenLeftMs: renewWhenLeft({ leftMs: timedMs, fullMs: timedMs, thresholdMs, chance: chance() }),
      replaceWhenLeftMs: replaceable ? (renewable ? fullMs * LAST_PART : replaceWhenLeft(fullMs, chance())) : 0,
      warnWhenLeftMs: stillLow ? 0 : warnAt,
      ended: false,
      renewAt: Number.NEGATIVE_INFINITY,
      replaceAt: this.#standing.replaceAt,
      verifyAt: Number.NEGATIVE_INFINITY,
      verifiable: usable,
    }
  }
}

const INITIAL: Standing = {
  fullMs: 0,
  renewable: false,
  renewWhenLeftMs: 0,
  replaceWhenLeftMs: 0,
  warnWhenLeftMs: 0,
  ended: false,
  renewAt: Number.NEGATIVE_INFINITY,
  replaceAt: Number.NEGATIVE_INFINITY,
  verifyAt: Number.NEGATIVE_INFINITY,
  verifiable: false,
}
