import { ApprovalGate } from './access/approval-gate.ts'
import { approvalKind } from './access/approval-record.ts'
import type { RateLimiter } from './access/rate-limiter.ts'
import { ScopeAuthorizer } from './access/scope-authorizer.ts'
import { defineScopes } from './access/scope-catalog.ts'
import { RULE_KINDS } from './automation/archived-kinds.ts'
import { ruleKind } from './automation/rule.ts'
import { RuleEngine } from './automation/rule-engine.ts'
import { Scheduler } from './automation/scheduler.ts'
import { archived, CORE_KINDS } from './backup/archived-kind.ts'
import { Backups } from './backup/backups.ts'
import type { TokenEvents } from './catalogue.ts'
import { Outbox } from './events/outbox.ts'
import { checkSubscribers } from './events/subscribers.ts'
import type { CleanupOptions, CleanupReport } from './issuing/cleanup.ts'
import { ExpiryWarnings } from './issuing/expiry-warnings.ts'
import { type Generated, type GenerateInput, Generator, type ImportInput } from './issuing/generator.ts'
import { KeyManager } from './issuing/key-manager.ts'
import type { TokenRef } from './issuing/lookup.ts'
import {
  type ListInput,
  Registry,
  type RevokeOptions,
  type RevokeTarget,
  type UpdateInput,
} from './issuing/registry.ts'
import { TokenAgeHealth } from './issuing/token-age-health.ts'
import { Verifier } from './issuing/verifier.ts'
import { AuditLog } from './journal/audit-log.ts'
import { journalBaseKind } from './journal/journal-base.ts'
import type { Clock } from './kernel/clock.ts'
import { parseDuration } from './kernel/duration.ts'
import { Emitter } from './kernel/emitter.ts'
import { codeOf } from './kernel/errors.ts'
import { checkFields } from './kernel/fields.ts'
import { type Health, type HealthSource, HealthSources } from './kernel/health.ts'
import { LeakKit } from './leaks/leak-kit.ts'
import { ROTATION_KINDS } from './rotation/archived-kinds.ts'
import type { RotateOptions } from './rotation/rotate-options.ts'
import { type Rotated, type RotatedAgain, Rotator } from './rotation/rotator.ts'
import { revocationKind } from './signed/revocation.ts'
import { Signer } from './signed/signer.ts'
import { signingKeyKind } from './signed/signing-key.ts'
import { ClockSkew } from './stores/clock-skew.ts'
import type { Attribution } from './stores/commit.ts'
import { Foundation } from './stores/foundation.ts'
import type { Page } from './stores/token-store.ts'
import { hasSignedForm } from './tokens/format.ts'
import { KnownFormats } from './tokens/known-formats.ts'
import { RETIRED_RETENTION, tokenKind } from './tokens/record.ts'
import type { TokenView } from './tokens/token-view.ts'
import type { Verification, VerifyContext } from './tokens/verification.ts'
import { OPTIONS, type TickReport, type TokenwrightOptions } from './tokenwright-options.ts'
import { UsageTracker } from './usage/usage-tracker.ts'

const CLEANUP_EVERY = 3_600_000
/** The kinds whose every change is journaled. */
const JOURNALED = [tokenKind, approvalKind, journalBaseKind, ruleKind, signingKeyKind, revocationKind]
/** What of signed tokens goes into archives. */
const SIGNED_KINDS = [archived(signingKeyKind, { all: ['created'] }), archived(revocationKind, { all: ['ends'] })]

/**
 * The front door: makes the services, wires them together, and has a short cut to each of the usual calls.
 *
 * @example
 * ```ts
 * const tokens = new Tokenwright({ store: new MemoryTokenStore(), keys: generateSecret() })
 * const { token } = await tokens.generate({ service: 'MY_API', scopes: ['orders:read'], expiresIn: '30d' })
 * const answer = await tokens.verify(token, { scopes: ['orders:read'] })
 * console.log(answer.ok) // true
 * await tokens.close()
 * ```
 */
