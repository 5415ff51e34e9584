import type { OrderKey } from '../../kernel/kind.ts'
import { type Random, seededRandom } from '../../kernel/random.ts'
import type { TokenStore } from '../../stores/token-store.ts'
import {
  type Account,
  accountKind,
  brokenAt,
  type Draft,
  draft,
  listAll,
  outcome,
  type Suite,
  wholeJournal,
} from './kit.ts'

const IDS = 12
const NAMES = 9
const KEYS = 20

/** Random commits against the simplest model of a store that there is. */
export function modelTests({ describe, test, expect }: Suite): void {
  describe('model', () => {
    for (let seed = 1; seed <= 6; seed++) {
      test(`250 random commits, seed ${seed}`, async (first, { reopen }) => {
        let store = first
        const random = seededRandom(`tokenStoreSuite ${seed}`)
        const model = new Model()
        const replays: ReturnType<typeof draft>[] = []
        for (let step = 1; step <= 250; step++) {
          const writes = randomWrites(random, model)
          const each = draft(writes)
          const foreseen = model.foresee(writes)
          expect([step, await outcome(() => store.commit(each))]).toEqual([step, foreseen])
          if (foreseen === 'ok') {
            model.apply(writes)
            replays.push(each)
          }
          if (replays.length > 0 && random.float() < 0.1) {
            const again = replays[Math.floor(random.float() * replays.length)]
            if (again !== undefined) expect((await store.commit(again)).replayed).toBe(true)
          }
          if (step % 125 === 0 && reopen !== undefined) store = await reopen()
          if (step % 25 === 0) expect(await state(store, random)).toEqual(model.state())
        }
        const journal = await wholeJournal(store)
        expect(journal.map((found) => [found.subject, found.revision])).toEqual(model.journal)
        expect(brokenAt(journal)).toBe(undefined)
      })
    }
  })
}

interface Held {
  revision: number
  /** Absent = a tombstone. */
  value?: Account
  kept: readonly string[]
}

class Model {
  readonly records = new Map<string, Held>()
  readonly journal: (readonly [string, number])[] = []

  /** What the store has to answer. */
  foresee(writes: readonly Draft[]): string {
    for (const { id, revision } of writes)
      if ((this.records.get(id)?.revision ?? 0) !== revision) return 'ERR_STALE_REVISION'
    for (const { id } of writes) {
      const held = this.records.get(id)
      if (held !== undefined && held.value === undefined) return 'ERR_INVALID_COMMIT'
    }
    const after = new Map(this.records)
    for (const write of writes) after.set(write.id, heldAfter(write))
    const names = [...after.values()].flatMap((held) => held.value?.name ?? [])
    const keys = [...after.values()].flatMap((held) => [...new Set(held.value?.keys ?? held.kept)])
    const clash = new Set(names).size < names.length || new Set(keys).size < keys.length
    return clash ? 'ERR_UNIQUE_CONFLICT' : 'ok'
  }

  apply(writes: readonly Draft[]): void {
    for (const write of writes) {
      this.records.set(write.id, heldAfter(write))
      this.journal.push([write.id, (write.revision ?? 0) + 1])
    }
  }

  /** What the store has to hold. */
  state(): unknown {
    const living = [...this.records].flatMap(([id, { revision, value }]) =>
      value === undefined ? [] : [{ id, revision, value }],
    )
    const byId = living.sort((a, b) => (a.id < b.id ? -1 : 1))
    const keys = Array.from({ length: KEYS }, (_, k) => byId.find(({ value }) => value.keys.includes(`k${k}`))?.id)
    const names = Array.from({ length: NAMES }, (_, n) => byId.find(({ value }) => value.name === `n${n}`)?.id)
    const lists = ranges().map(({ index, in: part }) => {
      const placed = byId.flatMap((stored) => {
        const given = accountKind.order[index](stored.value)
        const points = (given === undefined ? [] : [given].flat()) as OrderKey[]
        const at = points.filter((point) => point.in === part).map((point) => point.at)
        return at.length === 0 ? [] : [{ id: stored.id, at: Math.min(...at) }]
      })
      return placed.sort((a, b) => a.at - b.at || (a.id < b.id ? -1 : 1)).map(({ id }) => id)
    })
    return { records: byId, keys, names, lists }
  }
}

function heldAfter(write: Draft): Held {
  const revision = (write.revision ?? 0) + 1
  if ('tombstone' in write) return { revision, kept: write.tombstone.digests }
  return { revision, value: (write as { value: Account }).value, kept: [] }
}

function ranges() {
  return [
    { index: 'rank', in: undefined },
    { index: 'due', in: undefined },
    { index: 'owner', in: 'o1' },
    { index: 'owner', in: 'o2' },
    { index: 'tag', in: 't1' },
    { index: 'tag', in: 't2' },
  ] as const
}

/** What the store holds, in the form of {@link Model.state}. */
async function state(store: TokenStore, random: Random): Promise<unknown> {
  const records: unknown[] = []
  for (let n = 0; n < IDS; n++) records.push(await store.get(accountKind, `id${String(n).padStart(2, '0')}`))
  const holder = async (index: 'key' | 'name', key: string) => (await store.find(accountKind, index, [key]))?.id
  const lists: unknown[] = []
  for (const range of ranges()) {
    const limit = 1 + Math.floor(random.float() * 5)
    const reverse = random.float() < 0.5
    const found = (await listAll(store, accountKind, { ...range, limit, reverse })).map((stored) => stored.id)
    lists.push(reverse ? found.reverse() : found)
  }
  return {
    records: records.filter((record) => record !== undefined),
    keys: await Promise.all(Array.from({ length: KEYS }, (_, k) => holder('key', `k${k}`))),
    names: await Promise.all(Array.from({ length: NAMES }, (_, n) => holder('name', `n${n}`))),
    lists,
  }
}

function randomWrites(random: Random, model: Model): Draft[] {
  const writes = new Map<string, Draft>()
  const count = random.float() < 0.6 ? 1 : 1 + below(random, 3)
  for (let n = 0; n < count; n++) {
    const id = `id${String(below(random, IDS)).padStart(2, '0')}`
    const right = model.records.get(id)?.revision ?? 0
    const revision = random.float() < 0.08 ? below(random, 4) : right
    const base = { kind: accountKind, id, revision }
    const keys = Array.from({ length: below(random, 3) }, () => `k${below(random, KEYS)}`)
    if (random.float() < 0.02)
      writes.set(id, { ...base, tombstone: { endedAt: 1, reason: 'model', digests: [...new Set(keys)] } })
    else writes.set(id, { ...base, value: randomAccount(random, [...new Set(keys)]) })
  }
  return [...writes.values()]
}

function randomAccount(random: Random, keys: readonly string[]): Account {
  return {
    name: `n${below(random, NAMES)}`,
    keys,
    rank: below(random, 6),
    ...(random.float() < 0.5 ? { owner: `o${below(random, 3)}` } : undefined),
    ...(random.float() < 0.5
      ? { tags: Array.from({ length: below(random, 4) }, () => `t${below(random, 3)}`) }
      : undefined),
    ...(random.float() < 0.5 ? { dueAt: below(random, 5) } : undefined),
  }
}

function below(random: Random, limit: number): number {
  return Math.floor(random.float() * limit)
}
