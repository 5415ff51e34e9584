// Adds to a shared counter by compare-and-set, makes records of its own, sends events, adds usage and seals, for a given
// time; then tells how it went.
import { PostgresTokenStore } from '../../../src/postgres/postgres-token-store.ts'
import { StaleRevisionError } from '../../../src/stores/errors.ts'
import { createLink } from '../../../src/stores/journal-link.ts'
import { account, accountKind, draft, event, journalKey } from '../../../src/testing/store-suite/kit.ts'
import { newPool } from '../database.ts'

const [schema = '', name = '', ms = '0'] = process.argv.slice(2)
const store = new PostgresTokenStore({ pool: newPool({ max: 6 }), schema, closePool: true })
await store.get(accountKind, 'counter')
// All begin together.
process.stdout.write('ready\n')
await new Promise((resolve) => process.stdin.once('data', resolve))
process.stdin.destroy()

const link = createLink(journalKey)
const end = performance.now() + Number(ms)
let [made, added, stale, tries, sealed, flushes] = [0, 0, 0, 0, 0, 0]
const errors: string[] = []

async function make(): Promise<void> {
  while (performance.now() < end) {
    made += 1
    const id = `${name}-${made}`
    // All processes send events of the same few tokens.
    const outbox = [event(`e ${id}`, `t${made % 3}`)]
    await store.commit(draft([account(id, 0, { rank: 1 })], { id, ...(made % 5 === 0 ? { outbox } : undefined) }))
  }
}

async function add(): Promise<void> {
  while (performance.now() < end) {
    const stored = await store.get(accountKind, 'counter')
    tries += 1
    const next = account('counter', stored?.revision ?? 0, { rank: (stored?.value.rank ?? 0) + 1 })
    try {
      await store.commit(draft([next], { id: `${name}+${tries}` }))
      added += 1
    } catch (error) {
      if (!(error instanceof StaleRevisionError)) throw error
      stale += 1
    }
  }
}

async function seal(): Promise<void> {
  while (performance.now() < end) sealed += await store.sealJournal(link, 200)
}

async function count(): Promise<void> {
  const hour = Math.floor((await store.time()) / 3_600_000) * 3_600_000
  const counts = { version: 1, hour, outcome: 'ok', calls: 1, cost: 1, failures: 0, durationMs: 0, lastAt: hour }
  while (performance.now() < end) {
    flushes += 1
    // Each process names the same rows in another order.
    const rows = ['a', 'b', 'c', 'd'].sort(() => Math.random() - 0.5).map((tool) => ({ ...counts, token: 't', tool }))
    await store.addUsage(`${name} ${flushes}`, rows)
  }
}

try {
  await Promise.all([make(), make(), make(), add(), seal(), count()])
} catch (error) {
  errors.push(String(error))
}
await store.close()
process.stdout.write(`${JSON.stringify({ made, added, stale, sealed, flushes, errors })}\n`)
