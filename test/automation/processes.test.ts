import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { RuleEngine } from '../../src/automation/rule-engine.ts'
import type { RunView } from '../../src/automation/run.ts'
import { FileTokenStore } from '../../src/file/index.ts'
import type { TokenStore } from '../../src/index.ts'
import { PostgresTokenStore } from '../../src/postgres/index.ts'
import { startChild } from '../child-process.ts'
import { dropSchema, freshSchema, newPool, there } from '../postgres/database.ts'
import { KEYS } from './fixture.ts'

const RULES = 200
const MS = 2500

interface Place {
  readonly where: string
  open(): Promise<TokenStore>
  end(): Promise<void>
}

async function file(): Promise<Place> {
  const folder = await mkdtemp(join(tmpdir(), 'tokenwright-checkers-'))
  const where = join(folder, 'tokens.db')
  return { where, open: () => FileTokenStore.open(where), end: () => rm(folder, { recursive: true }) }
}

async function postgres(): Promise<Place> {
  const where = freshSchema()
  const sql = newPool({ max: 1 })
  return {
    where,
    open: async () => {
      const store = new PostgresTokenStore({ pool: newPool({ max: 4 }), schema: where, closePool: true })
      await store.migrate()
      return store
    },
    end: async () => {
      await dropSchema(sql, where)
      await sql.end()
    },
  }
}

describe('several processes check 200 rules', () => {
  it.each([
    ['two, one file', 'file', file, 2],
    ['four, one file', 'file', file, 4],
    ...(there
      ? ([
          ['two, one PostgreSQL', 'postgres', postgres, 2],
          ['four, one PostgreSQL', 'postgres', postgres, 4],
        ] as const)
      : []),
  ] as const)('%s: every slot once', { timeout: 60_000 }, async (_, sort, make, processes) => {
    const place = await make()
    const store = await place.open()
    try {
      const rules = new RuleEngine({ store, keys: KEYS })
      rules.action('print', () => {})
      const children = Array.from({ length: processes }, () =>
        startChild('automation/children/checker.ts', sort, place.where, String(MS)),
      )
      await Promise.all(children.map((child) => child.printed(1)))
      for (let i = 0; i < RULES; i++) {
        await rules.create({ name: `r${i}`, action: 'print', schedule: { every: '1s' } })
      }
      for (const child of children) child.process.stdin?.write('go\n')
      await Promise.all(children.map((child) => child.ended))
      for (const child of children) expect(child.lines.at(-1)).toBe('done')

      const printed = children.flatMap((child) => child.lines.slice(1, -1))
      expect(new Set(printed).size).toBe(printed.length)
      // Each process had its share: a claim is nobody's privilege.
      for (const child of children) expect(child.lines.length).toBeGreaterThan(RULES / processes / 4)

      let runs = 0
      for (let i = 0; i < RULES; i++) {
        const found: RunView[] = [...(await rules.runs(`r${i}`, { limit: 1000 })).items].reverse()
        runs += found.length
        expect(found.length).toBeGreaterThan(0)
        // The slots follow one another without a gap and without a double: what was missed is accounted for.
        let next = (await rules.get(`r${i}`))?.createdAt ?? 0
        for (const { slot, missed = 0, outcome, attempt } of found) {
          expect([outcome, attempt]).toEqual(['ok', 1])
          expect(slot).toBe(next + 1000 * (missed + 1))
          next = slot
        }
      }
      expect(printed).toHaveLength(runs)
    } finally {
      await store.close()
      await place.end()
    }
  })
})
