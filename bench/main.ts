import { fork } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { CASES, caseOf, missedBy, SECTIONS, type Section } from './budgets.ts'
import { installPeers } from './install.ts'
import type { Result, Skipped } from './result.ts'
import { markdownTable, mergeRows, missed, plainTable, readTable, rowsOf } from './table.ts'

const PAGE = new URL('../docs/performance.md', import.meta.url)
const START = '<!-- table: written by npm run bench -->'
const END = '<!-- end of the table -->'

// npm run bench                      everything, and the table in docs/performance.md
// npm run bench -- verify limiter    some sections; the page stays as it is
// npm run bench -- redis --page      some sections, and their rows in the page
// npm run bench -- --strict          fails when a budget is missed
const words = process.argv.slice(2)
const strict = words.includes('--strict')
const asked = words.filter((word) => !word.startsWith('--'))
const unknown = asked.filter((word) => !SECTIONS.includes(word as Section))
if (unknown.length > 0) {
  console.error(`There is no section ${unknown.join(', ')}. The sections are ${SECTIONS.join(', ')}.`)
  process.exit(2)
}
const chosen = SECTIONS.filter((section) => asked.length === 0 || asked.includes(section))
if (chosen.includes('peers')) installPeers()

const results: Result[] = []
const skipped = new Set<Section>()
for (const section of chosen) {
  console.log(`\n${section}`)
  results.push(...(await runSection(section)))
}
const rows = rowsOf(results)
console.log(`\n${plainTable(rows)}`)

const unmeasured = CASES.filter(
  ({ id, section }) => chosen.includes(section) && !skipped.has(section) && !results.some((result) => result.id === id),
)
if (unmeasured.length > 0) throw new Error(`not measured: ${unmeasured.map(({ id }) => id).join(', ')}`)
if (asked.length === 0 || words.includes('--page')) writePage()

const misses = missed(results)
console.log(`\n${misses.length === 0 ? 'Every budget is met.' : `${misses.length} budgets are missed.`}`)
if (strict && misses.length > 0) process.exitCode = 1

async function runSection(section: Section): Promise<Result[]> {
  const found: Result[] = []
  const child = fork(new URL('./section.ts', import.meta.url), [section], {
    execArgv: ['--expose-gc', '--max-old-space-size=8192', '--disable-warning=ExperimentalWarning'],
  })
  child.on('message', (message: Result | Skipped) => {
    if ('skipped' in message) {
      skipped.add(section)
      console.log(`  skipped: ${message.skipped}`)
      return
    }
    const result = message
    found.push(result)
    const missing = missedBy(caseOf(result.id), result.value) > 0 ? '  MISSED' : ''
    console.log(`  ${result.id.padEnd(28)} ${result.value.toFixed(3)} ${caseOf(result.id).unit}${missing}`)
  })
  const [code] = (await once(child, 'exit')) as [number | null]
  if (code !== 0) throw new Error(`the section ${section} ended with ${code}`)
  return found
}

function writePage(): void {
  const page = readFileSync(PAGE, 'utf8')
  const from = page.indexOf(START)
  const to = page.indexOf(END)
  if (from < 0 || to < from) throw new Error('docs/performance.md has lost the marks between which the table stands')
  const model = cpus()[0]?.model.trim() ?? 'an unknown processor'
  const where = `Node ${process.version}, ${model}, ${cpus().length} cores.`
  // Rows of what wasn't measured now stay.
  const all = mergeRows(readTable(page.slice(from, to)), rows)
  const text = `${START}\n\n${where}\n\n${markdownTable(all)}\n\n${END}`
  writeFileSync(PAGE, page.slice(0, from) + text + page.slice(to + END.length))
  console.log('\nThe table is in docs/performance.md.')
}
