import type { Kind, Stored } from '../kernel/kind.ts'
import type { Change } from '../stores/commit.ts'
import { StaleRevisionError } from '../stores/errors.ts'
import { Foundation, type FoundationOptions } from '../stores/foundation.ts'
import type { Page } from '../stores/token-store.ts'
import type { HistoryRow } from './history.ts'
import type { TargetMark } from './mark.ts'
import type { HealerState, HistoryPosition, Snapshot } from './state.ts'

/** A lease as a row. */
export interface HealerLease {
  /** Who has it. */
  readonly holder: string
  /** Until when, epoch ms. */
  readonly until: number
}

/** Rows of the history: journaled, so that none can be changed without a trace. */
export const healerRowKind: Kind<HistoryRow, 'at', never> = {
  name: 'cloudflare_row',
  schema: 1,
  journaled: true,
  unique: {},
  order: { at: (row) => ({ at: row.at }) },
  merge: (here, archived) => (here === undefined ? archived : undefined),
}

/** Tokens as they stood before changes: journaled. */
export const healerSnapshotKind: Kind<Snapshot, 'at', never> = {
  name: 'cloudflare_snapshot',
  schema: 1,
  journaled: true,
  unique: {},
  order: { at: (snapshot) => ({ at: snapshot.at }) },
  merge: (here, archived) => (here === undefined ? archived : undefined),
}

/** What is remembered of tokens. */
export const healerMarkKind: Kind<TargetMark, never, never> = {
  name: 'cloudflare_mark',
  schema: 1,
  journaled: false,
  unique: {},
  order: {},
  merge: () => undefined,
}

/** Leases. */
export const healerLeaseKind: Kind<HealerLease, 'ends', never> = {
  name: 'cloudflare_lease',
  schema: 1,
  journaled: false,
  unique: {},
  order: { ends: (lease) => ({ at: lease.until }) },
  merge: () => undefined,
}

const PAGE = 200

/** How {@link storeState} keeps things. */
export type StoreStateOptions = Pick<FoundationOptions<object>, 'store' | 'keys' | 'clock' | 'random'>

/**
 * State in a `TokenStore`: whatever instances share the store share it. Rows and snapshots are journaled like every other record;
 * leases and marks aren't.
 *
 * @param options - the store and the key ring, as the front door has them
 * @throws InvalidInputError for what is no store, or bad keys
 * @example
 * ```ts
 * import { storeState } from 'tokenwright/cloudflare'
 * import { MemoryTokenStore } from 'tokenwright'
 *
 * const state = storeState({ store: new MemoryTokenStore(), keys })
 * ```
 */
export function storeState(options: StoreStateOptions): HealerState {
  return new StoreState(Foundation.of<object>(options))
}

class StoreState implements HealerState {
  readonly #base: Foundation<object>

  constructor(base: Foundation<object>) {
    this.#base = base
  }

  async append(row: HistoryRow): Promise<void> {
    const { id, actor, action } = row
    const changes = row.auto_heal_attempted || action === 'roll' || action === 'rollback'
    const detail = { health: row.overall_health ?? 'unknown', risk: changes ? 'high' : 'low' }
    await this.#create(
      { actor },
      { kind: healerRowKind, id, revision: 0, to: { value: row }, action: `cloudflare.${action}`, detail },
    )
  }

  async rows({ limit, before }: { readonly limit: number; readonly before?: HistoryPosition }): Promise<HistoryRow[]> {
    const { store } = this.#base
    const found: HistoryRow[] = []
    // Those of the very instant stand in the range too, and are told by their ids.
    const range = { index: 'at', reverse: true, ...(before !== undefined && { to: before.at + 1 }) } as const
    for (let cursor: string | undefined; ; ) {
      const page: Page<Stored<HistoryRow>> = await store.list(healerRowKind, { ...range, limit: PAGE, cursor })
      for (const { id, value } of page.items) {
        if (before !== undefined && value.at === before.at && id >= (before.id ?? '')) continue
        found.push(value)
        if (found.length >= limit) return found
      }
      cursor = page.cursor
      if (cursor === undefined) return found
    }
  }

  async prune(at: number, limit: number): Promise<number> {
    const { store } = this.#base
    const most = Math.min(limit, 1000)
    const rows = await store.list(healerRowKind, { index: 'at', to: at, limit: most })
    const snapshots = await store.list(healerSnapshotKind, { index: 'at', to: at, limit: most })
    let gone = 0
    for (const { id, revision, value } of rows.items) gone += await this.#remove(healerRowKind, id, revision, value.at)
    for (const { id, revision, value } of snapshots.items) {
      gone += await this.#remove(healerSnapshotKind, id, revision, value.at)
    }
    const leases = await store.list(healerLeaseKind, { index: 'ends', to: at, limit: most })
    const over = leases.items.map(({ id, revision }) => ({
      kind: healerLeaseKind,
      id,
      remove: true as const,
      expected: revision,
    }))
    // Not at all where one was taken anew meanwhile: the next time, then.
    if (over.length > 0 && (await this.#base.commits.put(over))) gone += over.length
    return gone
  }

  async saveSnapshot(snapshot: Snapshot): Promise<void> {
    const { id, target, planHash } = snapshot
    const detail = { target, planHash, risk: 'high' }
    const change = {
      kind: healerSnapshotKind,
      id,
      revision: 0,
      to: { value: snapshot },
      action: 'cloudflare.snapshot',
      detail,
    }
    await this.#create({}, change)
  }

  async snapshot(id: string): Promise<Snapshot | undefined> {
    return (await this.#base.store.get(healerSnapshotKind, id))?.value
  }

  async mark(token: string): Promise<{ readonly revision: number; readonly mark: TargetMark } | undefined> {
    const stored = await this.#base.store.get(healerMarkKind, token)
    return stored === undefined ? undefined : { revision: stored.revision, mark: stored.value }
  }

  saveMark(token: string, revision: number, mark: TargetMark): Promise<boolean> {
    return this.#base.commits.put([{ kind: healerMarkKind, id: token, value: mark, expected: revision }])
  }

  async lease(name: string, holder: string, until: number, now: number): Promise<boolean> {
    const held = await this.#base.store.get(healerLeaseKind, name)
    if (held !== undefined && held.value.holder !== holder && held.value.until > now) return false
    const value: HealerLease = { holder, until }
    return this.#base.commits.put([{ kind: healerLeaseKind, id: name, value, expected: held?.revision ?? 0 }])
  }

  async release(name: string, holder: string): Promise<void> {
    const held = await this.#base.store.get(healerLeaseKind, name)
    if (held?.value.holder !== holder) return
    await this.#base.commits.put([{ kind: healerLeaseKind, id: name, remove: true, expected: held.revision }])
  }

  /** Writes a record that isn't there yet; one that is was written by an earlier attempt. */
  async #create<T>(by: { readonly actor?: string }, change: Change<T>): Promise<void> {
    await this.#base.ready()
    try {
      await this.#base.write(by, [change], [])
    } catch (error) {
      if (!(error instanceof StaleRevisionError)) throw error
    }
  }

  async #remove<T>(kind: Kind<T>, id: string, revision: number, endedAt: number): Promise<number> {
    const tombstone = { endedAt, reason: 'over', digests: [] }
    const change = { kind, id, revision, to: { tombstone }, action: 'cloudflare.pruned' }
    try {
      await this.#base.write({}, [change], [])
      return 1
    } catch (error) {
      // Another instance was faster.
      if (error instanceof StaleRevisionError) return 0
      throw error
    }
  }
}
