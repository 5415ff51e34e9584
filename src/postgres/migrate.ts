import type { Connections } from './connections.ts'
import { newerSchema } from './engine-errors.ts'
import type { Names } from './names.ts'
import type { SchemaStep } from './schema.ts'

/**
 * Brings a store's tables to the present schema, all steps or none. Any number of instances may do it at once: one does,
 * the others wait for it and find it done. The lock ends with the transaction, so that nothing stays behind on the
 * connection.
 *
 * @throws StoreError ERR_STORE_NEWER_SCHEMA when the tables are ahead of the steps
 */
export async function migrate(connections: Connections, n: Names, steps: readonly SchemaStep[]): Promise<void> {
  await connections.transaction('migrate', async (transaction) => {
    const run = <R>(text: string, values: unknown[] = []) => transaction.run<R>({ text, unbounded: true }, values)
    await run('SET LOCAL statement_timeout = 0')
    await run('SELECT pg_advisory_xact_lock(hashtext($1))', [`tokenwright ${n.plainSchema}`])
    // CREATE SCHEMA IF NOT EXISTS would need the right to create one even where it exists.
    const schema = await run('SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = $1', [n.plainSchema])
    if (schema.length === 0) await run(`CREATE SCHEMA ${n.schema}`)
    const version = await readVersion()
    if (version > steps.length) throw newerSchema(n.store, 'its schema', version, steps.length)
    if (version === steps.length) return
    for (const step of steps.slice(version)) for (const text of step(n)) await run(text)
    await run(`UPDATE ${n.meta} SET value = $1 WHERE name = 'version'`, [steps.length])

    async function readVersion(): Promise<number> {
      const [there] = await run<{ found: boolean }>('SELECT to_regclass($1) IS NOT NULL AS found', [n.meta])
      if (there?.found !== true) return 0
      const [row] = await run<{ value: number | string }>(`SELECT value FROM ${n.meta} WHERE name = 'version'`)
      return Number(row?.value ?? 0)
    }
  })
}
