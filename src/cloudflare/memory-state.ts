import type { HistoryRow } from './history.ts'
import type { TargetMark } from './mark.ts'
import type { HealerState, HistoryPosition, Snapshot } from './state.ts'

/** Rows beyond which the oldest go, so that a process that never prunes doesn't grow. */
const MAX_ROWS = 10_000

/**
 * State in this process's memory: gone when it ends, and shared with nobody. For one long-lived process, and for tests; a Worker's
 * isolates need {@link d1State} or another.
 */
export function memoryState(): HealerState {
  return new MemoryState()
}

class MemoryState implements HealerState {
  /** Oldest first. */
  readonly #rows: HistoryRow[] = []
  readonly #snapshots = new Map<string, Snapshot>()
  readonly #marks = new Map<string, { readonly revision: number; readonly mark: TargetMark }>()
  readonly #leases = new Map<string, { readonly holder: string; readonly until: number }>()

  append(row: HistoryRow): void {
    if (this.#rows.some(({ id }) => id === row.id)) return
    let at = this.#rows.length
    while (at > 0 && isBefore(row, this.#rows[at - 1] as HistoryRow)) at -= 1
    this.#rows.splice(at, 0, copy(row))
    if (this.#rows.length > MAX_ROWS) this.#rows.shift()
  }

  rows({ limit, before }: { readonly limit: number; readonly before?: HistoryPosition }): HistoryRow[] {
    const found: HistoryRow[] = []
    for (let i = this.#rows.length - 1; i >= 0 && found.length < limit; i--) {
      const row = this.#rows[i] as HistoryRow
      if (before === undefined || isBefore(row, { at: before.at, id: before.id ?? '' })) found.push(copy(row))
    }
    return found
  }

  prune(at: number, limit: number): number {
    const old = this.#rows.filter((row) => row.at < at).length
    const rows = this.#rows.splice(0, Math.min(old, limit))
    const snapshots = [...this.#snapshots.values()].filter((snapshot) => snapshot.at < at).slice(0, limit)
    for (const { id } of snapshots) this.#snapshots.delete(id)
    const leases = [...this.#leases].filter(([, { until }]) => until < at).slice(0, limit)
    for (const [name] of leases) this.#leases.delete(name)
    return rows.length + snapshots.length + leases.length
  }

  saveSnapshot(snapshot: Snapshot): void {
    this.#snapshots.set(snapshot.id, copy(snapshot))
  }

  snapshot(id: string): Snapshot | undefined {
    const found = this.#snapshots.get(id)
    return found === undefined ? undefined : copy(found)
  }

  mark(token: string): { readonly revision: number; readonly mark: TargetMark } | undefined {
    const found = this.#marks.get(token)
    return found === undefined ? undefined : copy(found)
  }

  saveMark(token: string, revision: number, mark: TargetMark): boolean {
    if ((this.#marks.get(token)?.revision ?? 0) !== revision) return false
    this.#marks.set(token, { revision: revision + 1, mark: copy(mark) })
    return true
  }

  lease(name: string, holder: string, until: number, now: number): boolean {
    const held = this.#leases.get(name)
    if (held !== undefined && held.holder !== holder && held.until > now) return false
    this.#leases.set(name, { holder, until })
    return true
  }

  release(name: string, holder: string): void {
    if (this.#leases.get(name)?.holder === holder) this.#leases.delete(name)
  }
}

function isBefore(
  a: { readonly at: number; readonly id: string },
  b: { readonly at: number; readonly id: string },
): boolean {
  return a.at < b.at || (a.at === b.at && a.id < b.id)
}

/** What is kept must not change with what the caller holds. */
function copy<T>(value: T): T {
  return JSON.parse(JSON.stringify(value)) as T
}
