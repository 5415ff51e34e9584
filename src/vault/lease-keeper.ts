import { InvalidInputError } from '../kernel/errors.ts'
import type { Counters } from './counters.ts'
import type { VaultRequestError } from './errors.ts'
import type { LeaseEnd } from './events.ts'
import { costUse, requestError, VERDICTS } from './failure.ts'
import type { KeptToken } from './kept-token.ts'
import type { ManagerSettings } from './manager-options.ts'
import { retryDelay } from './schedule.ts'
import { KeptLease, type SecretLease, type SecretLeaseStatus } from './secret-lease.ts'
import { type Step, stepOf } from './standing.ts'
import type { Confirmed } from './token-check.ts'
import type { VaultCalls } from './vault-calls.ts'
import type { Voice } from './voice.ts'

/** What a lease is taken over with. */
export interface LeaseTerms {
  /** What is left of it, ms. */
  readonly ttlMs: number
  readonly renewable: boolean
  readonly incrementMs?: number | undefined
}

/** What a keeper of leases works with. */
export interface LeaseKeeperParts {
  readonly settings: ManagerSettings
  readonly calls: VaultCalls
  readonly counters: Counters
  readonly voice: Voice
  readonly signal: AbortSignal
  /** The token that leases are renewed with. */
  readonly token: () => KeptToken | undefined
  /** Called with a token that a request was sent with. */
  readonly onSpent: (kept: KeptToken) => void
  /** Whether the token is alive, after a 403. */
  readonly confirm: () => Promise<Confirmed>
}

interface Entry {
  readonly kept: KeptLease
  readonly resolve: (reason: LeaseEnd) => void
}

const MOST_LEASES = 10_000
/** Leases that are renewed side by side: some that hang must not let the others run out. */
const MOST_AT_ONCE = 50
/** After more steps in a row than make sense, the next come so much later, ms. */
const PAUSE_MS = 1000

/** Keeps the leases of secrets alive, as long as the token that they hang on lives. */
export class LeaseKeeper {
  readonly #parts: LeaseKeeperParts
  readonly #entries = new Map<string, Entry>()

  /** @param parts - what it works with */
  constructor(parts: LeaseKeeperParts) {
    this.#parts = parts
  }

  /** How many there are. */
  get size(): number {
    return this.#entries.size
  }

  /** Takes a lease over. */
  add(id: string, terms: LeaseTerms): SecretLease {
    if (this.#entries.has(id)) throw new InvalidInputError('leaseId', 'is looked after already', 'release it first')
    if (this.#entries.size >= MOST_LEASES) {
      throw new InvalidInputError('leaseId', `is one over ${MOST_LEASES}`, 'release those that are of no use')
    }
    const { settings, calls } = this.#parts
    const chance = (): number => settings.random.float()
    const kept = new KeptLease(
      id,
      { ttlMs: terms.ttlMs, from: calls.moment() },
      terms.renewable,
      terms.incrementMs,
      chance,
    )
    let resolve = (_: LeaseEnd): void => {}
    const ended = new Promise<LeaseEnd>((done) => {
      resolve = done
    })
    this.#entries.set(id, { kept, resolve })
    return Object.freeze({
      leaseId: id,
      status: () => statusOf(kept, kept.left(calls.moment())),
      release: () => this.#end(kept, 'released'),
      ended,
    })
  }

  /** Does what is due. Answers for how long nothing is, ms. */
  async run(): Promise<number> {
    const due = [...this.#entries.values()].filter(({ kept }) => this.#step(kept).do !== 'wait')
    const next = due.values()
    const work = async (): Promise<void> => {
      for (const { kept } of next) await this.#run(kept)
    }
    await Promise.all(Array.from({ length: Math.min(due.length, MOST_AT_ONCE) }, work))
    let forMs = Number.POSITIVE_INFINITY
    for (const { kept } of this.#entries.values()) {
      const step = this.#step(kept)
      forMs = Math.min(forMs, step.do === 'wait' ? step.forMs : PAUSE_MS)
    }
    return forMs
  }

  /** None is looked after any more. */
  endAll(reason: LeaseEnd): void {
    for (const { kept } of [...this.#entries.values()]) this.#end(kept, reason)
  }

  #step(kept: KeptLease): Step {
    return stepOf(kept.standing, this.#parts.calls.moment())
  }

  async #run(kept: KeptLease): Promise<void> {
    for (let done = 0; done < 3 && kept.end === undefined; done++) {
      const step = this.#step(kept)
      if (step.do === 'wait') return
      if (step.do === 'expire') this.#end(kept, 'expired')
      else if (step.do === 'replace') this.#end(kept, 'not_renewable')
      else await this.#renew(kept)
    }
  }

  async #renew(kept: KeptLease): Promise<void> {
    const { calls, counters, voice, signal, token, onSpent } = this.#parts
    const holder = token()
    // Without a token nothing can be renewed: the token's own events tell of that.
    if (holder === undefined) return kept.set({ renewAt: calls.moment().mono + PAUSE_MS })
    if (!holder.spare) return kept.fix()
    const requestedMs = kept.wanted(calls.moment())
    try {
      const renewed = await calls.renewLease(holder.text, kept.id, requestedMs / 1000, signal)
      onSpent(holder)
      if (kept.end !== undefined) return
      const { extended, capped } = kept.extend(renewed, requestedMs)
      counters.leaseRenewals += 1
      const now = calls.moment()
      voice.tell('leaseRenewed', { at: now.wall, ttlMs: kept.left(now), leaseId: kept.id, extended, capped })
    } catch (error) {
      signal.throwIfAborted()
      const failure = requestError(error, 'renew_lease')
      if (costUse(failure)) onSpent(holder)
      if (kept.end === undefined) await this.#failed(kept, failure)
    }
  }

  async #failed(kept: KeptLease, error: VaultRequestError): Promise<void> {
    const { calls, counters, settings, voice, confirm } = this.#parts
    const verdict = VERDICTS[error.kind]
    counters.leaseFailures += 1
    counters.failed(error.kind)
    if (verdict === 'dead') return this.#end(kept, 'gone')
    if (verdict === 'stop_renewing') return kept.fix()
    const confirmed = verdict === 'confirm' ? await confirm() : undefined
    // It may have been let go meanwhile, or lost with its token.
    if (kept.end !== undefined) return
    if (confirmed === 'alive') return kept.fix()
    kept.failures += 1
    const now = calls.moment()
    const { kind, retryAfterMs } = error
    const { failures } = kept
    const timing = { failures, kind, leftMs: kept.left(now), retryAfterMs, chance: settings.random.float() }
    kept.set({ renewAt: now.mono + retryDelay(timing) })
    voice.tell('leaseFailed', { at: now.wall, ttlMs: kept.left(now), leaseId: kept.id, kind, failures })
  }

  #end(kept: KeptLease, reason: LeaseEnd): void {
    if (kept.end !== undefined) return
    kept.end = reason
    const now = this.#parts.calls.moment()
    const entry = this.#entries.get(kept.id)
    this.#entries.delete(kept.id)
    this.#parts.voice.tell('leaseEnded', { at: now.wall, ttlMs: kept.left(now), leaseId: kept.id, reason })
    entry?.resolve(reason)
  }
}

function statusOf(kept: KeptLease, ttlMs: number): SecretLeaseStatus {
  const { id, renewals, failures, end = null, standing } = kept
  return Object.freeze({
    leaseId: id,
    ttlMs,
    renewable: end === null && standing.renewable,
    renewalCount: renewals,
    consecutiveFailures: failures,
    ended: end,
  })
}