export class Tokenwright {
  readonly events: Emitter<TokenEvents>
  readonly clock: Clock
  readonly generator: Generator
  readonly registry: Registry
  readonly verifier: Verifier
  readonly signer: Signer
  readonly rotator: Rotator
  readonly keys: KeyManager
  readonly usage: UsageTracker
  readonly leaks: LeakKit
  readonly rules: RuleEngine
  readonly backups: Backups
  readonly scheduler: Scheduler
  readonly outbox: Outbox
  readonly approvals: ApprovalGate
  /** Decides what scopes allow, by the catalogue; absent without `scopes`. */
  readonly authorizer: ScopeAuthorizer | undefined
  readonly audit: AuditLog
  readonly #base: Foundation<TokenEvents>
  readonly #warnings: ExpiryWarnings
  readonly #skew: ClockSkew
  readonly #retention: number | undefined
  readonly #limiter: RateLimiter | undefined
  readonly #health = new HealthSources()
  readonly #stopListening: () => void
  #nextCleanup = 0
  /** Whether the last turn found unsealed entries: then there mostly are more. */
  #sealing = false
  #ticking: Promise<TickReport> | undefined
  #closing: Promise<void> | undefined

  /**
   * @param options - a store, keys, and what is to differ from the defaults
   * @throws InvalidInputError for bad options, naming the field
   */
  constructor(options: TokenwrightOptions) {
    checkFields('options', options, OPTIONS)
    this.events = options.events ?? new Emitter<TokenEvents>()
    const subscribers = checkSubscribers(options.onEvent)
    const base = Foundation.of<TokenEvents>({ ...options, events: this.events, outbox: subscribers.length > 0 })
    this.#base = base
    this.clock = base.clock
    const { store, clock, random, events } = base
    const scopes =
      options.scopes === undefined
        ? undefined
        : 'expand' in options.scopes
          ? options.scopes
          : defineScopes(options.scopes)
    const formats = new KnownFormats(options.formats)
    const shared = { foundation: base, scopes, formats, defaults: options.defaults }
    this.usage = new UsageTracker({ ...options.usage, store, clock, random, events })
    this.generator = new Generator(shared)
    this.registry = new Registry(shared)
    const { registry, usage } = this
    const { limiter, failMode, cacheSize, maxStaleness } = options
    this.#limiter = limiter
    this.approvals = new ApprovalGate({ foundation: base, approvals: options.approvals })
    const policy = options.approvals === undefined ? { from: 'never' as const } : options.approvals.policy
    this.authorizer = scopes && new ScopeAuthorizer({ catalog: scopes, maxTtl: options.maxTtl, approvals: policy })
    const approvals = options.approvals && this.approvals
    const checks = { limiter, failMode, cacheSize, maxStaleness, approvals }
    this.verifier = new Verifier({ ...shared, ...checks, usage: this.usage })
    const cap = (granted: readonly string[]) => this.authorizer?.maxTtl(granted)
    const { limits } = this.verifier
    this.signer = new Signer({ ...shared, signed: options.signed, cap, limits, signals: this.usage.signals })
    const found = { lookup: registry, revoker: registry, signed: this.signer, alerts: usage.alerts }
    this.leaks = new LeakKit({ ...found, formats, events, clock })
    // Another instance's counts are in the store after a flush or two.
    const quiet = Math.max(10 * 60_000, 3 * this.usage.flushInterval)
    this.rotator = new Rotator({ ...shared, rotation: { quiet, ...options.rotation } })
    this.keys = new KeyManager({ foundation: base })
    const kinds = [...CORE_KINDS, ...ROTATION_KINDS, ...RULE_KINDS, ...SIGNED_KINDS]
    this.backups = new Backups({ ...options.backups, foundation: base, kinds })
    this.rules = new RuleEngine({
      ...options.rules,
      foundation: base,
      rotator: this.rotator,
      registry: this.registry,
      backups: this.backups,
      flush: () => this.usage.flush(),
    })
    this.outbox = new Outbox({ foundation: base, subscribers, outbox: options.outbox })
    this.audit = new AuditLog({ foundation: base, audit: options.audit, kinds: JOURNALED })
    this.#warnings = new ExpiryWarnings(base)
    const { retention = RETIRED_RETENTION } = options
    this.#retention = retention === false ? undefined : parseDuration('retention', retention, { allowZero: true })
    this.scheduler = new Scheduler({
      clock,
      interval: options.tickInterval,
      tick: () => this.#turn(undefined, false),
      soon: () => this.#sealing,
    })
    this.#stopListening = clock.onJump((event) => events.emit('clock.jumped', event))
    this.#skew = new ClockSkew(store, clock, events)
    const ages = new TokenAgeHealth({ foundation: base, ages: options.ages })
    const parts = {
      store: this.#skew,
      usage: this.usage,
      tokens: ages,
      rules: this.rules,
      outbox: this.outbox,
      journal: this.audit,
      signed: this.signer,
    }
    for (const [name, part] of Object.entries(parts)) this.healthSource(name, () => part.health())
  }

