import { type Duration, parseDuration } from '../kernel/duration.ts'
import type { Emitter } from '../kernel/emitter.ts'
import { InvalidInputError } from '../kernel/errors.ts'
import { checkFields } from '../kernel/fields.ts'
import type { HealthSource } from '../kernel/health.ts'
import { Counters } from './counters.ts'
import { noTokenYet, VaultShorteningError, VaultStateError } from './errors.ts'
import type { VaultManagerEvents } from './events.ts'
import { healthOf } from './health-of.ts'
import { endOf } from './lease-time.ts'
import { checkManagerOptions, type ManagerSettings, type VaultTokenManagerOptions } from './manager-options.ts'
import { metricsText } from './metrics-text.ts'
import type { RenewalResult } from './renewal-result.ts'
import type { SecretLease } from './secret-lease.ts'
import { leaseInput, type SecretLeaseInput, type SecretLeaseOptions } from './secret-lease-input.ts'
import { askServerHealth, type VaultServerHealth } from './server-health.ts'
import { settledOrAborted } from './settled-or-aborted.ts'
import { shortAccessor, type VaultState, type VaultStatus } from './status.ts'
import type { TokenFacts } from './token-facts.ts'
import { VaultCalls } from './vault-calls.ts'
import type { VaultClient } from './vault-client.ts'
import { VaultRun } from './vault-run.ts'
import { Voice } from './voice.ts'

/** How {@link VaultTokenManager.start} starts. */
export interface StartOptions {
  /**
   * `await` (default): resolves when the token is known to work, and rejects when it doesn't, or the server can't be reached within
   * `startTimeout`. `background`: resolves at once and goes on trying; `started` tells when it works.
   */
  readonly mode?: 'await' | 'background' | undefined
}

/** How {@link VaultTokenManager.stop} stops. */
export interface StopOptions {
  /** Revokes the token too, whoever made it. Default false. */
  readonly revoke?: boolean | undefined
}

/** What {@link VaultTokenManager.forceRenewal} asks for. */
export interface ForceRenewalOptions {
  /** Counted from now. At least 1 s. Default: the manager's. */
  readonly increment?: Duration | undefined
  /** Lets it leave the token with less time than it has. Default: the manager's. */
  readonly allowShorten?: boolean | undefined
  /** Ends the waiting of this caller; the renewal itself goes on, others may wait for it. */
  readonly signal?: AbortSignal | undefined
}

/**
 * Keeps a Vault or OpenBao token alive: renews it in time, tells a renewal that extended it from one that merely succeeded, retries
 * to the end of its life and not beyond, and replaces it by a login before it is lost. Status and health are computed from what it
 * knows; only `lookup()` asks the server.
 *
 * Emits (`manager.events`) `started`, `renewed`, `renewalFailed`, `expiringSoon`, `maxTtlApproaching`, `nonRenewable`, `reauthenticated`, `reauthFailed`, `expired`, `stopped`,
 * `configWarning`, `sinkFailed`, `revocationFailed`, `leaseRenewed`, `leaseFailed`, `leaseEnded`.
 *
 * @example
 * ```ts
 * const vault = await createVaultClient({ endpoint: 'https://vault.example:8200' })
 * const manager = new VaultTokenManager({ client: vault, login: appRoleLogin({ roleId, secretId: { file: '/run/secret-id' } }) })
 * manager.events.on('expired', () => alert('the Vault token is lost'))
 * await manager.start()
 * const secret = await manager.withToken(() => vault.read('secret/data/app'))
 * await manager.stop()
 * ```
 */
export class VaultTokenManager {
  readonly #settings: ManagerSettings
  readonly #voice: Voice
  readonly #counters = new Counters()
  readonly #calls: VaultCalls
  #run: VaultRun | undefined
  #starting: Promise<void> | undefined
  #stopping: Promise<void> | undefined
  #stopped = false

