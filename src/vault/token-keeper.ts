import type { Counters } from './counters.ts'
import { noTokenYet, type VaultFailureKind, VaultRequestError } from './errors.ts'
import type { VaultExpiredEvent } from './events.ts'
import { costUse, explained, isTokenRefused, requestError, VERDICTS } from './failure.ts'
import { KeptToken } from './kept-token.ts'
import { endOf } from './lease-time.ts'
import { credentialError, type LoggedIn, logIn } from './login.ts'
import type { ManagerSettings } from './manager-options.ts'
import type { RenewalRequest, RenewalResult } from './renewal-result.ts'
import { retryDelay } from './schedule.ts'
import { stepOf } from './standing.ts'
import { type Confirmed, TokenCheck } from './token-check.ts'
import type { TokenFacts } from './token-facts.ts'
import { TokenNews } from './token-news.ts'
import type { Timed, VaultCalls } from './vault-calls.ts'
import type { Voice } from './voice.ts'

/** What a keeper works with. */
export interface KeeperParts {
  readonly settings: ManagerSettings
  readonly calls: VaultCalls
  readonly counters: Counters
  readonly voice: Voice
  /** Ends everything that is under way. */
  readonly signal: AbortSignal
  /** Called with each token that is taken, and the one before. */
  readonly onToken: (kept: KeptToken, before: KeptToken | undefined) => void
  /** Called when the token is lost. */
  readonly onLost: () => void
}

/** How often a lost token that nothing replaces is looked up, ms. */
const PROBE_MS = 5 * 60_000
/** Steps in a row; more are a mistake, which must not become a hot loop. */
const MOST_STEPS = 10

/** Keeps one token alive: looks it up, renews it, replaces it. At most one request of a kind is under way. */
export class TokenKeeper {
  readonly #parts: KeeperParts
  readonly #news: TokenNews
  readonly #check: TokenCheck
  #kept: KeptToken | undefined
  #renewing: { readonly key: string; readonly result: Promise<RenewalResult> } | undefined
  #replacing: Promise<boolean> | undefined
  /** Failed logins and first look-ups in a row. */
  #entryFailures = 0
  /** The monotonic time of the next first look-up. */
  #enterAt = Number.NEGATIVE_INFINITY
  #lastFailure: VaultFailureKind | undefined

  /** @param parts - what it works with */
  constructor(parts: KeeperParts) {
    this.#parts = parts
    this.#news = new TokenNews(parts.settings, parts.calls, parts.counters, parts.voice)
    const onFound = (kept: KeptToken, found: Timed<TokenFacts>): void => this.#learn(kept, found)
    this.#check = new TokenCheck(parts.calls, parts.counters, parts.signal, onFound)
  }

  /** The token that it keeps; absent before the first answer. */
  get kept(): KeptToken | undefined {
    return this.#kept
  }

  /** Failures in a row. */
  get failures(): number {
    return this.#entryFailures + (this.#kept?.failures ?? 0)
  }

  /** What the last failure was, since the last success. */
  get lastFailure(): VaultFailureKind | undefined {
    return this.#lastFailure
  }

