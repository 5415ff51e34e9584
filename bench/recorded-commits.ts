import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite'
import { type Commit, Generator, generateSecret } from '../src/index.ts'
import { Collector } from './million-file.ts'
import { tokenInput } from './population.ts'

/** So many commits as a generator makes them: a token and its activity row each, with a journal entry. */
export async function commitsToMake(count: number): Promise<Commit[]> {
  const collector = new Collector()
  const generator = new Generator({ store: collector, keys: generateSecret() })
  for (let i = 0; i < count; i++) await generator.generate(tokenInput(i))
  return collector.takeEach()
}

type Method = 'run' | 'get' | 'all'

const METHODS: readonly Method[] = ['run', 'get', 'all']

/** The statements that a store runs, in their order, with their values. */
export class StatementLog {
  readonly entries: { readonly text: string; readonly method: Method; readonly values: readonly SQLInputValue[] }[] = []

  /** Notes whatever is run on a connection from now on. */
  readonly record = (db: DatabaseSync): void => {
    eachStatement(db, (text, statement) => {
      for (const method of METHODS) {
        const original = statement[method].bind(statement) as (...values: SQLInputValue[]) => unknown
        const recording = (...values: SQLInputValue[]): unknown => {
          this.entries.push({ text, method, values })
          return original(...values)
        }
        Object.defineProperty(statement, method, { value: recording })
      }
    })
  }
}

/**
 * Runs recorded statements in one transaction on a file that is as it was before them.
 *
 * @returns how long it took, ms
 */
export function replay(path: string, { entries }: StatementLog): number {
  const db = new DatabaseSync(path)
  db.exec('PRAGMA trusted_schema = OFF; PRAGMA synchronous = FULL; PRAGMA cache_size = -16384')
  const statements = new Map<string, StatementSync>()
  const steps = entries
    .filter(({ text }) => !/^(BEGIN|COMMIT|ROLLBACK|SAVEPOINT|RELEASE|PRAGMA)/.test(text))
    .map(({ text, method, values }) => {
      const statement = statements.get(text) ?? db.prepare(text)
      statements.set(text, statement)
      return { statement, method, values }
    })
  const start = performance.now()
  db.exec('BEGIN IMMEDIATE')
  for (const { statement, method, values } of steps) statement[method](...values)
  db.exec('COMMIT')
  const took = performance.now() - start
  db.close()
  return took
}

/** Makes every commit of a connection wait as a slow disk would: the process does nothing else meanwhile. */
export function slowDisk(ms: number): (db: DatabaseSync) => void {
  const sleeper = new Int32Array(new SharedArrayBuffer(4))
  return (db) =>
    eachStatement(db, (text, statement) => {
      if (text !== 'COMMIT') return
      const original = statement.run.bind(statement)
      const run = (): unknown => {
        const done = original()
        Atomics.wait(sleeper, 0, 0, ms)
        return done
      }
      Object.defineProperty(statement, 'run', { value: run })
    })
}

function eachStatement(db: DatabaseSync, prepared: (text: string, statement: StatementSync) => void): void {
  const prepare = db.prepare.bind(db)
  Object.defineProperty(db, 'prepare', {
    value: (text: string): StatementSync => {
      const statement = prepare(text)
      prepared(text, statement)
      return statement
    },
  })
}