  /**
   * Checks the key ring against the store. Every verification and change waits for this check; a host that calls it at
   * its start learns of a wrong ring then.
   *
   * @throws KeyRingMismatchError, KeyInUseError; StoreError
   */
  async ready(): Promise<void> {
    await this.#base.ready()
  }

  /** Makes a token: {@link Generator.generate}. */
  generate(input: GenerateInput): Promise<Generated> {
    return this.generator.generate(input)
  }

  /** Takes over a token that another system made: {@link Generator.import}. */
  import(input: ImportInput): Promise<TokenView> {
    return this.generator.import(input)
  }

  /** Checks a string, an opaque token or a signed one: {@link Verifier.verify}. */
  verify(presented: unknown, context?: VerifyContext): Promise<Verification> {
    if (typeof presented !== 'string' || presented === '') return this.verifier.verify(presented, context)
    const signed = hasSignedForm(presented)
    const accept = context?.accept
    if (Array.isArray(accept) && !accept.includes(signed ? 'signed' : 'opaque')) {
      return this.verifier.judge('unknown', context)
    }
    if (!signed) return this.verifier.verify(presented, context)
    return this.verifier.judge(this.signer.prove(presented), context)
  }

  /** Gives a token a new version: {@link Rotator.rotate}. */
  rotate(ref: TokenRef, options?: RotateOptions & { readonly rotationId?: undefined }): Promise<Rotated>
  rotate(ref: TokenRef, options: RotateOptions): Promise<RotatedAgain>
  rotate(ref: TokenRef, options: RotateOptions = {}): Promise<RotatedAgain> {
    return this.rotator.rotate(ref, options)
  }

  /** Changes what a token may do: {@link Registry.update}. */
  update(ref: TokenRef, input: UpdateInput): Promise<TokenView> {
    return this.registry.update(ref, input)
  }

  /** Ends tokens for good: {@link Registry.revoke}. */
  revoke(target: RevokeTarget, options?: RevokeOptions): Promise<TokenView[]> {
    return this.registry.revoke(target, options)
  }

  /** Refuses a token until it is enabled: {@link Registry.disable}. */
  disable(ref: TokenRef, input?: Attribution): Promise<TokenView> {
    return this.registry.disable(ref, input)
  }

  /** Lets a disabled token verify again: {@link Registry.enable}. */
  enable(ref: TokenRef, input?: Attribution): Promise<TokenView> {
    return this.registry.enable(ref, input)
  }

  /** Reads one token: {@link Registry.get}. */
  get(ref: TokenRef): Promise<TokenView | undefined> {
    return this.registry.get(ref)
  }

  /** Reads a page of tokens: {@link Registry.list}. */
  list(input?: ListInput): Promise<Page<TokenView>> {
    return this.registry.list(input)
  }

