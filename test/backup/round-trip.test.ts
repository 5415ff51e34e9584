import { PGlite } from '@electric-sql/pglite'
import fc from 'fast-check'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { PlainTokenStore } from '../../examples/store/plain-token-store.ts'
import { FileTokenStore } from '../../src/file/index.ts'
import { generateSecret, MemoryTokenStore, type TokenStore, Tokenwright } from '../../src/index.ts'
import { fromPglite, PostgresTokenStore } from '../../src/postgres/index.ts'
import { fakeClock, seededRandom } from '../../src/testing/index.ts'
import { dropSchema, freshSchema, newPool, there } from '../postgres/database.ts'
import { allRows, archiveFolder, contents } from './fixture.ts'

const keys = generateSecret(seededRandom('round trip'))

/** One thing that a host does. */
type Deed = readonly [what: string, which: number, amount: number]

const aDeed: fc.Arbitrary<Deed> = fc.tuple(
  fc.constantFrom(
    'generate',
    'generate',
    'generate',
    'rotate',
    'emergency',
    'revoke',
    'disable',
    'update',
    'use',
    'wait',
    'clean',
  ),
  fc.nat(7),
  fc.nat(40),
)

/** Lives through some deeds; what a token's state doesn't allow is passed over. */
async function live(
  tokens: Tokenwright,
  clock: ReturnType<typeof fakeClock>,
  deeds: readonly Deed[],
): Promise<string[]> {
  const texts: string[] = []
  const latest = new Map<string, string>()
  for (const [what, which, amount] of deeds) {
    const service = `S ü"${which}`
    const keep = (text: string) => {
      texts.push(text)
      latest.set(service, text)
    }
    try {
      if (what === 'generate') {
        const more = amount % 3 === 0 ? { retrievable: true } : amount % 3 === 1 ? { quota: { limit: 10 } } : {}
        const life = amount % 4 === 0 ? { expiresIn: '1h' as const } : {}
        const about = {
          description: `née \u{1F600}\n"${amount}"`,
          metadata: { n: amount, deep: { a: [1, null, 'x'] } },
        }
        keep(
          (
            await tokens.generate({
              service,
              scopes: [`s${amount}:read`],
              tags: ['a', 'b'],
              ...more,
              ...life,
              ...about,
            })
          ).token,
        )
      } else if (what === 'rotate') keep((await tokens.rotate(service, { grace: `${1 + amount}m` })).token)
      else if (what === 'emergency') keep((await tokens.rotate(service, { grace: 0 })).token)
      else if (what === 'revoke') await tokens.revoke(service, { reason: 'because' })
      else if (what === 'disable') await (amount % 2 === 0 ? tokens.disable(service) : tokens.enable(service))
      else if (what === 'update') await tokens.update(service, { level: amount % 2 === 0 ? 'admin' : 'read_only' })
      else if (what === 'use') await tokens.verify(latest.get(service))
      else if (what === 'wait') await clock.advance(amount * 60_000)
      else await tokens.cleanup({ retention: amount * 60_000 })
    } catch (error) {
      if (!String((error as { code?: string }).code).startsWith('ERR_')) throw error
    }
  }
  await tokens.usage.flush()
  return texts
}

let files: ReturnType<typeof archiveFolder>
beforeEach(() => {
  files = archiveFolder()
})
afterEach(() => files.remove())

let db: PGlite
beforeAll(async () => {
  db = await PGlite.create()
}, 60_000)
afterAll(() => db.close())

/** A store to restore into, and the way to be rid of it. */
type Make = (clock: ReturnType<typeof fakeClock>) => Promise<{ store: TokenStore; release(): Promise<unknown> }>

