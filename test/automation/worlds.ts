import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { FileTokenStore } from '../../src/file/index.ts'
import { type Commit, MemoryTokenStore, StoreUnavailableError, type TokenStore } from '../../src/index.ts'
import { PostgresTokenStore } from '../../src/postgres/index.ts'
import { type FakeClock, fakeClock } from '../../src/testing/index.ts'
import { dropSchema, freshSchema, moveClock, newPool, there } from '../postgres/database.ts'
import { START } from './fixture.ts'

/** A store that outlives the processes on it, and its time. */
export interface World {
  readonly clock: FakeClock
  /** The store as a process opens it. */
  open(): Promise<TokenStore>
  /** Lets time pass, for the store and for those who have its clock. */
  pass(ms: number): Promise<void>
  end(): Promise<void>
}

async function inMemory(): Promise<World> {
  const clock = fakeClock({ now: START })
  const store = new MemoryTokenStore({ clock })
  return { clock, open: async () => store, pass: (ms) => clock.advance(ms), end: async () => {} }
}

async function inFile(): Promise<World> {
  const clock = fakeClock({ now: START })
  const folder = await mkdtemp(join(tmpdir(), 'tokenwright-rules-'))
  const opened: TokenStore[] = []
  return {
    clock,
    open: async () => {
      const store = await FileTokenStore.open(join(folder, 'tokens.db'), { clock, crossProcessStaleness: 0 })
      opened.push(store)
      return store
    },
    pass: (ms) => clock.advance(ms),
    end: async () => {
      for (const store of opened) await store.close()
      await rm(folder, { recursive: true })
    },
  }
}

/** The server has a time of its own: it is moved along. */
async function inPostgres(): Promise<World> {
  const clock = fakeClock({ now: Date.now() })
  const schema = freshSchema()
  const sql = newPool({ max: 1 })
  const opened: TokenStore[] = []
  let offset = 0
  return {
    clock,
    open: async () => {
      const store = new PostgresTokenStore({ pool: newPool({ max: 3 }), schema, closePool: true })
      await store.migrate()
      opened.push(store)
      return store
    },
    pass: async (ms) => {
      offset += ms
      await moveClock(sql, schema, offset)
      await clock.advance(ms)
    },
    end: async () => {
      for (const store of opened) await store.close()
      await dropSchema(sql, schema)
      await sql.end()
    },
  }
}

/** Each sort of store that is there to test with. */
export const WORLDS: readonly (readonly [string, () => Promise<World>])[] = [
  ['in memory', inMemory],
  ['in a file', inFile],
  ...(there ? ([['in PostgreSQL', inPostgres]] as const) : []),
]

/** A store whose process dies at its `at`-th commit, right before or right after it is done: from then on nothing answers. */
export function mortal(
  inner: TokenStore,
  at: number,
  when: 'before' | 'after',
): { store: TokenStore; commits: () => number } {
  let commits = 0
  let dead = false
  const died = (): never => {
    throw new StoreUnavailableError('the process died')
  }
  const commit = async (input: Commit) => {
    if (dead) died()
    commits += 1
    const mine = commits
    if (mine === at && when === 'before') dead = true
    if (dead) died()
    const result = await inner.commit(input)
    if (mine === at) dead = true
    return dead ? died() : result
  }
  const store = new Proxy(inner, {
    get(target, name) {
      if (name === 'commit') return commit
      const value: unknown = Reflect.get(target, name, target)
      if (typeof value !== 'function') return value
      return (...args: unknown[]) => (dead && name !== 'durability' ? died() : value.apply(target, args))
    },
  })
  return { store, commits: () => commits }
}
