import type { LeaseEnd } from './events.ts'
import type { Moment } from './lease-time.ts'
import { type Lease, leftOf, outcomeOf } from './lease-time.ts'
import { leastSpacing, renewWhenLeft, replaceWhenLeft } from './schedule.ts'
import type { Standing } from './standing.ts'
import type { Renewed } from './token-facts.ts'
import type { Timed } from './vault-calls.ts'

/** How the lease of a secret stands. */
export interface SecretLeaseStatus {
  readonly leaseId: string
  /** What is left of it, ms. */
  readonly ttlMs: number
  /** Whether it is still renewed. */
  readonly renewable: boolean
  readonly renewalCount: number
  /** Failures in a row. */
  readonly consecutiveFailures: number
  /** Why it isn't looked after any more; null while it is. */
  readonly ended: LeaseEnd | null
}

/** The lease of a secret that a manager renews. */
export interface SecretLease {
  readonly leaseId: string
  /** How it stands, without asking the server. */
  status(): SecretLeaseStatus
  /** Lets it go: it isn't renewed any more, nor revoked. */
  release(): void
  /** Resolves when it isn't looked after any more, with the reason: read the secret anew then. Never rejects. */
  readonly ended: Promise<LeaseEnd>
}

/** The time of a lease, and when something is due. It sends nothing. */
export class KeptLease {
  readonly id: string
  readonly #incrementMs: number
  readonly #chance: () => number
  #standing: Standing
  renewals = 0
  failures = 0
  end: LeaseEnd | undefined

  /**
   * @param id - the lease's id
   * @param lease - its time
   * @param renewable - whether it can be renewed at all
   * @param incrementMs - what a renewal asks for; default: the time that it was given with
   */
  constructor(id: string, lease: Lease, renewable: boolean, incrementMs: number | undefined, chance: () => number) {
    this.id = id
    this.#chance = chance
    this.#incrementMs = Math.ceil((incrementMs ?? lease.ttlMs) / 1000) * 1000
    this.#standing = this.#timed(lease, lease.ttlMs, renewable)
  }

  get standing(): Standing {
    return this.#standing
  }

  /** What is left, ms. */
  left(now: Moment): number {
    const { lease } = this.#standing
    return lease === undefined ? 0 : Math.max(0, Math.floor(leftOf(lease, now)))
  }

  /** What a renewal asks for: never less than what is left, ms in whole seconds. */
  wanted(now: Moment): number {
    return Math.max(this.#incrementMs, Math.ceil(this.left(now) / 1000) * 1000)
  }

  /** Takes what a renewal granted. */
  extend(
    { value, from }: Timed<Renewed>,
    requestedMs: number,
  ): { readonly extended: boolean; readonly capped: boolean } {
    const { extended, capped } = outcomeOf({ leftMs: this.left(from), requestedMs, grantedMs: value.ttlMs })
    this.renewals += 1
    this.failures = 0
    const fullMs = capped ? Math.max(this.#standing.fullMs, value.ttlMs) : value.ttlMs
    const maximum = value.warnings.some((text) => text.includes('max_ttl'))
    const worth = !capped || (!maximum && (extended || value.ttlMs * 0.7 >= leastSpacing(fullMs)))
    const { lease = { ttlMs: 0, from } } = this.#standing
    // Less than a second isn't worth a new end.
    const next = value.ttlMs > 0 ? { ttlMs: value.ttlMs, from } : lease
    this.#standing = this.#timed(next, fullMs, value.renewable && worth, capped)
    return { extended, capped }
  }

  /** No renewal does any good any more. */
  fix(): void {
    const { fullMs } = this.#standing
    this.set({ renewable: false, replaceWhenLeftMs: replaceWhenLeft(fullMs, this.#chance()) })
  }

  /** Changes what is due when. */
  set(change: Partial<Standing>): void {
    this.#standing = { ...this.#standing, ...change }
  }

  #timed(lease: Lease, fullMs: number, renewable: boolean, capped = false): Standing {
    const timedMs = capped ? lease.ttlMs : fullMs
    return {
      lease,
      fullMs,
      renewable,
      renewWhenLeftMs: renewWhenLeft({ leftMs: lease.ttlMs, fullMs: timedMs, chance: this.#chance() }),
      // One that can't be renewed is given up in time for another to be read.
      replaceWhenLeftMs: renewable ? 0 : replaceWhenLeft(fullMs, this.#chance()),
      warnWhenLeftMs: 0,
      ended: false,
      renewAt: Number.NEGATIVE_INFINITY,
      replaceAt: Number.NEGATIVE_INFINITY,
      verifyAt: Number.NEGATIVE_INFINITY,
      verifiable: false,
    }
  }
}
