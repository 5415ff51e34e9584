import { deepFreeze, type Tombstone } from '../kernel/kind.ts'
import { revisionMade } from './check-commit.ts'
import { InvalidCommitError, UniqueConflictError } from './errors.ts'
import { CellRow, Row } from './memory-row.ts'
import type { MemoryTable } from './memory-table.ts'
import { checkOrderKeys, checkUniqueKeys, type OrderKeys, sameOrderKeys } from './order-keys.ts'
import type { Write } from './token-store.ts'

/** Stands for "as before" among the order keys of a planned write. */
const UNCHANGED: OrderKeys = Object.freeze([])

const NO_KEYS: readonly string[] = Object.freeze([])

/**
 * One write of a commit to the memory store, worked out so far that applying it can't fail: whatever a kind's own
 * functions may throw, they throw while the write is planned.
 */
export class PlannedWrite {
  readonly table: MemoryTable
  readonly id: string
  /** The revision that the record gets; 0 when it is removed without a trace. */
  readonly revision: number
  /** The record's row, or what a tombstone left of it. */
  readonly row: Row | undefined
  readonly value: unknown
  readonly tombstone: Tombstone | undefined
  /** By unique index: the keys that the record is to hold. */
  readonly keys: (readonly string[])[]
  /** By order index: the points where the record is to stand. */
  readonly points: OrderKeys[]

  constructor(
    table: MemoryTable,
    id: string,
    revision: number,
    row: Row | undefined,
    value: unknown,
    tombstone: Tombstone | undefined,
  ) {
    this.table = table
    this.id = id
    this.revision = revision
    this.row = row
    this.value = deepFreeze(value)
    this.tombstone = deepFreeze(tombstone)
    this.keys = []
    this.points = []
    const { kind, uniques, orders } = table
    for (const index of uniques) {
      let keys = NO_KEYS
      if (value !== undefined) keys = index.keysOf(value)
      else if (tombstone !== undefined && index === table.keeps) keys = tombstone.digests
      this.keys.push(checkUniqueKeys(kind, index.name, keys))
    }
    for (const order of orders) {
      this.points.push(value === undefined ? undefined : checkOrderKeys(kind, order.name, order.keysOf(value)))
    }
  }
}

/**
 * Works one write out.
 *
 * @throws InvalidCommitError when the record is removed for good, or a kind's function gives what no index can hold
 */
export function planWrite(write: Write, table: MemoryTable, row: Row | undefined): PlannedWrite {
  const { id } = write
  if (row !== undefined && row.value === undefined) {
    // Whoever expected nothing, or an older revision, has been told already.
    throw new InvalidCommitError(`${table.kind.name} ${id} is removed for good; it can't be written`)
  }
  if ('remove' in write) return new PlannedWrite(table, id, 0, row, undefined, undefined)
  const revision = revisionMade(write, row === undefined ? 0 : row.revision)
  if ('tombstone' in write) return new PlannedWrite(table, id, revision, row, undefined, write.tombstone)
  return new PlannedWrite(table, id, revision, row, write.value, undefined)
}

/**
 * Refuses a commit that would take a key from a record that doesn't give it up in the same commit.
 *
 * @throws UniqueConflictError naming the holder
 */
export function checkUniques(writes: readonly PlannedWrite[]): void {
  for (let w = 0; w < writes.length; w++) {
    const write = writes[w] as PlannedWrite
    const { table, row } = write
    for (let i = 0; i < table.uniques.length; i++) {
      const index = table.uniques[i]
      if (index === undefined) continue
      for (const key of write.keys[i] as readonly string[]) {
        const holder = index.holders.get(key)
        if (holder === undefined || holder === row || givesUp(writes, holder, i, key)) continue
        throw new UniqueConflictError(table.kind.name, index.name, holder.id, holder.value === undefined)
      }
    }
  }
  if (writes.length > 1) checkClaims(writes)
}

/** Whether the commit writes the holder of a key without that key. */
function givesUp(writes: readonly PlannedWrite[], holder: Row, index: number, key: string): boolean {
  for (const write of writes) if (write.row === holder) return !(write.keys[index] as readonly string[]).includes(key)
  return false
}

/** Refuses two writes of one commit that claim the same key. */
function checkClaims(writes: readonly PlannedWrite[]): void {
  let tables: Set<MemoryTable> | undefined
  for (let w = 1; w < writes.length; w++) {
    const table = (writes[w] as PlannedWrite).table
    if (table.uniques.length === 0 || tables?.has(table) === true) continue
    for (let v = 0; v < w; v++) {
      if ((writes[v] as PlannedWrite).table !== table) continue
      tables ??= new Set()
      tables.add(table)
    }
  }
  if (tables === undefined) return
  for (const table of tables) {
    for (let i = 0; i < table.uniques.length; i++) {
      const claims = new Map<string, PlannedWrite>()
      for (const write of writes) {
        if (write.table !== table) continue
        for (const key of write.keys[i] as readonly string[]) {
          const other = claims.get(key) ?? write
          if (other !== write) {
            const name = table.uniques[i]?.name ?? ''
            throw new UniqueConflictError(table.kind.name, name, other.id, other.tombstone !== undefined)
          }
          claims.set(key, write)
        }
      }
    }
  }
}

/** Takes the keys and points away that the record no longer has. To be done for all writes of a commit, before {@link put}. */
export function retract(write: PlannedWrite): void {
  const { table, row } = write
  if (row === undefined) return
  const before = row.value
  for (let i = 0; i < table.uniques.length; i++) {
    const index = table.uniques[i]
    if (index === undefined) continue
    const kept = write.keys[i] as readonly string[]
    let held = NO_KEYS
    if (before !== undefined) held = index.keysOf(before)
    for (const key of held) {
      if (!kept.includes(key)) index.holders.delete(key)
    }
  }
  if (before === undefined) return
  for (let i = 0; i < table.orders.length; i++) {
    const order = table.orders[i]
    if (order === undefined) continue
    const points = checkOrderKeys(table.kind, order.name, order.keysOf(before))
    if (sameOrderKeys(points, write.points[i])) write.points[i] = UNCHANGED
    else order.index.remove(row, points)
  }
}

/** Puts the record in place, with its keys and points. Answers its row. */
export function put(write: PlannedWrite): void {
  const { table, id, value, tombstone } = write
  let row = write.row
  if (row === undefined) {
    if (value === undefined && tombstone === undefined) return
    row = table.uniques.length > 0 ? new CellRow(id, write.revision, value) : new Row(id, write.revision, value)
    table.rows.set(id, row)
  } else {
    row.replace(write.revision, value)
    if (value === undefined && tombstone === undefined) table.rows.delete(id)
  }
  if (tombstone !== undefined) table.tombstones.set(id, tombstone)
  for (let i = 0; i < table.uniques.length; i++) {
    const holders = table.uniques[i]?.holders
    for (const key of write.keys[i] as readonly string[]) {
      holders?.set(key, row)
    }
  }
  for (let i = 0; i < table.orders.length; i++) {
    const points = write.points[i]
    if (points !== UNCHANGED) table.orders[i]?.index.insert(row, points)
  }
}
