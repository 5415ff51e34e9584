import type { AnyKind, Stored } from '../kernel/kind.ts'
import { EMPTY_HEAD, type JournalHead } from '../stores/journal-link.ts'
import type { CellCache } from './file-cells.ts'
import type { FileWrite, RowHead } from './file-write.ts'
import { type FileKind, type KindRegistry, reviveBody } from './kind-registry.ts'
import { one, type Statements, type StoredRow } from './statements.ts'

/** A record that a transaction has changed. */
export interface FileEffect {
  readonly kind: FileKind
  readonly id: string
  readonly stored: Stored<unknown> | undefined
  /** Whether watchers hear of it. */
  readonly told: boolean
}

/** Where a transaction stood before one of its jobs. */
export interface TransactionMark {
  readonly effects: number
  readonly head: JournalHead | undefined
}

/** How many commits, and flushes, between two looks for old ones to forget; and how many are forgotten at a time. */
const FORGET_EVERY = 256
const FORGET_AT_ONCE = 512
/** What is remembered at least: this many, and what is younger than this. */
const COMMITS_REMEMBERED = 100_000
const FLUSHES_REMEMBERED = 10_000
const REMEMBERED_MS = 24 * 3_600_000

/** What the jobs of one batch share: the write lock is held from its start to its end. */
export class FileTransaction {
  readonly sql: Statements
  readonly effects: FileEffect[] = []
  readonly #kinds: KindRegistry
  readonly #cells: CellCache
  #head: JournalHead | undefined
  #written = false

  constructor(sql: Statements, kinds: KindRegistry, cells: CellCache) {
    this.sql = sql
    this.#kinds = kinds
    this.#cells = cells
  }

  /** Whether the present job has begun to write: then only a rollback takes it back. */
  get written(): boolean {
    return this.#written
  }

  /** Begins a job. */
  mark(): TransactionMark {
    this.#written = false
    return { effects: this.effects.length, head: this.#head }
  }

  /** Takes back what is kept here of a job that was rolled back. */
  reset(mark: TransactionMark): void {
    this.effects.length = mark.effects
    this.#head = mark.head
  }

  startWriting(): void {
    this.#written = true
  }

  /** A kind as the file has it, entered if it is new. */
  kind(kind: AnyKind): FileKind {
    const known = this.#kinds.known(kind.name)
    if (known !== undefined) return known
    this.#written = true
    return this.#kinds.enter(kind)
  }

  /** The record of a row. */
  value(kind: FileKind, id: string, { revision }: RowHead): unknown {
    const cached = this.#cells.valueAt(kind, id, revision)
    if (cached !== undefined) return cached
    const row = one<StoredRow>(this.sql.row, kind.id, id)
    return row === undefined ? undefined : reviveBody(kind, row.body)
  }

  /** The journal's head, with the entries of this transaction. */
  head(): JournalHead {
    this.#head ??= one<JournalHead>(this.sql.head) ?? EMPTY_HEAD
    return this.#head
  }

  setHead({ seq, mac }: JournalHead): void {
    this.#head = { seq, mac }
  }

  /** Notes a change, for cells and watchers to learn once the transaction is committed. */
  changed({ kind, id, stored }: FileWrite, told = true): void {
    this.effects.push({ kind, id, stored, told })
  }

  meta(name: string): number {
    return one<{ value: number }>(this.sql.meta, name)?.value ?? 0
  }

  setMeta(name: string, value: number): void {
    this.sql.setMeta.run(name, value)
  }

  /** Remembers a commit for when it comes again, and forgets old ones now and then. */
  remember(id: string, at: number, revisions: string): void {
    const n = Number(this.sql.addCommit.run(id, at, revisions).lastInsertRowid)
    if (n % FORGET_EVERY !== 0) return
    this.sql.forgetCommits.run(n - COMMITS_REMEMBERED, FORGET_AT_ONCE, at - REMEMBERED_MS)
  }

  /** Remembers a flush, as {@link FileTransaction.remember} does a commit. */
  rememberFlush(id: string, at: number): void {
    const n = Number(this.sql.addFlush.run(id, at).lastInsertRowid)
    if (n % FORGET_EVERY !== 0) return
    this.sql.forgetFlushes.run(n - FLUSHES_REMEMBERED, FORGET_AT_ONCE, at - REMEMBERED_MS)
  }
}
