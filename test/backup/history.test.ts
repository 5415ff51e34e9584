import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { FileTokenStore } from '../../src/file/index.ts'
import { MemoryTokenStore, type TokenStore } from '../../src/index.ts'
import { PostgresTokenStore } from '../../src/postgres/index.ts'
import type { UsageIncrement } from '../../src/stores/usage-rows.ts'
import { DAY, HOUR, START, setUp } from '../issuing/fixture.ts'
import { dropSchema, freshSchema, newPool, there } from '../postgres/database.ts'
import { archiveFolder } from './fixture.ts'

let files: ReturnType<typeof archiveFolder>
beforeEach(() => {
  files = archiveFolder()
})
afterEach(() => files.remove())

const include = { journal: true, usage: true }

/** Everything in a store's journal, without its places in the chain. */
async function journalOf(store: TokenStore): Promise<{ id: string; tag: string; action: string }[]> {
  const entries: { id: string; tag: string; action: string }[] = []
  for (let after = 0; ; ) {
    const page = await store.journal({ after, limit: 1000 })
    const last = page.at(-1)
    if (last === undefined) return entries
    after = last.seq
    entries.push(...page.map(({ id, tag, action }) => ({ id, tag, action })))
  }
}

/** Usage of so many tokens in so many hours. */
function usage(tokens: number, hours: number): UsageIncrement[] {
  const rows: UsageIncrement[] = []
  for (let hour = 0; hour < hours; hour++) {
    for (let token = 0; token < tokens; token++) {
      const at = START - 40 * DAY + hour * HOUR
      const counts = { calls: 1 + token, cost: 2, failures: 0, durationMs: 5 }
      rows.push({ token: `t${token}`, version: 0, hour: at, tool: '', outcome: 'ok', ...counts, lastAt: at + 1 })
    }
  }
  return rows
}

/** A store with a past, and its archive. */
async function past() {
  const made = setUp()
  for (let i = 0; i < 700; i++) await made.tokens.generate({ service: `S${i}` })
  await made.tokens.revoke('S1')
  const rows = usage(30, 60)
  await made.store.addUsage('f', rows)
  const backup = await made.tokens.backups.create({ to: files.at('a.twb'), include })
  return { ...made, backup, file: files.at('a.twb') }
}

