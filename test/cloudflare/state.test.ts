import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, expect, it } from 'vitest'
import { d1State, memoryState, storeState } from '../../src/cloudflare/index.ts'
import { FileTokenStore } from '../../src/file/index.ts'
import { AuditLog, generateSecret, MemoryTokenStore } from '../../src/index.ts'
import { fakeClock, healerStateSuite } from '../../src/testing/index.ts'
import { REQUIRED, setUp } from './fixture.ts'
import { sqliteD1 } from './sqlite-d1.ts'

describe('in memory', () => healerStateSuite(() => ({ state: memoryState() }), { describe, it, expect }))

describe('in a store', () =>
  healerStateSuite(
    () => {
      const options = { store: new MemoryTokenStore(), keys: generateSecret() }
      return { state: storeState(options), another: storeState(options) }
    },
    { describe, it, expect },
  ))

describe('in a file', () =>
  healerStateSuite(
    async () => {
      const folder = mkdtempSync(join(tmpdir(), 'tokenwright-healer-'))
      const keys = generateSecret()
      const stores = [await FileTokenStore.open(join(folder, 't.db')), await FileTokenStore.open(join(folder, 't.db'))]
      const [one, two] = stores.map((store) => storeState({ store, keys }))
      return {
        state: one as NonNullable<typeof one>,
        another: two as NonNullable<typeof two>,
        release: async () => {
          for (const store of stores) await store.close()
          rmSync(folder, { recursive: true })
        },
      }
    },
    { describe, it, expect },
  ))

describe('in D1', () =>
  healerStateSuite(
    () => {
      const database = sqliteD1(new DatabaseSync(':memory:'))
      return { state: d1State({ database }), another: d1State({ database }) }
    },
    { describe, it, expect },
  ))

describe('what a state refuses', () => {
  it('a database that is none, a prefix that would be SQL', () => {
    expect(() => d1State({ database: {} as never })).toThrow('D1')
    for (const prefix of ['x; DROP', 'A', '', 'a'.repeat(41)])
      expect(() => d1State({ database: sqliteD1(), prefix })).toThrow('prefix')
  })
})

describe('rows in a store', () => {
  it('are in the journal, proved, and the health of the store says so', async () => {
    const clock = fakeClock()
    const store = new MemoryTokenStore({ clock })
    const keys = generateSecret()
    const { healer } = await setUp()
    const one = healer({ state: storeState({ store, keys, clock }), ceiling: [...REQUIRED], autoHeal: true })
    await one.check()
    await one.heal()
    const journal = await store.journal({ limit: 100 })
    expect(journal.map(({ action }) => action)).toEqual(['cloudflare.check', 'cloudflare.snapshot', 'cloudflare.heal'])
    await one.roll()
    const { items } = await new AuditLog({ store, keys, clock }).query({ action: 'cloudflare.roll' })
    expect(items[0]).toMatchObject({ action: 'cloudflare.roll', risk: 'high' })
    expect((await new AuditLog({ store, keys, clock }).verify()).firstBad).toBe(undefined)
  })
})

describe('a state that fails', () => {
  const failing = (methods: readonly string[]) =>
    new Proxy(memoryState(), {
      get: (state, name) =>
        methods.includes(String(name))
          ? () => Promise.reject(Object.assign(new Error('down'), { code: 'D1_ERROR' }))
          : (...args: never[]) =>
              (state as never as { [name: string]: (...args: never[]) => unknown })[String(name)]?.(...args),
    })

  it('doesn’t change what a check finds, and is told (F3)', async () => {
    const { healer, recorder } = await setUp({ groups: REQUIRED })
    const one = healer({ state: failing(['append', 'mark', 'rows']) })
    const told = recorder(one)
    expect((await one.check()).overall_health).toBe('healthy')
    const failed = told.events.filter(({ name }) => name === ('stateFailed' as never)).map(({ payload }) => payload)
    expect(failed).toMatchObject([
      { operation: 'remembering a check' },
      { operation: 'writing the history', code: 'D1_ERROR' },
    ])
    await expect(one.status()).rejects.toMatchObject({ code: 'ERR_HEALER_STATE' })
  })

  it.each(['lease', 'saveSnapshot', 'saveMark'])('by %s keeps a change from being sent', async (method) => {
    const { healer, cloudflare } = await setUp()
    const one = healer({ state: failing([method]), ceiling: [...REQUIRED], autoHeal: true })
    expect((await one.heal()).changes[0]).toMatchObject({ outcome: 'not_sent', error: { code: 'ERR_HEALER_STATE' } })
    expect(cloudflare.count('PUT')).toBe(0)
  })
})
