import type { AnyKind } from '../kernel/kind.ts'
import type { Random } from '../kernel/random.ts'
import { RisingIds } from '../kernel/rising-ids.ts'
import { InvalidCommitError, StaleRevisionError, UniqueConflictError } from '../stores/errors.ts'
import { eventKind } from '../stores/outbox.ts'
import type { Commit, CommitResult } from '../stores/token-store.ts'
import { EVENT_EXISTS, KEY_TAKEN } from './commit-function.ts'
import type { Connections } from './connections.ts'
import { detailOf, sqlState, storeErrorOf } from './engine-errors.ts'
import type { KindRegistry } from './kind-registry.ts'
import { notificationsOf } from './notifications.ts'
import type { PgKind } from './pg-kind.ts'
import { kindsOf, planCommit } from './plan-commit.ts'
import type { Statements } from './statements.ts'
import { fromStored } from './storable-text.ts'

/** What the database's function answers: one of these. */
interface CommitAnswer {
  /** It was done now. */
  readonly revisions?: readonly number[]
  /** The events that came or became due. */
  readonly told?: readonly string[]
  /** It had been done before. */
  readonly replayed?: readonly number[]
  /** By whom. */
  readonly by?: string
  /** A record is at another revision: kind, id, expected, found. */
  readonly stale?: readonly [number, string, number, number]
  /** A record is removed for good: kind, id. */
  readonly removed?: readonly [number, string]
  /** The indexes of a kind were made anew. */
  readonly reindexed?: true
}

/** A commit that was done, and what watchers have to hear. */
export interface Committed {
  readonly result: CommitResult
  /** The ids of the events that came or became due. */
  readonly events: readonly string[]
}

/** Does commits: one call of the database's function each. */
export class PostgresCommits {
  readonly #connections: Connections
  readonly #sql: Statements
  readonly #kinds: KindRegistry
  readonly #store: string
  /** Who notifies; undefined = nobody is notified. */
  readonly #origin: string | undefined
  readonly #callers: RisingIds

  constructor(options: {
    readonly connections: Connections
    readonly sql: Statements
    readonly kinds: KindRegistry
    readonly store: string
    readonly origin: string | undefined
    readonly random: Random
  }) {
    this.#connections = options.connections
    this.#sql = options.sql
    this.#kinds = options.kinds
    this.#store = options.store
    this.#origin = options.origin
    this.#callers = new RisingIds(options.random)
  }

  /** Does a commit whose form was checked. */
  async commit(commit: Commit, expected: readonly number[]): Promise<Committed> {
    const by = this.#callers.next(0)
    const notifications = this.#origin === undefined ? undefined : notificationsOf(this.#origin, commit.write)
    for (;;) {
      const kinds = await this.#enter(kindsOf(commit))
      const text = JSON.stringify(planCommit(commit, expected, kinds, by, notifications))
      const answer = await this.#ask(text, kinds)
      if (answer.reindexed === undefined) return this.#outcome(commit, answer, by, kinds)
      await this.#kinds.renew([...kinds.values()])
    }
  }

  async #enter(kinds: readonly AnyKind[]): Promise<Map<string, PgKind>> {
    const entered = new Map<string, PgKind>()
    for (const kind of kinds) entered.set(kind.name, this.#kinds.known(kind) ?? (await this.#kinds.enter(kind)))
    return entered
  }

  async #ask(text: string, kinds: ReadonlyMap<string, PgKind>): Promise<CommitAnswer> {
    try {
      const rows = await this.#connections.run<{ answer: string }>(this.#sql.commit, [text], 'write')
      return JSON.parse(rows[0]?.answer ?? '{}') as CommitAnswer
    } catch (error) {
      const state = sqlState(error)
      if (state === KEY_TAKEN) throw conflictOf(detailOf(error), kinds)
      if (state === EVENT_EXISTS)
        throw new InvalidCommitError(`the outbox has an event ${fromStored(detailOf(error))} already`)
      throw storeErrorOf(error, this.#store, 'write')
    }
  }

  #outcome(commit: Commit, answer: CommitAnswer, by: string, kinds: ReadonlyMap<string, PgKind>): Committed {
    const nameOf = (id: number): string => [...kinds.values()].find((kind) => kind.id === id)?.kind.name ?? ''
    if (answer.stale !== undefined) {
      const [kind, id, expected, found] = answer.stale
      throw new StaleRevisionError(nameOf(kind), fromStored(id), expected, found)
    }
    if (answer.removed !== undefined) {
      const [kind, id] = answer.removed
      throw new InvalidCommitError(`${nameOf(kind)} ${fromStored(id)} is removed for good; it can't be written`)
    }
    if (answer.replayed !== undefined && answer.by !== by) {
      return { result: { revisions: answer.replayed, replayed: true }, events: [] }
    }
    // Found done by this very call: the answer had been lost, and with it which events became due.
    const events = answer.told?.map(fromStored) ?? (commit.outbox ?? []).map((event) => event.id)
    return { result: { revisions: answer.revisions ?? answer.replayed ?? [], replayed: false }, events }
  }
}

function conflictOf(detail: string, kinds: ReadonlyMap<string, PgKind>): UniqueConflictError {
  const { ind, holder: stored, removed } = JSON.parse(detail) as { ind: number; holder: string; removed: boolean }
  const holder = fromStored(stored)
  for (const { kind, uniques } of kinds.values()) {
    const index = uniques.find((unique) => unique.ind === ind)
    if (index !== undefined) return new UniqueConflictError(kind.name, index.name, holder, removed)
  }
  return new UniqueConflictError('record', 'key', holder, removed)
}

/** What watchers hear of: the records written, and the events. */
export function changesOf(commit: Commit, events: readonly string[]): readonly (readonly [kind: string, id: string])[] {
  return [
    ...commit.write.map((write) => [write.kind.name, write.id] as const),
    ...events.map((id) => [eventKind.name, id] as const),
  ]
}
