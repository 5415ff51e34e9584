import { type AnyKind, nextRevision, type Tombstone } from '../kernel/kind.ts'
import { InvalidCommitError } from './errors.ts'
import { MAX_KEY_LENGTH, MAX_KEYS } from './order-keys.ts'
import type { OutboxEvent } from './outbox.ts'
import type { Commit, Expectation, Write } from './token-store.ts'

/** The most writes, and the most expectations, of one commit. */
export const MAX_WRITES = 10_000

/** Below this many comparisons a plain scan is faster than a map. */
const SCAN = 64

/**
 * The revision that a write makes of a record that stands at `found` (0 = there is none): the one that it names, else the
 * next.
 */
export function revisionMade(write: Write, found: number): number {
  return ('revision' in write ? write.revision : undefined) ?? nextRevision(found)
}

/**
 * Checks a commit against the rules that need no look at the store, and answers the revision expected of each write;
 * -1 where the commit names none.
 *
 * @param linked - whether the store links the journal within the commit, so that entries need `link`
 * @throws InvalidCommitError when the commit breaks a rule
 */
export function checkCommit(commit: Commit, linked: boolean): readonly number[] {
  const { id, expect, write, journal, outbox } = commit
  if (!isKey(id)) {
    throw new InvalidCommitError(`a commit's id is not a text of 1 to ${MAX_KEY_LENGTH} characters`)
  }
  if (write.length > MAX_WRITES || expect.length > MAX_WRITES) {
    throw new InvalidCommitError(`commit ${id} has more than ${MAX_WRITES} writes or expectations`)
  }
  if (linked && journal.length > 0 && commit.link === undefined) {
    throw new InvalidCommitError(`commit ${id} has journal entries and no link; this store links them itself`)
  }
  for (const expectation of expect) checkExpectation(expectation)
  const expected = matchExpectations(commit)
  for (let i = 0; i < write.length; i++) checkWrite(write[i] as Write, expected[i] as number)
  checkJournal(commit, expected)
  if (outbox !== undefined) checkOutbox(id, outbox)
  return expected
}

function checkOutbox(id: string, outbox: readonly OutboxEvent[]): void {
  const seen = new Set<string>()
  for (const event of outbox) {
    if (!isKey(event.id) || !isKey(event.token) || !Number.isSafeInteger(event.at)) {
      throw new InvalidCommitError(`commit ${id} has an outbox event whose id, token or time can't be used`)
    }
    if (seen.has(event.id)) throw new InvalidCommitError(`commit ${id} has two outbox events with the id ${event.id}`)
    seen.add(event.id)
  }
}

function isKey(text: unknown): boolean {
  return typeof text === 'string' && text.length > 0 && text.length <= MAX_KEY_LENGTH
}

function checkExpectation({ kind, id, revision }: Expectation): void {
  if (!Number.isSafeInteger(revision) || revision < 0) {
    throw new InvalidCommitError(`the revision expected of ${kind.name} ${id} is not a revision`)
  }
}

function checkWrite(write: Write, expected: number): void {
  const { kind, id } = write
  if (!isKey(id)) {
    throw new InvalidCommitError(`the id of a ${kind.name} is not a text of 1 to ${MAX_KEY_LENGTH} characters`)
  }
  if (kind.journaled && expected < 0) {
    throw new InvalidCommitError(`the write of ${kind.name} ${id} has no expectation, and its kind is journaled`)
  }
  if ('revision' in write && write.revision !== undefined) checkRevision(write, write.revision, expected)
  if ('remove' in write) {
    if (kind.journaled) {
      throw new InvalidCommitError(`${kind.name} ${id} is of a journaled kind; it can't be removed without a tombstone`)
    }
  } else if ('tombstone' in write) {
    if (expected < 0) throw new InvalidCommitError(`the tombstone of ${kind.name} ${id} has no expectation`)
    checkTombstone(kind, id, write.tombstone)
  } else {
    checkValue(write)
  }
}

function checkValue({ kind, id, value }: Extract<Write, { value: unknown }>): void {
  if (value === undefined || value === null) {
    throw new InvalidCommitError(`the write of ${kind.name} ${id} has no value`)
  }
  const fault = kind.refuses?.(value)
  if (fault !== undefined) throw new InvalidCommitError(`the write of ${kind.name} ${id} can't be: ${fault}`)
}

