import type { Stored } from '../kernel/kind.ts'
import { RisingIds } from '../kernel/rising-ids.ts'
import { type Attribution, retryStale } from '../stores/commit.ts'
import { StaleRevisionError, UniqueConflictError } from '../stores/errors.ts'
import type { Foundation } from '../stores/foundation.ts'
import type { Page } from '../stores/token-store.ts'
import type { SignedEvents } from './events.ts'
import { later, type RevocationRecord, RevocationSet, revocationKind } from './revocation.ts'

/** A revocation, as it was made. */
export interface Revocation {
  /** `id:<jti>`, `agent:<name>` or `all`. */
  readonly target: string
  /** When it was made, in the store's time, epoch ms. */
  readonly at: number
  /** When the last of the tokens would have expired, epoch ms. */
  readonly endsAt: number
}

/** How far back is read again: commits may come in another order than their times. */
const OVERLAP = 120_000
/** How long a revocation stays after the last token that it could be of, ms. */
const RETENTION = 86_400_000
const PAGE = 1000
const PER_SWEEP = 250

/** The revocations of a store, with all that still matter in memory. */
export class Revocations {
  readonly set = new RevocationSet()
  readonly #base: Foundation<SignedEvents>
  readonly #keepFor: number
  readonly #ids: RisingIds
  /** The latest that was read. */
  #latest = 0

  /**
   * @param base - store and time
   * @param keepFor - the longest that any token lives, ms
   */
  constructor(base: Foundation<SignedEvents>, keepFor: number) {
    this.#base = base
    this.#keepFor = keepFor
    this.#ids = new RisingIds(base.random)
  }

  /** Revokes a target; again, it reaches further. */
  async add(
    target: string,
    endsAt: number | undefined,
    mark: (at: number) => string,
    by: Attribution,
  ): Promise<Revocation> {
    const { store, clock } = this.#base
    const value = await retryStale(async () => {
      const at = await store.time()
      const before = await store.find(revocationKind, 'target', [target])
      const record: RevocationRecord = {
        target,
        at,
        endsAt: Math.max(endsAt ?? at + this.#keepFor, before?.value.endsAt ?? 0),
        // By a clock that stands earlier than the last one's it would reach less far.
        ...(target.startsWith('id:') ? {} : { upTo: later(mark(at), before?.value.upTo ?? '') }),
        ...(by.reason !== undefined && { reason: by.reason }),
      }
      const id = before?.id ?? `rev_${this.#ids.next(at)}`
      const change = {
        ...{ kind: revocationKind, id, revision: before?.revision ?? 0, to: { value: record } },
        ...{ action: 'signed.revoked', detail: { target } },
      }
      const payload = {
        target,
        at: clock.now(),
        ...(by.actor !== undefined && { actor: by.actor }),
        ...(by.reason !== undefined && { reason: by.reason }),
      }
      try {
        await this.#base.write(by, [change], [{ name: 'signed.revoked', about: target, payload }])
      } catch (error) {
        // Another instance revokes the same just now.
        if (error instanceof UniqueConflictError) throw new StaleRevisionError(revocationKind.name, id, 0, 1)
        throw error
      }
      return record
    })
    this.set.add(value)
    return { target, at: value.at, endsAt: value.endsAt }
  }

  /** Reads what is new, or all; and those named, in any case. */
  async load(ids: readonly string[], all: boolean): Promise<void> {
    const { store, clock } = this.#base
    const now = clock.now()
    for (const id of ids) {
      const stored = await store.get(revocationKind, id)
      if (stored !== undefined) this.set.add(stored.value)
    }
    const range = all
      ? ({ index: 'ends', from: now - RETENTION } as const)
      : ({ index: 'made', from: Math.max(0, this.#latest - OVERLAP) } as const)
    for (let cursor: string | undefined; ; ) {
      const page: Page<Stored<RevocationRecord>> = await store.list(revocationKind, { ...range, limit: PAGE, cursor })
      for (const { value } of page.items) {
        this.set.add(value)
        if (value.at > this.#latest) this.#latest = value.at
      }
      cursor = page.cursor
      if (cursor === undefined) break
    }
    if (all) this.set.sweep(now - RETENTION)
  }

  /** For how long the oldest revocation should have been gone, ms; 0 = none should be. */
  async overdue(now: number): Promise<number> {
    const to = now - RETENTION
    const { items } = await this.#base.store.list(revocationKind, { index: 'ends', to, limit: 1 })
    return items[0] === undefined ? 0 : to - items[0].value.endsAt
  }

  /** Removes what is over. */
  async tick(now: number): Promise<void> {
    const { store } = this.#base
    const over = await store.list(revocationKind, { index: 'ends', to: now - RETENTION, limit: PER_SWEEP })
    for (const { id, revision, value } of over.items) {
      const tombstone = { endedAt: value.endsAt, reason: 'over', digests: [] }
      const change = { kind: revocationKind, id, revision, to: { tombstone }, action: 'signed.revocationRemoved' }
      try {
        await this.#base.write({}, [change], [])
      } catch (error) {
        // Another instance removed it, or it reaches further now.
        if (!(error instanceof StaleRevisionError)) throw error
      }
    }
  }
}
