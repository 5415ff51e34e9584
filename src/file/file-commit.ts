import { type AnyKind, nextRevision } from '../kernel/kind.ts'
import { InvalidCommitError, StaleRevisionError, UniqueConflictError } from '../stores/errors.ts'
import { type EventRecord, eventKind, type OutboxEvent } from '../stores/outbox.ts'
import type { Commit, CommitResult, Write } from '../stores/token-store.ts'
import type { FileTransaction } from './file-transaction.ts'
import { FileWrite, planWrite, put, type RowHead, retract } from './file-write.ts'
import { type FileKind, type FileUnique, reviveBody } from './kind-registry.ts'
import { one, type StoredRow } from './statements.ts'

/**
 * Does one commit within a transaction: first it reads and judges, then it writes. Whatever refuses the commit, refuses
 * it before the first write.
 *
 * @param expected - the revision expected of each write, -1 = none
 */
export function applyCommit(
  tx: FileTransaction,
  commit: Commit,
  expected: readonly number[],
  at: number,
): CommitResult {
  const { sql } = tx
  const known = one<{ revisions: string }>(sql.commitById, commit.id)
  if (known !== undefined) return { revisions: JSON.parse(known.revisions) as number[], replayed: true }
  const writes = plan(tx, commit, expected)
  checkUniques(tx, writes)
  if (commit.outbox !== undefined) checkEvents(tx, commit.outbox, writes)
  const sealed = commit.link === undefined ? [] : commit.link(tx.head(), commit.journal)

  tx.startWriting()
  for (const write of writes) retract(sql, write)
  for (const write of writes) {
    put(sql, write)
    tx.changed(write)
  }
  writeEvents(tx, writes, commit.outbox ?? [])
  for (const { seq, mac, ...entry } of sealed)
    sql.addEntry.run(seq, entry.kind, entry.subject, mac, JSON.stringify(entry))
  const last = sealed[sealed.length - 1]
  if (last !== undefined) tx.setHead(last)
  const revisions = writes.map((write) => write.revision)
  tx.remember(commit.id, at, JSON.stringify(revisions))
  return { revisions, replayed: false }
}

function plan(tx: FileTransaction, { expect, write }: Commit, expected: readonly number[]): FileWrite[] {
  const kinds: FileKind[] = []
  const heads: (RowHead | undefined)[] = []
  let matched = 0
  for (let w = 0; w < write.length; w++) {
    const { kind, id } = write[w] as Write
    const entered = tx.kind(kind)
    const head = one<RowHead>(tx.sql.rowHead, entered.id, id)
    kinds.push(entered)
    heads.push(head)
    if ((expected[w] as number) < 0) continue
    matched += 1
    checkRevision(kind, id, expected[w] as number, head)
  }
  if (matched < expect.length) {
    for (const { kind, id, revision } of expect) {
      checkRevision(kind, id, revision, one<RowHead>(tx.sql.rowHead, tx.kind(kind).id, id))
    }
  }
  return write.map((each, w) => {
    const kind = kinds[w] as FileKind
    const head = heads[w]
    return planWrite(
      each,
      kind,
      head,
      head === undefined || head.gone === 1 ? undefined : tx.value(kind, each.id, head),
    )
  })
}

function checkRevision(kind: AnyKind, id: string, expected: number, head: RowHead | undefined): void {
  const found = head?.revision ?? 0
  if (found !== expected) throw new StaleRevisionError(kind.name, id, expected, found)
}

/** Refuses keys that another record holds and doesn't give up in the same commit, and keys claimed twice. */
function checkUniques(tx: FileTransaction, writes: readonly FileWrite[]): void {
  const claims = writes.length > 1 ? new Map<string, FileWrite>() : undefined
  for (const write of writes) {
    const { kind } = write
    for (let i = 0; i < kind.uniques.length; i++) {
      const index = kind.uniques[i] as FileUnique
      const held = write.keysBefore[i] as readonly string[]
      for (const key of write.keys[i] as readonly string[]) {
        if (claims !== undefined) {
          const claim = `${index.id} ${key}`
          const other = claims.get(claim)
          if (other !== undefined) throw conflict(kind, index, other.id, other.tombstone !== undefined)
          claims.set(claim, write)
        }
        if (held.includes(key)) continue
        const holder = one<{ n: number }>(tx.sql.holder, index.id, key)
        if (holder === undefined || givesUp(writes, holder.n, i, key)) continue
        const found = one<StoredRow>(tx.sql.rowByN, holder.n)
        throw conflict(kind, index, found?.id ?? '', found?.gone === 1)
      }
    }
  }
}

function givesUp(writes: readonly FileWrite[], n: number, index: number, key: string): boolean {
  for (const write of writes) if (write.head?.n === n) return !(write.keys[index] as readonly string[]).includes(key)
  return false
}

function conflict(kind: FileKind, index: FileUnique, holder: string, removed: boolean): UniqueConflictError {
  return new UniqueConflictError(kind.kind.name, index.name, holder, removed)
}

function checkEvents(tx: FileTransaction, outbox: readonly OutboxEvent[], writes: readonly FileWrite[]): void {
  const kind = tx.kind(eventKind)
  for (const { id } of outbox) {
    const written = writes.some((write) => write.kind === kind && write.id === id)
    if (written || one(tx.sql.rowHead, kind.id, id) !== undefined) {
      throw new InvalidCommitError(`the outbox has an event ${id} already`)
    }
  }
}

/** Writes the outbox rows, after those have become due that stood behind removed ones. */
function writeEvents(tx: FileTransaction, writes: readonly FileWrite[], outbox: readonly OutboxEvent[]): void {
  let kind: FileKind | undefined
  for (const write of writes) {
    if (write.kind.kind.name !== eventKind.name || write.value !== undefined || write.before === undefined) continue
    kind = write.kind
    handOver(tx, kind, (write.before as EventRecord).token)
  }
  if (outbox.length === 0) return
  kind ??= tx.kind(eventKind)
  let order = tx.meta('event_order')
  for (const event of outbox) {
    order += 1
    const due = oldest(tx, kind, event.token) === undefined ? { dueAt: event.at } : undefined
    const value: EventRecord = { ...event, order, ...due }
    const write = new FileWrite(kind, event.id, undefined, undefined, { value }, 1)
    put(tx.sql, write)
    tx.changed(write)
  }
  tx.setMeta('event_order', order)
}

/** Makes the oldest event of a token due, if it isn't yet. */
function handOver(tx: FileTransaction, kind: FileKind, token: string): void {
  const row = oldest(tx, kind, token)
  if (row === undefined) return
  const event = reviveBody(kind, row.body) as EventRecord
  if (event.dueAt !== undefined) return
  const value: EventRecord = { ...event, dueAt: event.at }
  const write = new FileWrite(kind, row.id, row, event, { value }, nextRevision(row.revision))
  retract(tx.sql, write)
  put(tx.sql, write)
  tx.changed(write)
}

function oldest(tx: FileTransaction, kind: FileKind, token: string): StoredRow | undefined {
  const order = kind.orders.find((index) => index.name === 'order')?.id ?? -1
  return one<StoredRow>(tx.sql.firstIn, order, token)
}
