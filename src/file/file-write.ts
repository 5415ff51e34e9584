import { deepFreeze, type Stored, type Tombstone } from '../kernel/kind.ts'
import { revisionMade } from '../stores/check-commit.ts'
import { InvalidCommitError } from '../stores/errors.ts'
import { checkOrderKeys, checkUniqueKeys, type OrderKeys, sameOrderKeys } from '../stores/order-keys.ts'
import type { Write } from '../stores/token-store.ts'
import type { FileKind } from './kind-registry.ts'
import { eachPoint } from './points.ts'
import type { Statements } from './statements.ts'

/** What the file holds of a record, as far as a write has to know. */
export interface RowHead {
  readonly n: number
  readonly revision: number
  readonly gone: number
}

const NO_KEYS: readonly string[] = Object.freeze([])

/** One write of a commit to a file: what the record is, and what it is to be. */
export class FileWrite {
  readonly kind: FileKind
  readonly id: string
  /** The row in the file; undefined when there is none yet. */
  readonly head: RowHead | undefined
  /** The record as it is, if there is one. */
  readonly before: unknown
  /** The record as it is to be; undefined when it goes. */
  readonly value: unknown
  readonly tombstone: Tombstone | undefined
  /** The revision that it gets; 0 when it is removed without a trace. */
  readonly revision: number
  /** What the row is to hold. */
  readonly body: string
  /** By unique index. */
  readonly keys: (readonly string[])[] = []
  readonly keysBefore: (readonly string[])[] = []
  /** By order index. */
  readonly points: OrderKeys[] = []
  readonly pointsBefore: OrderKeys[] = []

  constructor(
    kind: FileKind,
    id: string,
    head: RowHead | undefined,
    before: unknown,
    to: FileWriteTarget,
    revision: number,
  ) {
    this.kind = kind
    this.id = id
    this.head = head
    this.before = before
    this.value = deepFreeze(to.value)
    this.tombstone = to.tombstone
    this.revision = revision
    this.body = to.value === undefined && to.tombstone === undefined ? '' : bodyOf(kind, id, to.value ?? to.tombstone)
    checkText(kind, id)
    for (const index of kind.uniques) {
      const keysOf = (record: unknown): readonly string[] => {
        const keys = checkUniqueKeys(kind.kind, index.name, index.keysOf(record))
        for (const key of keys) checkText(kind, key)
        return keys.length > 1 ? [...new Set(keys)] : keys
      }
      this.keysBefore.push(before === undefined ? NO_KEYS : keysOf(before))
      if (to.value !== undefined) this.keys.push(keysOf(to.value))
      else if (to.tombstone === undefined || index !== kind.keeps) this.keys.push(NO_KEYS)
      else this.keys.push([...new Set(checkUniqueKeys(kind.kind, index.name, to.tombstone.digests))])
    }
    for (const order of kind.orders) {
      const pointsOf = (record: unknown): OrderKeys => {
        const points = checkOrderKeys(kind.kind, order.name, order.keysOf(record))
        for (const { in: part } of eachPoint(points)) if (part !== undefined) checkText(kind, part)
        return points
      }
      this.pointsBefore.push(before === undefined ? undefined : pointsOf(before))
      this.points.push(to.value === undefined ? undefined : pointsOf(to.value))
    }
  }

  /** What readers get. */
  get stored(): Stored<unknown> | undefined {
    return this.value === undefined
      ? undefined
      : Object.freeze({ id: this.id, revision: this.revision, value: this.value })
  }
}

function checkText({ kind }: FileKind, text: string): void {
  if (!text.isWellFormed()) {
    throw new InvalidCommitError(`an id, key or partition of a ${kind.name} is not well-formed Unicode`)
  }
}

/** What a record is to be: a value, a tombstone, or nothing. */
export interface FileWriteTarget {
  readonly value?: unknown
  readonly tombstone?: Tombstone | undefined
}

function bodyOf(kind: FileKind, id: string, value: unknown): string {
  let body: string | undefined
  try {
    body = JSON.stringify(value)
  } catch {
    body = undefined
  }
  if (body === undefined) throw new InvalidCommitError(`the value of ${kind.kind.name} ${id} can't be written as JSON`)
  return body
}

/** What a write of a commit makes of a record. */
export function planWrite(write: Write, kind: FileKind, head: RowHead | undefined, before: unknown): FileWrite {
  if (head?.gone === 1) {
    throw new InvalidCommitError(`${kind.kind.name} ${write.id} is removed for good; it can't be written`)
  }
  if ('remove' in write) return new FileWrite(kind, write.id, head, before, {}, 0)
  return new FileWrite(kind, write.id, head, before, write, revisionMade(write, head?.revision ?? 0))
}

/** Takes the keys and points away that the record no longer has. To be done for all writes of a commit, before {@link put}. */
export function retract(sql: Statements, write: FileWrite): void {
  const { kind, id } = write
  for (let i = 0; i < kind.uniques.length; i++) {
    const index = kind.uniques[i]?.id as number
    const kept = write.keys[i] as readonly string[]
    for (const key of write.keysBefore[i] as readonly string[]) if (!kept.includes(key)) sql.removeKey.run(index, key)
  }
  for (let i = 0; i < kind.orders.length; i++) {
    if (sameOrderKeys(write.pointsBefore[i], write.points[i])) continue
    const index = kind.orders[i]?.id as number
    for (const { at, in: part = '' } of eachPoint(write.pointsBefore[i])) sql.removePoint.run(index, part, at, id)
  }
}

/** Writes the record with its keys and points. */
export function put(sql: Statements, write: FileWrite): void {
  const { kind, id, head, revision, body } = write
  const gone = write.value === undefined ? 1 : 0
  let n = head?.n ?? 0
  if (body === '') {
    if (head !== undefined) sql.removeRow.run(n)
  } else if (head === undefined) {
    n = Number(sql.addRow.run(kind.id, id, revision, gone, body).lastInsertRowid)
  } else {
    sql.setRow.run(revision, gone, body, n)
  }
  for (let i = 0; i < kind.uniques.length; i++) {
    const index = kind.uniques[i]?.id as number
    const held = write.keysBefore[i] as readonly string[]
    for (const key of write.keys[i] as readonly string[]) if (!held.includes(key)) sql.addKey.run(index, key, n)
  }
  for (let i = 0; i < kind.orders.length; i++) {
    if (sameOrderKeys(write.pointsBefore[i], write.points[i])) continue
    const index = kind.orders[i]?.id as number
    for (const { at, in: part = '' } of eachPoint(write.points[i])) sql.addPoint.run(index, part, at, id, n)
  }
}