describe('journal and usage', () => {
  it('are left out unless asked for', async () => {
    const { tokens } = setUp({ backups: { include: { journal: true } } })
    await tokens.generate({ service: 'A' })
    const byDefault = await tokens.backups.create({ to: files.at('a.twb') })
    expect(byDefault).toMatchObject({ includes: ['journal'], counts: { journal: 1, usage: 0 } })
    const without = await tokens.backups.create({ to: files.at('b.twb'), include: { journal: false } })
    expect(without).toMatchObject({ includes: [], counts: { journal: 0, usage: 0 } })
    const report = await setUp().tokens.backups.restore(files.at('b.twb'))
    expect([report.journal, report.usage]).toEqual([undefined, undefined])
  })

  const stores: { [name: string]: () => Promise<{ store: TokenStore; release(): Promise<unknown> }> } = {
    memory: async () => ({ store: new MemoryTokenStore(), release: async () => {} }),
    file: async () => {
      const store = await FileTokenStore.open(files.at('t.db'))
      return { store, release: () => store.close() }
    },
  }
  if (there) {
    stores['postgres'] = async () => {
      const schema = freshSchema()
      const pool = newPool({ max: 3 })
      const store = new PostgresTokenStore({ pool, schema })
      await store.migrate()
      const release = async () => {
        await store.close()
        await dropSchema(pool, schema)
        await pool.end()
      }
      return { store, release }
    }
  }

  for (const [name, make] of Object.entries(stores)) {
    it(`come back into an empty ${name} store, before the entries of the restore itself, and once`, async () => {
      const { file, store: origin, backup } = await past()
      expect(backup.counts).toMatchObject({ journal: 701, usage: backup.counts.usage })
      const { store, release } = await make()
      const { tokens } = setUp({ store })
      const plan = await tokens.backups.plan(file)
      const report = await tokens.backups.restore(file)
      expect(report).toEqual(plan)
      expect(report.journal).toEqual({ written: 701, identical: 0, leftOut: 0 })
      // Seals what a store appends unsealed.
      await tokens.tick()
      const entries = await journalOf(store)
      expect(entries.slice(0, 701)).toEqual(await journalOf(origin))
      expect(entries.slice(701).every(({ action }) => action === 'token.restored')).toBe(true)
      const total = async (of: TokenStore) => {
        const rows = await of.usage({ limit: 10_000 })
        return rows.reduce((sum, { calls }) => sum + calls, 0)
      }
      expect(await total(store)).toBe(await total(origin))
      expect(await tokens.audit.verify({ records: true })).toMatchObject({ ok: true, records: 700 })
      const again = await tokens.backups.restore(file)
      expect(again.journal).toEqual({ written: 0, identical: 701, leftOut: 0 })
      expect(again.usage).toEqual({ written: 0, identical: 0, leftOut: backup.counts.usage })
      expect(await total(store)).toBe(await total(origin))
      await release()
    })
  }

  it('into the store that they came from change nothing', async () => {
    const { tokens, store, file, backup } = await past()
    const before = [await journalOf(store), store.usage({ limit: 10_000 })]
    const report = await tokens.backups.restore(file)
    expect(report.journal).toEqual({ written: 0, identical: 701, leftOut: 0 })
    expect(report.usage).toEqual({ written: 0, identical: 0, leftOut: backup.counts.usage })
    expect([await journalOf(store), store.usage({ limit: 10_000 })]).toEqual(before)
  })

  it('are left out where the store has a past of its own', async () => {
    const { file, backup } = await past()
    const other = setUp()
    const { token } = await other.tokens.generate({ service: 'MINE' })
    await other.tokens.verify(token)
    await other.tokens.usage.flush()
    const report = await other.tokens.backups.restore(file)
    expect(report.journal).toEqual({ written: 0, identical: 0, leftOut: 701 })
    expect(report.usage).toEqual({ written: 0, identical: 0, leftOut: backup.counts.usage })
    expect((await journalOf(other.store))[0]?.action).toBe('token.generated')
    expect((await other.store.usage({ limit: 10 })).length).toBe(1)
  })

  it('go on where a restore was interrupted, each once', async () => {
    const { file, store: origin } = await past()
    // One that fails at the nth write, for every n of the past; the same store each time.
    const store = new MemoryTokenStore()
    let left = 0
    const failing = new Proxy(store, {
      get: (target, name) => {
        const value: unknown = Reflect.get(target, name, target)
        if (typeof value !== 'function') return value
        if (name !== 'commit' && name !== 'addUsage') return value.bind(target)
        return (...args: unknown[]) => {
          left -= 1
          if (left < 0) throw Object.assign(new Error('gone'), { code: 'GONE' })
          return value.apply(target, args)
        }
      },
    })
    let interrupted = 0
    for (let n = 1; ; n++) {
      left = n
      const { tokens } = setUp({ store: failing })
      const outcome = await tokens.backups.restore(file).then(
        () => 'done',
        (error: { code?: string }) => error.code,
      )
      if (outcome === 'done') break
      expect(outcome).toBe('GONE')
      interrupted += 1
    }
    expect(interrupted).toBeGreaterThan(3)
    const entries = await journalOf(store)
    expect(entries.slice(0, 701)).toEqual(await journalOf(origin))
    expect(entries.length).toBe(1401)
    expect(store.usage({ limit: 10_000 })).toEqual(origin.usage({ limit: 10_000 }))
  })

  it('usage goes on where it was though the store has long forgotten what was added before', async () => {
    const made = setUp()
    await made.store.addUsage('f', usage(1200, 1))
    const { file = '' } = await made.tokens.backups.create({ to: files.at('a.twb'), include })
    const store = new MemoryTokenStore()
    let left = 2
    const addUsage: typeof store.addUsage = (id, rows) => {
      left -= 1
      if (left < 0) throw Object.assign(new Error('gone'), { code: 'GONE' })
      return store.addUsage(id, rows)
    }
    const failing = new Proxy(store, {
      get: (target, name) => {
        const value: unknown = name === 'addUsage' ? addUsage : Reflect.get(target, name, target)
        return typeof value === 'function' ? value.bind(target) : value
      },
    })
    const { tokens } = setUp({ store: failing })
    await expect(tokens.backups.restore(file)).rejects.toMatchObject({ code: 'GONE' })
    left = Number.POSITIVE_INFINITY
    // The flushes of some days of live use.
    const live = usage(1, 1).map((row) => ({ ...row, token: 'live' }))
    for (let i = 0; i < 25_000; i++) store.addUsage(`live${i}`, live)
    await tokens.backups.restore(file)
    const archived = store.usage({ limit: 10_000 }).filter(({ token }) => token !== 'live')
    expect(archived).toEqual(made.store.usage({ limit: 10_000 }))
  })
})