  /** Removes what ended long ago: {@link Registry.cleanup}. */
  cleanup(options?: CleanupOptions): Promise<CleanupReport> {
    return this.registry.cleanup(options)
  }

  /**
   * Does all that is due: flushes usage and added digests, seals the journal, sends expiry warnings, runs rules, and once an hour cleans up.
   * For hosts with a timer of their own; the scheduler does the same for the others, but lets runs of rules go on beside its turns. Never
   * throws: a part that fails is a `tick.failed` event, and the others run. Concurrent calls share one turn.
   *
   * @param now - the instant that decides what is due, epoch ms. Default: the clock's, and the store's for rules
   * @event tick.failed
   */
  tick(now?: number): Promise<TickReport> {
    return this.#turn(now, true)
  }

  /**
   * Adds a source to {@link Tokenwright.health}. One that throws or rejects counts as `unknown`.
   *
   * @throws InvalidInputError when there is a source of that name
   */
  healthSource(name: string, source: () => HealthSource | Promise<HealthSource>): void {
    this.#health.add(name, source)
  }

  /** Asks every source. Never throws: what can't be known is `unknown`, not healthy. */
  health(): Promise<Health> {
    return this.#health.ask()
  }

  /**
   * Stops the scheduler, writes what is buffered, and closes the store and a shared limiter. Concurrent and later calls
   * share one closing.
   *
   * @throws StoreError when what is buffered can't be written; the store is closed all the same
   */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    this.#stopListening()
    this.verifier.close()
    this.signer.close()
    await Promise.all([this.rules.close(), this.rotator.close()])
    await this.scheduler.stop()
    await this.#ticking
    try {
      await this.usage.flush()
      while (this.verifier.addedDigests.size > 0) await this.verifier.addedDigests.flush()
      while ((await this.audit.seal()) > 0);
    } finally {
      try {
        await this.#base.store.close()
      } finally {
        await this.#limiter?.close?.()
      }
    }
  }

  async #turn(asked: number | undefined, waitForRules: boolean): Promise<TickReport> {
    const now = asked ?? this.clock.now()
    // Runs may take long: what else is due waits for none of them, nor does the next turn of the scheduler.
    const running = this.#part('rules', now, () => this.rules.check(asked))
    this.#ticking ??= this.#tick(now).finally(() => {
      this.#ticking = undefined
    })
    const report = await this.#ticking
    const rules = waitForRules ? await running : undefined
    return rules === undefined ? report : { ...report, rules }
  }

  async #tick(now: number): Promise<TickReport> {
    await this.usage.tick(now)
    await this.#part('clock check', now, () => this.#skew.tick(now))
    await this.#part('added digests', now, () => this.verifier.addedDigests.flush())
    this.#sealing = ((await this.#part('journal', now, () => this.audit.tick(now))) ?? 0) > 0
    const warned = (await this.#part('expiry warnings', now, () => this.#warnings.tick(now))) ?? 0
    const rotations = await this.#part('rotations', now, () => this.rotator.tick())
    await this.#part('approvals', now, () => this.approvals.tick(now))
    await this.#part('signed tokens', now, () => this.signer.tick(now))
    const cleanup = await this.#cleanup(now)
    const outbox = await this.#part('outbox', now, () => this.outbox.tick(now))
    return { warned, ...(rotations && { rotations }), ...(cleanup && { cleanup }), ...(outbox && { outbox }) }
  }

  async #cleanup(now: number): Promise<CleanupReport | undefined> {
    const retention = this.#retention
    if (retention === undefined || now < this.#nextCleanup) return undefined
    const report = await this.#part('cleanup', now, () => this.registry.cleanup({ retention }))
    if (report?.more === false) this.#nextCleanup = now + CLEANUP_EVERY
    return report
  }

  async #part<T>(part: string, at: number, work: () => Promise<T>): Promise<T | undefined> {
    try {
      return await work()
    } catch (error) {
      this.events.emit('tick.failed', { part, code: codeOf(error), at })
      return undefined
    }
  }
}
