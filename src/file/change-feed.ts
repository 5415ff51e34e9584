import type { Clock, Timer } from '../kernel/clock.ts'
import { EMPTY_HEAD, type JournalHead } from '../stores/journal-link.ts'
import type { StoreChange } from '../stores/token-store.ts'
import { Watchers } from '../stores/watchers.ts'
import type { CellCache } from './file-cells.ts'
import type { FileEffect } from './file-transaction.ts'
import type { KindRegistry } from './kind-registry.ts'
import { all, dataVersion, one, type Statements } from './statements.ts'

/** More entries than this in one look, and every cell is read again rather than the changed ones. */
const TAIL = 10_000

/** How often changes of others are looked for while somebody watches, ms. */
const WATCH_EVERY_MS = 1000

interface TailRow {
  readonly seq: number
  readonly kind: string
  readonly subject: string
}

/**
 * Knows what has changed in the file: this process's commits at once, other processes' by looking. A look is one number
 * that SQLite keeps; only if it moved, the end of the journal tells which records changed.
 */
export class ChangeFeed {
  readonly #sql: Statements
  readonly #kinds: KindRegistry
  readonly #clock: Clock
  readonly #staleness: number
  readonly #watchers = new Watchers()
  #cells: CellCache | undefined
  /** When others' changes were looked for last, monotonic ms. */
  #lookedAt = Number.NEGATIVE_INFINITY
  #version = -1
  /** The last entry of the journal whose change is known here. */
  #seen: number
  #timer: Timer | undefined
  #closed = false

  constructor(sql: Statements, kinds: KindRegistry, clock: Clock, staleness: number) {
    this.#sql = sql
    this.#kinds = kinds
    this.#clock = clock
    this.#staleness = staleness
    this.#seen = (one<JournalHead>(sql.head) ?? EMPTY_HEAD).seq
  }

  /** The cells that are to be told. */
  serve(cells: CellCache): void {
    this.#cells = cells
  }

  /** Looks for others' changes, if it is time. */
  readonly sync = (): void => {
    const now = this.#clock.monotonic()
    if (now - this.#lookedAt < this.#staleness || this.#closed) return
    this.look(now)
  }

  /** Looks for others' changes now. Answers whether there were any. */
  look(now = this.#clock.monotonic()): boolean {
    this.#lookedAt = now
    const version = dataVersion(this.#sql)
    if (version === this.#version) return false
    const first = this.#version === -1
    this.#catchUp(0, 0)
    this.#version = version
    return !first
  }

  /** Takes in what this process has committed. */
  committed(effects: readonly FileEffect[], before: JournalHead, after: JournalHead): void {
    for (const { kind, id, stored } of effects) this.#cells?.changed(kind, id, stored)
    // Others may have written between the last look and the lock.
    if (before.seq > this.#seen) this.#catchUpNow(before.seq, after.seq)
    else this.#seen = Math.max(this.#seen, after.seq)
    if (this.#watchers.size === 0) return
    for (const { kind, id, told } of effects) if (told) this.#watchers.tell(kind.kind.name, id)
  }

  watch(onChange: (change: StoreChange) => void): () => void {
    // Only what comes from now on is told.
    this.look()
    const stop = this.#watchers.add(onChange)
    this.#poll()
    return () => {
      stop()
      if (this.#watchers.size === 0) this.#timer?.cancel()
    }
  }

  close(): void {
    this.#closed = true
    this.#timer?.cancel()
    this.#watchers.clear()
  }

  #poll(): void {
    this.#timer?.cancel()
    this.#timer = this.#clock.setTimer(WATCH_EVERY_MS, () => {
      if (this.#closed || this.#watchers.size === 0) return
      try {
        this.look()
      } catch {
        // The file can't be read right now; the next look tells.
      }
      this.#poll()
    })
  }

  #catchUpNow(from: number, to: number): void {
    try {
      this.#catchUp(from, to)
    } catch {
      // The commit stands; the next look catches up.
      this.#version = -1
    }
  }

  /** Reads the journal's new entries, except those of this process: after `from`, up to `to`. */
  #catchUp(from: number, to: number): void {
    for (const kind of this.#kinds.all()) if (!kind.kind.journaled) this.#cells?.outdateAll(kind)
    const rows = all<TailRow>(this.#sql.tail, this.#seen, TAIL + 1)
    const last = rows[rows.length - 1]
    if (last === undefined) return
    // Too many to take in one by one; or some were let go of before this process has seen them.
    if (rows.length > TAIL || (rows[0] as TailRow).seq > this.#seen + 1) {
      for (const kind of this.#kinds.all()) this.#cells?.outdateAll(kind)
      this.#seen = (one<JournalHead>(this.#sql.head) ?? EMPTY_HEAD).seq
    } else {
      this.#seen = last.seq
    }
    for (const { seq, kind: name, subject } of rows) {
      if (seq > from && seq <= to) continue
      const kind = this.#kinds.known(name)
      if (kind !== undefined) this.#cells?.outdate(kind, subject)
      this.#watchers.tell(name, subject)
    }
  }
}
