import { createHash, createSecretKey } from 'node:crypto'
import type { AnyKind, Kind, MaybePromise, Stored, Tombstone } from '../../kernel/kind.ts'
import {
  createLink,
  dataDigest,
  EMPTY_HEAD,
  type JournalEntry,
  type SealedEntry,
  tagEntry,
} from '../../stores/journal-link.ts'
import type { OutboxEvent } from '../../stores/outbox.ts'
import type { Commit, CommitResult, ListQuery, TokenStore, Write } from '../../stores/token-store.ts'

/** A store under test, fresh and empty, and what can be done with it. */
export interface StoreFixture {
  readonly store: TokenStore
  /** Closes the store and opens the same data again. Give it for stores whose data survives their process. */
  reopen?(): MaybePromise<TokenStore>
  /** Another store on the same data, as another process has one. Give it for stores that several processes may use. */
  another?(): MaybePromise<TokenStore>
  /** Moves the store's clock forward. Give it where the clock is a fake one. */
  advance?(ms: number): MaybePromise<unknown>
  /** Cleans up after the test. */
  release?(): MaybePromise<void>
}

/** The part of an assertion library that the suite needs; vitest, jest and bun have it. */
export type SuiteExpect = (actual: unknown) => SuiteAssertions

/** What the suite asks of an assertion library. */
export interface SuiteAssertions {
  /** The same value. */
  toBe(expected: unknown): void
  /** An equal value, in depth. */
  toEqual(expected: unknown): void
}

/** The test runner's functions. */
export interface SuiteTools {
  /** A group of tests. */
  readonly describe: (name: string, body: () => void) => unknown
  /** A test, with the time that it may take. */
  readonly it: (name: string, body: () => Promise<void>, timeoutMs?: number) => unknown
  /** An assertion. */
  readonly expect: SuiteExpect
}

/** What each part of the suite gets. */
export interface Suite {
  readonly describe: SuiteTools['describe']
  readonly expect: SuiteExpect
  /** A test with a fresh store. */
  readonly test: (name: string, body: (store: TokenStore, fixture: StoreFixture) => Promise<void>) => void
}

/** A journaled record with every sort of index. */
export interface Account {
  readonly name: string
  readonly keys: readonly string[]
  readonly rank: number
  readonly owner?: string
  readonly tags?: readonly string[]
  readonly dueAt?: number
  readonly note?: { readonly lines: readonly string[] }
}

/** No account has it: what a kind refuses, no store takes. */
export const REFUSED_NAME = 'refused'

export const accountKind: Kind<Account, 'rank' | 'due' | 'owner' | 'tag', 'name' | 'key'> = {
  name: 'suite_account',
  schema: 1,
  journaled: true,
  unique: { name: (account) => [account.name], key: (account) => account.keys },
  order: {
    rank: (account) => ({ at: account.rank }),
    due: (account) => (account.dueAt === undefined ? undefined : { at: account.dueAt }),
    owner: (account) => (account.owner === undefined ? undefined : { at: account.rank, in: account.owner }),
    tag: (account) => (account.tags ?? []).map((tag) => ({ at: account.rank, in: tag })),
  },
  keeps: 'key',
  refuses: ({ name }) => (name === REFUSED_NAME ? 'it has a name that no account has' : undefined),
  merge: () => undefined,
}

/** An unjournaled record with a unique index. */
export interface Lease {
  readonly holder: string
  readonly endsAt: number
}

export const leaseKind: Kind<Lease, 'ends', 'holder'> = {
  name: 'suite_lease',
  schema: 1,
  journaled: false,
  unique: { holder: (lease) => [lease.holder] },
  order: { ends: (lease) => ({ at: lease.endsAt }) },
  merge: () => undefined,
}

/** The journal key of the suite. */
export const journalKey = createSecretKey(createHash('sha256').update('tokenStoreSuite').digest())

const link = createLink(journalKey)

/** One write of a drafted commit; `revision` is the expectation, absent = none; `made` the revision that it names. */
export type Draft = {
  readonly kind: AnyKind
  readonly id: string
  readonly revision?: number
  readonly made?: number
} & ({ readonly value: unknown } | { readonly tombstone: Tombstone } | { readonly remove: true })

let commits = 0

