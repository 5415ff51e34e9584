import type { HistoryRow } from '../cloudflare/history.ts'
import type { TargetMark } from '../cloudflare/mark.ts'
import type { HealerState, Snapshot } from '../cloudflare/state.ts'
import type { MaybePromise } from '../kernel/kind.ts'
import type { SuiteTools } from './store-suite/kit.ts'

/** What a test of {@link healerStateSuite} works with. */
export interface HealerStateFixture {
  /** Fresh and empty. */
  readonly state: HealerState
  /** The same state as another process has it; absent for one that nobody shares. */
  readonly another?: HealerState
  /** Called when the test has ended. */
  readonly release?: () => MaybePromise<void>
}

const TIMEOUT_MS = 30_000
const AT = Date.UTC(2030, 0, 1)

/** What must survive as it is: quotes, SQL, and letters of all sorts. */
const NAME = `'); DROP TABLE rows; -- "ü" 🔑`

const MARK: TargetMark = {
  changes: [AT],
  given: { 'a@b': { name: NAME, at: AT, held: true, removed: 1 } },
  health: 'degraded',
}

/**
 * The contract of a `HealerState`, as tests: run it over your own.
 *
 * @param factory - gives a fresh state; called once per test
 * @param tools - `describe`, `it` and `expect` of vitest, jest or the like
 * @example
 * ```ts sketch
 * healerStateSuite(() => ({ state: d1State({ database: freshDatabase() }) }), { describe, it, expect })
 * ```
 */