function checkRevision({ kind, id }: Write, revision: number, expected: number): void {
  if (expected < 0)
    throw new InvalidCommitError(`the write of ${kind.name} ${id} names a revision and has no expectation`)
  if (!Number.isSafeInteger(revision) || revision <= expected) {
    throw new InvalidCommitError(`the write of ${kind.name} ${id} names a revision that is not after the expected one`)
  }
}

function checkTombstone(kind: AnyKind, id: string, { digests, endedAt, reason }: Tombstone): void {
  const listed = Array.isArray(digests) && digests.length <= MAX_KEYS
  if (!listed || !Number.isSafeInteger(endedAt) || typeof reason !== 'string') {
    throw new InvalidCommitError(`the tombstone of ${kind.name} ${id} lacks digests, endedAt or reason`)
  }
}

/** The revision expected of each write; refuses double writes and double expectations. */
function matchExpectations({ id, expect, write }: Commit): readonly number[] {
  if (write.length * Math.max(write.length, expect.length) > SCAN || expect.length > SCAN) {
    return matchByMap(id, expect, write)
  }
  const expected: number[] = []
  for (let w = 0; w < write.length; w++) {
    const { kind, id: record } = write[w] as Write
    for (let v = 0; v < w; v++) {
      const other = write[v] as Write
      if (other.id === record && other.kind.name === kind.name) throw doubled(id, 'writes', kind, record)
    }
    let revision = -1
    for (const expectation of expect) {
      if (expectation.id !== record || expectation.kind.name !== kind.name) continue
      if (revision >= 0) throw doubled(id, 'expects', kind, record)
      revision = expectation.revision
    }
    expected.push(revision)
  }
  return expected
}

function matchByMap(id: string, expect: readonly Expectation[], write: readonly Write[]): readonly number[] {
  const revisions = new Map<string, number>()
  for (const { kind, id: record, revision } of expect) {
    const name = `${kind.name}/${record}`
    if (revisions.has(name)) throw doubled(id, 'expects', kind, record)
    revisions.set(name, revision)
  }
  const written = new Set<string>()
  return write.map(({ kind, id: record }) => {
    const name = `${kind.name}/${record}`
    if (written.has(name)) throw doubled(id, 'writes', kind, record)
    written.add(name)
    return revisions.get(name) ?? -1
  })
}

function doubled(id: string, verb: string, kind: AnyKind, record: string): InvalidCommitError {
  return new InvalidCommitError(`commit ${id} ${verb} ${kind.name} ${record} twice`)
}

/** Every write of a journaled kind has its entry, and every entry of a write names the revision that the write makes. */
function checkJournal({ id, write, journal }: Commit, expected: readonly number[]): void {
  if (write.length * journal.length > SCAN) {
    checkJournalByMap(id, write, journal, expected)
    return
  }
  for (let w = 0; w < write.length; w++) {
    const { kind, id: record } = write[w] as Write
    const revision = expected[w] as number
    let told = false
    for (const entry of journal) {
      if (entry.subject !== record || entry.kind !== kind.name) continue
      if (revision >= 0 && entry.revision !== revisionMade(write[w] as Write, revision)) {
        throw wrongRevision(id, kind, record)
      }
      told = true
    }
    if (kind.journaled && !told) throw untold(id, kind, record)
  }
}

function checkJournalByMap(
  id: string,
  write: readonly Write[],
  journal: Commit['journal'],
  expected: readonly number[],
): void {
  const revisions = new Map<string, number>()
  for (let w = 0; w < write.length; w++) {
    const { kind, id: record } = write[w] as Write
    const revision = expected[w] as number
    if (revision >= 0) revisions.set(`${kind.name}/${record}`, revisionMade(write[w] as Write, revision))
  }
  const told = new Set<string>()
  for (const entry of journal) {
    const name = `${entry.kind}/${entry.subject}`
    const revision = revisions.get(name)
    if (revision !== undefined && entry.revision !== revision) {
      throw new InvalidCommitError(`commit ${id} has a journal entry of ${name} with another revision than it writes`)
    }
    told.add(name)
  }
  for (const { kind, id: record } of write) {
    if (kind.journaled && !told.has(`${kind.name}/${record}`)) throw untold(id, kind, record)
  }
}

function wrongRevision(id: string, kind: AnyKind, record: string): InvalidCommitError {
  return new InvalidCommitError(
    `commit ${id} has a journal entry of ${kind.name}/${record} with another revision than it writes`,
  )
}

function untold(id: string, kind: AnyKind, record: string): InvalidCommitError {
  return new InvalidCommitError(`commit ${id} writes ${kind.name} ${record} without a journal entry`)
}
