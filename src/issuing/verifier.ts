import type { ApprovalGate } from '../access/approval-gate.ts'
import { explain, firstRefusal, missingScopes } from '../access/checks.ts'
import { checkContext } from '../access/context.ts'
import { type LimiterFailMode, type LimitRefusal, Limits, type Taking } from '../access/limits.ts'
import type { Provable, Unproved } from '../access/provable.ts'
import type { RateLimiter } from '../access/rate-limiter.ts'
import type { ScopeCatalog } from '../access/scope-catalog.ts'
import { type Duration, parseDuration } from '../kernel/duration.ts'
import { codeOf, InvalidInputError } from '../kernel/errors.ts'
import { checkFields } from '../kernel/fields.ts'
import type { MaybePromise } from '../kernel/kind.ts'
import { Foundation } from '../stores/foundation.ts'
import { KeyInUseError, KeyRingMismatchError } from '../stores/key-check.ts'
import { callFacts, type DenialDetails, DeniedAnswer, VerifiedAnswer } from '../tokens/answer.ts'
import { KnownFormats } from '../tokens/known-formats.ts'
import { RETIRED_RETENTION } from '../tokens/record.ts'
import type { Risk } from '../tokens/risk.ts'
import type { DenialCode, Verification, VerifyContext } from '../tokens/verification.ts'
import type { UsageTracker } from '../usage/usage-tracker.ts'
import { AddedDigests } from './added-digests.ts'
import type { IssuingEvents } from './events.ts'
import type { IssuingOptions } from './generator.ts'
import { Proof } from './proof.ts'
import { Prover } from './prover.ts'

/** What a verifier does when something that it needs doesn't answer. Each case emits an event. */
export interface FailMode {
  /**
   * The store: `closed` refuses with `unavailable` (default); `stale` answers from what was read before, for strings
   * proved before, with all their deadlines.
   */
  readonly store?: 'closed' | 'stale' | undefined
  /** With `stale`: how old what was read may be. Default 5 min. */
  readonly staleIfError?: Duration | undefined
  /** A shared limiter: `closed` refuses, `local` limits by this process alone (default), `open` doesn't limit. */
  readonly limiter?: LimiterFailMode | undefined
  /** The request log: `drop` counts the lost rows (default), `closed` refuses calls that it can't note. */
  readonly requestLog?: 'drop' | 'closed' | undefined
}

/** What a verifier may be given, beside what the services of this room share. */
export interface VerifierSettings {
  /** Counts calls; without it nothing is counted. */
  readonly usage?: UsageTracker | undefined
  /** Limits shared with other processes. Default: this process's own. */
  readonly limiter?: RateLimiter | undefined
  readonly failMode?: FailMode | undefined
  /** How many proved strings are remembered, by their SHA-256. Default 65,536. */
  readonly cacheSize?: number | undefined
  /**
   * On a store without cells: how old may be what was read of a token, so how long another process's change may take to
   * hold here when no channel tells of it. 0 = every check reads the store. Default 5 s.
   */
  readonly maxStaleness?: Duration | undefined
  /** Approves calls of risky tools, by the catalogue's risks; without it none needs an approval. */
  readonly approvals?: ApprovalGate | undefined
}

/** What a {@link Verifier} is made from. */
export type VerifierOptions = IssuingOptions & VerifierSettings

const NO_CONTEXT: VerifyContext = Object.freeze({})
/** What a client is told to wait when the store or the limiter doesn't answer. */
const TRY_AGAIN: DenialDetails = Object.freeze({ retryAfterMs: 1000 })

/**
 * Answers whether a string may do something, from here, now.
 *
 * The secret is proved first, and nothing about a token is told before that. Then, in this order: revoked, disabled,
 * expired, network, level, scope, tool, approval, rate, quota. A refused call costs nothing. State is always read from
 * the live record: what was changed holds at the next call.
 *
 * @example
 * ```ts
 * const answer = await verifier.verify(presented, { ip: request.ip, scopes: ['orders:read'] })
 * if (answer.ok) serve(answer.token.owner)
 * else refuse(answer.status, answer.code)
 * ```
 */
