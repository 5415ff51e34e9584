import { type Duration, parseDuration } from '../kernel/duration.ts'
import { checkFields } from '../kernel/fields.ts'
import { HEALTHY, type HealthSource } from '../kernel/health.ts'
import type { AnyKind } from '../kernel/kind.ts'
import { type Attribution, checkAttribution } from '../stores/commit.ts'
import { Foundation, type FoundationSource } from '../stores/foundation.ts'
import type { SealedEntry } from '../stores/journal-link.ts'
import type { Page } from '../stores/token-store.ts'
import type { Risk } from '../tokens/risk.ts'
import { type AuditQuery, checkQuery } from './audit-query.ts'
import { type Checkpoint, signCheckpoint } from './checkpoint.ts'
import type { JournalEvents } from './events.ts'
import { edgeOf, SLACK } from './journal-search.ts'
import { type PruneReport, PruneUnsupportedError, prune } from './retention.ts'
import { riskOf } from './risk.ts'
import { type JournalVerification, type VerifyJournalOptions, verifyJournal } from './verification.ts'

/** How an {@link AuditLog} works. */
export interface AuditSettings {
  /** How often `tick()` makes a checkpoint, told as `journal.checkpoint`; `false` = never by itself. Default 1 h. */
  readonly checkpointEvery?: Duration | false | undefined
  /** How long entries are kept; `tick()` lets go of older ones. Default `false`: for ever. */
  readonly retention?: Duration | false | undefined
}

/** What an {@link AuditLog} is made from. */
export type AuditOptions = FoundationSource<JournalEvents> & {
  /** Checkpoints and retention. */
  readonly audit?: AuditSettings | undefined
  /** The journaled kinds whose records `verify({ records: true })` compares with the journal. Default none. */
  readonly kinds?: readonly AnyKind[] | undefined
}

/** An entry of the journal, with how much it matters. */
export interface AuditEntry extends SealedEntry {
  /** Of what it tells: an approval's own, else by its action. */
  readonly risk: Risk
}

/** Entries read at a time. */
const PAGE = 1000
/** Entries sealed at a time. */
const BATCH = 2000
/** Batches of one call, at most. */
const BATCHES = 25
/** More entries than this without a link are too many. */
const MANY_UNSEALED = 10_000
const PRUNE_EVERY = 3_600_000

/** The codes of the errors of this room. */
export type JournalErrorCode = 'ERR_PRUNE_UNSUPPORTED'

/**
 * Reads the journal, and proves it. Each entry carries a tag that only a holder of the key ring can make, and is linked to
 * the one before: an edit, a removal, an insertion, another order or a second chain is found, and the first bad entry
 * named. What a chain alone can't show is a tail that was cut: for that, keep checkpoints elsewhere.
 *
 * @example
 * ```ts
 * const checkpoint = await tokens.audit.checkpoint() // keep it in another account
 * const found = await tokens.audit.verify({ checkpoint, records: true })
 * if (!found.ok) console.error(found.firstBad)
 * const { items } = await tokens.audit.query({ actor: 'alice', risk: 'high', reverse: true })
 * ```
 */
export class AuditLog {
  readonly #base: Foundation<JournalEvents>
  readonly #kinds: readonly AnyKind[]
  readonly #checkpointEvery: number | undefined
  readonly #retention: number | undefined
  #nextCheckpoint: number | undefined
  #lastSeq = -1
  #nextPrune = 0