let files_ = 0
const makers: { [name: string]: Make } = {
  memory: async (clock) => ({ store: new MemoryTokenStore({ clock }), release: async () => {} }),
  file: async (clock) => {
    files_ += 1
    const store = await FileTokenStore.open(files.at(`${files_}.db`), { clock })
    return { store, release: () => store.close() }
  },
  pglite: async () => {
    const schema = freshSchema()
    const store = new PostgresTokenStore({ pool: fromPglite(db), schema })
    await store.migrate()
    return { store, release: () => store.close().then(() => dropSchema({ query: (text) => db.exec(text) }, schema)) }
  },
  'a store that shows no point in time': async (clock) => ({
    store: new PlainTokenStore(clock),
    release: async () => {},
  }),
}
if (there) {
  makers['postgres'] = async () => {
    const schema = freshSchema()
    const pool = newPool({ max: 4 })
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

describe('random populations', () => {
  it('go from store to store and come back as they were', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(aDeed, { minLength: 5, maxLength: 40 }), fc.boolean(), async (deeds, compress) => {
        const clock = fakeClock({ now: '2027-01-01T00:00:00Z' })
        const origin = new MemoryTokenStore({ clock })
        const first = new Tokenwright({ store: origin, keys, clock })
        const texts = await live(first, clock, deeds)
        const expected = await contents(origin)
        const answers = await Promise.all(texts.map(async (text) => answerOf(await first.verify(text))))
        let { file = '' } = await first.backups.create({ to: files.at('a.twb'), compress })
        let epoch = 0
        for (const [name, make] of Object.entries(makers)) {
          const { store, release } = await make(clock)
          const door = new Tokenwright({ store, keys, clock })
          const plan = await door.backups.plan(file)
          const report = await door.backups.restore(file)
          expect([name, report.counts]).toEqual([name, plan.counts])
          expect(report.refused).toBe(0)
          epoch += 1
          if (store.scan !== undefined) {
            expect([name, await contents(store)]).toEqual([name, expected])
            const revisions = (await allRows(store)).map((row) => row.revision)
            expect(revisions.every((revision) => revision === epoch * 2 ** 32 + 1)).toBe(true)
            file = (await door.backups.create({ to: files.at(`${name}.twb`), compress })).file as string
          } else {
            epoch -= 1
          }
          const here = await Promise.all(texts.map(async (text) => answerOf(await door.verify(text))))
          expect([name, here]).toEqual([name, answers])
          await release()
        }
        const last = new MemoryTokenStore({ clock })
        await new Tokenwright({ store: last, keys, clock }).backups.restore(file)
        expect(await contents(last)).toEqual(expected)
      }),
      { numRuns: 12 },
    )
  }, 120_000)

  it('restored over another life of the same store, never revive what ended here, in any mode', async () => {
    const aMode = fc.constantFrom('merge' as const, 'missing_only' as const, 'replace' as const)
    const someDeeds = fc.array(aDeed, { minLength: 1, maxLength: 25 })
    await fc.assert(
      fc.asyncProperty(someDeeds, someDeeds, aMode, async (before, after, mode) => {
        const clock = fakeClock({ now: '2027-01-01T00:00:00Z' })
        const store = new MemoryTokenStore({ clock })
        const door = new Tokenwright({ store, keys, clock, backups: { directory: files.folder } })
        const texts = await live(door, clock, before)
        const { file = '' } = await door.backups.create()
        texts.push(...(await live(door, clock, after)))
        const dead: string[] = []
        for (const text of texts) {
          const answer = await door.verify(text)
          if (!answer.ok && answer.code !== 'quota_exceeded') dead.push(text)
        }
        const plan = await door.backups.plan(file, { mode })
        const { before: _, ...report } = await door.backups.restore(file, { mode })
        expect(report).toEqual(plan)
        for (const text of dead) expect((await door.verify(text)).ok).toBe(false)
        const once = await allRows(store)
        expect((await door.backups.restore(file, { mode })).written).toBe(0)
        expect(await allRows(store)).toEqual(once)
      }),
      { numRuns: 150 },
    )
  }, 120_000)
})

function answerOf(answer: { ok: boolean; code?: string; version?: string }): string {
  return answer.ok ? `ok ${answer.version}` : (answer.code ?? '')
}