/** A commit of these writes, with the expectations and journal entries that they need. */
export function draft(writes: readonly Draft[], more: { id?: string; outbox?: readonly OutboxEvent[] } = {}): Commit {
  commits += 1
  const id = more.id ?? `commit-${commits}`
  const journal: JournalEntry[] = []
  for (const write of writes) {
    if (write.kind.journaled) {
      journal.push(
        entry(
          `${id}.${journal.length}`,
          write.kind,
          write.id,
          write.made ?? (write.revision ?? 0) + 1,
          contentOf(write),
        ),
      )
    }
  }
  return {
    id,
    expect: writes.flatMap(({ kind, id: record, revision }) =>
      revision === undefined ? [] : [{ kind, id: record, revision }],
    ),
    write: writes.map(
      ({ revision: _, made, ...write }) => ({ ...write, ...(made !== undefined && { revision: made }) }) as Write,
    ),
    journal,
    ...(more.outbox === undefined ? undefined : { outbox: more.outbox }),
    link,
  }
}

function contentOf(write: Draft): string {
  return JSON.stringify('value' in write ? write.value : 'tombstone' in write ? write.tombstone : null)
}

/** A tagged journal entry. */
export function entry(id: string, kind: AnyKind, subject: string, revision: number, json = ''): JournalEntry {
  const facts = { at: 1_700_000_000_000, actor: 'suite', action: `${kind.name}.written` }
  return tagEntry(journalKey, { id, ...facts, kind: kind.name, subject, revision, data: dataDigest(json) })
}

/** Commits drafted writes. */
export async function commit(store: TokenStore, ...writes: readonly Draft[]): Promise<CommitResult> {
  return await store.commit(draft(writes))
}

/** `ok`, or the code of the error that came, thrown or by promise. */
export async function outcome(action: () => unknown): Promise<string> {
  try {
    await action()
    return 'ok'
  } catch (error) {
    const code = (error as { code?: unknown } | undefined)?.code
    return typeof code === 'string' ? code : `an error without a code: ${String(error)}`
  }
}

/** A draft that makes an account or changes it. */
export function account(id: string, revision: number, value: Partial<Account> = {}): Draft {
  return {
    kind: accountKind,
    id,
    revision,
    value: { name: `name of ${id}`, keys: [`key of ${id}`], rank: 0, ...value },
  }
}

/** A draft that removes an account and keeps its keys taken. */
export function grave(id: string, revision: number, digests: readonly string[] = [`key of ${id}`]): Draft {
  return { kind: accountKind, id, revision, tombstone: { endedAt: 5, reason: 'test', digests } }
}

/** An outbox event about a token. */
export function event(id: string, token: string, at = 1000): OutboxEvent {
  return { id, name: 'suite.happened', token, at, payload: { of: id } }
}

/** Every record of a range, page by page. */
export async function listAll<T, O extends string>(
  store: TokenStore,
  kind: Kind<T, O>,
  query: ListQuery<O>,
): Promise<Stored<T>[]> {
  const found: Stored<T>[] = []
  let cursor: string | undefined
  for (let pages = 0; pages < 100_000; pages++) {
    const page = await store.list<T, O>(kind, { ...query, cursor })
    if (page.items.length > query.limit) throw new Error('a page is longer than its limit')
    found.push(...page.items)
    cursor = page.cursor
    if (cursor === undefined) return found
  }
  throw new Error('the pages never end')
}

/** The ids of a range. */
export async function ids<T, O extends string>(
  store: TokenStore,
  kind: Kind<T, O>,
  query: Omit<ListQuery<O>, 'limit'> & { limit?: number },
): Promise<string[]> {
  return (await listAll(store, kind, { limit: 100, ...query })).map((stored) => stored.id)
}

/** The whole journal, sealed if the store seals late. */
export async function wholeJournal(store: TokenStore): Promise<SealedEntry[]> {
  if (store.sealJournal !== undefined) while ((await store.sealJournal(link, 500)) > 0);
  const entries: SealedEntry[] = []
  for (;;) {
    const page = await store.journal({ after: entries.at(-1)?.seq ?? 0, limit: 1000 })
    if (page.length === 0) return entries
    entries.push(...page)
  }
}

/** The first entry, as its sequence number, that doesn't continue the chain; undefined when all do. */
export function brokenAt(entries: readonly SealedEntry[]): number | undefined {
  let head = EMPTY_HEAD
  for (const found of entries) {
    const { seq, mac, ...unsealed } = found
    const expected = link(head, [unsealed])[0]
    if (expected?.seq !== seq || expected.mac !== mac) return seq
    const { tag, ...facts } = unsealed
    if (tagEntry(journalKey, facts).tag !== tag) return seq
    head = { seq, mac }
  }
  return undefined
}

/** Whether a value and all within it is frozen. */
export function isFrozenDeep(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return true
  return Object.isFrozen(value) && Object.values(value).every(isFrozenDeep)
}
