import { authorizeSection } from './authorize.ts'
import { backupSection } from './backup.ts'
import { SECTIONS, type Section } from './budgets.ts'
import { bulkSection } from './bulk.ts'
import { fileStoreSection } from './file-store.ts'
import { generateSection } from './generate.ts'
import { importsSection } from './imports.ts'
import { journalSection } from './journal.ts'
import { limiterSection } from './limiter.ts'
import { memorySection } from './memory.ts'
import { middlewareSection } from './middleware.ts'
import { peersSection } from './peers.ts'
import { postgresMillionSection, postgresSection } from './postgres.ts'
import { redisSection } from './redis.ts'
import type { Report, Result, Skip, Skipped } from './result.ts'
import { rulesSection } from './rules.ts'
import { signedSection } from './signed.ts'
import { verifySection } from './verify.ts'

const RUNNERS: { readonly [section in Section]: (report: Report, skip: Skip) => Promise<void> } = {
  verify: verifySection,
  signed: signedSection,
  authorize: authorizeSection,
  generate: generateSection,
  limiter: limiterSection,
  memory: memorySection,
  'file-store': fileStoreSection,
  postgres: postgresSection,
  'postgres-1m': postgresMillionSection,
  redis: redisSection,
  rules: rulesSection,
  bulk: bulkSection,
  journal: journalSection,
  backup: backupSection,
  middleware: middlewareSection,
  imports: importsSection,
  peers: peersSection,
}

// Run by main.ts, a process for each section: what one leaves in memory, or in the compiler, is not for the next.
const section = SECTIONS.find((name) => name === process.argv[2])
if (section === undefined) throw new Error(`the sections are ${SECTIONS.join(', ')}`)

const report: Report = (id, measured, note) => {
  const range = typeof measured === 'number' ? { value: measured, low: measured, high: measured } : measured
  process.send?.({ id, ...range, ...(note !== undefined && { note }) } satisfies Result)
}
await RUNNERS[section](report, (why) => process.send?.({ skipped: why } satisfies Skipped))
process.disconnect()
