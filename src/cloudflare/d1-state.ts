import { InvalidInputError } from '../kernel/errors.ts'
import { checkFields } from '../kernel/fields.ts'
import type { HistoryRow } from './history.ts'
import type { TargetMark } from './mark.ts'
import type { HealerState, HistoryPosition, Snapshot } from './state.ts'

/** What of a statement of Cloudflare's D1 is used. */
export interface D1Statement {
  /** The statement with these values in place of its question marks. */
  bind(...values: readonly (string | number | null)[]): D1Statement
  /** The first row; `null` when there is none. */
  first(): Promise<{ readonly [column: string]: unknown } | null>
  /** Every row. */
  all(): Promise<{ readonly results: readonly { readonly [column: string]: unknown }[] }>
  /** Runs it. */
  run(): Promise<{ readonly meta: { readonly changes?: number } }>
}

/** What of a D1 database is used: a Worker's binding has it. */
export interface D1DatabaseLike {
  /** Makes a statement. */
  prepare(sql: string): D1Statement
}

/** How {@link d1State} keeps things. */
export interface D1StateOptions {
  /** The binding, such as `env.DB`. */
  readonly database: D1DatabaseLike
  /** What the names of its tables begin with: `[a-z_]`, at most 40. Default `cloudflare_healer_`. */
  readonly prefix?: string | undefined
}

/**
 * State in a D1 database, for Workers: every isolate and every cron shares it. The tables are made at the first use.
 *
 * @param options - the binding
 * @throws InvalidInputError for what is no database, and a prefix that can't be used
 * @example
 * ```ts sketch
 * const state = d1State({ database: env.DB })
 * ```
 */
export function d1State(options: D1StateOptions): HealerState {
  checkFields('options', options, ['database', 'prefix'])
  const { database, prefix = 'cloudflare_healer_' } = options
  if (typeof database?.prepare !== 'function') {
    throw new InvalidInputError('database', 'is no D1 database', 'give the binding, such as env.DB')
  }
  if (typeof prefix !== 'string' || !/^[a-z_]{1,40}$/.test(prefix)) {
    throw new InvalidInputError('prefix', 'is not 1 to 40 of a-z and _', 'leave it out for the default')
  }
  return new D1State(database, prefix)
}

class D1State implements HealerState {
  readonly #database: D1DatabaseLike
  readonly #prefix: string
  #ready: Promise<void> | undefined

  constructor(database: D1DatabaseLike, prefix: string) {
    this.#database = database
    this.#prefix = prefix
  }

  async append(row: HistoryRow): Promise<void> {
    const sql = 'INSERT INTO {rows} (id, at, body) VALUES (?, ?, ?) ON CONFLICT (id) DO NOTHING'
    await this.#run(sql, row.id, row.at, JSON.stringify(row))
  }

  async rows({ limit, before }: { readonly limit: number; readonly before?: HistoryPosition }): Promise<HistoryRow[]> {
    const at = before?.at ?? Number.MAX_SAFE_INTEGER
    const sql = 'SELECT body FROM {rows} WHERE at < ? OR (at = ? AND id < ?) ORDER BY at DESC, id DESC LIMIT ?'
    const { results } = await (await this.#prepare(sql)).bind(at, at, before?.id ?? '', limit).all()
    return results.map(({ body }) => JSON.parse(String(body)) as HistoryRow)
  }

  async prune(at: number, limit: number): Promise<number> {
    let gone = 0
    for (const table of ['{rows}', '{snapshots}']) {
      const sql = `DELETE FROM ${table} WHERE id IN (SELECT id FROM ${table} WHERE at < ? ORDER BY at LIMIT ?)`
      gone += await this.#run(sql, at, limit)
    }
    const over = 'SELECT name FROM {leases} WHERE until < ? ORDER BY until LIMIT ?'
    return gone + (await this.#run(`DELETE FROM {leases} WHERE name IN (${over})`, at, limit))
  }

  async saveSnapshot(snapshot: Snapshot): Promise<void> {
    const sql =
      'INSERT INTO {snapshots} (id, at, body) VALUES (?, ?, ?) ON CONFLICT (id) DO UPDATE SET body = excluded.body'
    await this.#run(sql, snapshot.id, snapshot.at, JSON.stringify(snapshot))
  }

  async snapshot(id: string): Promise<Snapshot | undefined> {
    const row = await (await this.#prepare('SELECT body FROM {snapshots} WHERE id = ?')).bind(id).first()
    return row === null ? undefined : (JSON.parse(String(row['body'])) as Snapshot)
  }

  async mark(token: string): Promise<{ readonly revision: number; readonly mark: TargetMark } | undefined> {
    const row = await (await this.#prepare('SELECT revision, body FROM {marks} WHERE token = ?')).bind(token).first()
    if (row === null) return undefined
    return { revision: Number(row['revision']), mark: JSON.parse(String(row['body'])) as TargetMark }
  }

  async saveMark(token: string, revision: number, mark: TargetMark): Promise<boolean> {
    const body = JSON.stringify(mark)
    if (revision === 0) {
      const sql = 'INSERT INTO {marks} (token, revision, body) VALUES (?, 1, ?) ON CONFLICT (token) DO NOTHING'
      return (await this.#run(sql, token, body)) === 1
    }
    const sql = 'UPDATE {marks} SET revision = revision + 1, body = ? WHERE token = ? AND revision = ?'
    return (await this.#run(sql, body, token, revision)) === 1
  }

  async lease(name: string, holder: string, until: number, now: number): Promise<boolean> {
    // One statement decides: a row that is another's and not over keeps the conflict from updating anything.
    const sql = `INSERT INTO {leases} (name, holder, until) VALUES (?, ?, ?) ON CONFLICT (name) DO UPDATE
      SET holder = excluded.holder, until = excluded.until WHERE holder = excluded.holder OR until <= ?`
    return (await this.#run(sql, name, holder, until, now)) === 1
  }

  async release(name: string, holder: string): Promise<void> {
    await this.#run('DELETE FROM {leases} WHERE name = ? AND holder = ?', name, holder)
  }

  async #run(sql: string, ...values: readonly (string | number | null)[]): Promise<number> {
    const { meta } = await (await this.#prepare(sql)).bind(...values).run()
    return meta.changes ?? 0
  }

  async #prepare(sql: string): Promise<D1Statement> {
    this.#ready ??= this.#migrate()
    try {
      await this.#ready
    } catch (error) {
      this.#ready = undefined
      throw error
    }
    return this.#database.prepare(this.#named(sql))
  }

  async #migrate(): Promise<void> {
    for (const sql of [
      'CREATE TABLE IF NOT EXISTS {rows} (id TEXT PRIMARY KEY, at INTEGER NOT NULL, body TEXT NOT NULL)',
      'CREATE INDEX IF NOT EXISTS {rows}_at ON {rows} (at, id)',
      'CREATE TABLE IF NOT EXISTS {snapshots} (id TEXT PRIMARY KEY, at INTEGER NOT NULL, body TEXT NOT NULL)',
      'CREATE TABLE IF NOT EXISTS {marks} (token TEXT PRIMARY KEY, revision INTEGER NOT NULL, body TEXT NOT NULL)',
      'CREATE TABLE IF NOT EXISTS {leases} (name TEXT PRIMARY KEY, holder TEXT NOT NULL, until INTEGER NOT NULL)',
    ]) {
      await this.#database.prepare(this.#named(sql)).run()
    }
  }

  #named(sql: string): string {
    return sql.replaceAll(/\{(\w+)\}/g, (_, table: string) => `${this.#prefix}${table}`)
  }
}