  /**
   * @param options - store, keys and, if wanted, checkpoints, retention and kinds
   * @throws InvalidInputError for settings that can't be used
   */
  constructor(options: AuditOptions) {
    this.#base = Foundation.of(options)
    this.#kinds = options.kinds ?? []
    const settings = options.audit ?? {}
    checkFields('audit', settings, ['checkpointEvery', 'retention'])
    const { checkpointEvery = '1h', retention = false } = settings
    this.#checkpointEvery =
      checkpointEvery === false ? undefined : parseDuration('audit.checkpointEvery', checkpointEvery, { min: 60_000 })
    this.#retention = retention === false ? undefined : parseDuration('audit.retention', retention, { min: 86_400_000 })
    if (this.#retention !== undefined && this.#base.store.pruneJournal === undefined) throw new PruneUnsupportedError()
  }

  /**
   * A page of entries. What no index serves is looked for page by page, at most 1000 entries a call: a short or empty
   * page with a cursor is normal.
   *
   * @throws InvalidInputError for a field that can't be used
   */
  async query(query: AuditQuery = {}): Promise<Page<AuditEntry>> {
    const checked = checkQuery(query)
    const { limit, reverse, range } = checked
    await this.#base.ready()
    let after = range.after ?? (await edgeOf(this.#base.store, checked))
    const items: AuditEntry[] = []
    for (let reads = 0; reads < PAGE; ) {
      const rows = await this.#base.store.journal({ ...range, after, limit: PAGE })
      for (const entry of rows) {
        reads += 1
        after = entry.seq
        const past = reverse ? entry.at < checked.from - SLACK : entry.at >= checked.to + SLACK
        if (past) return { items }
        if (checked.matches(entry)) items.push(Object.freeze({ ...entry, risk: riskOf(entry) }))
        if (items.length === limit) return { items, cursor: String(after) }
      }
      if (rows.length < PAGE) return { items }
    }
    return { items, cursor: String(after) }
  }

  /**
   * Goes along the whole journal, in pages: 1,000,000 entries take little memory. Seals first what is unsealed.
   *
   * @throws StoreError; the signal's reason
   * @event journal.broken
   */
  async verify(options: VerifyJournalOptions = {}): Promise<JournalVerification> {
    checkFields('options', options, ['checkpoint', 'records', 'signal'])
    const { checkpoint, records = false, signal } = options
    await this.#base.ready()
    await this.seal()
    const found = await verifyJournal(this.#base, this.#kinds, { checkpoint, records, signal })
    if (found.firstBad !== undefined) {
      this.#base.events.emit('journal.broken', { bad: found.firstBad, at: this.#base.clock.now() })
    }
    return found
  }

  /**
   * Seals what is unsealed, and signs the end of the chain.
   *
   * @event journal.checkpoint
   */
  async checkpoint(): Promise<Checkpoint> {
    const { store, keys, clock, events } = this.#base
    await this.#base.ready()
    await this.seal()
    const { seq, mac } = await store.journalHead()
    const at = clock.now()
    const checkpoint = signCheckpoint('checkpoint', { seq, mac }, at, keys.activeId, keys.subkey('journal'))
    events.emit('journal.checkpoint', { checkpoint, at })
    return checkpoint
  }

  /**
   * The journal as JSON lines, oldest first: every sealed entry, then a checkpoint of its end. `verifyExport` proves it
   * without the store.
   *
   * @param query - `after`: begins behind this sequence number; `signal` stops it
   */
  async *export(query: { readonly after?: number; readonly signal?: AbortSignal } = {}): AsyncGenerator<string> {
    checkFields('query', query, ['after', 'signal'])
    const checkpoint = await this.checkpoint()
    for (let after = query.after ?? 0; after < checkpoint.seq; ) {
      query.signal?.throwIfAborted()
      const rows = await this.#base.store.journal({ after, limit: PAGE })
      if (rows.length === 0) break
      for (const entry of rows) {
        if (entry.seq > checkpoint.seq) break
        yield `${JSON.stringify(entry)}\n`
      }
      after = (rows.at(-1) as SealedEntry).seq
    }
    yield `${JSON.stringify({ checkpoint })}\n`
  }

  /**
   * Lets go of entries older than `olderThan`, oldest first, so that what is left stays provable: the place after which
   * it is kept is signed, and that it was done is an entry. Export them before. Bounded; `more` says whether to call again.
   *
   * @throws PruneUnsupportedError where the store can't
   */
  async prune(options: Attribution & { readonly olderThan: Duration }): Promise<PruneReport> {
    checkFields('options', options, ['olderThan', 'actor', 'reason'])
    const by = checkAttribution(options)
    const age = parseDuration('olderThan', options.olderThan, { min: 1000 })
    await this.#base.ready()
    await this.seal()
    return prune(this.#base, age, by)
  }

  /** Links what a store appended unsealed, at most 50,000 entries; answers how many. */
  async seal(): Promise<number> {
    let sealed = 0
    for (let batch = 0; batch < BATCHES; batch++) {
      const now = await this.#base.commits.seal(BATCH)
      sealed += now
      if (now < BATCH) break
    }
    return sealed
  }

  /**
   * Seals, makes a checkpoint when it is time and something has happened, and lets go of what is past its retention.
   *
   * @returns how many entries it sealed
   * @event journal.checkpoint
   */
  async tick(now: number): Promise<number> {
    const sealed = await this.seal()
    if (this.#checkpointEvery !== undefined) {
      this.#nextCheckpoint ??= now + this.#checkpointEvery
      if (now >= this.#nextCheckpoint) {
        this.#nextCheckpoint = now + this.#checkpointEvery
        const { seq } = await this.#base.store.journalHead()
        if (seq !== this.#lastSeq) await this.checkpoint()
        this.#lastSeq = seq
      }
    }
    if (this.#retention === undefined || now < this.#nextPrune) return sealed
    const { more } = await this.prune({ olderThan: this.#retention, reason: 'retention' })
    if (!more) this.#nextPrune = now + PRUNE_EVERY
    return sealed
  }

  /** Whether entries are linked as they come. */
  async health(): Promise<HealthSource> {
    const { unsealed = 0 } = await this.#base.store.journalHead()
    if (unsealed <= MANY_UNSEALED) return HEALTHY
    return { status: 'degraded', reasons: [`${unsealed} entries aren't linked yet; does tick() run?`] }
  }
}
