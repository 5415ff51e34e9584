import type { KeyObject } from 'node:crypto'
import type { Clock } from '../kernel/clock.ts'
import { InvalidInputError } from '../kernel/errors.ts'
import { deepFreeze, type Kind, nextRevision, type Stored, type Tombstone } from '../kernel/kind.ts'
import type { Random } from '../kernel/random.ts'
import { RisingIds } from '../kernel/rising-ids.ts'
import { StaleRevisionError } from './errors.ts'
import { createLink, dataDigest, type JournalEntry, type JournalFacts, type Link, tagEntry } from './journal-link.ts'
import type { OutboxEvent } from './outbox.ts'
import type { Commit, Expectation, TokenStore, Write } from './token-store.ts'

/** Who changes something, and why; taken by every changing call. */
export interface Attribution {
  /** Who: at most 256 characters. Default `system`. */
  readonly actor?: string | undefined
  /** Why: at most 1024 characters. */
  readonly reason?: string | undefined
}

/** A change of one journaled record. */
export interface Change<T = unknown> {
  readonly kind: Kind<T>
  readonly id: string
  /** The revision that was read; 0 = there must be none. */
  readonly revision: number
  /** The revision that the change makes, greater than the one read. Default: the next; a restore opens another epoch. */
  readonly makes?: number
  /** The new record, or what is to remain of it. */
  readonly to: { readonly value: T } | { readonly tombstone: Tombstone }
  /** What is done, such as `token.rotated`. */
  readonly action: string
  /** What else the journal should tell; never a secret. */
  readonly detail?: JournalFacts['detail']
}

/** A row of an unjournaled kind that is written with a commit. */
export type Row = Write & {
  /** Only if the row stands at this revision; 0 = only if there is none. Absent = whatever stands there. */
  readonly expected?: number
}

/** An event that goes with a commit. */
export interface Told {
  /** What happened, such as `token.rotated`. */
  readonly name: string
  /** The event's payload, a JSON value without secrets. */
  readonly payload: object
  /** The token, or other record, that it is about: durable subscribers hear of each in order. */
  readonly about: string
}

/** What {@link Commits} is made from. */
export interface CommitsOptions {
  readonly store: TokenStore
  /** The journal subkey. */
  readonly journalKey: KeyObject
  readonly clock: Clock
  readonly random: Random
  /** Whether events go into the outbox, for durable subscribers. */
  readonly outbox: boolean
}

/** The one way in which records are changed: with expectation, journal entry and tag, in one commit. */
export class Commits {
  readonly #store: TokenStore
  readonly #key: KeyObject
  readonly #link: Link
  readonly #clock: Clock
  readonly #ids: RisingIds
  readonly #outbox: boolean
  readonly #listeners = new Set<(kind: string, id: string) => void>()

  /** @param options - the store, the journal key, time and randomness */
  constructor(options: CommitsOptions) {
    this.#store = options.store
    this.#key = options.journalKey
    this.#link = createLink(options.journalKey)
    this.#clock = options.clock
    this.#ids = new RisingIds(options.random)
    this.#outbox = options.outbox
  }

  /**
   * Calls `listener` for each record that was written here, or may have been.
   *
   * @returns the way to stop
   */
  onWrite(listener: (kind: string, id: string) => void): () => void {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }

