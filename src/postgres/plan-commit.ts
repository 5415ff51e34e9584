import type { AnyKind } from '../kernel/kind.ts'
import { InvalidCommitError } from '../stores/errors.ts'
import { type EventRecord, eventKind } from '../stores/outbox.ts'
import type { Commit, Write } from '../stores/token-store.ts'
import { type OrderEntry, orderEntries, storedText, type UniqueEntry, uniqueEntries } from './index-entries.ts'
import type { PgKind } from './pg-kind.ts'
import { isStorable, toStored } from './storable-text.ts'

/** What is to become of a record: only expected, written, removed with a tombstone, removed without a trace. */
const EXPECTED = 0
const WRITTEN = 1
const BURIED = 2
const REMOVED = 3

/** One record that a commit writes or has expectations of. */
interface RecordPlan {
  /** The kind's number. */
  readonly k: number
  readonly id: string
  /** The revision expected; -1 = whatever there is. */
  readonly x: number
  /** What is to become of it. */
  readonly a: number
  /** Its place among the writes, from 1. */
  readonly i?: number
  /** The row's body. */
  readonly b?: string
  /** The revision that the write names; absent = the next. */
  readonly r?: number
  /** An event's `at`. */
  readonly e?: number
  readonly u?: readonly UniqueEntry[]
  readonly o?: readonly OrderEntry[]
}

/** What the database's function takes: one commit, worked out as far as it can be without looking at the data. */
export interface CommitDocument {
  readonly id: string
  /** Who commits: another for each call, so that it can be told whose commit it was that is found done. */
  readonly by: string
  /** How many writes there are. */
  readonly m: number
  /** The kinds' numbers and versions. */
  readonly k: readonly (readonly [id: number, version: number])[]
  /** In the order of kinds and ids, in which all commits lock. */
  readonly w: readonly RecordPlan[]
  /** Where events come or go: the number of their kind, of `order` and of `due`. */
  readonly q?: readonly [kind: number, order: number, due: number]
  /** New events: id, token, at, body. */
  readonly e?: readonly (readonly [string, string, number, string])[]
  /** Journal entries: kind, subject, body. */
  readonly j: readonly (readonly [string, string, string])[]
  /** Notifications. */
  readonly n?: readonly string[]
}

/** The kinds that a commit is about. */
export function kindsOf({ write, expect, outbox }: Commit): AnyKind[] {
  const kinds = new Set<AnyKind>()
  for (const each of write) kinds.add(each.kind)
  for (const each of expect) kinds.add(each.kind)
  if (outbox !== undefined && outbox.length > 0) kinds.add(eventKind)
  return [...kinds]
}

/**
 * Works a commit out.
 *
 * @param expected - the revision expected of each write, -1 = none
 * @param kinds - the kinds that it is about, by name
 * @throws InvalidCommitError when a kind's functions give what no index can hold, or PostgreSQL can't hold a text
 */
export function planCommit(
  commit: Commit,
  expected: readonly number[],
  kinds: ReadonlyMap<string, PgKind>,
  by: string,
  notifications: readonly string[] | undefined,
): CommitDocument {
  const { id, expect, write, journal, outbox } = commit
  if (!isStorable(id)) throw new InvalidCommitError('the id of a commit is not well-formed Unicode')
  const plans: RecordPlan[] = []
  let matched = 0
  let events = outbox !== undefined && outbox.length > 0
  for (let w = 0; w < write.length; w++) {
    const each = write[w] as Write
    const kind = kinds.get(each.kind.name) as PgKind
    if ((expected[w] as number) >= 0) matched += 1
    if (!('value' in each) && each.kind.name === eventKind.name) events = true
    plans.push(planRecord(each, kind, expected[w] as number, w + 1))
  }
  if (matched < expect.length) {
    const written = new Set(write.map((each) => `${each.kind.name}/${each.id}`))
    for (const { kind, id: record, revision } of expect) {
      if (written.has(`${kind.name}/${record}`)) continue
      const known = kinds.get(kind.name) as PgKind
      plans.push({ k: known.id, id: storedText(kind, record), x: revision, a: EXPECTED })
    }
  }
  if (plans.length > 1) plans.sort(byPlace)
  return {
    id: toStored(id),
    by,
    m: write.length,
    k: [...kinds.values()].map((kind) => [kind.id, kind.version] as const),
    w: plans,
    ...(events ? { q: eventNumbers(kinds.get(eventKind.name) as PgKind) } : undefined),
    ...(outbox !== undefined && outbox.length > 0 ? { e: outbox.map(planEvent) } : undefined),
    j: journal.map((entry) => {
      if (!isStorable(entry.subject)) {
        throw new InvalidCommitError(`commit ${id} has a journal entry whose subject PostgreSQL can't hold`)
      }
      return [entry.kind, toStored(entry.subject), JSON.stringify(entry)] as const
    }),
    ...(notifications !== undefined && notifications.length > 0 ? { n: notifications } : undefined),
  }
}

function planRecord(write: Write, kind: PgKind, expected: number, place: number): RecordPlan {
  const { id } = write
  const named = 'revision' in write && write.revision !== undefined ? { r: write.revision } : undefined
  const base = { k: kind.id, id: storedText(kind.kind, id), x: expected, i: place, ...named }
  if ('remove' in write) return { ...base, a: REMOVED, u: [], o: [] }
  if ('tombstone' in write) {
    const { tombstone } = write
    return {
      ...base,
      a: BURIED,
      b: bodyOf(kind.kind, id, tombstone),
      u: uniqueEntries(kind, undefined, tombstone),
      o: [],
    }
  }
  const { value } = write
  return {
    ...base,
    a: WRITTEN,
    b: bodyOf(kind.kind, id, value),
    ...(kind.kind.name === eventKind.name ? { e: (value as EventRecord).at } : undefined),
    u: uniqueEntries(kind, value, undefined),
    o: orderEntries(kind, value),
  }
}

function bodyOf(kind: AnyKind, id: string, value: unknown): string {
  let body: string | undefined
  try {
    body = JSON.stringify(value)
  } catch {
    body = undefined
  }
  if (body === undefined) throw new InvalidCommitError(`the value of ${kind.name} ${id} can't be written as JSON`)
  return body
}

/** The number and the date when it is due are the database's to add. */
function planEvent(event: NonNullable<Commit['outbox']>[number]): readonly [string, string, number, string] {
  const { id, token, at } = event
  const body = bodyOf(eventKind, id, { ...event, order: undefined, dueAt: undefined })
  return [storedText(eventKind, id), storedText(eventKind, token), at, body]
}

function eventNumbers(kind: PgKind): readonly [number, number, number] {
  const number = (name: string): number => kind.orders.find((order) => order.name === name)?.ind ?? -1
  return [kind.id, number('order'), number('due')]
}

/** Any order will do, as long as every instance has the same. */
function byPlace(a: RecordPlan, b: RecordPlan): number {
  return a.k - b.k || (a.id < b.id ? -1 : a.id > b.id ? 1 : 0)
}