  /**
   * @param options - the client, and what is to differ from the defaults
   * @throws InvalidInputError for options that can't be used, an empty token without a login among them
   */
  constructor(options: VaultTokenManagerOptions) {
    const settings = checkManagerOptions(options)
    this.#settings = settings
    this.#voice = new Voice(settings)
    this.#calls = new VaultCalls({
      client: settings.client,
      clock: settings.clock,
      timeoutMs: settings.timeoutMs,
      onRequest: (operation) => this.#counters.requested(operation),
    })
  }

  /** What it tells, by the short names of the events. */
  get events(): Emitter<VaultManagerEvents> {
    return this.#voice.own
  }

  /** The client that it was made with. Its `token` is always the newest. */
  get client(): VaultClient {
    return this.#settings.client
  }

  /**
   * Starts: looks the token up (one request), or logs in where the client has none or a dead one. A second call answers the same promise. After
   * `stop()` it starts anew, and what is counted goes on.
   *
   * @param options - whether to wait
   * @throws VaultRequestError of kind `auth` for a token that the server refuses, `network` when it can't be reached …; nothing is left running then
   */
  start(options: StartOptions = {}): Promise<void> {
    const { mode = 'await' } = checkFields('options', options, ['mode'])
    if (mode !== 'await' && mode !== 'background') {
      throw new InvalidInputError('mode', "is neither 'await' nor 'background'", 'leave it out to wait')
    }
    this.#starting ??= this.#start(mode)
    return this.#starting
  }

  /**
   * Stops: ends what is under way, at once. No event comes after it has resolved, unless it was started anew. Does nothing when it isn't running.
   *
   * @param options - whether to revoke the token
   */
  async stop(options: StopOptions = {}): Promise<void> {
    const { revoke } = checkFields('options', options, ['revoke'])
    const run = this.#run
    if (run !== undefined) {
      // It is over for whoever asks from now on, and who starts it starts it anew.
      this.#run = undefined
      this.#starting = undefined
      this.#stopped = true
      this.#stopping = this.#stop(run, revoke === true, this.#stopping)
    }
    await this.#stopping
  }

  /**
   * Does what is due, for hosts with a timer of their own (`timers: false`): mostly nothing, and then it costs nothing. Call it at least once a second for
   * tokens of minutes, whether or not the last one has ended: it resolves when all is done, which a server or a sink that hangs puts off by `timeout`.
   */
  async tick(): Promise<void> {
    await this.#run?.tick()
  }

  /** How it stands. Costs no request. */
  status(): VaultStatus {
    const { keeper, leases } = this.#run ?? {}
    const kept = keeper?.kept
    const now = this.#calls.moment()
    const { lease, renewable = false, renewWhenLeftMs = 0, replaceWhenLeftMs = 0 } = kept?.standing ?? {}
    const left = kept === undefined || lease === undefined ? null : kept.left(now)
    const counters = this.#counters
    const alive = left !== null && left > 0
    const due = (whenLeftMs: number, at: number): number =>
      Math.ceil(now.wall + Math.max(0, (left ?? 0) - whenLeftMs, at - now.mono))
    return Object.freeze({
      running: this.#run !== undefined,
      state: this.#state(left),
      ttlMs: left,
      expiresAt: lease === undefined ? null : endOf(lease, now),
      needsRenewal: alive && renewable && left <= renewWhenLeftMs,
      renewalCount: counters.renewals,
      failureCount: counters.failures,
      consecutiveFailures: keeper?.failures ?? 0,
      lastCheckAt: counters.lastCheckAt ?? null,
      lastRenewalAt: counters.lastRenewalAt ?? null,
      nextRenewalAt: alive && renewable ? due(renewWhenLeftMs, kept?.standing.renewAt ?? 0) : null,
      nextLoginAt:
        lease !== undefined && replaceWhenLeftMs > 0 ? due(replaceWhenLeftMs, kept?.standing.replaceAt ?? 0) : null,
      fullTtlMs: lease === undefined ? null : (kept?.standing.fullMs ?? null),
      type: kept?.facts.type ?? null,
      renewable,
      capped: kept?.capped ?? false,
      usesLeft: kept?.usesLeft ?? null,
      accessor: shortAccessor(kept?.facts.accessor ?? ''),
      policies: kept?.facts.policies ?? [],
      reauthCount: counters.reauths,
      leases: leases?.size ?? 0,
    })
  }

  /** How well the token is kept, with reasons. Costs no request; fit for a health route, and for `tokens.healthSource('vault', () => manager.health())`. */
  health(): HealthSource {
    const status = this.status()
    return healthOf({
      status,
      replaceable: this.#settings.login !== undefined,
      lastFailure: this.#run?.keeper.lastFailure,
      failingSinks: this.#run?.failingSinks ?? 0,
    })
  }

  /** What it counts and how it stands, in the text form 0.0.4 of Prometheus. */
  metrics(): string {
    return metricsText(this.#settings.name, this.status(), this.health(), this.#counters)
  }

  /**
   * Asks the server about the token. It costs one use of a token with limited uses, and corrects what is known: one that the server refuses is lost.
   *
   * @throws VaultStateError when it isn't started, or has no token yet; VaultRequestError when the server can't be asked
   */
  async lookup(): Promise<TokenFacts> {
    const run = this.#running('look the token up')
    return await run.keeper.lookup().finally(() => this.#rearm(run))
  }

  /** Asks the server how it is; needs no token, nor that the manager is started. Never rejects: what can't be reached is `unreachable`. */
  serverHealth(): Promise<VaultServerHealth> {
    return askServerHealth(this.#calls)
  }

  /**
   * Renews the token now. Any number of callers at once cause one request, and get one answer. A token without an end, or one that can't be renewed, is
   * `skipped` without a request.
   *
   * @param options - how much, and how long to wait
   * @throws VaultStateError when it isn't started, or has no token yet; VaultShorteningError when the increment is less than what is left;
   *   VaultRequestError when the renewal fails; the signal's reason
   */
  async forceRenewal(options: ForceRenewalOptions = {}): Promise<RenewalResult> {
    const { increment, allowShorten, signal } = options
    checkFields('options', options, ['increment', 'allowShorten', 'signal'])
    const incrementMs = increment === undefined ? undefined : parseDuration('increment', increment, { min: 1000 })
    signal?.throwIfAborted()
    const run = this.#running('renew the token')
    const { kept } = run.keeper
    if (incrementMs !== undefined && kept !== undefined && kept.fixed === undefined) {
      const { lease } = kept.standing
      const left = kept.left(this.#calls.moment())
      const guarded = !(allowShorten ?? this.#settings.allowShorten) && kept.facts.periodMs === undefined
      if (guarded && lease !== undefined && incrementMs + 1000 < left) throw new VaultShorteningError(left, incrementMs)
    }
    const result = run.keeper.renew({ incrementMs, allowShorten, forced: true })
    result.then(
      () => this.#rearm(run),
      () => this.#rearm(run),
    )
    return await settledOrAborted(result, signal)
  }

  /**
   * Calls `fn` with the token. Where it fails with a 403, the token is looked up once, whoever fails meanwhile; if it is dead, there is one login, and
   * `fn` is called once more. A 403 of a policy is thrown as it came.
   *
   * @param fn - what needs the token; it gets the token and the client
   * @throws what `fn` throws; VaultStateError when the manager isn't started
   * @example
   * ```ts
   * const secret = await manager.withToken(() => vault.read('secret/data/app'))
   * ```
   */
  async withToken<T>(fn: (token: string, client: VaultClient) => T | PromiseLike<T>): Promise<T> {
    const run = this.#running('use the token')
    const used = run.keeper.kept?.text
    if (used === undefined) throw noTokenYet()
    try {
      return await fn(used, this.client)
    } catch (error) {
      if (!isForbidden(error) || run.signal.aborted) throw error
      const dead = run.keeper.kept?.text !== used || (await run.keeper.confirm().catch(() => 'unknown')) === 'dead'
      const renewed = dead && (await run.keeper.lostInUse(used).catch(() => false))
      this.#rearm(run)
      const next = run.keeper.kept?.text
      if (!renewed || next === undefined) throw error
      return await fn(next, this.client)
    }
  }

  /**
   * Looks after the lease of a secret as after the token: renews it by the same schedule, to the end of its life. It is let go when the token
   * that it belongs to is lost or replaced, since the server ends it then.
   *
   * @param lease - its id, or the answer that the secret came in (`{ lease_id, lease_duration, renewable }`)
   * @param options - with an id: how long it lasts
   * @throws InvalidInputError for a lease without id or time; VaultStateError when the manager isn't started
   * @example
   * ```ts
   * const creds = await vault.read('database/creds/app')
   * const lease = manager.lease(creds)
   * lease.ended.then((reason) => reconnect(reason))
   * ```
   */
  lease(lease: SecretLeaseInput, options?: SecretLeaseOptions): SecretLease {
    const { id, terms } = leaseInput(lease, options)
    const run = this.#running('look after a lease')
    const kept = run.leases.add(id, terms)
    this.#rearm(run)
    return kept
  }

  async #start(mode: 'await' | 'background'): Promise<void> {
    const run = new VaultRun(this.#settings, this.#calls, this.#counters, this.#voice)
    this.#run = run
    this.#stopped = false
    await this.#stopping
    this.#voice.silent = false
    if (mode === 'background') {
      run.open()
      this.#rearm(run)
      return
    }
    try {
      await run.enter()
      run.open()
      await run.tick()
      run.signal.throwIfAborted()
    } catch (error) {
      if (this.#run === run) {
        this.#run = undefined
        this.#starting = undefined
      }
      await run.close()
      throw error
    }
  }

  async #stop(run: VaultRun, revoke: boolean, before: Promise<void> | undefined): Promise<void> {
    await Promise.all([run.close(), before])
    const revoked = revoke && (await run.revoke(NEVER).catch(() => false))
    this.#voice.tell('stopped', { at: this.#calls.moment().wall, ttlMs: 0, revoked })
    this.#voice.silent = true
  }

  /** What was just learned may be due sooner than the timer. */
  #rearm(run: VaultRun): void {
    if (this.#settings.timers && !run.signal.aborted) void run.tick()
  }

  #running(what: string): VaultRun {
    if (this.#run === undefined) throw new VaultStateError(`the manager isn't running, and can't ${what}`)
    return this.#run
  }

  #state(left: number | null): VaultState {
    const kept = this.#run?.keeper.kept
    if (this.#run === undefined) return this.#stopped ? 'stopped' : 'idle'
    if (kept === undefined) return 'starting'
    if (kept.standing.ended) return 'expired'
    return left === null ? 'static' : left > 0 ? 'running' : 'expired'
  }
}

const NEVER: AbortSignal = new AbortController().signal

/** Whether an error of some client says 403. */
function isForbidden(error: unknown): boolean {
  const given = error as {
    readonly status?: unknown
    readonly statusCode?: unknown
    readonly response?: { readonly statusCode?: unknown; readonly status?: unknown }
  } | null
  const found = [given?.response?.statusCode, given?.response?.status, given?.statusCode, given?.status]
  return typeof given === 'object' && found.includes(403)
}