  /** Gets the first token: looks the client's up, or logs in. Throws what went wrong. */
  async enter(): Promise<void> {
    const { client, login } = this.#parts.settings
    const { token } = client
    if (typeof token === 'string' && token !== '') {
      const found = await this.#check.look(token).catch((error: unknown) => {
        if (!(error instanceof VaultRequestError) || error.kind !== 'auth') throw error
        if (login !== undefined) return undefined
        throw explained(error)
      })
      if (found !== undefined) {
        const value = { token, facts: found.value, made: false }
        return this.#take({ value, from: found.from }, { login: false })
      }
    }
    this.#take(await this.#login(), { login: true })
  }

  /** Notes a failed first look-up or login, and puts the next off. */
  entryFailed(error: VaultRequestError, delayMs?: number): void {
    this.#entryFailures += 1
    this.#lastFailure = error.kind
    const retryInMs = delayMs ?? this.#delay(this.#entryFailures, error, 0)
    this.#enterAt = this.#parts.calls.moment().mono + retryInMs
    const entering = error.operation === 'login' || error.operation === 'unwrap'
    if (entering) this.#news.loginFailed(error, undefined, this.#entryFailures, retryInMs)
    else this.#news.renewalFailed(error, undefined, this.#entryFailures, retryInMs)
  }

  /** Does what is due. Answers for how long nothing is, ms. */
  async run(): Promise<number> {
    for (let done = 0; done < MOST_STEPS; done++) {
      const now = this.#parts.calls.moment()
      const kept = this.#kept
      if (kept === undefined) {
        if (now.mono < this.#enterAt) return this.#enterAt - now.mono
        await this.enter().catch((error: unknown) => {
          this.#parts.signal.throwIfAborted()
          this.entryFailed(requestError(error, 'lookup'))
        })
        continue
      }
      const step = stepOf(kept.standing, now)
      if (step.do === 'wait') return step.forMs
      if (step.do === 'expire') this.#lose('ttl')
      else if (step.do === 'warn') this.#warn(kept)
      else if (step.do === 'replace') await this.replace()
      else if (step.do === 'renew') await this.renew({}).catch(() => this.#parts.signal.throwIfAborted())
      else await this.#lookAgain(kept, step.do)
    }
    return 1000
  }

  /** Renews the token now. Those who ask for the same meanwhile get the same answer. */
  renew(request: RenewalRequest): Promise<RenewalResult> {
    const key = `${request.incrementMs ?? ''} ${request.allowShorten ?? ''}`
    if (request.forced !== true && this.#renewing !== undefined) return this.#renewing.result
    const under = this.#renewing
    if (under?.key === key) return under.result
    const next = (): Promise<RenewalResult> => this.#renew(request)
    const result = under === undefined ? next() : under.result.then(next, next)
    const entry = { key, result }
    this.#renewing = entry
    const done = (): void => {
      if (this.#renewing === entry) this.#renewing = undefined
    }
    result.then(done, done)
    return result
  }

  /** Logs in and puts the new token in place of the old one. Answers whether that went well; throws only when stopped. */
  replace(): Promise<boolean> {
    this.#replacing ??= this.#replace().finally(() => {
      this.#replacing = undefined
    })
    return this.#replacing
  }

  /** Whether the token is alive, after a 403 of some other request. A dead one is lost. */
  async confirm(): Promise<Confirmed> {
    const kept = this.#kept
    if (kept === undefined) return 'unknown'
    // It was found dead, and is being replaced.
    if (kept.standing.ended && this.#replacing !== undefined) return 'dead'
    const confirmed = await this.#check.confirm(kept, false)
    if (confirmed === 'dead' && this.#kept === kept) this.#lose('revoked_or_invalid')
    return confirmed
  }

  /** A request that isn't the keeper's own was sent with the token. */
  spent(kept: KeptToken): void {
    kept.spend()
    if (this.#kept === kept) this.#news.fixed(kept)
  }

  /** A token that turned out to be dead while it was used. Answers whether there is another now. */
  async lostInUse(used: string): Promise<boolean> {
    if (this.#kept?.text !== used) return true
    this.#lose('revoked_or_invalid')
    // Callers in a loop must not become logins in a loop.
    const wait = this.#kept.standing.replaceAt > this.#parts.calls.moment().mono
    return this.#parts.settings.login !== undefined && !wait && (await this.replace())
  }

  /** Looks the token up now: one use. One that turns out to be dead is lost. */
  async lookup(): Promise<TokenFacts> {
    const { signal } = this.#parts
    const kept = this.#kept
    if (kept === undefined) throw noTokenYet()
    try {
      const found = await this.#check.look(kept.text)
      this.#learn(kept, found)
      return found.value
    } catch (error) {
      signal.throwIfAborted()
      const failure = requestError(error, 'lookup')
      if (this.#kept === kept && isTokenRefused(failure)) this.#lose('revoked_or_invalid')
      throw failure
    }
  }

  async #renew({ incrementMs, allowShorten, forced = false }: RenewalRequest): Promise<RenewalResult> {
    const { calls, counters, voice, signal } = this.#parts
    const kept = this.#kept
    if (kept === undefined) throw noTokenYet()
    if (kept.standing.lease === undefined) return this.#skipped(kept, 'non_expiring')
    // Somebody may have mended the policy, and asks to see.
    const refused = kept.fixed !== undefined && !(forced && kept.fixed === 'policy')
    if (refused) return this.#skipped(kept, 'non_renewable')
    const requestedMs = kept.wanted(calls.moment(), incrementMs, allowShorten)
    try {
      const renewed = await calls.renew(kept.text, requestedMs / 1000, signal)
      // A login may have come in between: then this grant is the old token's.
      if (this.#kept !== kept) return this.#skipped(this.#kept ?? kept, 'non_renewable')
      const recovered = kept.standing.ended
      const { ttlMs, extended, capped, shortened } = kept.extend(renewed, requestedMs)
      const { wall } = calls.moment()
      counters.renewals += 1
      counters.lastCheckAt = counters.lastRenewalAt = wall
      // Logins that failed before it aren't in a row any more.
      this.#entered()
      if (recovered) this.#news.started(kept, true)
      voice.tell('renewed', { at: wall, ttlMs, requestedMs, extended, capped, shortened })
      voice.renewed(ttlMs)
      if (kept.atMaximum) this.#news.maximum(kept)
      this.#news.fixed(kept)
      return Object.freeze({ ttlMs, expiresAt: renewed.from.wall + ttlMs, requestedMs, extended, capped, shortened })
    } catch (error) {
      signal.throwIfAborted()
      const failure = requestError(error, 'renew')
      if (this.#kept === kept) await this.#renewalFailed(kept, failure)
      throw failure
    }
  }

  async #renewalFailed(kept: KeptToken, error: VaultRequestError): Promise<void> {
    if (costUse(error)) this.spent(kept)
    const verdict = VERDICTS[error.kind]
    if (verdict === 'stop_renewing') return this.#fix(kept, 'server')
    const confirmed = verdict === 'confirm' && kept.spare ? await this.#check.confirm(kept, true) : undefined
    this.#parts.signal.throwIfAborted()
    if (this.#kept !== kept) return
    if (confirmed === 'alive') return this.#fix(kept, 'policy')
    kept.failures += 1
    this.#lastFailure = error.kind
    const now = this.#parts.calls.moment()
    const retryInMs = this.#delay(kept.failures, error, kept.left(now))
    kept.set({ renewAt: now.mono + retryInMs })
    this.#news.renewalFailed(error, kept, kept.failures, retryInMs)
    if (verdict === 'dead' || confirmed === 'dead') this.#lose('revoked_or_invalid')
    else if (verdict === 'replace' && this.#parts.settings.login !== undefined) {
      kept.set({ replaceWhenLeftMs: Number.POSITIVE_INFINITY })
    }
  }

  async #lookAgain(kept: KeptToken, why: 'verify' | 'probe'): Promise<void> {
    const { calls, counters, settings, signal } = this.#parts
    try {
      const found = await this.#check.look(kept.text)
      if (this.#kept !== kept) return
      kept.failures = 0
      this.#lastFailure = undefined
      this.#learn(kept, found)
    } catch (error) {
      signal.throwIfAborted()
      const failure = requestError(error, 'lookup')
      this.#lastFailure = failure.kind
      counters.failed(failure.kind)
      const delayMs = why === 'probe' ? PROBE_MS * (1 + settings.random.float() / 10) : this.#delay(1, failure, 0)
      kept.set({ verifyAt: calls.moment().mono + delayMs })
      if (why === 'verify' && isTokenRefused(failure)) this.#lose('revoked_or_invalid')
    }
  }

  async #replace(): Promise<boolean> {
    const before = this.#kept
    const late = before?.standing.ended ?? true
    try {
      const granted = await this.#login()
      const { value, from } = granted
      if (before?.text === value.token) return this.#sameAgain(before, { value: value.facts, from })
      this.#take(granted, { login: true, late })
      return true
    } catch (error) {
      this.#parts.signal.throwIfAborted()
      const failure = requestError(error, 'login')
      this.#entryFailures += 1
      this.#lastFailure = failure.kind
      const retryInMs = this.#delay(this.#entryFailures, failure, 0)
      this.#kept?.set({ replaceAt: this.#parts.calls.moment().mono + retryInMs })
      this.#news.loginFailed(failure, this.#kept, this.#entryFailures, retryInMs)
      return false
    }
  }

  /** A file that an agent keeps may hold the same token as before: good if the agent has renewed it, else no new one. */
  #sameAgain(kept: KeptToken, found: Timed<TokenFacts>): boolean {
    const recovered = kept.standing.ended
    const more = found.value.ttlMs > kept.left(this.#parts.calls.moment()) + 1000
    if (!recovered && !more) throw credentialError('it gave the same token again')
    this.#entered()
    this.#learn(kept, found)
    return true
  }

  async #login(): Promise<Timed<LoggedIn>> {
    const { settings, calls, signal } = this.#parts
    const { login } = settings
    if (login === undefined) throw credentialError('there is no login')
    try {
      return await logIn(login, calls, { clock: settings.clock, limitMs: settings.loginTimeoutMs, signal })
    } catch (error) {
      signal.throwIfAborted()
      throw requestError(error, 'login')
    }
  }

  /** Takes a token in place of the one before, if any. `late` is absent for the first. */
  #take({ value, from }: Timed<LoggedIn>, { login, late }: { login: boolean; late?: boolean }): void {
    const { settings, calls, counters, voice } = this.#parts
    const before = this.#kept
    const kept = new KeptToken(value.token, { value: value.facts, from }, value.made, {
      ...settings,
      replaceable: settings.login !== undefined,
      chance: () => settings.random.float(),
    })
    this.#kept = kept
    this.#entered()
    counters.lastCheckAt = calls.moment().wall
    if (login) {
      counters.reauths += 1
      counters.lastRenewalAt = counters.lastCheckAt
    }
    this.#parts.onToken(kept, before)
    if (late === undefined) this.#news.started(kept, false)
    else this.#news.replaced(kept, settings.login?.method ?? '', late)
    if (login) voice.renewed(kept.left(calls.moment()))
    this.#news.fixed(kept)
  }

  #entered(): void {
    this.#entryFailures = 0
    this.#lastFailure = undefined
  }

  #lose(reason: VaultExpiredEvent['reason']): void {
    const kept = this.#kept
    if (kept === undefined || kept.standing.ended) return
    const now = this.#parts.calls.moment()
    kept.lose(now, now.mono + PROBE_MS)
    this.#parts.onLost()
    this.#parts.voice.tell('expired', { at: now.wall, ttlMs: 0, reason })
  }

  /** Takes what a look-up told, and tells what follows from it. */
  #learn(kept: KeptToken, found: Timed<TokenFacts>): void {
    if (this.#kept !== kept) return
    const recovered = kept.standing.ended
    kept.learn(found)
    if (recovered) this.#news.started(kept, true)
    this.#news.fixed(kept)
  }

  #fix(kept: KeptToken, reason: 'server' | 'policy'): void {
    kept.fix(reason)
    this.#news.fixed(kept)
  }

  #warn(kept: KeptToken): void {
    kept.set({ warnWhenLeftMs: 0 })
    this.#news.expiringSoon(kept)
  }

  #skipped(kept: KeptToken, skipped: 'non_expiring' | 'non_renewable'): RenewalResult {
    const now = this.#parts.calls.moment()
    const { lease } = kept.standing
    const expiresAt = lease === undefined ? null : endOf(lease, now)
    const { capped } = kept
    return Object.freeze({
      ttlMs: kept.left(now),
      expiresAt,
      requestedMs: 0,
      extended: false,
      capped,
      shortened: false,
      skipped,
    })
  }

  #delay(failures: number, { kind, retryAfterMs }: VaultRequestError, leftMs: number): number {
    const chance = this.#parts.settings.random.float()
    return retryDelay({ failures, kind, leftMs, retryAfterMs, chance })
  }
}