export function healerStateSuite(factory: () => MaybePromise<HealerStateFixture>, tools: SuiteTools): void {
  const { describe, expect } = tools
  const test = (name: string, body: (fixture: HealerStateFixture) => Promise<void>): void => {
    const run = async (): Promise<void> => {
      const fixture = await factory()
      try {
        await body(fixture)
      } finally {
        await fixture.release?.()
      }
    }
    tools.it(name, run, TIMEOUT_MS)
  }
  const idsOf = (rows: readonly HistoryRow[]): string[] => rows.map(({ id }) => id)

  describe('HealerState contract', () => {
    test('rows come newest first, those of one instant by id, and whole', async ({ state }) => {
      for (const [id, at] of [
        ['b', 2],
        ['a', 1],
        ['d', 2],
        ['c', 2],
        ['e', 3],
      ] as const)
        await state.append(row(id, AT + at))
      expect(idsOf(await state.rows({ limit: 10 }))).toEqual(['e', 'd', 'c', 'b', 'a'])
      expect((await state.rows({ limit: 1 }))[0]).toEqual(row('e', AT + 3))
    })

    test('pages join without gap or repetition, whatever instants the rows share', async ({ state }) => {
      const ids = Array.from({ length: 23 }, (_, n) => `r${String(n).padStart(2, '0')}`)
      for (const [n, id] of ids.entries()) await state.append(row(id, AT + Math.floor(n / 7)))
      const seen: string[] = []
      for (let before: HistoryRow | undefined; ; ) {
        const page = await state.rows({ limit: 4, ...(before !== undefined && { before }) })
        seen.push(...idsOf(page))
        before = page.at(-1)
        if (page.length < 4) break
      }
      expect(seen).toEqual([...ids].reverse())
      expect(idsOf(await state.rows({ limit: 50, before: { at: AT + 1 } }))).toEqual(ids.slice(0, 7).reverse())
    })

    test('the same row again changes nothing', async ({ state }) => {
      await state.append(row('a', AT))
      await state.append({ ...row('a', AT), actor: 'another' })
      expect((await state.rows({ limit: 10 })).map(({ actor }) => actor)).toEqual([NAME])
    })

    test('what is over goes, oldest first and bounded; the rest stays', async ({ state }) => {
      for (let n = 0; n < 6; n++) await state.append(row(`r${n}`, AT + n))
      await state.saveSnapshot(snapshot('s1', AT))
      await state.saveSnapshot(snapshot('s2', AT + 9))
      expect(await state.prune(AT + 4, 2)).toBe(3)
      expect(await state.prune(AT + 4, 100)).toBe(2)
      expect(await state.prune(AT + 4, 100)).toBe(0)
      expect(idsOf(await state.rows({ limit: 10 }))).toEqual(['r5', 'r4'])
      expect(await state.snapshot('s1')).toBe(undefined)
      expect((await state.snapshot('s2'))?.id).toBe('s2')
    })

    test('leases that are over go too: those of slots are taken and never given back', async ({ state }) => {
      expect(await state.lease('slot:1', 'a', AT + 1, AT)).toBe(true)
      expect(await state.lease('slot:2', 'a', AT + 9, AT)).toBe(true)
      expect(await state.prune(AT + 4, 100)).toBe(1)
      expect(await state.prune(AT + 4, 100)).toBe(0)
      expect(await state.lease('slot:2', 'b', AT + 20, AT + 5)).toBe(false)
      // Were it there still, it would be held at this instant.
      expect(await state.lease('slot:1', 'b', AT + 20, AT)).toBe(true)
    })

    test('a snapshot comes back as it was kept', async ({ state }) => {
      await state.saveSnapshot(snapshot('s1', AT))
      expect(await state.snapshot('s1')).toEqual(snapshot('s1', AT))
      expect(await state.snapshot(`s1' OR '1'='1`)).toBe(undefined)
    })

    test('a mark is saved by whoever read it last, and by nobody else', async ({ state, another = state }) => {
      expect(await state.mark('t')).toBe(undefined)
      expect(await state.saveMark('t', 0, MARK)).toBe(true)
      expect(await another.saveMark('t', 0, MARK)).toBe(false)
      const known = await another.mark('t')
      expect(known?.mark).toEqual(MARK)
      const revision = known?.revision ?? 0
      expect(await another.saveMark('t', revision, { ...MARK, health: 'healthy' })).toBe(true)
      expect(await state.saveMark('t', revision, MARK)).toBe(false)
      expect((await state.mark('t'))?.mark.health).toBe('healthy')
      expect(await state.mark('other')).toBe(undefined)
    })

    test('of many who save a mark at once, one does', async ({ state, another = state }) => {
      const saved = await Promise.all(
        Array.from({ length: 10 }, (_, n) => (n % 2 === 0 ? state : another).saveMark('t', 0, MARK)),
      )
      expect(saved.filter((each) => each)).toEqual([true])
    })

    test('a lease is one holder’s until it is over or given back', async ({ state, another = state }) => {
      expect(await state.lease('l', 'a', AT + 100, AT)).toBe(true)
      expect(await another.lease('l', 'b', AT + 100, AT + 99)).toBe(false)
      expect(await state.lease('l', 'a', AT + 200, AT + 50)).toBe(true)
      await another.release('l', 'b')
      expect(await another.lease('l', 'b', AT + 300, AT + 199)).toBe(false)
      expect(await another.lease('l', 'b', AT + 300, AT + 200)).toBe(true)
      await state.release('l', 'a')
      expect(await state.lease('l', 'a', AT + 400, AT + 201)).toBe(false)
      await another.release('l', 'b')
      expect(await state.lease('l', 'a', AT + 400, AT + 201)).toBe(true)
      expect(await state.lease('other', 'b', AT + 400, AT)).toBe(true)
    })

    test('of many who ask for a lease at once, one gets it', async ({ state, another = state }) => {
      const taken = await Promise.all(
        Array.from({ length: 10 }, (_, n) => (n % 2 === 0 ? state : another).lease('l', `h${n}`, AT + 100, AT)),
      )
      expect(taken.filter((each) => each)).toEqual([true])
    })

    test('what is handed out and in is nobody’s to change afterwards', async ({ state }) => {
      const own = { ...row('a', AT) }
      await state.append(own)
      try {
        Object.assign(own, { actor: 'changed' })
      } catch {
        // The state may have frozen it: that will do.
      }
      expect((await state.rows({ limit: 1 }))[0]?.actor).toBe(NAME)
    })
  })
}

function row(id: string, at: number): HistoryRow {
  return {
    id,
    at,
    action: 'check',
    actor: NAME,
    overall_health: 'degraded',
    account_token_valid: true,
    account_token_has_all_perms: false,
    account_token_missing_perms: 2,
    user_token_valid: null,
    user_token_has_all_perms: null,
    user_token_missing_perms: null,
    auto_heal_attempted: false,
    auto_heal_success: null,
    error_code: null,
    error_message: null,
    planHash: null,
    duration: 12,
    targets: [],
  }
}

function snapshot(id: string, at: number): Snapshot {
  const resources = { 'com.cloudflare.api.account.x': { 'com.cloudflare.api.account.zone.*': '*' } }
  return {
    id,
    at,
    kind: 'account',
    accountId: 'x',
    tokenId: 't',
    target: NAME,
    fields: {
      name: NAME,
      status: 'active',
      policies: [{ effect: 'allow', permission_groups: [{ id: 'g' }], resources }],
    },
    after: 'hash',
    planHash: 'plan',
  }
}