  /**
   * Links journal entries that a store appended unsealed, at most `limit`; nothing to do where it links them itself.
   *
   * @returns how many were linked
   */
  async seal(limit: number): Promise<number> {
    return (await this.#store.sealJournal?.(this.#link, limit)) ?? 0
  }

  /**
   * Appends journal entries that were tagged before: of an archive, to the journal of a store that has none.
   *
   * @param entries - at most 1000, in order
   */
  async append(entries: readonly JournalEntry[]): Promise<void> {
    const id = this.#ids.next(this.#clock.now())
    await this.#store.commit({ id, expect: [], write: [], journal: entries, link: this.#link })
  }

  /**
   * Writes changes, unjournaled rows and the outbox's events together, or nothing.
   *
   * @returns the changed records as they now stand (a tombstone as `undefined`)
   * @throws StaleRevisionError when a record has changed since it was read
   * @throws UniqueConflictError when a key is taken
   */
  async write<T>(
    by: Attribution,
    changes: readonly Change<T>[],
    rows: readonly Row[] = [],
    told: readonly Told[] = [],
  ): Promise<(Stored<T> | undefined)[]> {
    const at = this.#clock.now()
    const id = this.#ids.next(at)
    const expect: Expectation[] = []
    const write: Write[] = []
    const journal: JournalEntry[] = []
    for (const { kind, id: subject, revision, makes, to, action, detail } of changes) {
      const value: unknown = 'value' in to ? deepFreeze(to.value) : to.tombstone
      expect.push({ kind, id: subject, revision })
      const named = makes === undefined ? undefined : { revision: makes }
      write.push({ kind, id: subject, ...('value' in to ? { value } : { tombstone: to.tombstone }), ...named })
      const facts: Mutable<JournalFacts> = {
        id: `${id}.${journal.length}`,
        at,
        actor: by.actor ?? 'system',
        action,
        kind: kind.name,
        subject,
        revision: makes ?? nextRevision(revision),
        data: dataDigest(JSON.stringify(value)),
      }
      if (by.reason !== undefined) facts.reason = by.reason
      if (detail !== undefined) facts.detail = detail
      journal.push(tagEntry(this.#key, facts))
    }
    write.push(...rows)
    expect.push(...expectationsOf(rows))
    const commit: Mutable<Commit> = { id, expect, write, journal, link: this.#link }
    if (this.#outbox && told.length > 0) commit.outbox = told.map((event, i) => outboxEvent(event, `${id}.${i}`, at))
    let revisions: readonly number[]
    try {
      revisions = (await this.#store.commit(commit)).revisions
    } finally {
      // A commit that failed may have been done all the same: what is remembered of its records is no longer sure.
      for (const listener of this.#listeners) for (const { kind, id: written } of changes) listener(kind.name, written)
    }
    return changes.map((change, i) =>
      'value' in change.to ? { id: change.id, revision: revisions[i] as number, value: change.to.value } : undefined,
    )
  }

  /**
   * Writes unjournaled rows alone, together or not at all: leases, claims, what was tried.
   *
   * @param rows - of unjournaled kinds
   * @param outbox - events that go back into the outbox
   * @returns false when a row doesn't stand where it was expected; then nothing was written
   */
  async put(rows: readonly Row[], outbox?: readonly OutboxEvent[]): Promise<boolean> {
    if (rows.length === 0) return true
    const id = this.#ids.next(this.#clock.now())
    try {
      await this.#store.commit({
        id,
        expect: expectationsOf(rows),
        write: rows,
        journal: [],
        ...(outbox && { outbox }),
      })
      return true
    } catch (error) {
      if (error instanceof StaleRevisionError) return false
      throw error
    }
  }
}

function expectationsOf(rows: readonly Row[]): Expectation[] {
  return rows.flatMap(({ kind, id, expected }) => (expected === undefined ? [] : [{ kind, id, revision: expected }]))
}

function outboxEvent({ name, payload, about }: Told, id: string, at: number): OutboxEvent {
  return { id, name, token: about, at, payload }
}

type Mutable<T> = { -readonly [key in keyof T]: T[key] }

/** How often a change is repeated when another writer was faster. */
const STALE_ATTEMPTS = 10

/**
 * Repeats `change` while it loses the race against other writers. It must read anew each time.
 *
 * @throws StaleRevisionError when it has lost ten times
 */
export async function retryStale<T>(change: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await change()
    } catch (error) {
      if (!(error instanceof StaleRevisionError) || attempt >= STALE_ATTEMPTS) throw error
    }
  }
}

/**
 * Checks who and why.
 *
 * @throws InvalidInputError for anything but short texts
 */
export function checkAttribution(by: Attribution | undefined): Attribution {
  if (by === undefined) return {}
  const { actor, reason } = by
  if (actor !== undefined) checkShortText('actor', actor, 256)
  if (reason !== undefined) checkShortText('reason', reason, 1024)
  return { actor, reason }
}

function checkShortText(field: string, value: unknown, limit: number): void {
  if (typeof value === 'string' && value !== '' && value.length <= limit) return
  throw new InvalidInputError(field, `must be a text of 1 to ${limit} characters`, 'leave it out, or shorten it')
}