export class Verifier {
  /** Digests that good verifications have earned; flushed by `tick()`. @internal */
  readonly addedDigests: AddedDigests
  /** Rate limits and quotas, for signed tokens too. @internal */
  readonly limits: Limits
  readonly #base: Foundation<IssuingEvents>
  readonly #catalog: ScopeCatalog | undefined
  readonly #usage: UsageTracker | undefined
  readonly #prover: Prover
  readonly #logClosed: boolean
  readonly #approvals: ApprovalGate | undefined

  /**
   * @param options - store, keys and, if wanted, scopes, formats, limiter, usage and fail modes
   * @throws InvalidInputError for bad options
   */
  constructor(options: VerifierOptions) {
    const base: Foundation<IssuingEvents> = Foundation.of(options)
    this.#base = base
    this.#catalog = options.scopes
    this.#usage = options.usage
    this.#approvals = options.approvals
    checkFields('failMode', options.failMode ?? {}, ['store', 'staleIfError', 'limiter', 'requestLog'])
    const {
      store = 'closed',
      staleIfError = '5m',
      limiter: limiterMode = 'local',
      requestLog = 'drop',
    } = options.failMode ?? {}
    choose('failMode.store', store, ['closed', 'stale'])
    choose('failMode.requestLog', requestLog, ['drop', 'closed'])
    choose('failMode.limiter', limiterMode, ['closed', 'local', 'open'])
    const staleFor = parseDuration('failMode.staleIfError', staleIfError, { min: 1000 })
    this.#logClosed = requestLog === 'closed'
    const cacheSize = options.cacheSize ?? 65_536
    if (!Number.isInteger(cacheSize) || cacheSize < 2) {
      throw new InvalidInputError('cacheSize', 'must be a whole number from 2', 'leave it out for 65536')
    }
    const { clock, random } = base
    this.limits = new Limits({
      store: base.store,
      clock,
      random,
      limiter: options.limiter,
      failMode: limiterMode,
      onLimiterFailure: (error) =>
        base.events.emit('limiter.failed', { code: codeOf(error), mode: limiterMode, at: clock.now() }),
      onStoreFailure: (error) =>
        base.events.emit('store.failed', { code: codeOf(error), stale: false, at: clock.now() }),
    })
    this.addedDigests = new AddedDigests(base)
    this.#prover = new Prover({
      base,
      formats: options.formats instanceof KnownFormats ? options.formats : new KnownFormats(options.formats),
      catalog: this.#catalog,
      limits: this.limits,
      addedDigests: this.addedDigests,
      cacheSize,
      staleIfError: store === 'stale' ? staleFor : 0,
      maxStaleness: parseDuration('maxStaleness', options.maxStaleness ?? '5s', { allowZero: true }),
    })
  }

  /**
   * Checks a string. Anything that a client can send gives an answer, never an exception.
   *
   * @param presented - what the client presented
   * @param context - what the call needs and where it comes from
   * @throws InvalidInputError for a context with unknown or unusable fields; KeyRingMismatchError, KeyInUseError
   * @event token.denied, store.failed, limiter.failed
   */
  async verify(presented: unknown, context: VerifyContext = NO_CONTEXT): Promise<Verification> {
    if (context !== NO_CONTEXT) checkContext(context)
    const waiting = this.#base.ready()
    if (waiting !== undefined) {
      const refused = await this.#refuseUnready(waiting, context)
      if (refused !== undefined) return refused
    }
    return this.#verify(presented, context)
  }

  /**
   * Judges what was proved elsewhere, such as a signed token, as a string of this verifier's own.
   *
   * @param proved - the proof, or why there is none; a promise of it must not reject
   * @throws InvalidInputError for a context with unknown or unusable fields; KeyRingMismatchError, KeyInUseError
   * @internal
   */
  async judge(proved: MaybePromise<Provable | Unproved>, context: VerifyContext = NO_CONTEXT): Promise<Verification> {
    if (context !== NO_CONTEXT) checkContext(context)
    const { clock } = this.#base
    const waiting = this.#base.ready()
    if (waiting !== undefined) {
      const refused = await this.#refuseUnready(waiting, context)
      if (refused !== undefined) return refused
    }
    if (proved instanceof Promise) return this.#judgeProved(await proved, context, clock.now())
    return this.#judgeProved(proved, context, clock.now())
  }

  /** Stops listening for changes of a store that is elsewhere. */
  close(): void {
    this.#prover.close()
  }

  /** The refusal while the store can't tell whether the key ring is its own; `undefined` once it is known. */
  async #refuseUnready(waiting: Promise<void>, context: VerifyContext): Promise<Verification | undefined> {
    try {
      await waiting
      return undefined
    } catch (error) {
      if (error instanceof KeyRingMismatchError || error instanceof KeyInUseError) throw error
      const at = this.#base.clock.now()
      this.#base.events.emit('store.failed', { code: codeOf(error), stale: false, at })
      return this.#deny('unavailable', undefined, context, at, TRY_AGAIN)
    }
  }

  #verify(presented: unknown, context: VerifyContext): MaybePromise<Verification> {
    const now = this.#base.clock.now()
    if (typeof presented !== 'string' || presented === '') {
      const missing = presented === undefined || presented === null || presented === ''
      return this.#deny(missing ? 'missing' : 'malformed', undefined, context, now)
    }
    const proved = this.#prover.prove(presented, now)
    if (proved instanceof Proof) return this.#judge(proved, context, now)
    if (proved instanceof Promise)
      return proved.then((outcome) => this.#judgeProved(outcome, context, this.#base.clock.now()))
    return this.#judgeProved(proved, context, now)
  }

  #judgeProved(proved: Provable | Unproved, context: VerifyContext, now: number): MaybePromise<Verification> {
    if (typeof proved === 'object') return this.#judge(proved, context, now)
    return this.#deny(proved, undefined, context, now, proved === 'unavailable' ? TRY_AGAIN : undefined)
  }

  /** Everything after the proof, in order. */
  #judge(proof: Provable, context: VerifyContext, now: number): MaybePromise<Verification> {
    const { version, policy } = proof
    const token = proof.stored.value
    if (token.canary === true) return this.#refuseCanary(proof, context, now)
    const risk = this.#riskOf(context)
    if (token.revoked !== undefined || version.state === 'retired') {
      const ended = token.revoked !== undefined ? 'revoked' : version.ended
      if (version.state === 'retired' && now - (version.endedAt ?? 0) >= RETIRED_RETENTION)
        return this.#deny('unknown', undefined, context, now)
      if (ended === 'revoked') return this.#deny('revoked', proof, context, now, undefined, risk)
    }
    if (token.disabled !== undefined) return this.#deny('disabled', proof, context, now, undefined, risk)
    if (proof.ended || now >= proof.endsAt) {
      proof.end()
      return this.#deny('expired', proof, context, now, undefined, risk)
    }
    const refusal = firstRefusal(policy, context, this.#catalog)
    if (refusal !== undefined) {
      const details =
        refusal === 'insufficient_scope' ? { missingScopes: missingScopes(policy, context, this.#catalog) } : undefined
      return this.#deny(refusal, proof, context, now, details, risk)
    }
    if (this.#logClosed && this.#usage?.requestLogFull && this.#usage.records('ok', risk)) {
      return this.#deny('unavailable', proof, context, now, TRY_AGAIN, risk)
    }
    const cost = context.cost ?? 1
    if (
      this.#approvals !== undefined &&
      context.tool !== undefined &&
      this.#approvals.policy.needs(context.tool, risk)
    ) {
      return this.#judgeApproval(this.#approvals, proof, context, now, cost, risk)
    }
    if (policy.policy.rateLimits !== undefined || policy.policy.quota !== undefined) {
      const limited = this.limits.reserve(proof.memo, token, cost, now)
      if (limited instanceof Promise)
        return limited.then((refused) => this.#conclude(proof, context, now, cost, refused, risk))
      return this.#conclude(proof, context, now, cost, limited, risk)
    }
    return this.#conclude(proof, context, now, cost, undefined, risk)
  }

  /** Answers as to any unknown string, and tells the host. A canary that was revoked or disabled is silent. */
  #refuseCanary(proof: Provable, context: VerifyContext, now: number): Verification {
    const { revoked, disabled } = proof.stored.value
    if (revoked === undefined && disabled === undefined) this.#usage?.alerts.raiseUse('canaryUsed', proof, context, now)
    return this.#deny('unknown', undefined, context, now)
  }

  /** The approval is looked at first, then the limits are reserved, then it is used: by one call only, whoever races. */
  async #judgeApproval(
    approvals: ApprovalGate,
    proof: Provable,
    context: VerifyContext,
    now: number,
    cost: number,
    risk: Risk | undefined,
  ): Promise<Verification> {
    const { id, service, about } = proof.stored.value
    const call = approvals.requestFor({ id, service, owner: about?.owner }, context, risk)
    const refuse = (): Verification =>
      this.#deny('approval_required', proof, context, now, call && { approvalRequest: { ...call } }, risk)
    if (context.approval === undefined || call === undefined) return refuse()
    try {
      const found = await approvals.peek(context.approval, call)
      if (typeof found === 'string') return refuse()
      const taking: Taking = { rate: 'nowhere', window: undefined }
      const limited = await this.limits.reserve(proof.memo, proof.stored.value, cost, now, taking)
      if (limited !== undefined) return this.#conclude(proof, context, now, cost, limited, risk)
      const used = await approvals.consume(found).catch((error: unknown) => {
        this.limits.giveBack(proof.memo, proof.stored.value, cost, taking)
        throw error
      })
      if (used) return this.#conclude(proof, context, now, cost, undefined, risk)
      this.limits.giveBack(proof.memo, proof.stored.value, cost, taking)
      return refuse()
    } catch (error) {
      this.#base.events.emit('store.failed', { code: codeOf(error), stale: false, at: now })
      return this.#deny('unavailable', proof, context, now, TRY_AGAIN, risk)
    }
  }

  #conclude(
    proof: Provable,
    context: VerifyContext,
    now: number,
    cost: number,
    refused: LimitRefusal | undefined,
    risk: string | undefined,
  ): Verification {
    if (refused !== undefined) {
      const retryAfterMs = refused.code === 'unavailable' ? TRY_AGAIN.retryAfterMs : refused.retryAfterMs
      const limits = refused.code === 'unavailable' ? undefined : proof.limitStates(now)
      return this.#deny(
        refused.code,
        proof,
        context,
        now,
        { ...(retryAfterMs !== undefined && { retryAfterMs }), ...(limits && { limits }) },
        risk,
      )
    }
    const answer = new VerifiedAnswer(proof, context, now, risk)
    const usage = this.#usage
    if (usage !== undefined) {
      const tool = context.tool ?? ''
      let counter = proof.counter
      if (counter === undefined || !counter.live || counter.tool !== tool || now >= counter.hour + 3_600_000) {
        counter = usage.counter(proof.stored.id, proof.version.n, tool, 'ok', now)
        proof.counter = counter
      }
      if (counter !== undefined) {
        counter.calls += 1
        counter.cost += cost
        counter.lastAt = now
        if (context.ip !== undefined && context.ip !== counter.ip) counter.see(context.ip)
      }
      if (context.finishLater !== true && usage.records('ok', risk)) this.#log(answer)
    }
    if (context.explain === true) Object.assign(answer, { explain: explain(undefined, proof.policy, context) })
    return answer
  }

  #deny(
    code: DenialCode,
    proof: Provable | undefined,
    context: VerifyContext,
    now: number,
    details?: DenialDetails,
    risk?: string,
  ): Verification {
    const answer = new DeniedAnswer(code, proof, context, now, risk, details)
    if (context.explain === true) Object.assign(answer, { explain: explain(code, proof?.policy, context) })
    const { events } = this.#base
    const usage = this.#usage
    if (usage !== undefined) {
      const counter = usage.counter(proof?.stored.id ?? '', proof?.version.n ?? 0, context.tool ?? '', code, now)
      if (counter !== undefined) {
        counter.calls += 1
        counter.lastAt = now
      }
      if (context.finishLater !== true && usage.records(code, risk)) this.#log(answer)
      usage.signals?.refused(code, proof, context, now)
    }
    if (events.listenerCount('token.denied') > 0) {
      const { ip, tool } = context
      events.emit('token.denied', {
        code,
        at: now,
        ...(proof && { id: proof.stored.id, service: proof.stored.value.service }),
        ...(ip !== undefined && { ip }),
        ...(tool !== undefined && { tool }),
      })
    }
    return answer
  }

  #log(answer: Verification): void {
    const facts = callFacts(answer)
    if (facts !== undefined) this.#usage?.log(facts)
  }

  #riskOf(context: VerifyContext): Risk | undefined {
    return this.#catalog === undefined || context.tool === undefined
      ? undefined
      : this.#catalog.riskOfTool(context.tool)
  }
}

function choose(field: string, value: unknown, known: readonly string[]): void {
  if (!known.includes(value as string))
    throw new InvalidInputError(field, 'is unknown', `use one of ${known.join(', ')}`)
}
